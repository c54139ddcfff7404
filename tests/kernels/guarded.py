"""Arrays whose last element is the last byte of accessible memory, so that one element too many is a crash."""

import ctypes
import mmap

import numpy as np

PAGE, NO_ACCESS = mmap.PAGESIZE, 0
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class _OpenAgain:
    """Closes the last page of its memory, and opens it again before the memory is returned."""

    def __init__(self, memory):
        self.memory = memory
        self.__array_interface__ = np.frombuffer(memory, np.uint8).__array_interface__
        self.guard = self.__array_interface__["data"][0] + len(memory) - PAGE
        assert _libc.mprotect(self.guard, PAGE, NO_ACCESS) == 0

    def __del__(self):
        _libc.mprotect(self.guard, PAGE, mmap.PROT_READ | mmap.PROT_WRITE)


def empty(shape, dtype):
    """An array of NaN that ends where memory does."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pages = -(-size // PAGE) * PAGE
    everything = np.asarray(_OpenAgain(mmap.mmap(-1, pages + PAGE)))
    array = everything[pages - size : pages].view(dtype).reshape(shape)
    array.fill(np.nan)
    return array


def normal(random, shape, dtype):
    """Standard normal numbers in such an array."""
    array = empty(shape, dtype)
    array[...] = random.standard_normal(shape)
    return array


class Scratch:
    """A `scratch` that remembers what it lent, to be filled with NaN before a replay."""

    def __init__(self):
        self.lent = []

    def __call__(self, shape, dtype):
        self.lent.append(empty(shape, dtype))
        return self.lent[-1]

    def spoil(self):
        for array in self.lent:
            array.fill(np.nan)


def run_twice(lower, *arrays, out, **options):
    """Lower an operation once and replay it twice over spoilt memory; both results must be the same bits."""
    scratch = Scratch()
    calls = lower(*arrays, out, scratch=scratch, **options)
    results = []
    for _ in range(2):
        scratch.spoil()
        out.fill(np.nan)
        for function, arguments in calls:
            function(*arguments)
        results.append(out.copy())
    np.testing.assert_array_equal(*results)
    return results[0]
