"""CRC-32C, the checksum of TensorFlow's files.

    crc = crc >> 8 ^ T0[(crc ^ byte) & 255]            for one byte, T0[b] = the remainder of b
    T_k[b] = T_(k-1)[b] >> 8 ^ T0[T_(k-1)[b] & 255]    the remainder of b with k zero bytes after it

Eight tables take eight bytes at a time, whose look-ups do not wait for each other.

Source: Castagnoli, Braeuer, Herrmann, "Optimization of cyclic redundancy-check codes with 24 and 32 parity bits", 1993;
Kounavis, Berry, "A systematic approach to building high performance software-based CRC generators", 2005.
"""

from __future__ import annotations

import functools

import numpy as np

from distkeras.kernels.compile import inlined, kernel

_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


@inlined
def crc32c_of(data, start, stop, crc, tables):
    """The inverted CRC-32C so far, int64, continued over data[start:stop]."""
    whole = stop - (stop - start) % 8
    for i in range(start, whole, 8):
        low = crc ^ (data[i] | data[i + 1] << 8 | data[i + 2] << 16 | data[i + 3] << 24)
        crc = np.int64(
            tables[7, low & 255]
            ^ tables[6, low >> 8 & 255]
            ^ tables[5, low >> 16 & 255]
            ^ tables[4, low >> 24 & 255]
            ^ tables[3, data[i + 4]]
            ^ tables[2, data[i + 5]]
            ^ tables[1, data[i + 6]]
            ^ tables[0, data[i + 7]]
        )
    for i in range(whole, stop):
        crc = crc >> 8 ^ np.int64(tables[0, (crc ^ data[i]) & 255])
    return crc


@kernel("void(Array(uint8, 1, 'C', True), uint32[:, ::1], uint32[::1])")
def crc32c_update(data, tables, out):
    """out[0] = the inverted CRC-32C so far, continued over the bytes of `data`."""
    out[0] = crc32c_of(data, 0, data.size, np.int64(out[0]), tables)


@functools.cache
def crc32c_tables() -> np.ndarray:
    """T0 to T7, (8, 256) uint32."""
    tables = np.zeros((8, 256), np.uint32)
    tables[0] = np.arange(256)
    for _ in range(8):
        tables[0] = tables[0] >> 1 ^ np.where(tables[0] & 1, np.uint32(_POLYNOMIAL), np.uint32(0))
    for k in range(1, 8):
        tables[k] = tables[k - 1] >> 8 ^ tables[0][tables[k - 1] & 255]
    return tables


def crc32c(data: bytes | np.ndarray, before: int = 0) -> int:
    """The CRC-32C of bytes, or of an array's memory; `before` is that of what comes before them.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    out = np.array([before ^ 0xFFFFFFFF], np.uint32)
    array = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else np.ravel(data).view(np.uint8)
    crc32c_update[np.uint8](array, crc32c_tables(), out)
    return int(out[0]) ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """A checksum as it is stored: turned and shifted, since checksums of data with their checksums tell little."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
