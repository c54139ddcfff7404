import itertools

import numpy as np
import pytest

from distkeras.kernels.transpose import transpose
from tests.kernels import naive_transpose as naive
from tests.kernels.lowered import run


def _check(x, axes):
    out = np.full([x.shape[axis] for axis in axes], 9, x.dtype)
    run(transpose(x, out, axes=axes))
    np.testing.assert_array_equal(out, naive.transpose(x, axes))


def _numbers(shape, dtype=np.float32):
    return np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (3, 1, 4), (2, 3, 4, 5), (2, 1, 3, 1, 2)], ids=str)
def test_every_permutation(shape):
    for axes in itertools.permutations(range(len(shape))):
        _check(_numbers(shape), axes)


@pytest.mark.parametrize(
    "shape", [(1, 1), (16, 16), (17, 33), (64, 10), (1, 100), (100, 1), (40, 70), (0, 4), (4, 0)], ids=str
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8, np.float16, bool])
def test_matrices(shape, dtype):
    _check(_numbers(shape, dtype), (1, 0))


@pytest.mark.parametrize(
    "shape, axes", [((3, 20, 33), (0, 2, 1)), ((2, 5, 8, 16), (0, 2, 1, 3)), ((0, 3, 4), (0, 2, 1))]
)
def test_stacks(shape, axes):
    _check(_numbers(shape), axes)


def test_bits_are_kept():
    x = np.arange(0x7F800000 - 20, 0x7F800000 + 380, dtype=np.uint32).reshape(20, 20).view(np.float32)
    out = np.empty_like(x)
    run(transpose(x, out, axes=(1, 0)))
    np.testing.assert_array_equal(out.view(np.uint32), x.view(np.uint32).T)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="permutation"):
        transpose(np.ones((2, 3)), np.ones((3, 2)), axes=(1, 1))
    with pytest.raises(ValueError, match=r"float64 \(3, 2\)"):
        transpose(np.ones((2, 3)), np.ones((2, 3)), axes=(1, 0))
