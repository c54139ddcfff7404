"""Windows over sequences, images and volumes: what 'same' and 'valid' padding, strides and dilations amount to."""

from __future__ import annotations

from typing import Any

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor
from distkeras.ops.joining import concat
from distkeras.ops.shape import slice_primitive, transpose

Pads = tuple[tuple[int, int], ...]
# By the number of directions: channels last, channels first.
LAYOUTS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}
_INPUTS = {1: "sequences [batch, steps", 2: "images [batch, height, width", 3: "volumes [batch, depth, height, width"}


def is_channels_first(data_format: str | None, rank: int) -> bool:
    """Whether the channels come before the `rank` directions; None means that they do not.

    Raises:
        ValueError: It is no layout of that rank.
    """
    last, first = LAYOUTS[rank]
    if data_format not in (None, last, first):
        raise ValueError(f"data_format must be {last!r} or {first!r}, received {data_format!r}.")
    return data_format == first


def expect_rank(name: str, x: Tensor, rank: int) -> None:
    """InvalidArgumentError unless x has a batch, `rank` directions and channels."""
    if x.ndim != rank + 2:
        raise InvalidArgumentError(f"{name}: expected {_INPUTS[rank]}, channels], received shape {x.shape}.")


def channels_last(x: Tensor) -> Tensor:
    """[batch, channels, ...] as [batch, ..., channels]."""
    return transpose(x, (0, *range(2, x.ndim), 1))


def channels_first(x: Tensor) -> Tensor:
    """[batch, ..., channels] as [batch, channels, ...]."""
    return transpose(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def unified(
    name: str, rank: int, x: Tensor, strides: Any, dilations: Any, data_format: str | None
) -> tuple[Tensor, tuple[int, ...], tuple[int, ...], bool]:
    """x with its channels last, strides and dilations (None: 1) by direction, and whether the channels were first."""
    first = is_channels_first(data_format, rank)
    expect_rank(name, x, rank)
    strides = spatial(strides, rank, "strides", first)
    dilations = spatial(1 if dilations is None else dilations, rank, "dilations", first)
    return channels_last(x) if first else x, strides, dilations, first


def spatial(value: Any, rank: int, name: str, first: bool = False) -> tuple[int, ...]:
    """`rank` positive ints from one, from as many, or from TensorFlow's entries for all dimensions, [1, h, w, 1].

    Args:
        value: What was given.
        rank: The number of directions.
        name: What it is, for the message.
        first: Whether the channels' entry is the second, not the last.

    Raises:
        InvalidArgumentError: It is something else, or the entries of batch and channels are not 1.
    """
    values = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    if len(values) == rank + 2:
        channel = values.pop(1 if first else -1)
        if values.pop(0) != 1 or channel != 1:
            raise InvalidArgumentError(
                f"{name}: only the entries of the {rank} directions may differ from 1, received {value!r}."
            )
    values = values * rank if len(values) == 1 else values
    if len(values) != rank or any(not hasattr(item, "__int__") or int(item) != item or item < 1 for item in values):
        raise InvalidArgumentError(f"{name}: expected a positive integer or {rank} of them, received {value!r}.")
    return tuple(int(item) for item in values)


def resolve_padding(
    padding: Any, sizes: Any, window: Any, strides: Any, dilations: Any = None, first: bool = False
) -> Pads:
    """Explicit (before, after) for each direction, from 'same', 'valid' or such pairs.

    'same' gives ceil(size / stride) outputs; where the padding is odd, the extra place is last. Pairs may be given for
    all dimensions too: then those of batch and channels (the second if `first`, else the last) must be zero.
    """
    if isinstance(padding, str):
        kind, dilations = padding.lower(), dilations or (1,) * len(sizes)
        if kind == "valid":
            return ((0, 0),) * len(sizes)
        if kind != "same":
            raise ValueError(f"padding must be 'same', 'valid' or pairs of integers, received {padding!r}.")
        totals = [
            max((-(-size // stride) - 1) * stride + (extent - 1) * dilation + 1 - size, 0)
            for size, extent, stride, dilation in zip(sizes, window, strides, dilations, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)
    pairs = [tuple(int(item) for item in entry) for entry in padding]
    others = []
    if len(pairs) == len(sizes) + 2:
        others = [pairs.pop(1 if first else -1), pairs.pop(0)]
    if len(pairs) != len(sizes) or any(len(pair) != 2 or min(pair) < 0 for pair in pairs) or any(map(any, others)):
        raise ValueError(
            f"padding must be 'same', 'valid' or a pair (before, after) >= 0 for each of {len(sizes)} directions, "
            f"received {padding!r}."
        )
    return tuple(pairs)


def output_sizes(sizes: Any, window: Any, strides: Any, pads: Pads, dilations: Any = None) -> tuple[int, ...]:
    """How many windows fit in each direction.

    Raises:
        InvalidArgumentError: The window is larger than the padded image.
    """
    dilations = dilations or (1,) * len(pads)
    spans = [(extent - 1) * dilation + 1 for extent, dilation in zip(window, dilations, strict=True)]
    padded = [size + sum(pad) for size, pad in zip(sizes, pads, strict=True)]
    if any(span > size for span, size in zip(spans, padded, strict=True)):
        raise InvalidArgumentError(
            f"Negative dimension size: a window of {tuple(window)} (dilated {tuple(spans)}) does not fit into "
            f"{tuple(sizes)} padded by {pads}. Use padding='same' or a smaller window."
        )
    return tuple((size - span) // stride + 1 for size, span, stride in zip(padded, spans, strides, strict=True))


def taps_as_channels(x: Tensor, axis: int, places: list[slice]) -> Tensor:
    """The parts of x at `places` along `axis`, one after the other along the channels, which are last."""
    parts = [slice_primitive(x, along(x.shape, axis, place)) for place in places]
    return parts[0] if len(parts) == 1 else concat(parts, axis=x.ndim - 1)


def tap_places(count: int, extent: int, stride: int, dilation: int = 1) -> list[slice]:
    """For each of the `extent` taps of a window: where it falls, for `count` windows."""
    return [slice(k * dilation, k * dilation + (count - 1) * stride + 1, stride) for k in range(extent)]


def along(shape: Any, axis: int, place: slice) -> tuple:
    """A slice primitive's index of `place` along one axis and everything along the others."""
    return tuple(
        (place.start, place.stop, place.step) if number == axis else (0, size, 1) for number, size in enumerate(shape)
    )
