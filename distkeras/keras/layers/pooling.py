"""Pooling of sequences, images and volumes: the largest or the mean element of windows, or of everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras import _config, ops
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.arguments import ints, op_layout, padding_kind
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.input_spec import InputSpec


class _Pooling(Layer):
    """Base of pooling over windows.

    Args:
        pool_size: The window, one int or one for each direction.
        strides: The steps between windows, their size by default.
        padding: 'valid' or 'same'.
        data_format: 'channels_last' or 'channels_first'.
    """

    rank: int
    pool: Callable[..., Tensor]
    default_data_format: str | None = None  # None: that of images in the settings

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = ints(pool_size, self.rank, "pool_size")
        self.strides = self.pool_size if strides is None else ints(strides, self.rank, "strides")
        self.padding = padding_kind(padding)
        self.data_format = _config.normalize_data_format(
            self.default_data_format if data_format is None else data_format
        )
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Tensor) -> Tensor:
        layout = op_layout(self.data_format, self.rank)
        return type(self).pool(inputs, self.pool_size, self.strides, self.padding.upper(), layout)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "strides": self.strides,
            "pool_size": self.pool_size,
            "padding": self.padding,
            "data_format": self.data_format,
        }


@LAYERS.register(aliases=("MaxPool2D",))
class MaxPooling2D(_Pooling):
    """The largest element of each window of images, for each channel.

    Args as in TensorFlow: pool_size, strides (pool_size by default), padding ('valid' or 'same'), data_format.

    >>> import distkeras as tf
    >>> tf.keras.layers.MaxPooling2D()(tf.ones((2, 5, 4, 3))).shape
    TensorShape([2, 2, 2, 3])
    """

    rank = 2
    pool = staticmethod(ops.max_pool2d)


@LAYERS.register(aliases=("AvgPool2D",))
class AveragePooling2D(_Pooling):
    """The mean of each window of images, for each channel; padding is not counted. Arguments as for MaxPooling2D."""

    rank = 2
    pool = staticmethod(ops.avg_pool2d)


@LAYERS.register(aliases=("MaxPool1D",))
class MaxPooling1D(_Pooling):
    """The largest element of each window of sequences, for each channel. Arguments as for MaxPooling2D."""

    rank = 1
    pool = staticmethod(ops.max_pool1d)
    default_data_format = "channels_last"


@LAYERS.register(aliases=("MaxPool3D",))
class MaxPooling3D(_Pooling):
    """The largest element of each window of volumes, for each channel. Arguments as for MaxPooling2D."""

    rank = 3
    pool = staticmethod(ops.max_pool3d)


@LAYERS.register(aliases=("AvgPool1D",))
class AveragePooling1D(_Pooling):
    """The mean of each window of sequences, for each channel. Arguments as for MaxPooling2D."""

    rank = 1
    pool = staticmethod(ops.avg_pool1d)
    default_data_format = "channels_last"


@LAYERS.register(aliases=("AvgPool3D",))
class AveragePooling3D(_Pooling):
    """The mean of each window of volumes, for each channel. Arguments as for MaxPooling2D."""

    rank = 3
    pool = staticmethod(ops.avg_pool3d)


class _GlobalPooling(Layer):
    """Base of pooling over all positions.

    Args:
        data_format: 'channels_last' or 'channels_first'.
        keepdims: Whether the pooled axes stay, of size 1.
    """

    rank: int
    reduce: Callable[..., Tensor]
    default_data_format: str | None = None

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = _config.normalize_data_format(
            self.default_data_format if data_format is None else data_format
        )
        self.keepdims = bool(keepdims)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _axes(self) -> list[int]:
        first = 1 if self.data_format == "channels_last" else 2
        return list(range(first, first + self.rank))

    def call(self, inputs: Tensor) -> Tensor:
        return type(self).reduce(inputs, axis=self._axes, keepdims=self.keepdims)

    def get_config(self) -> dict[str, Any]:
        kept = {"keepdims": True} if self.keepdims else {}
        return {**super().get_config(), "data_format": self.data_format, **kept}


@LAYERS.register(aliases=("GlobalAvgPool2D",))
class GlobalAveragePooling2D(_GlobalPooling):
    """The mean over all positions of an image, for each channel.

    >>> import distkeras as tf
    >>> tf.keras.layers.GlobalAveragePooling2D()(tf.ones((2, 5, 4, 3))).shape
    TensorShape([2, 3])
    """

    rank = 2
    reduce = staticmethod(ops.reduce_mean)


@LAYERS.register(aliases=("GlobalMaxPool2D",))
class GlobalMaxPooling2D(_GlobalPooling):
    """The largest element over all positions of an image, for each channel."""

    rank = 2
    reduce = staticmethod(ops.reduce_max)


@LAYERS.register(aliases=("GlobalMaxPool1D",))
class GlobalMaxPooling1D(_GlobalPooling):
    """The largest element over all steps of a sequence, for each channel."""

    rank = 1
    reduce = staticmethod(ops.reduce_max)
    default_data_format = "channels_last"


@LAYERS.register(aliases=("GlobalMaxPool3D",))
class GlobalMaxPooling3D(_GlobalPooling):
    """The largest element over all positions of a volume, for each channel."""

    rank = 3
    reduce = staticmethod(ops.reduce_max)


@LAYERS.register(aliases=("GlobalAvgPool1D",))
class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over the steps of a sequence that are not masked, for each channel."""

    rank = 1
    reduce = staticmethod(ops.reduce_mean)
    default_data_format = "channels_last"

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Any = None) -> Tensor:
        if mask is None:
            return super().call(inputs)
        (axis,) = self._axes
        kept = ops.expand_dims(ops.cast(mask, inputs.dtype), 2 if axis == 1 else 1)
        total = ops.reduce_sum(inputs * kept, axis=axis, keepdims=self.keepdims)
        return total / ops.reduce_sum(kept, axis=axis, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None


@LAYERS.register(aliases=("GlobalAvgPool3D",))
class GlobalAveragePooling3D(_GlobalPooling):
    """The mean over all positions of a volume, for each channel."""

    rank = 3
    reduce = staticmethod(ops.reduce_mean)


MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
