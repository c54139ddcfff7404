"""Fingerprints of texts: 64 bits that are the same on every machine, as TensorFlow's hash buckets are made of.

Source: Pike 2014, FarmHash, its function Fingerprint64.
"""

from __future__ import annotations

import functools

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_CAT = 0xC6A4A7935BD1E995


def _word(text: bytes, start: int, size: int = 8) -> int:
    """`size` bytes from `start`, which counts from the end where it is negative, as a number."""
    start += len(text) if start < 0 else 0
    return int.from_bytes(text[start : start + size], "little")


def _rotated(value: int, bits: int) -> int:
    return ((value >> bits) | (value << (64 - bits))) & _MASK


def _mixed(value: int) -> int:
    return value ^ (value >> 47)


def _joined(u: int, v: int, factor: int) -> int:
    a = _mixed(((u ^ v) * factor) & _MASK)
    return (_mixed(((v ^ a) * factor) & _MASK) * factor) & _MASK


def _up_to_16(text: bytes) -> int:
    size = len(text)
    factor = (_K2 + 2 * size) & _MASK
    if size >= 8:
        a, b = (_word(text, 0) + _K2) & _MASK, _word(text, -8)
        c = (_rotated(b, 37) * factor + a) & _MASK
        return _joined(c, ((_rotated(a, 25) + b) * factor) & _MASK, factor)
    if size >= 4:
        return _joined((size + (_word(text, 0, 4) << 3)) & _MASK, _word(text, -4, 4), factor)
    if size:
        y = text[0] + (text[size >> 1] << 8)
        z = size + (text[-1] << 2)
        return (_mixed(((y * _K2) ^ (z * _K0)) & _MASK) * _K2) & _MASK
    return _K2


def _up_to_32(text: bytes) -> int:
    factor = (_K2 + 2 * len(text)) & _MASK
    a, b = (_word(text, 0) * _K1) & _MASK, _word(text, 8)
    c, d = (_word(text, -8) * factor) & _MASK, (_word(text, -16) * _K2) & _MASK
    u = (_rotated((a + b) & _MASK, 43) + _rotated(c, 30) + d) & _MASK
    return _joined(u, (a + _rotated((b + _K2) & _MASK, 18) + c) & _MASK, factor)


def _up_to_64(text: bytes) -> int:
    factor = (_K2 + 2 * len(text)) & _MASK
    a, b = (_word(text, 0) * _K2) & _MASK, _word(text, 8)
    c, d = (_word(text, -8) * factor) & _MASK, (_word(text, -16) * _K2) & _MASK
    y = (_rotated((a + b) & _MASK, 43) + _rotated(c, 30) + d) & _MASK
    z = _joined(y, (a + _rotated((b + _K2) & _MASK, 18) + c) & _MASK, factor)
    e, f = (_word(text, 16) * factor) & _MASK, _word(text, 24)
    g, h = ((y + _word(text, -32)) * factor) & _MASK, ((z + _word(text, -24)) * factor) & _MASK
    u = (_rotated((e + f) & _MASK, 43) + _rotated(g, 30) + h) & _MASK
    return _joined(u, (e + _rotated((f + a) & _MASK, 18) + g) & _MASK, factor)


def _weak(text: bytes, start: int, a: int, b: int) -> tuple[int, int]:
    """Two numbers of 32 bytes and two others."""
    w, x, y, z = (_word(text, start + 8 * place) for place in range(4))
    a = (a + w) & _MASK
    b = _rotated((b + a + z) & _MASK, 21)
    c = a
    a = (a + x + y) & _MASK
    b = (b + _rotated(a, 44)) & _MASK
    return (a + z) & _MASK, (b + c) & _MASK


def _longer(text: bytes) -> int:
    seed = 81
    x, y = seed, (seed * _K1 + 113) & _MASK
    z = (_mixed((y * _K2 + 113) & _MASK) * _K2) & _MASK
    v, w = (0, 0), (0, 0)
    x = (x * _K2 + _word(text, 0)) & _MASK
    last = (len(text) - 1) // 64 * 64
    for start in range(0, last, 64):
        x, y, z, v, w = _block(text, start, x, y, z, v, w, _K1)
    factor = (_K1 + ((z & 0xFF) << 1)) & _MASK
    w = ((w[0] + ((len(text) - 1) & 63)) & _MASK, w[1])
    v = ((v[0] + w[0]) & _MASK, v[1])
    w = ((w[0] + v[0]) & _MASK, w[1])
    x, y, z, v, w = _block(text, len(text) - 64, x, y, z, v, w, factor, is_last=True)
    first = (_joined(v[0], w[0], factor) + _mixed(y) * _K0 + z) & _MASK
    return _joined(first, (_joined(v[1], w[1], factor) + x) & _MASK, factor)


def _block(
    text: bytes,
    start: int,
    x: int,
    y: int,
    z: int,
    v: tuple[int, int],
    w: tuple[int, int],
    factor: int,
    is_last: bool = False,
) -> tuple[int, int, int, tuple[int, int], tuple[int, int]]:
    """The state after 64 bytes more."""
    nine = 9 if is_last else 1
    x = (_rotated((x + y + v[0] + _word(text, start + 8)) & _MASK, 37) * factor) & _MASK
    y = (_rotated((y + v[1] + _word(text, start + 48)) & _MASK, 42) * factor) & _MASK
    x ^= (w[1] * nine) & _MASK
    y = (y + v[0] * nine + _word(text, start + 40)) & _MASK
    z = (_rotated((z + w[0]) & _MASK, 33) * factor) & _MASK
    v = _weak(text, start, (v[1] * factor) & _MASK, (x + w[0]) & _MASK)
    w = _weak(text, start + 32, (z + w[1]) & _MASK, (y + _word(text, start + 16)) & _MASK)
    return z, y, x, v, w


@functools.lru_cache(maxsize=1 << 16)
def fingerprint(text: bytes) -> int:
    """64 bits, as a number >= 0, that stand for the text.

    >>> hex(fingerprint(b""))
    '0x9ae16a3b2f90404f'
    """
    size = len(text)
    if size <= 16:
        return _up_to_16(text)
    if size <= 32:
        return _up_to_32(text)
    return _up_to_64(text) if size <= 64 else _longer(text)


def joined_fingerprint(first: int, second: int) -> int:
    """The fingerprint of two fingerprints, in their order."""
    result = (first ^ _CAT) ^ ((_mixed((second * _CAT) & _MASK) * _CAT) & _MASK)
    result = (result * _CAT) & _MASK
    return _mixed((_mixed(result) * _CAT) & _MASK)
