"""Constants of a graph, some of which depend on open sizes, from what they are for two choices of these.

Along an axis that is as long as an open size a constant may be one slice repeated, as first states are, or go up by
equal steps, as positions do. A single number may be a size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distkeras.keras.saving.exporting.sizes import Size, is_fixed, merged
from distkeras.keras.saving.exporting.writer import GraphWriter


def write_constant(
    writer: GraphWriter, first: np.ndarray, second: np.ndarray, shape: Sequence[int | Size], open_sizes: int
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
        value = writer.add(value, _write_steps(writer, step, axis, shape), dtype)
    return writer.expand(value, shape, dtype)


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


def _write_steps(writer: GraphWriter, step: np.ndarray, axis: int, shape: Sequence[int | Size]) -> str:
    column = [-1 if i == axis else 1 for i in range(len(shape))]
    int64 = np.dtype(np.int64)
    numbers = writer.cast(writer.reshape(writer.positions(shape[axis]), column, int64), int64, step.dtype)
    return writer.multiply(writer.constant(step), numbers, step.dtype)


def _write_number(writer: GraphWriter, first: np.ndarray, second: np.ndarray, open_sizes: int) -> str:
    if first.size != 1 or first.shape != second.shape or first != int(first.item()) or second != int(second.item()):
        raise ValueError("a constant depends on open sizes")
    size = merged(int(first.item()), int(second.item()), open_sizes)
    int64 = np.dtype(np.int64)
    return writer.cast(writer.reshape(writer.shape([size]), first.shape, int64), int64, first.dtype)
