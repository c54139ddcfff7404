"""Copies as kernels against NumPy's own."""

import numpy as np
import pytest

from distkeras.kernels.copy import copy

CASES = [
    (np.arange(6, dtype=np.float32), (6,)),
    (np.arange(6, dtype=np.float64).reshape(2, 3), (2, 3)),
    (np.array(7, np.int64), ()),
    (np.array(1.5, np.float32), (2, 3)),
    (np.array([[True], [False]]), (2, 3)),
    (np.arange(24, dtype=np.int32).reshape(2, 3, 4)[:, ::2, ::-1], (2, 2, 4)),
    (np.arange(3, dtype=np.float16), (2, 1, 2, 3)),
    (np.zeros((0, 3), np.float32), (0, 3)),
    (np.broadcast_to(np.arange(3.0), (2, 3)), (2, 3)),  # must not be written to
    (np.frombuffer(b"constant", np.uint8), (8,)),
]


@pytest.mark.parametrize(("x", "shape"), CASES, ids=lambda value: str(getattr(value, "shape", value)))
def test_copies_are_numpys(x, shape):
    out = np.zeros(shape, x.dtype)
    ((kernel, arguments),) = copy(x, out)
    kernel(*arguments)
    np.testing.assert_array_equal(out, np.broadcast_to(x, shape))


def test_into_memory_that_is_not_contiguous():
    out = np.zeros((4, 6))
    ((kernel, arguments),) = copy(np.arange(6.0).reshape(2, 3), out[::2, 1::2])
    kernel(*arguments)
    np.testing.assert_array_equal(out[::2, 1::2], np.arange(6.0).reshape(2, 3))
    assert out.sum() == 15


@pytest.mark.parametrize(
    ("x", "out"),
    [
        (np.zeros(3, np.float32), np.zeros(3)),
        (np.zeros(3, complex), np.zeros(3, complex)),
        (np.zeros((100, 100)).T, np.zeros((100, 100))),
        (np.zeros((1, 1, 1, 1, 2)), np.zeros((1, 1, 1, 2, 2))),
        (3.0, np.zeros(3)),
    ],
    ids=["types differ", "complex", "many apart", "five dimensions", "a number"],
)
def test_what_is_left_to_numpy(x, out):
    assert copy(x, out) is None
