"""What convolutions of all kinds share: windows over positions, a bias for each output channel, an activation."""

from __future__ import annotations

from typing import Any

from distkeras import _config, ops
from distkeras.core.tensor import Tensor
from distkeras.keras import activations, regularizers
from distkeras.keras.layers.arguments import ints, op_layout, padding_kind
from distkeras.keras.layers.described_weights import DescribedWeights
from distkeras.keras.layers.input_spec import InputSpec


class WindowedLayer(DescribedWeights):
    """Base of layers that apply filters to windows.

    Args:
        kernel_size: The size of the filters, one int or one for each direction.
        strides: The steps between windows.
        padding: One of the class's `paddings`.
        data_format: 'channels_last' or 'channels_first'.
        dilation_rate: The distance between the taps of a filter.
        activation: A function, or its name; None for none.
        use_bias: Whether there is a bias for each output channel.
        bias_initializer, bias_regularizer, bias_constraint: First values, loss and constraint of the bias.
    """

    rank: int
    paddings: tuple[str, ...] = ("valid", "same")
    default_data_format: str | None = None  # None: that of images in the settings

    def __init__(
        self,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
        bias_initializer: Any,
        bias_regularizer: Any,
        bias_constraint: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = ints(kernel_size, self.rank, "kernel_size")
        self.strides = ints(strides, self.rank, "strides")
        self.padding = padding_kind(padding, self.paddings)
        self.data_format = _config.normalize_data_format(
            self.default_data_format if data_format is None else data_format
        )
        self.dilation_rate = ints(dilation_rate, self.rank, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"strides {self.strides} and dilation_rate {self.dilation_rate}: only one of them may exceed 1."
            )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self._describe_weight("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    # --- inputs

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    @property
    def _layout(self) -> str:
        return op_layout(self.data_format, self.rank)

    @property
    def _pads(self) -> Any:
        """The padding as ops take it: 'causal' is all before the first step."""
        if self.padding != "causal":
            return self.padding.upper()
        return (((self.kernel_size[0] - 1) * self.dilation_rate[0], 0),)

    def _fix_channels(self, input_shape: Any) -> int:
        """The number of input channels, which inputs must have from now on.

        Raises:
            ValueError: It is not known.
        """
        channels = input_shape[self._channel_axis]
        if channels is None:
            raise ValueError("The channel dimension of the inputs should be defined. Found `None`.")
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self._channel_axis: channels})
        return channels

    def call(self, inputs: Tensor) -> Tensor:
        outputs = self._convolve(inputs)
        if self.use_bias:
            outputs = ops.bias_add(outputs, self.bias, data_format=self._layout)
        return self.activation(outputs)

    def _convolve(self, inputs: Tensor) -> Tensor:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **self._weight_config("bias"),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
        }
