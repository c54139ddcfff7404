"""Depthwise and separable convolution: each channel with filters of its own."""

from __future__ import annotations

from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.arguments import ints, positive_integer
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.windowed import WindowedLayer


class _DepthwiseLayer(WindowedLayer):
    """Base of layers with filters for each channel.

    Like TensorFlow's they take a `kernel_initializer`, `kernel_regularizer` and `kernel_constraint`, which files of it
    have too, and which describe a kernel that they do not have.
    """

    def __init__(
        self,
        depth_multiplier: int,
        initializer: Any,
        regularizer: Any,
        constraint: Any,
        *args: Any,
        groups: int = 1,
        **kwargs: Any,
    ) -> None:
        kwargs = {key: value for key, value in kwargs.items() if key not in _OF_NO_KERNEL}
        super().__init__(*args, **kwargs)
        if groups != 1:
            raise ValueError(f"{type(self).__name__} has no groups, received groups={groups}.")
        self.depth_multiplier = positive_integer(depth_multiplier, "depth_multiplier")
        self._describe_weight("depthwise", initializer, regularizer, constraint)

    def _make_depthwise_kernel(self, channels: int) -> None:
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.depthwise_kernel = self._make_weight("depthwise", shape, "depthwise_kernel")

    def get_config(self) -> dict[str, Any]:
        own = {"depth_multiplier": self.depth_multiplier, **self._weight_config("depthwise")}
        return {**super().get_config(), **own}


_OF_NO_KERNEL = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")


@LAYERS.register("DepthwiseConv2D")
class DepthwiseConv2D(_DepthwiseLayer):
    """Convolution of each channel of images with filters of its own.

    Args:
        kernel_size, strides, padding, data_format, activation, use_bias: As for `Conv2D`; so is dilation_rate.
        depth_multiplier: The number of output channels for each input channel.
        depthwise_initializer, bias_initializer: First values of the weights.
        depthwise_regularizer, bias_regularizer: Losses for the weights.
        activity_regularizer: A loss for the outputs.
        depthwise_constraint, bias_constraint: Applied to the weights after each update.

    >>> import distkeras as tf
    >>> tf.keras.layers.DepthwiseConv2D(3, depth_multiplier=2)(tf.ones((2, 5, 5, 3))).shape
    TensorShape([2, 3, 3, 6])
    """

    rank = 2

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        dilation_rate: Any = (1, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            depth_multiplier, depthwise_initializer, depthwise_regularizer, depthwise_constraint,
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            bias_initializer, bias_regularizer, bias_constraint, activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip

    def build(self, input_shape: Any) -> None:
        channels = self._fix_channels(input_shape)
        self._make_depthwise_kernel(channels)
        self.bias = self._make_bias(channels * self.depth_multiplier)
        super().build(input_shape)

    def _convolve(self, inputs: Tensor) -> Tensor:
        kernel = self.depthwise_kernel.value()
        return ops.depthwise_conv2d(inputs, kernel, self.strides, self._pads, self._layout, self.dilation_rate)


class _SeparableConvolution(_DepthwiseLayer):
    """What separable convolutions of any rank share.

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias: As for `Conv2D`.
        depth_multiplier: The number of channels that each input channel becomes before they are combined.
        depthwise_initializer, pointwise_initializer, bias_initializer: First values of the weights.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer: Losses for the weights.
        activity_regularizer: A loss for the outputs.
        depthwise_constraint, pointwise_constraint, bias_constraint: Applied to the weights after each update.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            depth_multiplier, depthwise_initializer, depthwise_regularizer, depthwise_constraint,
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            bias_initializer, bias_regularizer, bias_constraint, activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.filters = ints(filters, 1, "filters")[0]
        self._describe_weight("pointwise", pointwise_initializer, pointwise_regularizer, pointwise_constraint)

    def build(self, input_shape: Any) -> None:
        channels, ones = self._fix_channels(input_shape), (1,) * self.rank
        self._make_depthwise_kernel(channels)
        shape = (*ones, channels * self.depth_multiplier, self.filters)
        self.pointwise_kernel = self._make_weight("pointwise", shape, "pointwise_kernel")
        self.bias = self._make_bias(self.filters)
        super().build(input_shape)

    def _convolve(self, inputs: Tensor) -> Tensor:
        separable = ops.separable_conv2d if self.rank == 2 else ops.separable_conv1d
        kernels = self.depthwise_kernel.value(), self.pointwise_kernel.value()
        return separable(inputs, *kernels, self.strides, self._pads, self._layout, self.dilation_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            **self._weight_config("pointwise"),
        }


@LAYERS.register("SeparableConv2D", aliases=("SeparableConvolution2D",))
class SeparableConv2D(_SeparableConvolution):
    """Convolution of each channel of images with filters of its own, then of the channels at each place.

    The arguments are those of `Conv2D` with `depth_multiplier` after `dilation_rate`, and initializer, regularizer and
    constraint for the `depthwise` and the `pointwise` kernel.

    >>> import distkeras as tf
    >>> tf.keras.layers.SeparableConv2D(8, 3, padding="same")(tf.ones((2, 5, 5, 3))).shape
    TensorShape([2, 5, 5, 8])
    """

    rank = 2


@LAYERS.register("SeparableConv1D", aliases=("SeparableConvolution1D",))
class SeparableConv1D(_SeparableConvolution):
    """`SeparableConv2D` for sequences; padding may also be 'causal', as for `Conv1D`."""

    rank = 1
    paddings = ("valid", "same", "causal")


SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D
