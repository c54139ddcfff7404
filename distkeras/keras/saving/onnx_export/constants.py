"""Constants of a graph, some of which depend on open sizes, from what they are for two choices of these.

Along an axis that is as long as an open size a constant may be one slice repeated, as first states are, or go up by
equal steps, as positions do. A single number may be a size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.keras.saving.onnx_export.sizes import Size, is_fixed, merged
from distkeras.keras.saving.onnx_export.writer import Writer


def write_constant(
    writer: Writer, first: np.ndarray, second: np.ndarray, shape: Sequence[int | Size], open_sizes: int
) -> str:
    """Write a constant of `shape` that has been found to be `first` and `second`.

    Raises:
        ValueError: It depends on the open sizes in another way.
    """
    if is_fixed(shape):
        if _are_equal(first, second):
            return writer.constant(first)
        return _write_number(writer, first, second, open_sizes)
    dtype, steps = first.dtype, {}
    open_axes = [axis for axis, size in enumerate(shape) if isinstance(size, Size)]
    for axis in open_axes:
        first, step = _start_and_step(first, axis, open_axes)
        second, other_step = _start_and_step(second, axis, open_axes)
        if not _are_equal(step, other_step):
            raise ValueError("a constant depends on open sizes")
        if step.any():
            steps[axis] = step
    if not _are_equal(first, second):
        raise ValueError("a constant depends on open sizes")
    value = writer.constant(first)
    for axis, step in steps.items():
        value = writer.node("Add", value, _write_steps(writer, step, axis, shape, dtype))
    return writer.node("Expand", value, writer.shape(shape))


def _are_equal(first: np.ndarray, second: np.ndarray) -> bool:
    return first.shape == second.shape and first.tobytes() == second.tobytes()


def _start_and_step(array: np.ndarray, axis: int, open_axes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The first slice along an axis, and what each following one adds to it, which is the same along all open axes."""
    start = array.take([0], axis)
    step = np.zeros_like(start)
    if array.dtype.kind in "iuf":
        step = array.take([1], axis) - start
    for other in open_axes:
        step = step.take([0], other)
    numbers = np.arange(array.shape[axis]).reshape([-1 if i == axis else 1 for i in range(array.ndim)])
    expected = start + step * numbers if step.any() else start
    if (array != expected).any():
        raise ValueError("a constant depends on open sizes")
    return start, step


def _write_steps(writer: Writer, step: np.ndarray, axis: int, shape: Sequence[Any], dtype: np.dtype) -> str:
    count = writer.node("Squeeze", writer.shape([shape[axis]]))
    numbers = writer.node("Range", writer.constant(0, np.int64), count, writer.constant(1, np.int64))
    numbers = writer.reshape(writer.cast(numbers, dtype), [-1 if i == axis else 1 for i in range(len(shape))])
    return writer.node("Mul", writer.constant(step), numbers)


def _write_number(writer: Writer, first: np.ndarray, second: np.ndarray, open_sizes: int) -> str:
    if first.size != 1 or first.shape != second.shape or first != int(first.item()) or second != int(second.item()):
        raise ValueError("a constant depends on open sizes")
    size = merged(int(first.item()), int(second.item()), open_sizes)
    return writer.cast(writer.reshape(writer.shape([size]), first.shape), first.dtype)
