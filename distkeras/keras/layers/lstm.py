"""LSTM: long short-term memory, and its cell that looks at its memory (peepholes)."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras import activations
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.cell_rnn import CellRNN
from distkeras.keras.layers.gru import implementation_number
from distkeras.keras.layers.rnn_cells import RecurrentCell, gated_product


@LAYERS.register()
class LSTMCell(RecurrentCell):
    """i, f, o = recurrent_activation(...); c = f c + i activation(...); h = o activation(c); the output is h.

    The gates' parts of the weights are in the order input i, forget f, candidate, output o. The states are h and c.
    The arguments are those of `LSTM` that concern a single step.

    Raises:
        ValueError: `implementation` is not 1 or 2 (0 means 1).

    >>> import distkeras as tf
    >>> cell = tf.keras.layers.LSTMCell(4)
    >>> output, (h, c) = cell(tf.ones((2, 3)), [tf.zeros((2, 4)), tf.zeros((2, 4))])
    >>> output is h, c.shape
    (True, TensorShape([2, 4]))
    """

    gates = 4

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            **kwargs,
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = bool(unit_forget_bias)
        self.implementation = implementation_number(implementation)
        self.state_size = [self.units, self.units]

    def _first_bias(self) -> Any:
        return forgetful_bias(self.bias_initializer, self.units) if self.unit_forget_bias else self.bias_initializer

    def call(self, inputs: Tensor, states: Any, training: Any = None) -> tuple[Tensor, list[Tensor]]:
        h, c = states
        dropped, recurrent_dropped = self._masks_of(inputs, h, training)
        total = gated_product(ops.matmul, inputs, dropped, self.kernel, 4)
        total = total if self.bias is None else ops.bias_add(total, self.bias)
        total = total + gated_product(ops.matmul, h, recurrent_dropped, self.recurrent_kernel, 4)
        h, c = self._new_states(ops.split(total, 4, axis=1), c)
        return h, [h, c]

    def _new_states(self, gates: list[Tensor], c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, a, o = gates
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(a)
        return self.recurrent_activation(o) * self.activation(c), c

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "unit_forget_bias": self.unit_forget_bias,
            "implementation": self.implementation,
        }


def forgetful_bias(initializer: Any, units: int) -> Any:
    """An initializer for the bias of four gates, 1 for the forget gate: what is remembered stays, at first.

    Source: Jozefowicz et al. 2015, "An Empirical Exploration of Recurrent Network Architectures".
    """

    def initial(shape: Any, dtype: Any = None) -> Tensor:
        parts = [initializer((units,), dtype=dtype), ops.ones((units,), dtype), initializer((2 * units,), dtype=dtype)]
        return ops.concat(parts, axis=0)

    return initial


@LAYERS.register()
class PeepholeLSTMCell(LSTMCell):
    """An LSTMCell whose gates also see the memory c: i and f that before the step, o the new one.

    The arguments are those of `LSTMCell`; there are three more weights of [units], for i, f and o.

    Source: Gers and Schmidhuber 2000, "Recurrent nets that time and count".

    >>> import distkeras as tf
    >>> tf.keras.layers.RNN(tf.keras.experimental.PeepholeLSTMCell(4))(tf.ones((2, 5, 3))).shape
    TensorShape([2, 4])
    """

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.input_gate_peephole_weights, self.forget_gate_peephole_weights, self.output_gate_peephole_weights = (
            self.add_weight(f"{gate}_gate_peephole_weights", (self.units,), None, self.kernel_initializer)
            for gate in ("input", "forget", "output")
        )

    def _new_states(self, gates: list[Tensor], c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, a, o = gates
        i = self.recurrent_activation(i + self.input_gate_peephole_weights * c)
        f = self.recurrent_activation(f + self.forget_gate_peephole_weights * c)
        c = f * c + i * self.activation(a)
        return self.recurrent_activation(o + self.output_gate_peephole_weights * c) * self.activation(c), c


@LAYERS.register()
class LSTM(CellRNN):
    """The recurrent layer of long short-term memory; see `LSTMCell` for the formula.

    Args:
        units: The size of the states and of the output.
        activation: For the candidate and the output: a function, or its name.
        recurrent_activation: For the gates.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of the weights.
        unit_forget_bias: Whether the bias of the forget gate begins with 1.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Losses for the weights.
        activity_regularizer: A loss for the outputs.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to the weights after each update.
        dropout: The fraction of the inputs that is dropped in training, the same at each step.
        recurrent_dropout: The fraction of the state that is dropped in training, the same at each step.
        implementation: 1 drops for each gate separately, 2 the same for all.
        return_sequences, return_state, go_backwards, stateful, time_major, unroll: As for `RNN`.
        **kwargs: The other arguments of `RNN`.

    Source: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory".

    >>> import distkeras as tf
    >>> layer = tf.keras.layers.LSTM(4, return_state=True, name="ls")
    >>> output, h, c = layer(tf.ones((2, 5, 3)))
    >>> output.shape, [weight.name for weight in layer.weights]
    (TensorShape([2, 4]), ['ls/kernel:0', 'ls/recurrent_kernel:0', 'ls/bias:0'])
    """

    recurrent_activation = property(attrgetter("cell.recurrent_activation"))
    unit_forget_bias = property(attrgetter("cell.unit_forget_bias"))
    implementation = property(attrgetter("cell.implementation"))

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 2,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        time_major: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = LSTMCell(
            units,
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
            implementation,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            time_major=time_major,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )

    def _sequence(self, x: Tensor, states: Any, counts: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        h, c = ops.lstm(x, self.cell.recurrent_kernel, *states, counts)
        return h, [h[-1], c]
