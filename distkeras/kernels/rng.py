"""Random numbers that are a function of where they are used, so that they do not depend on how the work is divided.

Philox4x32-10 turns a counter and a key into four random words. Here

    key      seed and stream (a layer, or another source of random numbers), mixed into 64 bits
    counter  [block of four elements within the sample, sample, step's low half, step's high half]

so that the rows [first_sample, first_sample + n) of a batch get what they would have got in the whole batch. `state` is
int64 [seed, step, first_sample], read at every call; a sample is a row of the [samples, elements] array.

The functions without an underscore lower a draw to kernel calls, to be made in order: `for fn, args in calls:
fn(*args)`; `scratch(shape, dtype)` hands out working memory.

>>> import numpy as np
>>> state = np.array([7, 0, 0], np.int64)
>>> whole, tail = np.empty((4, 3), np.float32), np.empty((2, 3), np.float32)
>>> for fn, args in uniform(state, whole, stream=1, scratch=np.empty):
...     fn(*args)
>>> state[2] = 2
>>> for fn, args in uniform(state, tail, stream=1, scratch=np.empty):
...     fn(*args)
>>> bool((whole[2:] == tail).all())
True

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from distkeras.kernels import vmath
from distkeras.kernels.compile import Calls, Scratch, inlined, kernel

_CHUNK = 2048  # words made at a time: they stay in the first-level cache
_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def random_bits(state: np.ndarray, out: np.ndarray, *, stream: int, scratch: Scratch) -> Calls:
    """Lower filling out (uint32 [samples, elements]) with random words."""
    return [(_random_bits[np.uint32], (state, int(stream), _words(out, 1, scratch), out))]


def uniform(state: np.ndarray, out: np.ndarray, *, stream: int, scratch: Scratch) -> Calls:
    """Lower filling out [samples, elements] uniformly over [0, 1): multiples of 2**-24 (float32) or 2**-53 (float64).

    Args:
        state: int64 [seed, step, first_sample].
        out: float32 or float64 [samples, elements].
        stream: Sources with different streams are independent of each other.
        scratch: (shape, dtype) -> working memory.
    """
    return _draw(_uniform, state, out, stream, scratch)


def normal(state: np.ndarray, out: np.ndarray, *, stream: int, scratch: Scratch) -> Calls:
    """Lower filling out [samples, elements] with standard normal numbers (Box and Muller); arguments as `uniform`."""
    return _draw(_normal, state, out, stream, scratch)


def truncated_normal(state: np.ndarray, out: np.ndarray, *, stream: int, scratch: Scratch) -> Calls:
    """Lower filling out with standard normal numbers under the condition that they lie in [-2, 2]; as `uniform`."""
    return _draw(_truncated_normal, state, out, stream, scratch)


def dropout(
    x: np.ndarray, state: np.ndarray, out: np.ndarray, mask: np.ndarray, *, rate: float, stream: int, scratch: Scratch
) -> Calls:
    """Lower out = x * mask / (1 - rate), where mask is 0 with probability `rate`, rounded to 1/65536, and else 1.

    Args:
        x: [samples, elements].
        state: int64 [seed, step, first_sample].
        out: As x.
        mask: uint8 [samples, elements]; receives what was kept, which the gradient needs.
        rate: In [0, 1].
        stream: Sources with different streams are independent of each other.
        scratch: (shape, dtype) -> working memory.
    """
    words = scratch((_word_count(-(-x.shape[1] // 2)),), np.uint32)
    return [(_dropout[x.dtype], (x, state, int(stream), _threshold(rate), words, out, mask))]


def dropout_gradient(dy: np.ndarray, mask: np.ndarray, dx: np.ndarray, *, rate: float) -> Calls:
    """Lower dx = dy * mask / (1 - rate), with the mask that `dropout` left; all [samples, elements]."""
    return [(_dropout_gradient[dy.dtype], (dy, mask, _threshold(rate), dx))]


def _draw(draw: Callable, state: np.ndarray, out: np.ndarray, stream: int, scratch: Scratch) -> Calls:
    return [(draw[out.dtype], (state, int(stream), _words(out, out.itemsize // 4, scratch), out))]


def _words(out: np.ndarray, per_element: int, scratch: Scratch) -> np.ndarray:
    return scratch((per_element, _word_count(out.shape[1])), np.uint32)


def _word_count(elements: int) -> int:
    return min(_CHUNK, max(4, -(-elements // 4) * 4))


def _threshold(rate: float) -> int:
    if not 0 <= rate <= 1:
        raise ValueError(f"a dropout rate must be in [0, 1], received {rate!r}")
    return round(float(rate) * 65536)


# --- Philox -----------------------------------------------------------------------------------------------------------


@inlined
def _philox_round(c0, c1, c2, c3, k0, k1):
    p0, p1 = np.uint64(c0) * _MULTIPLIER_0, np.uint64(c2) * _MULTIPLIER_1
    return (
        np.uint32(np.uint32(p1 >> _32) ^ c1 ^ k0),
        np.uint32(p1 & _LOW),
        np.uint32(np.uint32(p0 >> _32) ^ c3 ^ k1),
        np.uint32(p0 & _LOW),
    )


@inlined
def philox(c0, c1, c2, c3, k0, k1):
    """Four random words for a counter of four words and a key of two, all uint32."""
    for _ in range(10):
        c0, c1, c2, c3 = _philox_round(c0, c1, c2, c3, k0, k1)
        k0, k1 = np.uint32(k0 + _WEYL_0), np.uint32(k1 + _WEYL_1)
    return c0, c1, c2, c3


@inlined
def _mix(x):
    """A permutation of the 64-bit numbers in which every bit of x matters to every bit of the result."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@inlined
