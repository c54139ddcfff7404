"""Philox4x32-10 and what is made of its words, one element at a time, with Python's integers."""

import numpy as np

WORD, LONG = 2**32 - 1, 2**64 - 1


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        low, high = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(high >> 32) ^ c[1] ^ k[0], high & WORD, (low >> 32) ^ c[3] ^ k[1], low & WORD]
        k = [(k[0] + 0x9E3779B9) & WORD, (k[1] + 0xBB67AE85) & WORD]
    return c


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & LONG
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & LONG
    return x ^ (x >> 31)


def word(state, stream, sample, element, plane=0):
    seed, step, first_sample = (int(value) & LONG for value in state)
    key = mix((mix(seed) + 0x9E3779B97F4A7C15 * (stream & LONG)) & LONG) ^ plane
    counter = (element // 4, (first_sample + sample) & WORD, step & WORD, step >> 32)
    return philox(counter, (key & WORD, key >> 32))[element % 4]


def _each(shape, element):
    out = np.empty(shape, np.float64)
    for sample, position in np.ndindex(shape):
        out[sample, position] = element(sample, position)
    return out


def bits(state, stream, shape):
    return _each(shape, lambda s, e: word(state, stream, s, e)).astype(np.uint32)


def unit(state, stream, sample, element, dtype):
    high = word(state, stream, sample, element)
    if dtype == np.float32:
        return (high >> 8) / 2**24
    return ((high << 21) | (word(state, stream, sample, element, plane=1) >> 11)) / 2**53


def uniform(state, stream, shape, dtype):
    return _each(shape, lambda s, e: unit(state, stream, s, e, dtype))


def normal(state, stream, shape, dtype):
    def element(s, e):
        u, v = (unit(state, stream, s, e // 2 * 2 + i, dtype) for i in (0, 1))
        return np.sqrt(-2 * np.log(1 - u)) * (np.sin if e % 2 else np.cos)(2 * np.pi * v)

    return _each(shape, element)


def dropout_mask(state, stream, shape, rate):
    def keep(s, e):
        return (word(state, stream, s, e // 2) >> (16 * (e % 2))) & 0xFFFF >= round(rate * 65536)

    return _each(shape, keep)
