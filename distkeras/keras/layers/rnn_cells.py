"""Cells, one time step of a recurrent layer: what all have, what the usual ones share, and stacks of cells.

A cell has `state_size` (an int or shape, or a structure of them), maybe `output_size` and `get_initial_state`, and is
called with the inputs [samples, ...] of a step and a list of states; it gives its output and the new states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distkeras import _nest, ops
from distkeras.core.context import state
from distkeras.core.random_state import new_stream
from distkeras.core.spec import TensorShape
from distkeras.core.tensor import Tensor
from distkeras.keras import activations
from distkeras.keras.layers.arguments import positive_integer
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.call_context import is_training
from distkeras.keras.layers.call_signature import CallSignature
from distkeras.keras.layers.described_weights import DescribedWeights
from distkeras.keras.layers.naming import name_scope
from distkeras.keras.layers.regularization import _check_rate
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object


def zero_states(state_size: Any, batch_size: int, dtype: Any) -> Any:
    """Zeros [batch_size, ...] in the structure of `state_size`."""
    return _nest.map_structure(lambda size: ops.zeros((batch_size, *state_shape(size)), dtype), state_size)


def state_shape(size: Any) -> tuple[int, ...]:
    """The shape of a state without the samples, from an entry of `state_size`."""
    return tuple(TensorShape(size))


def call_cell(cell: Any, inputs: Any, states: Any, training: Any = None, constants: Any = None) -> tuple[Any, Any]:
    """One step of any cell.

    Args:
        cell: The cell.
        inputs: Its inputs at the step.
        states: In the structure of `state_size`.
        training: Passed on if the cell takes it.
        constants: Passed on if given.

    Returns:
        The output, and the new states in the structure of `state_size`.

    Raises:
        ValueError: There are constants, and the cell takes none.
    """
    signature = _signature_of(cell)
    arguments = {"training": training} if "training" in signature.names else {}
    if constants is not None:
        if not signature.expects("constants"):
            raise ValueError(
                f"RNN cell does not support constants: {type(cell).__name__}.call takes {signature.names}, received "
                f"{len(constants)} constants. Give it an argument `constants`."
            )
        arguments["constants"] = constants
    if not isinstance(states, dict):
        states = list(states) if _nest.is_nested(states) else [states]
    output, new_states = cell.call(inputs, states, **arguments)
    return output, _nest.pack(cell.state_size, _nest.flatten(new_states))


def _signature_of(cell: Any) -> CallSignature:
    return cell._call_signature if isinstance(cell, Layer) else CallSignature(cell.call)


class AbstractRNNCell(Layer):
    """Base for cells of one's own: define `state_size`, `output_size` and `call(inputs, states)`.

    >>> import distkeras as tf
    >>> class Sum(tf.keras.layers.AbstractRNNCell):
    ...     state_size = output_size = 2
    ...     def call(self, inputs, states):
    ...         total = states[0] + inputs
    ...         return total, [total]
    >>> tf.keras.layers.RNN(Sum())(tf.ones((1, 3, 2))).numpy().tolist()
    [[3.0, 3.0]]
    """

    def call(self, inputs: Any, states: Any) -> Any:
        """The output and the new states, from the inputs of a step and the states before it."""
        raise NotImplementedError("Abstract method: a cell must define call(inputs, states).")

    @property
    def state_size(self) -> Any:
        """Size(s) of the state(s): an int, a TensorShape, or a structure of them."""
        raise NotImplementedError("Abstract property: a cell must have a state_size.")

    @property
    def output_size(self) -> Any:
        """Size of the output, an int or a TensorShape."""
        raise NotImplementedError("Abstract property: a cell must have an output_size.")

    def get_initial_state(self, inputs: Any = None, batch_size: Any = None, dtype: Any = None) -> Any:
        """Zeros for a batch of the size and type of `inputs`, or as given."""
        if inputs is not None:
            batch_size, dtype = inputs.shape[0], inputs.dtype
        return zero_states(self.state_size, batch_size, dtype)


class CellDropout:
    """Masks for the inputs and the state of a cell, drawn once for a sequence and used at each of its steps.

    They are functions of the seed, the step of training and the sample: they do not depend on how a batch is divided
    over ranks. Source: Gal and Ghahramani 2016, "A Theoretically Grounded Application of Dropout in RNNs".
    """

    dropout: float
    recurrent_dropout: float

    def _set_dropout(self, dropout: float, recurrent_dropout: float) -> None:
        self.dropout, self.recurrent_dropout = _check_rate(dropout), _check_rate(recurrent_dropout)
        self.__dict__["_streams"] = {
            kind: new_stream() for kind in ("dropout", "recurrent_dropout") if getattr(self, kind)
        }
        self.__dict__["_masks"] = {}

    def get_dropout_mask_for_cell(self, inputs: Tensor, training: Any, count: int = 1) -> list[Tensor] | None:
        """`count` masks to multiply the inputs of a step with, the same until they are reset; None for no dropout."""
        return self._drawn("dropout", inputs, training, count)

    def get_recurrent_dropout_mask_for_cell(self, inputs: Tensor, training: Any, count: int = 1) -> list[Tensor] | None:
        """As `get_dropout_mask_for_cell`, for a state."""
        return self._drawn("recurrent_dropout", inputs, training, count)

    def reset_dropout_mask(self) -> None:
        """Draw anew for the next step's inputs."""
        self._masks.pop("dropout", None)

    def reset_recurrent_dropout_mask(self) -> None:
        """Draw anew for the next step's state."""
        self._masks.pop("recurrent_dropout", None)

    def _drawn(self, kind: str, like: Tensor, training: Any, count: int) -> list[Tensor] | None:
        rate = getattr(self, kind)
        if not rate or not is_training(training):
            return None
        trace, masks = self._masks.get(kind, (None, []))
        if trace is not state.trace or len(masks) != count:  # what was drawn in another trace is a symbol of that one
            ones, stream = ops.ones(like.shape, like.dtype), self._streams[kind]
            masks = [ops.dropout(ones, rate, stream=stream + index) for index in range(count)]
            self._masks[kind] = (state.trace, masks)
        return masks


