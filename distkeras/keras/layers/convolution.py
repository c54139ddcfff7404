"""Convolution of sequences, images and volumes."""

from __future__ import annotations

from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.arguments import ints
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.windowed import WindowedLayer


class Convolution(WindowedLayer):
    """What convolutions of any rank share.

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
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            bias_initializer, bias_regularizer, bias_constraint, activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.filters = ints(filters, 1, "filters")[0]
        self.groups = ints(groups, 1, "groups")[0]
        if self.filters % self.groups:
            raise ValueError(f"The number of filters must be divisible by groups, received {filters} and {groups}.")
        self._describe_weight("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self._fix_channels(input_shape)
        if channels % self.groups:
            raise ValueError(f"The number of input channels, {channels}, must be divisible by groups={self.groups}.")
        self.kernel = self._make_weight("kernel", (*self.kernel_size, channels // self.groups, self.filters))
        self.bias = self._make_bias(self.filters)
        super().build(input_shape)

    def _convolve(self, inputs: Tensor) -> Tensor:
        kernel = self.kernel.value()
        return ops.convolution(inputs, kernel, self.strides, self._pads, self._layout, self.dilation_rate)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            # Readers of TF 2.0 files know no groups: they are mentioned only where there are some.
            **({"groups": self.groups} if self.groups > 1 else {}),
            **self._weight_config("kernel"),
        }


@LAYERS.register("Conv2D", aliases=("Convolution2D",))
class Conv2D(Convolution):
    """Convolution of images: [batch, height, width, channels] -> [batch, height, width, filters].

    The arguments are those of all convolutions: filters, kernel_size, strides, padding ('valid' or 'same'),
    data_format, dilation_rate, activation, use_bias, initializers, regularizers and constraints of kernel and bias,
    activity_regularizer, groups.

    >>> import distkeras as tf
    >>> tf.keras.layers.Conv2D(8, 3, padding="same", activation="relu")(tf.ones((2, 5, 5, 3))).shape
    TensorShape([2, 5, 5, 8])
    """

    rank = 2


@LAYERS.register("Conv1D", aliases=("Convolution1D",))
class Conv1D(Convolution):
    """Convolution of sequences: [batch, steps, channels] -> [batch, steps, filters].

    The arguments are those of `Conv2D`; padding may also be 'causal': no output depends on later inputs. Sequences are
    'channels_last' unless data_format says otherwise, whatever the default for images is.

    >>> import distkeras as tf
    >>> tf.keras.layers.Conv1D(8, 3, padding="causal")(tf.ones((2, 5, 3))).shape
    TensorShape([2, 5, 8])
    """

    rank = 1
    paddings = ("valid", "same", "causal")
    default_data_format = "channels_last"


@LAYERS.register("Conv3D", aliases=("Convolution3D",))
class Conv3D(Convolution):
    """Convolution of volumes: [batch, depth, height, width, channels] -> [batch, depth, height, width, filters].

    The arguments are those of `Conv2D`.

    >>> import distkeras as tf
    >>> tf.keras.layers.Conv3D(4, (1, 3, 3), padding="same")(tf.ones((2, 3, 5, 5, 1))).shape
    TensorShape([2, 3, 5, 5, 4])
    """

    rank = 3


Convolution1D = Conv1D
Convolution2D = Conv2D
Convolution3D = Conv3D
