"""Windows over images: what 'same' and 'valid' padding, strides and dilations amount to."""

from __future__ import annotations

from typing import Any

from distkeras._errors import InvalidArgumentError

Pads = tuple[tuple[int, int], tuple[int, int]]


def pair(value: Any, name: str) -> tuple[int, int]:
    """Two positive ints from an int, a pair, or TensorFlow's four entries [1, h, w, 1]."""
    values = [value] if isinstance(value, int) else list(value)
    if len(values) == 4:
        if values[0] != 1 or values[3] != 1:
            raise InvalidArgumentError(f"{name}: only the two middle entries may differ from 1, received {value!r}.")
        values = values[1:3]
    if len(values) not in (1, 2) or any(int(item) != item or item < 1 for item in values):
        raise InvalidArgumentError(f"{name}: expected one or two positive integers, received {value!r}.")
    return (int(values[0]), int(values[-1]))


def resolve_padding(padding: Any, sizes: Any, window: Any, strides: Any, dilations: Any = (1, 1)) -> Pads:
    """Explicit ((top, bottom), (left, right)) for 'same', 'valid' or such pairs.

    'same' gives ceil(size / stride) outputs; where the padding is odd, the extra row or column is last.
    """
    if isinstance(padding, str):
        kind = padding.lower()
        if kind == "valid":
            return (0, 0), (0, 0)
        if kind != "same":
            raise ValueError(f"padding must be 'same', 'valid' or pairs of integers, received {padding!r}.")
        totals = [
            max((-(-size // stride) - 1) * stride + (extent - 1) * dilation + 1 - size, 0)
            for size, extent, stride, dilation in zip(sizes, window, strides, dilations, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)
    pairs = [tuple(int(item) for item in entry) for entry in padding]
    pairs = pairs[1:3] if len(pairs) == 4 else pairs
    if len(pairs) != 2 or any(len(entry) != 2 or min(entry) < 0 for entry in pairs):
        raise ValueError(f"padding must be 'same', 'valid' or ((top, bottom), (left, right)), received {padding!r}.")
    return tuple(pairs)


def output_sizes(sizes: Any, window: Any, strides: Any, pads: Pads, dilations: Any = (1, 1)) -> tuple[int, int]:
    """How many windows fit in each direction.

    Raises:
        InvalidArgumentError: The window is larger than the padded image.
    """
    spans = [(extent - 1) * dilation + 1 for extent, dilation in zip(window, dilations, strict=True)]
    padded = [size + sum(pad) for size, pad in zip(sizes, pads, strict=True)]
    if any(span > size for span, size in zip(spans, padded, strict=True)):
        raise InvalidArgumentError(
            f"Negative dimension size: a window of {tuple(window)} (dilated {tuple(spans)}) does not fit into "
            f"{tuple(sizes)} padded by {pads}. Use padding='same' or a smaller window."
        )
    return tuple((size - span) // stride + 1 for size, span, stride in zip(padded, spans, strides, strict=True))
