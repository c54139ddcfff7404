"""SimpleRNN: the output of each step is fed back into the next."""

from __future__ import annotations

import warnings
from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.cell_rnn import CellRNN
from distkeras.keras.layers.rnn_cells import RecurrentCell, gated_product


@LAYERS.register()
class SimpleRNNCell(RecurrentCell):
    """h = activation(inputs @ kernel + h @ recurrent_kernel + bias); the output is h.

    The arguments are `units`, `activation` ('tanh'), `use_bias`, initializers, regularizers and constraints of kernel,
    recurrent kernel and bias, `dropout` and `recurrent_dropout`: see `SimpleRNN`.

    >>> import distkeras as tf
    >>> output, states = tf.keras.layers.SimpleRNNCell(4)(tf.ones((2, 3)), [tf.zeros((2, 4))])
    >>> output.shape
    TensorShape([2, 4])
    """

    def call(self, inputs: Tensor, states: Any, training: Any = None) -> tuple[Tensor, list[Tensor]]:
        (h,) = states
        dropped, recurrent_dropped = self._masks_of(inputs, h, training)
        total = gated_product(ops.matmul, inputs, dropped, self.kernel, 1)
        total = total if self.bias is None else ops.bias_add(total, self.bias)
        h = self.activation(total + gated_product(ops.matmul, h, recurrent_dropped, self.recurrent_kernel, 1))
        return h, [h]


@LAYERS.register()
class SimpleRNN(CellRNN):
    """The recurrent layer h = activation(inputs @ kernel + h @ recurrent_kernel + bias).

    Args:
        units: The size of the state and of the output.
        activation: A function, or its name.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Losses for the weights.
        activity_regularizer: A loss for the outputs.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to the weights after each update.
        dropout: The fraction of the inputs that is dropped in training, the same at each step.
        recurrent_dropout: The fraction of the state that is dropped in training, the same at each step.
        return_sequences, return_state, go_backwards, stateful, unroll: As for `RNN`, with its other arguments.

    Source: Elman 1990, "Finding Structure in Time".

    >>> import distkeras as tf
    >>> tf.keras.layers.SimpleRNN(4)(tf.ones((2, 5, 3))).shape
    TensorShape([2, 4])
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("implementation", None) is not None:
            warnings.warn("SimpleRNN has one `implementation` only: leave the argument out.", stacklevel=2)
        cell = SimpleRNNCell(
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
            activity_regularizer=activity_regularizer,
            **kwargs,
        )

    def _sequence(self, x: Tensor, states: Any, counts: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        h = ops.simple_rnn(x, self.cell.recurrent_kernel, *states, counts)
        return h, [h[-1]]
