"""RNN: the recurrent layer over any cell, or stack of cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from distkeras import _nest, ops
from distkeras.core.context import state as thread
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.spec import TensorShape
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.data.sharding import shard_bounds
from distkeras.keras.layers.arguments import map_shapes
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.keras_tensor import KerasTensor
from distkeras.keras.layers.lambda_layer import Lambda
from distkeras.keras.layers.ragged_rnn import cut, filled
from distkeras.keras.layers.rnn_cells import (
    StackedRNNCells,
    call_cell,
    check_cell,
    initial_state_of,
    output_size_of,
    reset_masks,
    state_shape,
)
from distkeras.keras.layers.rnn_scan import rnn
from distkeras.keras.layers.stateful_call import TakesStates
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object


@LAYERS.register()
class RNN(TakesStates, Layer):
    """A cell applied to one time step after the other of [samples, time, ...].

    Args:
        cell: The cell, or a list of cells to be stacked; see `AbstractRNNCell` for cells of one's own.
        return_sequences: Whether the outputs of all steps are returned, [samples, time, ...], or the last one.
        return_state: Whether the last states are returned as well: [outputs, state, ...].
        go_backwards: Whether the last step comes first; outputs are then in that order.
        stateful: Whether a batch begins with the states that the batch before ended with, sample by sample; the batch
            size must be fixed. Among ranks each keeps the rows of its slice of the batch, which is the same for every
            batch. `reset_states` sets them back.
        unroll: Compute step by step even what could be done at once.
        time_major: Whether inputs, masks and outputs have time first: [time, samples, ...].
        zero_output_for_mask: Whether outputs are zero at masked steps, rather than those of the step before.
        **kwargs: As for every layer; also `input_dim` with `input_length`, the number of features and of steps.

    The layer is called with `initial_state`, a list of tensors, and `constants`, a list that is passed to the cell at
    each step. Where the mask [samples, time] is false, a sample keeps its states.

    Raises:
        ValueError: The cell is none, or is stateful without a batch size.

    >>> import distkeras as tf
    >>> layer = tf.keras.layers.RNN(tf.keras.layers.GRUCell(4), return_sequences=True, return_state=True)
    >>> outputs, state = layer(tf.ones((2, 3, 5)))
    >>> outputs.shape, state.shape
    (TensorShape([2, 3, 4]), TensorShape([2, 4]))
    """

    _supports_ragged_inputs = True

    _untracked = Layer._untracked | {"_states"}

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        time_major: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        check_cell(cell)
        self.zero_output_for_mask = bool(kwargs.pop("zero_output_for_mask", False))
        length, width = kwargs.pop("input_length", None), kwargs.pop("input_dim", None)
        if "input_shape" not in kwargs and (length is not None or width is not None):
            kwargs["input_shape"] = (length, width)
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        self.unroll = bool(unroll)
        self.time_major = bool(time_major)
        self.supports_masking = True
        self._states: Any = None

    @property
    def _time_axis(self) -> int:
        return 0 if self.time_major else 1

    # --- building

    def build(self, input_shape: Any) -> None:
        shapes = _shapes_of_inputs(input_shape)
        first = _nest.flatten(shapes)[0]
        if self.unroll and first[self._time_axis] is None:
            raise ValueError(
                "Cannot unroll a RNN if the time dimension is undefined: give the number of time steps in the "
                "input_shape, or leave unroll out."
            )
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build(_nest.map_structure(self._step_shape, shapes))
            self.cell.built = True
        if self.stateful:
            self._make_states(first)
        super().build(input_shape)

    def _step_shape(self, shape: TensorShape) -> TensorShape:
        return TensorShape(size for axis, size in enumerate(shape) if axis != self._time_axis)

    def _make_states(self, input_shape: TensorShape) -> None:
        samples = input_shape[1 - self._time_axis]
        if samples is None:
            raise ValueError(
                "If a RNN is stateful, it needs to know its batch size. Specify the batch size of your input tensors: "
                "pass `batch_input_shape` to the first layer of a Sequential model, or `batch_shape` to `Input`."
            )
        self._states = _nest.map_structure(
            lambda shape: Variable(np.zeros((samples, *shape), self._compute_dtype), trainable=False, name="state"),
            self._state_shapes(input_shape),
        )

    @property
    def _state_sizes(self) -> Any:
        """The cell's state sizes, always as a structure."""
        sizes = self.cell.state_size
        return sizes if _nest.is_nested(sizes) else [sizes]

    def _state_shapes(self, input_shape: Any) -> Any:
        """The shape of each state without the samples."""
        return _nest.map_structure(lambda size: TensorShape(state_shape(size)), self._state_sizes)

    # --- states

    @property
    def states(self) -> Any:
        """The variables that hold the states of a stateful layer, else a None for each state."""
        return _nest.map_structure(lambda _: None, self._state_sizes) if self._states is None else self._states

    def get_initial_state(self, inputs: Any) -> Any:
        """The states that a sequence begins with, if none are given.

        Args:
            inputs: What the layer is called on.

        Returns:
            A list of tensors [samples, ...], symbolic where the inputs are.
        """
        first = _nest.flatten(inputs)[0]
        if isinstance(first, KerasTensor):
            return Lambda(self.get_initial_state)(inputs)
        states = initial_state_of(self.cell, None, first.shape[1 - self._time_axis], first.dtype)
        return states if _nest.is_nested(states) else [states]

    def reset_states(self, states: Any = None) -> None:
        """Set the states of a stateful layer.

        Args:
            states: Arrays for the whole batch, in the structure of `states`; zeros by default. A layer with one state
                takes an array.

        Raises:
            AttributeError: The layer is not stateful.
            ValueError: It has not been built, or the number or a shape of the arrays is another one.
        """
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        if self._states is None:
            raise ValueError(
                f"The layer {self.name} has no states yet: it is given them when it is built, with the batch size."
            )
        variables = _nest.flatten(self._states)
        values = _nest.flatten(states) if states is not None else [np.zeros(v.shape) for v in variables]
        if len(values) != len(variables):
            raise ValueError(
                f"Layer {self.name} expects {len(variables)} states, but it received {len(values)} state values."
            )
        arrays = [np.asarray(value) for value in values]
        for index, (array, variable) in enumerate(zip(arrays, variables, strict=True)):
            if array.shape != tuple(variable.shape):
                raise ValueError(
                    f"State {index} is incompatible with layer {self.name}: expected shape={tuple(variable.shape)}, "
                    f"found shape={array.shape}"
                )
        for array, variable in zip(arrays, variables, strict=True):
            variable.assign(array.astype(variable.dtype.numpy))

    def _kept_rows(self, samples: int, kept: int) -> slice:
        """Which rows of the states belong to the samples at hand: this rank's slice of the batch."""
        if samples == kept:
            return slice(0, kept)
        replica = thread.replica
        start, stop = shard_bounds(kept, replica.replica_id_in_sync_group, replica.num_replicas_in_sync)
        if stop - start != samples:
            raise ValueError(
                f"The stateful layer {self.name} keeps states for batches of {kept} samples, and received {samples}"
                + (f" on rank {replica.replica_id_in_sync_group}, which keeps rows {start} to {stop}" if start else "")
                + ": all batches must have the same size."
            )
        return slice(start, stop)

    def _read_states(self, samples: int) -> Any:
        def read(variable: Variable) -> Tensor:
            return variable.value()[self._kept_rows(samples, variable.shape[0])]

        return _nest.map_structure(read, self._states)

    def _write_states(self, states: Any) -> None:
        for variable, new in zip(_nest.flatten(self._states), _nest.flatten(states), strict=True):
            rows = self._kept_rows(new.shape[0], variable.shape[0])
            if new.shape != variable.shape:
                old = variable.value()
                new = ops.concat([old[: rows.start], new, old[rows.stop :]], axis=0)
            variable.assign(new)

    # --- calling

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None, constants: Any = None
    ) -> Any:
        inputs, initial_state, constants = self._separate(inputs, initial_state, constants)
        mask = _nest.flatten(mask)[0] if _nest.is_nested(mask) else mask
        rows = inputs if isinstance(inputs, RaggedTensor) else None
        if rows is not None:
            inputs, mask = filled(self, rows, mask)
        states = self._first_states(inputs, initial_state)
        reset_masks(self.cell)
        last, outputs, states = self._scan(inputs, states, mask, training, constants)
        reset_masks(self.cell)  # so that no symbol of a trace outlives it
        if self.stateful:
            self._write_states(states)
        if rows is not None and self.return_sequences:
            outputs = cut(outputs, rows)
        output = outputs if self.return_sequences else last
        return [output, *states] if self.return_state else output

    def _first_states(self, inputs: Any, given: Any) -> Any:
        first = _nest.flatten(inputs)[0]
        samples = first.shape[1 - self._time_axis]
        if given is None:
            return self._read_states(samples) if self.stateful else self.get_initial_state(inputs)
        expected = [(samples, *shape) for shape in _nest.flatten(self._state_shapes(first.shape))]
        leaves = [ops.cast(to_tensor(leaf, like=first), first.dtype) for leaf in _nest.flatten(given)]
        if len(leaves) != len(expected):
            raise ValueError(
                f"Layer {self.name} has {len(expected)} states but was passed {len(leaves)} initial states."
            )
        for leaf, shape in zip(leaves, expected, strict=True):
            if tuple(leaf.shape) != shape:
                raise ValueError(
                    f"An `initial_state` was passed that is not compatible with `cell.state_size`: expected shape "
                    f"{shape}, received {tuple(leaf.shape)} (layer {self.name}, whose cell.state_size is "
                    f"{self.cell.state_size})."
                )
        return _nest.pack(self._state_sizes, leaves)

    def _scan(self, inputs: Any, states: Any, mask: Any, training: Any, constants: Any) -> tuple[Any, Any, list[Any]]:
        """The last output, all outputs, and the last states."""

        def step(row: Any, leaves: list[Tensor]) -> tuple[Any, list[Tensor]]:
            before = _nest.pack(self.cell.state_size, leaves)
            output, after = call_cell(self.cell, row, before, training, constants)
            return output, _nest.flatten(after)

        last, outputs, leaves = rnn(
            step,
            inputs,
            _nest.flatten(states),
            self.go_backwards,
            mask,
            time_major=self.time_major,
            zero_output_for_mask=self.zero_output_for_mask,
        )
        return last, outputs, _listed(_nest.pack(self._state_sizes, leaves))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = _nest.flatten(mask)[0] if _nest.is_nested(mask) else mask
        output_mask = mask if self.return_sequences else None
        return [output_mask, *(None for _ in _nest.flatten(self._state_sizes))] if self.return_state else output_mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = _nest.flatten(_shapes_of_inputs(input_shape))[0]
        samples, steps = shape[1 - self._time_axis], shape[self._time_axis]
        output = self._output_shape(shape)
        lead = ((steps, samples) if self.time_major else (samples, steps)) if self.return_sequences else (samples,)
        if not self.return_state:
            return TensorShape((*lead, *output))
        states = _nest.map_structure(lambda state: TensorShape((samples, *state)), self._state_shapes(shape))
        return [TensorShape((*lead, *output)), *_listed(states)]

    def _output_shape(self, input_shape: Any) -> Any:
        """The shape of an output without the samples."""
        return state_shape(output_size_of(self.cell))

    # --- config

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "time_major": self.time_major,
            "cell": serialize_keras_object(self.cell),
        }
        if self._num_constants:
            config["num_constants"] = self._num_constants
        if self.zero_output_for_mask:
            config["zero_output_for_mask"] = True
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        settings = dict(config)
        count = settings.pop("num_constants", 0)
        cell = deserialize_keras_object(settings.pop("cell"), LAYERS, custom_objects, "layer")
        layer = cls(cell, **settings)
        layer._num_constants = count or 0
        return layer


def _shapes_of_inputs(shapes: Any) -> Any:
    """The shapes of the inputs alone; in a list those of states and constants follow."""
    shapes = map_shapes(lambda shape: shape, shapes)
    return shapes[0] if isinstance(shapes, list) else shapes


def _listed(states: Any) -> list[Any]:
    """The states one after the other; of a dict in the order of its keys."""
    return _nest.flatten(states) if isinstance(states, dict) else list(states)
