"""Layers that pad, crop and enlarge sequences, images and volumes."""

from __future__ import annotations

from typing import Any

from distkeras import _config, ops
from distkeras.core.tensor import Tensor
from distkeras.keras.layers import arguments
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.input_spec import InputSpec

Borders = tuple[tuple[int, int], ...]


def borders(value: Any, rank: int, name: str) -> Borders:
    """A pair (before, after) for each direction, from an int, one for each direction, or such pairs.

    Of one direction, a pair of ints is (before, after).

    Raises:
        ValueError: It is something else, or an int is negative.
    """
    entries = arguments.entries(value, rank)
    if rank == 1 and len(entries) == 2:
        entries = (entries,)
    if len(entries) != rank:
        forms = "an int or a pair (before, after)" if rank == 1 else f"an int, {rank} ints or {rank} pairs of ints"
        raise ValueError(f"The `{name}` argument must be {forms}, none negative, received {value!r}.")
    return tuple(arguments.ints(entry, 2, name, least=0) for entry in entries)


class _Bordered(Layer):
    """Base: what has `rank` directions, in either layout; sequences are always 'channels_last'."""

    rank: int

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = "channels_last" if self.rank == 1 else _config.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _first_axis(self) -> int:
        return 1 if self.data_format == "channels_last" else 2

    def _config_with(self, name: str, values: tuple) -> dict[str, Any]:
        """The config: of one direction its value, of several theirs and the layout."""
        own = {name: values[0]} if self.rank == 1 else {name: values, "data_format": self.data_format}
        return {**super().get_config(), **own}


class _ZeroPadding(_Bordered):
    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self._borders = borders(padding, self.rank, "padding")
        self.padding = self._borders[0] if self.rank == 1 else self._borders

    def call(self, inputs: Tensor) -> Tensor:
        none = ((0, 0),)
        return ops.pad(inputs, none * self._first_axis + self._borders + none * (2 - self._first_axis))

    def get_config(self) -> dict[str, Any]:
        return self._config_with("padding", self._borders)


@LAYERS.register()
class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after sequences.

    Args:
        padding: An int or a pair (before, after).

    >>> import distkeras as tf
    >>> tf.keras.layers.ZeroPadding1D((0, 2))(tf.ones((1, 4, 3))).shape
    TensorShape([1, 6, 3])
    """

    rank = 1

    def __init__(self, padding: Any = 1, **kwargs: Any) -> None:
        super().__init__(padding, **kwargs)


@LAYERS.register()
class ZeroPadding2D(_ZeroPadding):
    """Zeros around images.

    Args:
        padding: An int, a pair (rows, columns), or ((top, bottom), (left, right)).
        data_format: 'channels_last' or 'channels_first'.

    >>> import distkeras as tf
    >>> tf.keras.layers.ZeroPadding2D(((1, 0), (2, 2)))(tf.ones((1, 4, 4, 3))).shape
    TensorShape([1, 5, 8, 3])
    """

    rank = 2


@LAYERS.register()
class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes.

    Args:
        padding: An int, three ints (depth, rows, columns), or three pairs (before, after).
        data_format: 'channels_last' or 'channels_first'.
    """

    rank = 3


class _Cropping(_Bordered):
    def __init__(self, cropping: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self._borders = borders(cropping, self.rank, "cropping")
        self.cropping = self._borders[0] if self.rank == 1 else self._borders

    def call(self, inputs: Tensor) -> Tensor:
        index = [slice(None)] * inputs.ndim
        for axis, (before, after) in enumerate(self._borders, start=self._first_axis):
            size = inputs.shape[axis]
            if before + after >= size:
                raise ValueError(
                    f"Layer {self.name} crops {self.cropping} from inputs of shape {tuple(inputs.shape[1:])}: "
                    "nothing is left."
                )
            index[axis] = slice(before, size - after)
        return inputs[tuple(index)]

    def get_config(self) -> dict[str, Any]:
        return self._config_with("cropping", self._borders)


@LAYERS.register()
class Cropping1D(_Cropping):
    """Sequences without their first and last steps.

    Args:
        cropping: An int or a pair (before, after).

    >>> import distkeras as tf
    >>> tf.keras.layers.Cropping1D((2, 1))(tf.ones((1, 6, 3))).shape
    TensorShape([1, 3, 3])
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(cropping, **kwargs)


@LAYERS.register()
class Cropping2D(_Cropping):
    """Images without their borders.

    Args:
        cropping: An int, a pair (rows, columns), or ((top, bottom), (left, right)).
        data_format: 'channels_last' or 'channels_first'.

    >>> import distkeras as tf
    >>> tf.keras.layers.Cropping2D(((1, 0), (1, 1)))(tf.ones((1, 4, 4, 3))).shape
    TensorShape([1, 3, 2, 3])
    """

    rank = 2

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


@LAYERS.register()
class Cropping3D(_Cropping):
    """Volumes without their borders.

    Args:
        cropping: An int, three ints (depth, rows, columns), or three pairs (before, after).
        data_format: 'channels_last' or 'channels_first'.
    """

    rank = 3

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(cropping, data_format, **kwargs)


class _UpSampling(_Bordered):
    interpolation = "nearest"

    def __init__(self, size: Any = 2, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self._factors = arguments.ints(size, self.rank, "size")
        self.size = self._factors[0] if self.rank == 1 else self._factors

    def call(self, inputs: Tensor) -> Tensor:
        return ops.enlarge(inputs, self._factors, self._first_axis, self.interpolation)

    def get_config(self) -> dict[str, Any]:
        return self._config_with("size", self._factors)


@LAYERS.register()
class UpSampling1D(_UpSampling):
    """Sequences with every step repeated.

    Args:
        size: How often.

    >>> import distkeras as tf
    >>> tf.keras.layers.UpSampling1D(3)(tf.ones((1, 4, 3))).shape
    TensorShape([1, 12, 3])
    """

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(size, **kwargs)


@LAYERS.register()
class UpSampling2D(_UpSampling):
    """Images enlarged by whole factors.

    Args:
        size: An int or a pair (rows, columns).
        data_format: 'channels_last' or 'channels_first'.
        interpolation: 'nearest' repeats pixels; 'bilinear' blends the nearest four, pixel centres aligned.

    >>> import distkeras as tf
    >>> tf.keras.layers.UpSampling2D(2)(tf.ones((1, 4, 4, 3))).shape
    TensorShape([1, 8, 8, 3])
    """

    rank = 2

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(size, data_format, **kwargs)
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                f'`interpolation` argument should be one of `"nearest"` or `"bilinear"`, received {interpolation!r}.'
            )
        self.interpolation = interpolation

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "interpolation": self.interpolation}


@LAYERS.register()
class UpSampling3D(_UpSampling):
    """Volumes enlarged by whole factors: every element is repeated in each direction.

    Args:
        size: An int or three of them (depth, rows, columns).
        data_format: 'channels_last' or 'channels_first'.
    """

    rank = 3
