"""What SimpleRNN, GRU and LSTM share: a layer over a cell of its own, and the way over whole sequences.

With the usual activations a sequence is one primitive (`ops.lstm`, `ops.gru`, `ops.simple_rnn`) after one product of
all inputs with the kernel; otherwise, or with `unroll=True`, the cell is called step by step. Both give the same.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras import activations, regularizers
from distkeras.keras.layers.call_context import is_training
from distkeras.keras.layers.input_spec import InputSpec
from distkeras.keras.layers.rnn import RNN
from distkeras.keras.layers.rnn_cells import RecurrentCell
from distkeras.keras.layers.rnn_scan import fitting_mask

_TANH = (activations.tanh, ops.tanh)
_SIGMOID = (activations.sigmoid, ops.sigmoid)


class CellRNN(RNN):
    """Base of the layers with a cell of their own: their arguments are those of the cell, and those of RNN."""

    units = property(attrgetter("cell.units"))
    activation = property(attrgetter("cell.activation"))
    use_bias = property(attrgetter("cell.use_bias"))
    kernel_initializer = property(attrgetter("cell.kernel_initializer"))
    recurrent_initializer = property(attrgetter("cell.recurrent_initializer"))
    bias_initializer = property(attrgetter("cell.bias_initializer"))
    kernel_regularizer = property(attrgetter("cell.kernel_regularizer"))
    recurrent_regularizer = property(attrgetter("cell.recurrent_regularizer"))
    bias_regularizer = property(attrgetter("cell.bias_regularizer"))
    kernel_constraint = property(attrgetter("cell.kernel_constraint"))
    recurrent_constraint = property(attrgetter("cell.recurrent_constraint"))
    bias_constraint = property(attrgetter("cell.bias_constraint"))
    dropout = property(attrgetter("cell.dropout"))
    recurrent_dropout = property(attrgetter("cell.recurrent_dropout"))

    def __init__(self, cell: RecurrentCell, **options: Any) -> None:
        super().__init__(cell, **options)
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(ndim=3, axes={-1: self.cell.kernel.shape[0]})

    # --- whole sequences

    def _scan(self, inputs: Any, states: Any, mask: Any, training: Any, constants: Any) -> tuple[Any, Any, list[Any]]:
        if constants is not None or not self._goes_at_once(inputs, training):
            return super()._scan(inputs, states, mask, training, constants)
        x, counts = self._time_first(inputs), None
        if mask is not None:
            counts = self._time_first(fitting_mask(mask, tuple(inputs.shape[:2])))
        dropped = self.cell.get_dropout_mask_for_cell(x[0], training) if self.dropout else None
        h, states = self._sequence(self._projected(x if dropped is None else x * dropped[0]), states, counts)
        return *self._outputs(h, counts), states

    def _goes_at_once(self, inputs: Tensor, training: Any) -> bool:
        cell = self.cell
        drops_by_gate = cell.dropout and cell.implementation != 2
        return (
            not self.unroll
            and cell.activation in _TANH
            and getattr(cell, "recurrent_activation", activations.sigmoid) in _SIGMOID
            and inputs.dtype.name in ("float32", "float64")
            and inputs.shape[self._time_axis] > 0
            and not (is_training(training) and (cell.recurrent_dropout or drops_by_gate))
        )

    def _time_first(self, tensor: Tensor) -> Tensor:
        """[time, samples, ...] in the order in which steps are taken."""
        if not self.time_major:
            tensor = ops.transpose(tensor, (1, 0, *range(2, tensor.ndim)))
        return ops.reverse(tensor, [0]) if self.go_backwards else tensor

    def _projected(self, x: Tensor) -> Tensor:
        """inputs @ kernel + bias, for all steps."""
        projected = ops.matmul(ops.reshape(x, (x.shape[0] * x.shape[1], x.shape[2])), self.cell.kernel)
        bias = self._input_bias()
        projected = projected if bias is None else ops.bias_add(projected, bias)
        return ops.reshape(projected, (*x.shape[:2], projected.shape[1]))

    def _input_bias(self) -> Any:
        return self.cell.bias

    def _sequence(self, x: Tensor, states: Any, counts: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """The states at all steps [time, samples, units], and the last ones of each kind, from projected inputs."""
        raise NotImplementedError

    def _outputs(self, h: Tensor, counts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The last output, and all of them if they are asked for, from the states h at all steps."""
        last = h[-1]
        if counts is not None:
            # Before its first step that counts a sample has a state, but no output yet.
            shown = counts if self.zero_output_for_mask else ops.cumsum(ops.cast(counts, h.dtype), axis=0) > 0.0
            last = _shown(last, shown[-1])
            h = _shown(h, shown) if self.return_sequences else h
        if not self.return_sequences:
            return last, None
        return last, h if self.time_major else ops.transpose(h, (1, 0, 2))

    # --- config

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        cell = config.pop("cell")["config"]
        own = {key: value for key, value in cell.items() if key not in ("name", "trainable", "dtype")}
        return {**config, **own, "activity_regularizer": regularizers.serialize(self.activity_regularizer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


def _shown(h: Tensor, where: Tensor) -> Tensor:
    """h for the samples and steps that count, zeros for the others."""
    return ops.where(ops.expand_dims(where, -1), h, 0.0)