def gated_product(
    product: Callable, x: Tensor, masks: list[Tensor] | None, kernel: Any, gates: int, axis: int = 1
) -> Tensor:
    """product(x, kernel), the gates lying along `axis`; with several masks on x, one for each gate."""
    if masks is None or len(masks) == 1:
        return product(x if masks is None else x * masks[0], kernel)
    parts = ops.split(kernel, gates, axis=-1)
    return ops.concat([product(x * mask, part) for mask, part in zip(masks, parts, strict=True)], axis=axis)


class RecurrentCell(CellDropout, DescribedWeights):
    """What the cells of SimpleRNN, GRU and LSTM share: weights for all gates side by side.

    Args:
        units: The size of the state and of the output.
        activation: A function, or its name.
        use_bias: Whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Losses for the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: Applied to the weights after each update.
        dropout: The fraction of the inputs that is dropped in training.
        recurrent_dropout: The fraction of the state that is dropped in training.
    """

    gates = 1
    implementation = 2

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = positive_integer(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self._describe_weight("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._describe_weight("recurrent", recurrent_initializer, recurrent_regularizer, recurrent_constraint)
        self._describe_weight("bias", bias_initializer, bias_regularizer, bias_constraint)
        self._set_dropout(dropout, recurrent_dropout)
        self.state_size: Any = self.units
        self.output_size = self.units

    def build(self, input_shape: Any) -> None:
        width, size = self.gates * self.units, input_shape[-1]
        if size is None:
            raise ValueError(
                f"The last dimension of the inputs to `{type(self).__name__}` should be defined. Found `None`."
            )
        self.kernel = self._make_weight("kernel", (size, width))
        self.recurrent_kernel = self._make_weight("recurrent", (self.units, width), "recurrent_kernel")
        self.bias = None
        if self.use_bias:
            self.bias = self._make_weight("bias", self._bias_shape(), initializer=self._first_bias())
        super().build(input_shape)

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _first_bias(self) -> Any:
        return self.bias_initializer

    def _masks_of(self, inputs: Tensor, h: Tensor, training: Any) -> tuple[list | None, list | None]:
        """The masks of inputs and state: one for all gates, or one for each of them (implementation 1)."""
        count = 1 if self.implementation == 2 else self.gates
        return (
            self.get_dropout_mask_for_cell(inputs, training, count),
            self.get_recurrent_dropout_mask_for_cell(h, training, count),
        )

    def get_initial_state(self, inputs: Any = None, batch_size: Any = None, dtype: Any = None) -> Any:
        """Zeros for a batch of the size and type of `inputs`, or as given."""
        if inputs is not None:
            batch_size, dtype = inputs.shape[0], inputs.dtype
        return zero_states(self.state_size, batch_size, dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **self._weight_config("kernel", "recurrent", "bias"),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
        }


@LAYERS.register()
class StackedRNNCells(Layer):
    """Cells of which each gets the output of the one before: the cell of a layer that is several layers deep.

    Args:
        cells: The cells; their states are this cell's, in the same order.
        reverse_state_order: Whether the states are listed from the last cell to the first.

    >>> import distkeras as tf
    >>> cells = [tf.keras.layers.LSTMCell(4), tf.keras.layers.GRUCell(2)]
    >>> tf.keras.layers.RNN(cells)(tf.ones((3, 5, 6))).shape
    TensorShape([3, 2])
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        if not isinstance(cells, (list, tuple)) or not cells:
            raise ValueError(f"StackedRNNCells expects a list of at least one cell, received {cells!r}.")
        for cell in cells:
            check_cell(cell, "All cells")
        self.reverse_state_order = bool(kwargs.pop("reverse_state_order", False))
        super().__init__(**kwargs)
        self.cells = list(cells)

    @property
    def state_size(self) -> tuple:
        """The state sizes of the cells."""
        return tuple(cell.state_size for cell in (self.cells[::-1] if self.reverse_state_order else self.cells))

    @property
    def output_size(self) -> Any:
        """The size of the last cell's output."""
        return output_size_of(self.cells[-1])

    def get_initial_state(self, inputs: Any = None, batch_size: Any = None, dtype: Any = None) -> tuple:
        """The initial states of the cells."""
        cells = self.cells[::-1] if self.reverse_state_order else self.cells
        return tuple(initial_state_of(cell, inputs, batch_size, dtype) for cell in cells)

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                with name_scope(cell.name):  # else several weights would have one name
                    cell.build(input_shape)
                cell.built = True
            input_shape = TensorShape((input_shape[0], *state_shape(output_size_of(cell))))
        super().build(input_shape)

    def call(self, inputs: Any, states: Any, constants: Any = None, training: Any = None) -> tuple[Any, Any]:
        states = list(states)[::-1] if self.reverse_state_order else list(states)
        new_states = []
        for cell, cell_states in zip(self.cells, states, strict=True):
            takes = constants if _signature_of(cell).expects("constants") else None
            inputs, cell_states = call_cell(cell, inputs, cell_states, training, takes)
            new_states.append(cell_states)
        return inputs, tuple(new_states[::-1] if self.reverse_state_order else new_states)

    def reset_dropout_mask(self) -> None:
        """Draw anew the masks of all cells' inputs."""
        for cell in self.cells:
            reset_masks(cell)

    def reset_recurrent_dropout_mask(self) -> None:
        """Draw anew the masks of all cells' states."""
        self.reset_dropout_mask()

    def get_config(self) -> dict[str, Any]:
        order = {"reverse_state_order": True} if self.reverse_state_order else {}
        return {**super().get_config(), "cells": [serialize_keras_object(cell) for cell in self.cells], **order}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        cells = [deserialize_keras_object(entry, LAYERS, custom_objects, "layer") for entry in config["cells"]]
        return cls(**{**config, "cells": cells})


def check_cell(cell: Any, what: str = "`cell`") -> None:
    """ValueError unless it is a cell."""
    if not hasattr(type(cell), "call") and not callable(getattr(cell, "call", None)):
        raise ValueError(f"{what} must have a `call` method. received cell: {cell!r}")
    if "state_size" not in dir(cell):
        raise ValueError(f"{what} must have a `state_size` attribute (a size for each state). received cell: {cell!r}")


def output_size_of(cell: Any) -> Any:
    """The cell's `output_size`; that of its first state if it has none."""
    size = getattr(cell, "output_size", None)
    if size is not None:
        return size
    first = cell.state_size
    return first[0] if _nest.is_nested(first) else first


def initial_state_of(cell: Any, inputs: Any, batch_size: int, dtype: Any) -> Any:
    """What the cell gives as its first states, in the structure of `state_size`; zeros if it says nothing."""
    if hasattr(cell, "get_initial_state"):
        states = cell.get_initial_state(inputs=inputs, batch_size=batch_size, dtype=dtype)
        return _nest.pack(cell.state_size, _nest.flatten(states))
    return zero_states(cell.state_size, batch_size, dtype)


def reset_masks(cell: Any) -> None:
    """Let a cell that has dropout draw anew."""
    for name in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
        if hasattr(cell, name):
            getattr(cell, name)()
