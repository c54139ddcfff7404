"""GRU: the gated recurrent unit."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras import activations
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.cell_rnn import CellRNN
from distkeras.keras.layers.rnn_cells import RecurrentCell, gated_product


@LAYERS.register()
class GRUCell(RecurrentCell):
    """z, r = recurrent_activation(...); a = activation(...); h = z h + (1 - z) a; the output is h.

    The gates' parts of the weights are in the order update z, reset r, candidate a. With `reset_after`, r is applied to
    what the recurrent kernel makes of h, and there are two biases, [2, 3 units]: for the inputs, and for that; else r
    is applied to h itself.

    The arguments are those of `GRU` that concern a single step.

    Raises:
        ValueError: `implementation` is not 1 or 2 (0 means 1).

    >>> import distkeras as tf
    >>> output, states = tf.keras.layers.GRUCell(4)(tf.ones((2, 3)), [tf.zeros((2, 4))])
    >>> output.shape
    TensorShape([2, 4])
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 2,
        reset_after: bool = True,
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
        self.implementation = implementation_number(implementation)
        self.reset_after = bool(reset_after)

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def biases(self) -> tuple[Any, Any]:
        """The inputs' bias and the recurrent one, None where there is none."""
        if self.bias is None or not self.reset_after:
            return self.bias, None
        both = self.bias.value()
        return both[0], both[1]

    def call(self, inputs: Tensor, states: Any, training: Any = None) -> tuple[Tensor, list[Tensor]]:
        (h,) = states
        dropped, recurrent_dropped = self._masks_of(inputs, h, training)
        bias, recurrent_bias = self.biases()
        x = gated_product(ops.matmul, inputs, dropped, self.kernel, 3)
        x = x if bias is None else ops.bias_add(x, bias)
        if recurrent_dropped is not None and len(recurrent_dropped) == 1:
            h, recurrent_dropped = h * recurrent_dropped[0], None
        gates = self._gates_after if self.reset_after else self._gates_before
        z, a = gates(ops.split(x, 3, axis=1), h, recurrent_dropped, recurrent_bias)
        h = z * h + (1.0 - z) * a
        return h, [h]

    def _gates_after(self, x: list[Tensor], h: Tensor, masks: list | None, bias: Any) -> tuple[Tensor, Tensor]:
        """z and the candidate, r being applied after the product with the recurrent kernel."""
        p = gated_product(ops.matmul, h, masks, self.recurrent_kernel, 3)
        p_z, p_r, p_a = ops.split(p if bias is None else ops.bias_add(p, bias), 3, axis=1)
        z, r = self.recurrent_activation(x[0] + p_z), self.recurrent_activation(x[1] + p_r)
        return z, self.activation(x[2] + r * p_a)

    def _gates_before(self, x: list[Tensor], h: Tensor, masks: list | None, bias: Any) -> tuple[Tensor, Tensor]:
        """z and the candidate, r being applied to h."""
        kernels = ops.split(self.recurrent_kernel, 3, axis=1)
        h_z, h_r, h_a = (h, h, h) if masks is None else (h * mask for mask in masks)
        z = self.recurrent_activation(x[0] + ops.matmul(h_z, kernels[0]))
        r = self.recurrent_activation(x[1] + ops.matmul(h_r, kernels[1]))
        return z, self.activation(x[2] + ops.matmul(r * h_a, kernels[2]))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "implementation": self.implementation,
            "reset_after": self.reset_after,
        }


def implementation_number(implementation: Any) -> int:
    """1 or 2; files of older versions say 0 for 1.

    Raises:
        ValueError: It is something else.
    """
    if implementation not in (0, 1, 2):
        raise ValueError(f"implementation must be 1 (gate by gate) or 2 (all at once), received {implementation!r}.")
    return int(implementation) or 1


@LAYERS.register()
class GRU(CellRNN):
    """The recurrent layer of gated recurrent units; see `GRUCell` for the formula.

    Args:
        units: The size of the state and of the output.
        activation: For the candidate: a function, or its name.
        recurrent_activation: For the gates.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Losses for the weights.
        activity_regularizer: A loss for the outputs.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to the weights after each update.
        dropout: The fraction of the inputs that is dropped in training, the same at each step.
        recurrent_dropout: The fraction of the state that is dropped in training, the same at each step.
        implementation: 1 drops for each gate separately, 2 the same for all.
        return_sequences, return_state, go_backwards, stateful, unroll, time_major: As for `RNN`.
        reset_after: Whether the reset gate is applied after the product with the recurrent kernel.
        **kwargs: The other arguments of `RNN`.

    Source: Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation"; with `reset_after`, the form of cuDNN.

    >>> import distkeras as tf
    >>> layer = tf.keras.layers.GRU(4, return_sequences=True)
    >>> layer(tf.ones((2, 5, 3))).shape, layer.cell.bias.shape
    (TensorShape([2, 5, 4]), TensorShape([2, 12]))
    """

    recurrent_activation = property(attrgetter("cell.recurrent_activation"))
    implementation = property(attrgetter("cell.implementation"))
    reset_after = property(attrgetter("cell.reset_after"))

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
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
        unroll: bool = False,
        time_major: bool = False,
        reset_after: bool = True,
        **kwargs: Any,
    ) -> None:
        cell = GRUCell(
            units,
            activation,
            recurrent_activation,
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
            implementation,
            reset_after,
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

    def _goes_at_once(self, inputs: Tensor, training: Any) -> bool:
        return self.reset_after and super()._goes_at_once(inputs, training)

    def _input_bias(self) -> Any:
        return self.cell.biases()[0]

    def _sequence(self, x: Tensor, states: Any, counts: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        bias = self.cell.biases()[1]
        if bias is None:
            bias = ops.zeros((3 * self.units,), x.dtype)
        h = ops.gru(x, self.cell.recurrent_kernel, bias, *states, counts)
        return h, [h[-1]]
