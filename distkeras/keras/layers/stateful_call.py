"""Calling layers with an initial state and constants, which may be symbolic tensors of the functional API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras import _nest
from distkeras.keras.layers.keras_tensor import KerasTensor


class TakesStates:
    """Adds to a Layer the arguments `initial_state` and `constants` of its calls.

    In a functional model they are inputs like the first one, so that files say what they are:
    layer(x, initial_state=[h, c]) is the call layer([x, h, c]), which may as well be written.
    """

    _num_constants = 0
    _extra_inputs = 0

    @property
    def input_spec(self) -> Any:
        specs = self.__dict__.get("_input_spec")
        if specs is None or not self._extra_inputs:
            return specs
        return [*_nest.flatten(specs), *(None for _ in range(self._extra_inputs))]

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        self._input_spec = value

    def __call__(self, inputs: Any, initial_state: Any = None, constants: Any = None, **kwargs: Any) -> Any:
        """Apply the layer.

        Args:
            inputs: What it is applied to; a list also holds the initial states and the constants.
            initial_state: The states to begin with, a tensor or a list.
            constants: Tensors that the cell is given at each step.
            **kwargs: Passed to `call`.

        Raises:
            ValueError: Some of the states and constants are symbolic and some are not.
        """
        inputs, initial_state, constants = self._separate(inputs, initial_state, constants)
        if constants is not None:
            self._num_constants = len(constants)
        extra = [*(initial_state or ()), *(constants or ())]
        symbolic = [isinstance(leaf, KerasTensor) for leaf in _nest.flatten(extra)]
        if not any(symbolic):
            given = {"initial_state": initial_state, "constants": constants}
            return super().__call__(inputs, **{k: v for k, v in given.items() if v is not None}, **kwargs)
        if not all(symbolic):
            raise ValueError(
                "The initial state or constants of an RNN layer cannot be specified with a mix of Keras tensors and "
                "non-Keras tensors (a Keras tensor comes from a Keras layer, or `Input`)."
            )
        self._extra_inputs = len(symbolic)
        try:
            return super().__call__([inputs, *extra], **kwargs)
        finally:
            self._extra_inputs = 0

    def _separate(self, inputs: Any, initial_state: Any, constants: Any) -> tuple[Any, list | None, list | None]:
        """Inputs, initial states and constants, of which a list of inputs may hold all."""
        if isinstance(inputs, list):
            if initial_state is not None or constants is not None:
                raise ValueError(
                    "A list of inputs holds the initial states and constants already: give them there or by name."
                )
            split = len(inputs) - self._num_constants
            constants = inputs[split:] or None
            initial_state = inputs[1:split] or None
            inputs = inputs[0]
        return inputs, _as_list(initial_state), _as_list(constants)


def _as_list(value: Any) -> list | None:
    if value is None:
        return None
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
