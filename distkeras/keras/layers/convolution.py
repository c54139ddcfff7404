"""Convolution of sequences and images."""

from __future__ import annotations

from typing import Any

from distkeras import _config, ops
from distkeras.core.tensor import Tensor
from distkeras.keras import activations, constraints, initializers, regularizers
from distkeras.keras.layers.arguments import ints, padding_kind
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.input_spec import InputSpec


class _Convolution(Layer):
    """What convolutions of any rank share: filters, bias and activation.

    Args:
        filters: The number of output channels.
        kernel_size: The size of the filters, one int or one for each direction.
        strides: The steps between windows.
        padding: 'valid' or 'same'.
        data_format: 'channels_last' or 'channels_first'.
        dilation_rate: The distance between the taps of a filter.
        activation: A function, or its name; none by default.
        use_bias: Whether there is a bias for each output channel.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer: Losses for the weights.
        activity_regularizer: A loss for the outputs.
        kernel_constraint, bias_constraint: Applied to the weights after each update.
        groups: The number of parts that the channels are divided into, each convolved with filters of its own.
    """

    rank: int
    paddings: tuple[str, ...] = ("valid", "same")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        groups: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = ints(filters, 1, "filters")[0]
        self.kernel_size = ints(kernel_size, self.rank, "kernel_size")
        self.strides = ints(strides, self.rank, "strides")
        self.padding = self._padding_kind(padding)
        self.data_format = _config.normalize_data_format(data_format)
        self.dilation_rate = ints(dilation_rate, self.rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"strides {self.strides} and dilation_rate {self.dilation_rate}: only one of them may exceed 1."
            )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.groups = ints(groups, 1, "groups")[0]
        if self.filters % self.groups:
            raise ValueError(f"The number of filters must be divisible by groups, received {filters} and {groups}.")
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _padding_kind(self, padding: str) -> str:
        return padding_kind(padding)

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def build(self, input_shape: Any) -> None:
        channels = input_shape[self._channel_axis]
        if channels is None:
            raise ValueError("The channel dimension of the inputs should be defined. Found `None`.")
        if channels % self.groups:
            raise ValueError(f"The number of input channels, {channels}, must be divisible by groups={self.groups}.")
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.add_weight(
            "kernel", shape, None, self.kernel_initializer, self.kernel_regularizer, True, self.kernel_constraint
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias", (self.filters,), None, self.bias_initializer, self.bias_regularizer, True, self.bias_constraint
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self._channel_axis: channels})
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        outputs = self._convolve(inputs, self.kernel.value())
        if self.use_bias:
            outputs = ops.bias_add(outputs, self.bias, data_format="NHWC" if self._channel_axis == -1 else "NCHW")
        return self.activation(outputs)

    def _convolve(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        if self.groups == 1:
            return self._convolve_group(inputs, kernel)
        parts = zip(
            ops.split(inputs, self.groups, axis=self._channel_axis % inputs.ndim),
            ops.split(kernel, self.groups, axis=kernel.ndim - 1),
            strict=True,
        )
        return ops.concat([self._convolve_group(*part) for part in parts], axis=self._channel_axis % inputs.ndim)

    def _convolve_group(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            # Readers of TF 2.0 files know no groups: they are mentioned only where there are some.
            **({"groups": self.groups} if self.groups > 1 else {}),
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


@LAYERS.register("Conv2D", aliases=("Convolution2D",))
class Conv2D(_Convolution):
    """Convolution of images: [batch, height, width, channels] -> [batch, height, width, filters].

    The arguments are those of all convolutions: filters, kernel_size, strides, padding ('valid' or 'same'),
    data_format, dilation_rate, activation, use_bias, initializers, regularizers and constraints of kernel and bias,
    activity_regularizer, groups.

    >>> import distkeras as tf
    >>> tf.keras.layers.Conv2D(8, 3, padding="same", activation="relu")(tf.ones((2, 5, 5, 3))).shape
    TensorShape([2, 5, 5, 8])
    """

    rank = 2

    def _convolve_group(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        layout = "NHWC" if self.data_format == "channels_last" else "NCHW"
        return ops.conv2d(inputs, kernel, self.strides, self.padding.upper(), layout, self.dilation_rate)


@LAYERS.register("Conv1D", aliases=("Convolution1D",))
class Conv1D(_Convolution):
    """Convolution of sequences: [batch, steps, channels] -> [batch, steps, filters].

    The arguments are those of `Conv2D`; padding may also be 'causal': no output depends on later inputs.

    >>> import distkeras as tf
    >>> tf.keras.layers.Conv1D(8, 3, padding="causal")(tf.ones((2, 5, 3))).shape
    TensorShape([2, 5, 8])
    """

    rank = 1

    def _padding_kind(self, padding: str) -> str:
        if isinstance(padding, str) and padding.lower() == "causal":
            return "causal"
        return padding_kind(padding)

    def _convolve_group(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        layout, axis = ("NHWC", 1) if self.data_format == "channels_last" else ("NCHW", 2)
        padding: Any = self.padding.upper()
        if self.padding == "causal":
            padding = ((0, 0), ((self.kernel_size[0] - 1) * self.dilation_rate[0], 0))
        images, filters = ops.expand_dims(inputs, axis), ops.expand_dims(kernel, 0)
        outputs = ops.conv2d(images, filters, (1, *self.strides), padding, layout, (1, *self.dilation_rate))
        return ops.squeeze(outputs, [axis])


Convolution2D = Conv2D
Convolution1D = Conv1D
