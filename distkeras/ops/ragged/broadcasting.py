"""Element-wise functions of ragged tensors: their values are brought to rows of the same lengths first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.ragged_tensor import RaggedTensor, splits_of
from distkeras.core.tensor import Tensor
from distkeras.ops.ragged.rows import Rows, places_in, take
from distkeras.ops.shape import reshape


def elementwise(function: Callable[..., Tensor], operands: Sequence[Rows]) -> RaggedTensor:
    """`function` of values that belong together.

    Dimensions of size 1 are broadcast, as for tensors, if they are uniform; ragged ones must have rows of the same
    lengths.

    Raises:
        InvalidArgumentError: They differ.
    """
    ragged = [operand for operand in operands if isinstance(operand, RaggedTensor)]
    pattern = max(ragged, key=lambda operand: operand.ragged_rank)
    if _go_together(pattern, operands):
        return pattern.with_flat_values(function(*(getattr(operand, "flat_values", operand) for operand in operands)))
    rank = max(operand.ndim for operand in operands)
    depth = max(rank - operand.flat_values.ndim for operand in ragged)
    levels = [_Levels(operand, rank, depth) for operand in operands]
    splits = _common(levels, [operand.shape for operand in operands], pattern.splits.dtype)
    found: Any = function(*(level.values() for level in levels))
    for split in reversed(splits):
        found = RaggedTensor.of_checked(found, split)
    return found


def _go_together(pattern: RaggedTensor, operands: Sequence[Rows]) -> bool:
    """Whether values belong together as they are: equal rows, and tensors that go with each value alike."""
    inner = pattern.flat_values.ndim - 1
    mine = pattern.nested_splits

    def fits(operand: Rows) -> bool:
        if isinstance(operand, Tensor):
            return operand.ndim <= inner
        theirs = operand.nested_splits
        return operand is pattern or (
            operand.ndim == pattern.ndim
            and len(mine) == len(theirs)
            and all(one is other or np.array_equal(one, other) for one, other in zip(mine, theirs, strict=True))
        )

    return all(map(fits, operands))


class _Levels:
    """An operand with `depth` dimensions of rows below the first one, and which of its values the result takes."""

    def __init__(self, operand: Rows, rank: int, depth: int) -> None:
        self.count, self.levels = _taken_apart(operand, rank - operand.ndim, depth)
        flat = operand.flat_values if isinstance(operand, RaggedTensor) else operand
        outer = rank - flat.ndim
        # Dimensions of the flat values that have become levels are merged with the first.
        merged = max(depth + 1 - outer, 0)
        self.flat = reshape(flat, (flat.shape[:merged].num_elements(), *flat.shape[merged:]))
        self.numbers = np.arange(self.count)
        # What is the same for all rows is left to the function to broadcast.
        self.is_single = isinstance(operand, Tensor) and len(self.flat) == 1

    def values(self) -> Tensor:
        return self.flat if self.is_single else take(self.flat, self.numbers)


def _taken_apart(operand: Rows, new: int, depth: int) -> tuple[int, list[tuple[np.ndarray, bool]]]:
    """The number of outermost rows; for each level the splits, and whether each row has one value by its shape."""
    if isinstance(operand, Tensor):
        sizes, below = [1] * new + list(operand.shape), []
    else:
        sizes, below = [1] * new + [len(operand.splits) - 1], [(splits, False) for splits in operand.nested_splits]
        sizes_inside = list(operand.flat_values.shape[1:])
    levels, count = [], sizes[0]
    for size in sizes[1:]:
        levels.append((np.arange(count + 1) * size, size == 1))
        count *= size
    levels += below
    if not isinstance(operand, Tensor):
        count = operand.flat_values.shape[0]
        for size in sizes_inside:
            levels.append((np.arange(count + 1) * size, size == 1))
            count *= size
    return sizes[0], levels[:depth]


def _common(operands: list[_Levels], shapes: list[Any], dtype: np.dtype) -> list[np.ndarray]:
    """The result's splits, level by level; operands take up which of their values go where."""

    def refuse() -> None:
        raise InvalidArgumentError(
            f"Incompatible shapes: ragged tensors and tensors of shapes {', '.join(map(str, shapes))} cannot be "
            "broadcast together: rows must have the same lengths, dimensions of size 1 excepted."
        )

    wanted = next((operand.count for operand in operands if operand.count != 1), 1)
    for operand in operands:
        if operand.count == 1 and wanted != 1:
            operand.numbers = np.zeros(wanted, np.int64)
        elif operand.count != wanted:
            refuse()
    found = []
    for level in range(len(operands[0].levels)):
        lengths = [np.diff(operand.levels[level][0])[operand.numbers] for operand in operands]
        fixed = [length for length, operand in zip(lengths, operands, strict=True) if not operand.levels[level][1]]
        target = fixed[0] if fixed else lengths[0]
        if any(not np.array_equal(target, other) for other in fixed):
            refuse()
        for operand in operands:
            splits, is_one = operand.levels[level]
            starts = splits[operand.numbers]
            operand.numbers = np.repeat(starts, target) if is_one else places_in(starts, target)
        found.append(splits_of(target).astype(dtype))
    return found
