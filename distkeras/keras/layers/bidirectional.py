"""Bidirectional: a recurrent layer run over sequences in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distkeras import _nest, ops
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.rnn_cells import StackedRNNCells
from distkeras.keras.layers.stateful_call import TakesStates
from distkeras.keras.layers.wrapper import Wrapper
from distkeras.keras.saving.serialize import (
    custom_object_scope,
    deserialize_keras_object,
    serialize_keras_object,
)

_MERGES = {
    "sum": lambda forward, backward: forward + backward,
    "mul": lambda forward, backward: forward * backward,
    "ave": lambda forward, backward: (forward + backward) / 2.0,
    "concat": lambda forward, backward: ops.concat([forward, backward], axis=-1),
}


@LAYERS.register()
class Bidirectional(TakesStates, Wrapper):
    """A recurrent layer and its counterpart that goes backwards, their outputs merged step by step.

    Args:
        layer: A recurrent layer; copies of it are used.
        merge_mode: 'sum', 'mul', 'concat', 'ave', or None for a list of both outputs.
        weights: Arrays to begin with, those of the forward layer first.
        backward_layer: The layer for the other direction, if it is not to be like `layer`.

    With `return_state` the states of both layers follow the output; `initial_state` is those of both as well. Where
    sequences are returned, masked steps have outputs of zero.

    Raises:
        ValueError: An argument is no layer, the merge mode is unknown, or the layers do not fit together.

    Source: Schuster and Paliwal 1997, "Bidirectional recurrent neural networks".

    >>> import distkeras as tf
    >>> tf.keras.layers.Bidirectional(tf.keras.layers.LSTM(4, return_sequences=True))(tf.ones((2, 5, 3))).shape
    TensorShape([2, 5, 8])
    """

    _supports_ragged_inputs = True

    # The layer given is there for the config; the copies are what is run.
    _untracked = Layer._untracked | {"layer"}

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Sequence[Any] | None = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(f"Please initialize `Bidirectional` layer with a `Layer` instance. You passed: {layer!r}")
        if backward_layer is not None and not isinstance(backward_layer, Layer):
            raise ValueError(f"`backward_layer` need to be a `Layer` instance. You passed: {backward_layer!r}")
        if merge_mode is not None and merge_mode not in _MERGES:
            raise ValueError(
                f"Invalid merge mode. Merge mode should be one of {[*_MERGES, None]}, received {merge_mode!r}."
            )
        if not hasattr(layer, "go_backwards"):
            raise ValueError(f"Bidirectional needs a recurrent layer, one with `go_backwards`; received {layer!r}.")
        super().__init__(layer, **{"trainable": layer.trainable, **kwargs})
        self._backward_config = None if backward_layer is None else serialize_keras_object(backward_layer)
        self.forward_layer = _copy(layer)
        self.backward_layer = backward_layer or _copy(layer, go_backwards=not layer.go_backwards)
        self.forward_layer._name = f"forward_{self.forward_layer.name}"
        self.backward_layer._name = f"backward_{self.backward_layer.name}"
        self._check_layers()
        for inner in (self.forward_layer, self.backward_layer):
            inner.zero_output_for_mask = inner.return_sequences
        if weights:
            half = len(weights) // 2
            self.forward_layer._initial_weights = weights[:half]
            self.backward_layer._initial_weights = weights[half:]
        self.merge_mode = merge_mode
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_layers(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                "Forward layer and backward layer should have different `go_backwards` value: both have "
                f"{forward.go_backwards}."
            )
        for name in ("stateful", "return_sequences", "return_state"):
            mine, theirs = getattr(forward, name), getattr(backward, name)
            if mine != theirs:
                raise ValueError(
                    f"Forward layer and backward layer are expected to have the same value for attribute {name}, got "
                    f"{mine} and {theirs}."
                )

    def build(self, input_shape: Any = None) -> None:
        self.built = True  # both layers make their weights when they are called

    def call(
        self, inputs: Any, training: Any = None, mask: Any = None, initial_state: Any = None, constants: Any = None
    ) -> Any:
        inputs, initial_state, constants = self._separate(inputs, initial_state, constants)
        mask = _nest.flatten(mask)[0] if _nest.is_nested(mask) else mask
        forward, forward_states = self._run(self.forward_layer, 0, inputs, training, mask, initial_state, constants)
        backward, backward_states = self._run(self.backward_layer, 1, inputs, training, mask, initial_state, constants)
        if self.return_sequences:
            backward = ops.reverse(backward, [0 if self.forward_layer.time_major else 1])
        merged = [forward, backward] if self.merge_mode is None else [_MERGES[self.merge_mode](forward, backward)]
        outputs = [*merged, *forward_states, *backward_states]
        return outputs if len(outputs) > 1 else outputs[0]

    def _run(
        self, layer: Any, half: int, inputs: Any, training: Any, mask: Any, initial_state: Any, constants: Any
    ) -> tuple[Any, list[Any]]:
        """The output of one of the layers, which is given its half of the states, and its last states."""
        options = {"training": training, "mask": mask, "constants": constants}
        if initial_state is not None:
            if len(initial_state) % 2:
                raise ValueError(
                    "When passing `initial_state` to a Bidirectional RNN, the state should be a list containing the "
                    f"states of the underlying RNNs, those of each direction; received {len(initial_state)} states."
                )
            middle = len(initial_state) // 2
            options["initial_state"] = initial_state[middle * half : middle * (half + 1)]
        outputs = layer(inputs, **{name: value for name, value in options.items() if value is not None})
        return (outputs[0], list(outputs[1:])) if self.return_state else (outputs, [])

    @property
    def activity_regularizer(self) -> Any:
        """That of the merged output; the layers inside regularise their own outputs."""
        return self._activity_regularizer

    def reset_states(self, states: Any = None) -> None:
        """Set the states of both layers; see `RNN.reset_states`.

        Args:
            states: Those of the forward layer, then those of the other; zeros by default.

        Raises:
            AttributeError: The layers are not stateful.
        """
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        middle = 0 if states is None else len(states) // 2
        self.forward_layer.reset_states(None if states is None else states[:middle])
        self.backward_layer.reset_states(None if states is None else states[middle:])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = _nest.flatten(mask)[0] if _nest.is_nested(mask) else mask
        output = mask if self.return_sequences else None
        masks = [output] if self.merge_mode is not None else [output, output]
        if self.return_state:
            masks += [None for layer in (self.forward_layer, self.backward_layer) for _ in _nest.flatten(layer.states)]
        return masks if len(masks) > 1 else masks[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = [layer.compute_output_shape(input_shape) for layer in (self.forward_layer, self.backward_layer)]
        forward, backward = ((shape[0], shape[1:]) if self.return_state else (shape, []) for shape in shapes)
        merged = [forward[0], backward[0]]
        if self.merge_mode is not None:
            width = forward[0][-1] + (backward[0][-1] if self.merge_mode == "concat" else 0)
            merged = [forward[0][:-1].concatenate((width,))]
        outputs = [*merged, *forward[1], *backward[1]]
        return outputs if len(outputs) > 1 else outputs[0]

    @property
    def constraints(self) -> dict[Any, Any]:
        """The constraints of the weights that have some."""
        return {weight: weight.constraint for weight in self.weights if weight.constraint is not None}

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "merge_mode": self.merge_mode}
        if self._num_constants:
            config["num_constants"] = self._num_constants
        if self._backward_config is not None:
            config["backward_layer"] = self._backward_config
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        settings = dict(config)
        count = settings.pop("num_constants", 0)
        for name in ("layer", "backward_layer"):
            if settings.get(name) is not None:
                settings[name] = deserialize_keras_object(settings[name], LAYERS, custom_objects, "layer")
        bidirectional = cls(**settings)
        bidirectional._num_constants = count or 0
        return bidirectional


def _copy(layer: Any, **changes: Any) -> Any:
    """A layer like `layer`, with weights of its own; cells of any class are known by being there."""
    cell = getattr(layer, "cell", None)
    cells = cell.cells if isinstance(cell, StackedRNNCells) else [cell]
    with custom_object_scope({type(cell).__name__: type(cell) for cell in cells if cell is not None}):
        return type(layer).from_config({**layer.get_config(), **changes})