def _key(seed, stream):
    """The key of a stream; different streams of one seed never share one."""
    return _mix(_mix(np.uint64(seed)) + np.uint64(0x9E3779B97F4A7C15) * np.uint64(stream))


@inlined
def _fill(words, key, step, sample, first_block):
    """The words of blocks first_block, first_block + 1, ... of a sample."""
    k0, k1 = np.uint32(key & _LOW), np.uint32(key >> _32)
    c1, c2, c3 = np.uint32(sample), np.uint32(np.uint64(step) & _LOW), np.uint32(np.uint64(step) >> _32)
    for b in range(words.size // 4):
        w0, w1, w2, w3 = philox(np.uint32(first_block + b), c1, c2, c3, k0, k1)
        words[4 * b] = w0
        words[4 * b + 1] = w1
        words[4 * b + 2] = w2
        words[4 * b + 3] = w3


# --- kernels ----------------------------------------------------------------------------------------------------------


@kernel("void(int64[::1], int64, uint32[:, ::1], {t}[:, ::1])")
def _random_bits(state, stream, words, out):
    """out[s, e] = word e % 4 of block e // 4 of sample s."""
    key, row = _key(state[0], stream), words[0]
    for s in range(out.shape[0]):
        for start in range(0, out.shape[1], row.size):
            _fill(row, key, state[1], state[2] + s, start // 4)
            values = out[s, start : start + row.size]
            for i in range(values.size):
                values[i] = row[i]


@inlined
def _unit(words, i, like):
    """Element i, uniform over [0, 1), from one word (float32) or two (float64)."""
    to = like.dtype.type
    if words.shape[0] == 1:
        return to(np.int32(words[0, i] >> np.uint32(8))) * to(2.0**-24)
    high, low = np.int64(words[0, i]), np.int64(words[-1, i])
    return to((high << 21) | (low >> 11)) * to(2.0**-53)


@inlined
def _fill_units(words, key, step, sample, start, values):
    """Uniform numbers for the elements from `start` on of a sample."""
    for plane in range(words.shape[0]):
        _fill(words[plane], key ^ np.uint64(plane), step, sample, start // 4)
    for i in range(values.size):
        values[i] = _unit(words, i, values)


@kernel("void(int64[::1], int64, uint32[:, ::1], {t}[:, ::1])")
def _uniform(state, stream, words, out):
    """out[s, e] = the word's leading bits as a fraction."""
    key, chunk = _key(state[0], stream), words.shape[1]
    for s in range(out.shape[0]):
        for start in range(0, out.shape[1], chunk):
            _fill_units(words, key, state[1], state[2] + s, start, out[s, start : start + chunk])


@inlined
def _rotation(u):
    """(cos 2 pi u, sin 2 pi u) for 0 <= u < 1, to 1e-7 or, in float64, 1e-10: enough for random numbers."""
    to = type(u)
    quarter = np.int32(to(4) * u + to(0.5))
    f = to(4) * u - to(quarter)
    square = f * f
    sine = ((to(0.000158195066252) * square + to(-0.00468126062384)) * square + to(0.0796925818424)) * square
    sine = ((sine + to(-0.645964096102)) * square + to(1.57079632679)) * f
    cosine = ((to(0.000903631701686) * square + to(-0.02086007132)) * square + to(0.25366920394)) * square
    cosine = (cosine + to(-1.23370054065)) * square + to(1)
    odd = (quarter & 1) != 0
    x, y = (-sine if odd else cosine), (cosine if odd else sine)
    opposite = (quarter & 2) != 0
    return (-x if opposite else x), (-y if opposite else y)


@inlined
def _box_muller(u, v):
    """Two independent normal numbers from two uniform ones."""
    radius = math.sqrt(type(u)(-2) * vmath.log(type(u)(1) - u))
    cosine, sine = _rotation(v)
    return radius * cosine, radius * sine


@kernel("void(int64[::1], int64, uint32[:, ::1], {t}[:, ::1])")
def _normal(state, stream, words, out):
    """out[s, 2 j] and out[s, 2 j + 1] are made from the uniform numbers at their places."""
    key, chunk = _key(state[0], stream), words.shape[1]
    for s in range(out.shape[0]):
        for start in range(0, out.shape[1], chunk):
            values = out[s, start : start + chunk]
            _fill_units(words, key, state[1], state[2] + s, start, values)
            for j in range(values.size // 2):
                x, y = _box_muller(values[2 * j], values[2 * j + 1])
                values[2 * j] = x
                values[2 * j + 1] = y
            if values.size % 2:
                last = values.size - 1
                values[last] = _box_muller(values[last], _unit(words, last + 1, values))[0]


@kernel("void(int64[::1], int64, uint32[:, ::1], {t}[:, ::1])")
def _truncated_normal(state, stream, words, out):
    """out = sqrt(2) erfinv(x), x uniform over +-erf(sqrt 2): x P(-log(1 - x**2)), P fitted to 4e-9."""
    key, chunk, to = _key(state[0], stream), words.shape[1], out.dtype.type
    for s in range(out.shape[0]):
        for start in range(0, out.shape[1], chunk):
            values = out[s, start : start + chunk]
            _fill_units(words, key, state[1], state[2] + s, start, values)
            for i in range(values.size):
                x = (to(2) * values[i] - to(1)) * to(0.9544997361036416)
                w = -vmath.log1p(-x * x)
                p = to(-5.06005792092e-07) * w + to(-2.1984418699e-06)
                p = p * w + to(7.73005907265e-05)
                p = p * w + to(-0.00019440662398)
                p = p * w + to(-0.00329409812592)
                p = p * w + to(0.0163307849961)
                p = p * w + to(0.328117146252)
                values[i] = (p * w + to(1.25331413261)) * x


@inlined
def _dropout_scale(threshold, like):
    return like.dtype.type(65536.0 / max(65536 - threshold, 1))


@kernel("void({t}[:, ::1], int64[::1], int64, int64, uint32[::1], {t}[:, ::1], uint8[:, ::1])")
def _dropout(x, state, stream, threshold, words, out, mask):
    """Element e takes half e % 2 of word e // 2; it is dropped where that is below the threshold."""
    key, scale, zero = _key(state[0], stream), _dropout_scale(threshold, x), x.dtype.type(0)
    halves = words.view(np.uint16)
    for s in range(x.shape[0]):
        for start in range(0, x.shape[1], halves.size):
            _fill(words, key, state[1], state[2] + s, start // 8)
            values, results, kept = x[s, start:], out[s, start:], mask[s, start:]
            for i in range(min(halves.size, values.size)):
                keep = np.int32(halves[i]) >= np.int32(threshold)
                kept[i] = keep
                results[i] = values[i] * (scale if keep else zero)


@kernel("void({t}[:, ::1], uint8[:, ::1], int64, {t}[:, ::1])")
def _dropout_gradient(dy, mask, threshold, dx):
    """dx = dy * mask * scale."""
    scale, zero = _dropout_scale(threshold, dy), dy.dtype.type(0)
    for s in range(dy.shape[0]):
        gradient, kept, result = dy[s], mask[s], dx[s]
        for i in range(gradient.size):
            result[i] = gradient[i] * (scale if kept[i] else zero)
