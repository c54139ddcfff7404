"""Ops on symbolic tensors: `x + 1` or `tf.reduce_mean(x)` in a functional model becomes a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.core import context
from distkeras.core.spec import DType, TensorShape, as_dtype
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.keras_tensor import KerasTensor
from distkeras.keras.layers.naming import unique_name
from distkeras.ops import OPS


class _Place:
    """Where the layer's input number `index` goes among the op's arguments."""

    def __init__(self, index: int) -> None:
        self.index = index


@LAYERS.register(aliases=("OpLayer",))
class TensorFlowOpLayer(Layer):
    """One op, with its constant arguments.

    Args:
        op: The op's registered name.
        args, kwargs: Its arguments, with a place holder for each tensor that the layer is called on.
    """

    _supports_ragged_inputs = True

    _untracked = Layer._untracked | {"args", "kwargs", "arguments"}

    def __init__(self, op: str, args: Any = (), kwargs: Any = None, **options: Any) -> None:
        super().__init__(**{"name": unique_name(f"tf_op_layer_{op}"), "autocast": False, **options})
        self.op = op
        self._function = OPS[op]
        arguments = _decode(list(args)), _decode(dict(kwargs or {}))
        self.__dict__["arguments"] = arguments
        # Variables among the arguments are the layer's weights.
        self.captured = [
            leaf for leaf in _nest.flatten(arguments) if not isinstance(leaf, Tensor) and hasattr(leaf, "assign")
        ]
        self.built = True

    def call(self, inputs: Any) -> Any:
        tensors = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        args, kwargs = _map(lambda leaf: tensors[leaf.index] if isinstance(leaf, _Place) else leaf, self.arguments)
        return self._function(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        args, kwargs = self.arguments
        return {**super().get_config(), "op": self.op, "args": _encode(args), "kwargs": _encode(kwargs)}


def apply_op(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """What `function(*args, **kwargs)` is when KerasTensors are among the arguments: the output of a new layer.

    The op's `name` becomes part of the layer's, as in TensorFlow.
    """
    op = OPS.name_of(function)
    if op is None:
        raise TypeError(
            f"{function!r} is not a registered op and cannot be part of a functional model; use a Lambda layer."
        )
    inputs: list[KerasTensor] = []

    def place(leaf: Any) -> Any:
        if not isinstance(leaf, KerasTensor):
            return leaf
        inputs.append(leaf)
        return _Place(len(inputs) - 1)

    name = kwargs.pop("name", None)
    options = {} if name is None else {"name": unique_name(f"tf_op_layer_{name}")}
    args, kwargs = _map(place, (list(args), kwargs))
    return TensorFlowOpLayer(op, args, kwargs, **options)(inputs[0] if len(inputs) == 1 else inputs)


def _map(function: Callable, value: Any) -> Any:
    """`function` of each leaf, in slices as well, keeping the kinds of containers."""
    if isinstance(value, dict):
        return {key: _map(function, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not isinstance(value, TensorShape):
        return type(value)(_map(function, item) for item in value)
    if isinstance(value, slice):
        return slice(*(_map(function, item) for item in (value.start, value.stop, value.step)))
    return function(value)


# --- arguments in configs: what JSON has no form for is {"kind": ..., "value": ...}


def _encode(value: Any) -> Any:
    if isinstance(value, dict):
        return {"kind": "dict", "value": {key: _encode(item) for key, item in value.items()}}
    if isinstance(value, tuple):
        return {"kind": "tuple", "value": [_encode(item) for item in value]}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, slice):
        return {"kind": "slice", "value": [_encode(item) for item in (value.start, value.stop, value.step)]}
    if isinstance(value, _Place):
        return {"kind": "input", "value": value.index}
    if value is Ellipsis:
        return {"kind": "ellipsis", "value": None}
    if isinstance(value, (DType, np.dtype, type)):
        return {"kind": "dtype", "value": as_dtype(value).name}
    if isinstance(value, (Tensor, np.ndarray, np.generic)) or hasattr(value, "assign"):
        array = np.asarray(value)
        return {"kind": "array", "value": {"dtype": array.dtype.name, "values": array.tolist()}}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"The argument {value!r} of an op in a functional model has no form in a config; use a Lambda layer."
    )


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "dict": lambda value: {key: _decode(item) for key, item in value.items()},
    "tuple": lambda value: tuple(_decode(item) for item in value),
    "slice": lambda value: slice(*map(_decode, value)),
    "input": _Place,
    "ellipsis": lambda value: Ellipsis,
    "dtype": as_dtype,
    "array": lambda value: np.array(value["values"], as_dtype(value["dtype"]).numpy),
}


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"kind", "value"} and value["kind"] in _DECODERS:
            return _DECODERS[value["kind"]](value["value"])
        return {key: _decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return value


context.set_symbolic_call(apply_op)
