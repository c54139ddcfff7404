"""Enlarging by whole factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op
from distkeras.ops.creation import constant
from distkeras.ops.indexing import gather
from distkeras.ops.shape import repeat


@op
def enlarge(
    input: Any, factors: Sequence[int], first_axis: int, interpolation: str = "nearest", name: str | None = None
) -> Tensor:
    """Every axis from `first_axis` on made as many times longer as `factors` says.

    Args:
        input: Any tensor; of floats for 'bilinear'.
        factors: A positive int for each of the axes.
        first_axis: Which axis the first factor is for.
        interpolation: 'nearest' repeats elements; 'bilinear' blends the nearest two along each axis, centres aligned.

    Raises:
        ValueError: It is another interpolation.
    """
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(f"enlarge: interpolation must be 'nearest' or 'bilinear', received {interpolation!r}.")
    x = to_tensor(input)
    along_axis = repeat if interpolation == "nearest" else _interpolate
    for offset, factor in enumerate(factors):
        x = along_axis(x, factor, axis=first_axis + offset) if factor > 1 else x
    return x


def _interpolate(x: Tensor, factor: int, axis: int) -> Tensor:
    """Linear interpolation along one axis: output i lies at (i + 1/2) / factor - 1/2, clamped to the border."""
    length = x.shape[axis]
    count = length * factor
    places = [min(max((i + 0.5) / factor - 0.5, 0.0), length - 1.0) for i in range(count)]
    lower = [int(place) for place in places]
    shape = [1] * len(x.shape)
    shape[axis] = count
    weight = constant([place - low for place, low in zip(places, lower, strict=True)], x.dtype, shape=shape)
    below = gather(x, constant(lower), axis=axis)
    above = gather(x, constant([min(low + 1, length - 1) for low in lower]), axis=axis)
    return below + (above - below) * weight
