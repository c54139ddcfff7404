"""Layers that pad, crop and enlarge images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras import _config, ops
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.arguments import pair
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.input_spec import InputSpec

Borders = tuple[tuple[int, int], tuple[int, int]]


def _borders(value: Any, name: str) -> Borders:
    """((top, bottom), (left, right)) from an int, a pair of ints or a pair of pairs."""
    entries = (value, value) if isinstance(value, int) else tuple(value)
    if len(entries) == 2:
        borders = tuple((entry, entry) if isinstance(entry, int) else tuple(entry) for entry in entries)
        if all(len(border) == 2 and all(isinstance(size, int) and size >= 0 for size in border) for border in borders):
            return borders
    raise ValueError(
        f"{name} must be an int, a pair (height, width) or ((top, bottom), (left, right)), none negative; "
        f"received {value!r}."
    )


class _Images(Layer):
    """Base: images of rank 4, in either layout."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = _config.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=4)

    @property
    def _first_axis(self) -> int:
        return 1 if self.data_format == "channels_last" else 2


@LAYERS.register()
class ZeroPadding2D(_Images):
    """Zeros around images.

    Args:
        padding: An int, a pair (rows, columns), or ((top, bottom), (left, right)).
        data_format: 'channels_last' or 'channels_first'.

    >>> import distkeras as tf
    >>> tf.keras.layers.ZeroPadding2D(((1, 0), (2, 2)))(tf.ones((1, 4, 4, 3))).shape
    TensorShape([1, 5, 8, 3])
    """

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.padding = _borders(padding, "padding")

    def call(self, inputs: Tensor) -> Tensor:
        none = (0, 0)
        around = [none, *self.padding, none] if self._first_axis == 1 else [none, none, *self.padding]
        return ops.pad(inputs, around)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


@LAYERS.register()
class Cropping2D(_Images):
    """Images without their borders.

    Args:
        cropping: An int, a pair (rows, columns), or ((top, bottom), (left, right)).
        data_format: 'channels_last' or 'channels_first'.

    >>> import distkeras as tf
    >>> tf.keras.layers.Cropping2D(((1, 0), (1, 1)))(tf.ones((1, 4, 4, 3))).shape
    TensorShape([1, 3, 2, 3])
    """

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.cropping = _borders(cropping, "cropping")

    def call(self, inputs: Tensor) -> Tensor:
        axis = self._first_axis
        index = [slice(None)] * 4
        for offset, (before, after) in enumerate(self.cropping):
            size = inputs.shape[axis + offset]
            if before + after >= size:
                raise ValueError(
                    f"Layer {self.name} crops {self.cropping} from images of shape {tuple(inputs.shape[1:])}: "
                    "nothing is left."
                )
            index[axis + offset] = slice(before, size - after)
        return inputs[tuple(index)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self.cropping, "data_format": self.data_format}


@LAYERS.register()
class UpSampling2D(_Images):
    """Images enlarged by whole factors.

    Args:
        size: An int or a pair (rows, columns).
        data_format: 'channels_last' or 'channels_first'.
        interpolation: 'nearest' repeats pixels; 'bilinear' blends the nearest four, pixel centres aligned.

    >>> import distkeras as tf
    >>> tf.keras.layers.UpSampling2D(2)(tf.ones((1, 4, 4, 3))).shape
    TensorShape([1, 8, 8, 3])
    """

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                f'`interpolation` argument should be one of `"nearest"` or `"bilinear"`, received {interpolation!r}.'
            )
        self.size = pair(size, "size")
        self.interpolation = interpolation

    def call(self, inputs: Tensor) -> Tensor:
        enlarge = ops.repeat if self.interpolation == "nearest" else _interpolate
        for offset, factor in enumerate(self.size):
            inputs = enlarge(inputs, factor, axis=self._first_axis + offset) if factor > 1 else inputs
        return inputs

    def get_config(self) -> dict[str, Any]:
        own = {"size": self.size, "data_format": self.data_format, "interpolation": self.interpolation}
        return {**super().get_config(), **own}


def _interpolate(images: Tensor, factor: int, axis: int) -> Tensor:
    """Linear interpolation along one axis: output i lies at (i + 1/2) / factor - 1/2, clamped to the border."""
    length = images.shape[axis]
    count = length * factor
    places = [min(max((i + 0.5) / factor - 0.5, 0.0), length - 1.0) for i in range(count)]
    lower = [int(place) for place in places]
    shape = [1] * len(images.shape)
    shape[axis] = count
    weight = ops.constant([place - low for place, low in zip(places, lower, strict=True)], images.dtype, shape=shape)
    below = ops.gather(images, ops.constant(lower), axis=axis)
    above = ops.gather(images, ops.constant([min(low + 1, length - 1) for low in lower]), axis=axis)
    return below + (above - below) * weight
