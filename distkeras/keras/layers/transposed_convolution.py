"""Transposed convolution: layers that go from what a convolution makes to what it was made of."""

from __future__ import annotations

from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.arguments import ints
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.convolution import Convolution


class _TransposedConvolution(Convolution):
    """What transposed convolutions of any rank share.

    Args:
        filters, kernel_size, strides, padding: As for `Conv2D`; the strides are the factors by which inputs grow.
        output_padding: How much longer the output is than the convolution, backwards, asks for; less than the strides.
            None chooses it so that 'same' gives sizes times strides, and 'valid' all places that are reached.
        data_format: 'channels_last' or 'channels_first'.
        *args, **kwargs: As for `Conv2D`, in its order from `dilation_rate` on; there are no groups.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, strides, padding, data_format, *args, **kwargs)
        if self.groups > 1:
            raise ValueError(f"{type(self).__name__} has no groups, received groups={self.groups}.")
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = ints(output_padding, self.rank, "output_padding", least=0)
            if any(extra >= step for extra, step in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"Strides {self.strides} must be greater than output_padding {self.output_padding}, in every "
                    "direction."
                )

    def build(self, input_shape: Any) -> None:
        channels = self._fix_channels(input_shape)
        self.kernel = self._make_weight("kernel", (*self.kernel_size, self.filters, channels))
        self.bias = self._make_bias(self.filters)
        self.built = True

    def _convolve(self, inputs: Tensor) -> Tensor:
        last = self.data_format == "channels_last"
        sizes = self._output_sizes(inputs.shape[1:-1] if last else inputs.shape[2:])
        shape = (inputs.shape[0], *((*sizes, self.filters) if last else (self.filters, *sizes)))
        kernel = self.kernel.value()
        return ops.conv_transpose(inputs, kernel, shape, self.strides, self._pads, self._layout, self.dilation_rate)

    def _output_sizes(self, sizes: Any) -> list[int]:
        windows = zip(sizes, self.kernel_size, self.strides, self.dilation_rate, strict=True)
        spans = [(size, (extent - 1) * dilation + 1, stride) for size, extent, stride, dilation in windows]
        if self.output_padding is not None:
            return [
                (size - 1) * stride + span - (2 * (span // 2) if self.padding == "same" else 0) + extra
                for (size, span, stride), extra in zip(spans, self.output_padding, strict=True)
            ]
        if self.padding == "same":
            return [size * stride for size, _, stride in spans]
        return [size * stride + max(span - stride, 0) for size, span, stride in spans]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_padding": self.output_padding}


@LAYERS.register("Conv2DTranspose", aliases=("Convolution2DTranspose", "Deconvolution2D"))
class Conv2DTranspose(_TransposedConvolution):
    """Transposed convolution of images: [batch, height, width, channels] -> [batch, larger, larger, filters].

    The arguments are those of `Conv2D`, with `output_padding` after `padding`: how many rows and columns more than the
    fewest the outputs have.

    >>> import distkeras as tf
    >>> tf.keras.layers.Conv2DTranspose(8, 3, strides=2, padding="same")(tf.ones((2, 5, 5, 3))).shape
    TensorShape([2, 10, 10, 8])
    """

    rank = 2


@LAYERS.register("Conv1DTranspose", aliases=("Convolution1DTranspose",))
class Conv1DTranspose(_TransposedConvolution):
    """Transposed convolution of sequences: [batch, steps, channels] -> [batch, more steps, filters].

    The arguments are those of `Conv2DTranspose`. Keras has this layer since 2.3.
    """

    rank = 1


@LAYERS.register("Conv3DTranspose", aliases=("Convolution3DTranspose", "Deconvolution3D"))
class Conv3DTranspose(_TransposedConvolution):
    """Transposed convolution of volumes: [batch, depth, height, width, channels] -> [batch, larger..., filters].

    The arguments are those of `Conv2DTranspose`, but `dilation_rate` is given by name, as Keras has it since 2.3.
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        *args: Any,
        dilation_rate: Any = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding, output_padding, data_format, dilation_rate, *args, **kwargs
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if max(self.dilation_rate) == 1:  # readers of TF 2.0 files know none
            del config["dilation_rate"]
        return config


Convolution1DTranspose = Conv1DTranspose
Convolution2DTranspose = Deconvolution2D = Conv2DTranspose
Convolution3DTranspose = Deconvolution3D = Conv3DTranspose
