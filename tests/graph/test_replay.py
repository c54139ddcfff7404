"""Native runs: the same calls, made without the interpreter between them."""

import numpy as np
import pytest

from distkeras.core.host import Attempt
from distkeras.graph.replay import NativeRun, compile_calls
from distkeras.kernels import native_call
from distkeras.kernels.compile import kernel


@kernel("void({t}[:, ::1], {t}, int64, {t}[:, ::1])")
def scale_and_shift(x, factor, shift, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = factor * x[i, j] + shift


@kernel("void({t}[:], {t}[::1])")
def copy_any(x, out):
    for i in range(out.size):
        out[i] = x[i]


@kernel("void({t}[::1], {t}[::1])")
def root(x, out):
    for i in range(out.size):
        if x[i] < 0:
            raise ValueError("root of a negative number")
        out[i] = np.sqrt(x[i])


def _run(calls):
    for function, arguments in compile_calls(calls):
        function(*arguments)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_and_numbers_of_every_kind_arrive(dtype):
    x, y, z = np.arange(6, dtype=dtype).reshape(2, 3), np.zeros((2, 3), dtype), np.zeros(3, dtype)
    calls = [
        (scale_and_shift[dtype], (x, dtype(0.5), 3, y)),
        (copy_any[dtype], (y.reshape(-1)[::2], z)),
        (scale_and_shift[dtype], (y, dtype(2), -1, y)),
    ]
    (call,) = compile_calls(calls)
    assert isinstance(call[0], NativeRun)
    x += 1  # what is in the arrays is looked at when the calls are made
    _run(calls)
    np.testing.assert_array_equal(z, (0.5 * x + 3).reshape(-1)[::2])
    np.testing.assert_array_equal(y, 2 * (0.5 * x + 3) - 1)


def test_what_is_no_kernel_runs_in_its_place():
    seen, x = [], np.ones(2)
    copy = (copy_any[np.float64], (x, x))
    calls = [copy, copy, (seen.append, (1,)), copy, (seen.append, (2,)), copy, copy]
    kinds = [isinstance(function, NativeRun) for function, _ in compile_calls(calls)]
    assert kinds == [True, False, False, False, True]
    _run(calls)
    assert seen == [1, 2]


def test_copies_join_the_run():
    x, y = np.arange(3.0), np.zeros(3)
    calls = [(np.copyto, (y, x)), (copy_any[np.float64], (y, x)), (np.copyto, (y, np.float64(4)))]
    assert [isinstance(function, NativeRun) for function, _ in compile_calls(calls)] == [True, False]
    _run(calls)
    np.testing.assert_array_equal(y, 4)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_kernel_that_raises_raises_here(place):
    arrays = [np.ones(2) for _ in range(3)]
    arrays[place] -= 2
    outs = [np.zeros(2) for _ in range(3)]
    calls = [(root[np.float64], pair) for pair in zip(arrays, outs, strict=True)]
    with pytest.raises(ValueError, match="root of a negative number"):
        _run(calls)
    assert [bool(out.any()) for out in outs] == [index < place for index in range(3)]


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros(2, np.float32), np.zeros(2)),
        (np.zeros((1, 2)), np.zeros(2)),
        (np.zeros(2), np.zeros(4)[::2]),
        (np.zeros(2),),
        (0.0, np.zeros(2)),
    ],
    ids=["type", "dimensions", "not contiguous", "number", "no array"],
)
def test_arguments_that_do_not_fit_are_left_to_the_interpreter_to_refuse(arguments):
    assert native_call.pack(root[np.float64], arguments) is None
    with pytest.raises(TypeError):
        _run([(root[np.float64], arguments)] * 2)


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_the_interpreter_stands_in_for_an_attempt(left_out):
    x, y, seen = np.array([4.0]), [np.zeros(1) for _ in range(3)], []

    def instead():
        seen.append(y[0].item())
        return left_out

    attempt = Attempt(root[np.float64], instead)
    calls = [(root[np.float64], (x, y[0])), (attempt, (x, y[1])), (copy_any[np.float64], (x, y[2]))]
    (call,) = compile_calls(calls)
    assert isinstance(call[0], NativeRun)
    _run(calls)
    assert (seen, y[1], y[2]) == ([], 2, 4)
    x -= 5
    y[2][:] = 0
    with pytest.raises(ValueError, match="negative"):  # of the first, which is no attempt
        _run(calls)
    _run([*calls[1:], calls[2]])
    assert (seen, y[2]) == ([2], 0 if left_out == 2 else -1)


def test_an_attempt_alone_is_a_run():
    seen = []
    _run([(Attempt(root[np.float64], lambda: seen.append(1) or 0), (np.array([-1.0]), np.zeros(1)))])
    assert seen == [1]
