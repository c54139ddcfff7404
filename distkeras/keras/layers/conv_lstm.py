"""ConvLSTM2D: an LSTM over sequences of images, whose products are convolutions."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from distkeras import _config, ops
from distkeras.core.spec import TensorShape
from distkeras.core.tensor import Tensor
from distkeras.keras import activations
from distkeras.keras.layers.arguments import ints, padding_kind, positive_integer
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.cell_rnn import CellRNN
from distkeras.keras.layers.described_weights import DescribedWeights
from distkeras.keras.layers.input_spec import InputSpec
from distkeras.keras.layers.lstm import forgetful_bias
from distkeras.keras.layers.rnn_cells import CellDropout, gated_product
from distkeras.ops.windows import output_sizes, resolve_padding


@LAYERS.register()
class ConvLSTM2DCell(CellDropout, DescribedWeights):
    """One step of `ConvLSTM2D`, whose arguments it has; the states are h and c, images of `filters` channels."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = positive_integer(filters, "filters")
        self.kernel_size = ints(kernel_size, 2, "kernel_size")
        self.strides = ints(strides, 2, "strides")
        self.padding = padding_kind(padding)
        self.data_format = _config.normalize_data_format(data_format)
        self.dilation_rate = ints(dilation_rate, 2, "dilation_rate")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"strides {self.strides} and dilation_rate {self.dilation_rate}: only one of them may exceed 1."
            )
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.use_bias = use_bias
        self._describe_weight("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._describe_weight("recurrent", recurrent_initializer, recurrent_regularizer, recurrent_constraint)
        self._describe_weight("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.unit_forget_bias = bool(unit_forget_bias)
        self._set_dropout(dropout, recurrent_dropout)
        self.state_size = (self.filters, self.filters)
        self.output_size = self.filters

    def build(self, input_shape: Any) -> None:
        channels = input_shape[1 if self.data_format == "channels_first" else -1]
        if channels is None:
            raise ValueError("The channel dimension of the inputs should be defined. Found `None`.")
        width = 4 * self.filters
        self.kernel = self._make_weight("kernel", (*self.kernel_size, channels, width))
        self.recurrent_kernel = self._make_weight(
            "recurrent", (*self.kernel_size, self.filters, width), "recurrent_kernel"
        )
        self.bias = None
        if self.use_bias:
            first = self.bias_initializer
            first = forgetful_bias(first, self.filters) if self.unit_forget_bias else first
            self.bias = self._make_weight("bias", (width,), initializer=first)
        super().build(input_shape)

    def call(self, inputs: Tensor, states: Any, training: Any = None) -> tuple[Tensor, list[Tensor]]:
        h, c = states
        axis = 1 if self.data_format == "channels_first" else 3
        layout = "NCHW" if axis == 1 else "NHWC"
        dropped = self.get_dropout_mask_for_cell(inputs, training, 4)
        recurrent_dropped = self.get_recurrent_dropout_mask_for_cell(h, training, 4)

        def of_inputs(x: Tensor, kernel: Tensor) -> Tensor:
            return ops.conv2d(x, kernel, self.strides, self.padding.upper(), layout, self.dilation_rate)

        def of_state(x: Tensor, kernel: Tensor) -> Tensor:
            return ops.conv2d(x, kernel, 1, "SAME", layout)

        total = gated_product(of_inputs, inputs, dropped, self.kernel.value(), 4, axis)
        total = total if self.bias is None else ops.bias_add(total, self.bias, data_format=layout)
        total = total + gated_product(of_state, h, recurrent_dropped, self.recurrent_kernel.value(), 4, axis)
        i, f, a, o = ops.split(total, 4, axis=axis)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(a)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]

    def image_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The shape of a state without the samples, from that of the inputs of a step; sizes may be None."""
        first = self.data_format == "channels_first"
        sizes = input_shape[2:4] if first else input_shape[1:3]
        # A size that is not known is taken for one that fits.
        known = [self.kernel_size[i] * self.dilation_rate[i] if size is None else size for i, size in enumerate(sizes)]
        pads = resolve_padding(self.padding, known, self.kernel_size, self.strides, self.dilation_rate)
        images = output_sizes(known, self.kernel_size, self.strides, pads, self.dilation_rate)
        found = [None if size is None else image for size, image in zip(sizes, images, strict=True)]
        return (self.filters, *found) if first else (*found, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "use_bias": self.use_bias,
            "unit_forget_bias": self.unit_forget_bias,
            **self._weight_config("kernel", "recurrent", "bias"),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
        }


@LAYERS.register()
class ConvLSTM2D(CellRNN):
    """The recurrent layer of LSTMs over images: [samples, time, rows, columns, channels] -> [samples, rows, ...].

    i, f, o = recurrent_activation(inputs * kernel + h * recurrent_kernel + bias), and so on as in `LSTMCell`, where *
    is convolution. That of h keeps the size of the image.

    Args:
        filters: The number of channels of the states and of the output.
        kernel_size: The size of the filters, one int or two.
        strides, padding, dilation_rate: Of the convolution of the inputs: see `Conv2D`.
        data_format: 'channels_last' or 'channels_first', [samples, time, channels, rows, columns].
        activation: For the candidate and the output.
        recurrent_activation: For the gates.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of the weights.
        unit_forget_bias: Whether the bias of the forget gate begins with 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Losses for the weights.
        activity_regularizer: A loss for the outputs.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to the weights after each update.
        return_sequences, go_backwards, stateful: As for `RNN`.
        dropout: The fraction of the inputs that is dropped in training, for each gate others, the same at each step.
        recurrent_dropout: The same for the state.
        **kwargs: The other arguments of `RNN`.

    Source: Shi et al. 2015, "Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting".

    >>> import distkeras as tf
    >>> tf.keras.layers.ConvLSTM2D(4, 3, padding="same")(tf.ones((2, 3, 8, 6, 1))).shape
    TensorShape([2, 8, 6, 4])
    """

    filters = property(attrgetter("cell.filters"))
    kernel_size = property(attrgetter("cell.kernel_size"))
    strides = property(attrgetter("cell.strides"))
    padding = property(attrgetter("cell.padding"))
    data_format = property(attrgetter("cell.data_format"))
    dilation_rate = property(attrgetter("cell.dilation_rate"))
    recurrent_activation = property(attrgetter("cell.recurrent_activation"))
    unit_forget_bias = property(attrgetter("cell.unit_forget_bias"))

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        return_sequences: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        cell = ConvLSTM2DCell(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            recurrent_activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            unit_forget_bias,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            go_backwards=go_backwards,
            stateful=stateful,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=5)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        axis = 2 if self.cell.data_format == "channels_first" else -1
        self.input_spec = InputSpec(ndim=5, axes={axis: self.cell.kernel.shape[2]})

    def _goes_at_once(self, inputs: Tensor, training: Any) -> bool:
        return False

    def _state_shapes(self, input_shape: Any) -> Any:
        shape = self._output_shape(input_shape)
        return [shape, shape]

    def _output_shape(self, input_shape: Any) -> Any:
        return TensorShape(self.cell.image_shape(self._step_shape(TensorShape(input_shape))))

    def get_initial_state(self, inputs: Tensor) -> list[Tensor]:
        """Zeros [samples, ...] for h and c."""
        samples = inputs.shape[1 - self._time_axis]
        return [ops.zeros((samples, *shape), inputs.dtype) for shape in self._state_shapes(inputs.shape)]
