"""How TensorFlow's variables, calls, branches, loops, lists and random numbers are read: see `readers`."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras import ops
from distkeras._errors import CaptureError
from distkeras.core.spec import TensorShape
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.keras.saving.exporting.tensorflow.readers import Node, number, numbers, reads

# --- variables; their handles are the variables themselves


@reads("ReadVariableOp")
def _read(node: Node, variable: Variable) -> Tensor:
    return variable.value()


@reads("AssignVariableOp", effect=True)
def _assign(node: Node, variable: Variable, value: Tensor) -> list:
    variable.assign(value)
    return []


@reads("AssignAddVariableOp", effect=True)
def _assign_add(node: Node, variable: Variable, value: Tensor) -> list:
    variable.assign_add(value)
    return []


@reads("AssignSubVariableOp", effect=True)
def _assign_sub(node: Node, variable: Variable, value: Tensor) -> list:
    variable.assign_sub(value)
    return []


@reads("VarIsInitializedOp")
def _is_initialized(node: Node, variable: Variable) -> Tensor:
    return to_tensor(True)


@reads("VariableShape")
def _variable_shape(node: Node, variable: Variable) -> Tensor:
    return ops.shape(variable, node("out_type", "int32"))


# --- calls and branches


@reads("Identity")
def _identity(node: Node, value: Any) -> Any:
    """Of a tensor, a variable or a list."""
    return ops.identity(value) if isinstance(value, Tensor) else value


@reads("PartitionedCall", "StatefulPartitionedCall")
def _call(node: Node, *inputs: Any) -> list[Any]:
    return node.call(node("f"), inputs)


@reads("If", "StatelessIf")
def _if(node: Node, condition: Tensor, *inputs: Any) -> Any:
    if not condition.dtype.is_bool:
        condition = ops.cast(condition, "bool")
    then, other = node("then_branch"), node("else_branch")
    return ops.cond(condition, lambda: node.call(then, inputs), lambda: node.call(other, inputs))


@reads("Case", "StatelessCase")
def _case(node: Node, index: Tensor, *inputs: Any) -> Any:
    return ops.switch_case(index, [lambda name=name: node.call(name, inputs) for name in node("branches")])


@reads("While", "StatelessWhile")
def _while(node: Node, *inputs: Any) -> list[Any]:
    """Variables stay outside of the loop: they are the same in every round."""
    places = [place for place, value in enumerate(inputs) if not isinstance(value, Variable)]

    def whole(values: Any) -> list[Any]:
        merged = list(inputs)
        for place, value in zip(places, values, strict=True):
            merged[place] = value
        return merged

    results = _rounds(node, [inputs[place] for place in places], whole, places)
    return whole(results)


def _rounds(node: Node, values: list[Any], whole: Any, places: list[int]) -> list[Any]:
    """Python's loop while the condition is known, and one loop of the trace from there on."""
    while True:
        proceed = node.call(node("cond"), whole(values))[0]
        if isinstance(proceed, SymbolicTensor):
            break
        if not proceed:
            return values
        after = node.call(node("body"), whole(values))
        values = [after[place] for place in places]

    def body(*tensors: Any) -> list[Any]:
        after = node.call(node("body"), whole(tensors))
        return [_dense(after[place]) for place in places]

    return ops.while_loop(
        lambda *tensors: node.call(node("cond"), whole(tensors))[0], body, [_dense(value) for value in values]
    )


# --- lists of tensors, which are never changed: writing gives another one


class _List:
    """A list of tensors of one type and shape.

    Args:
        elements: None for those that were never written, which are zeros.
    """

    def __init__(self, elements: list[Tensor | None], shape: TensorShape, dtype: Any) -> None:
        self.elements, self.shape, self.dtype = elements, shape, dtype

    def stack(self, shape: TensorShape) -> Tensor:
        known = [element.shape for element in self.elements if element is not None]
        shape = known[0] if known else shape if shape.is_fully_defined() else self.shape
        if not self.elements:
            return ops.zeros((0, *(size or 0 for size in shape)), self.dtype)
        zeros = ops.zeros(shape, self.dtype) if any(element is None for element in self.elements) else None
        return ops.stack([zeros if element is None else element for element in self.elements])


def _dense(value: Any) -> Any:
    """A list as a tensor of all its elements, as which loops carry it whose number of rounds is not known."""
    if isinstance(value, _List) and not (value.shape.is_fully_defined() or any(e is not None for e in value.elements)):
        raise CaptureError("A loop fills a list of tensors whose shape is known only when it runs.")
    return value.stack(value.shape) if isinstance(value, _List) else value


def _shape_of(value: Tensor) -> TensorShape:
    """A shape from an operation's input: -1 for sizes that are open, or instead of a shape."""
    sizes = numbers(value)
    return TensorShape(None) if not value.ndim else TensorShape([None if size < 0 else size for size in sizes])


@reads("TensorListReserve")
def _reserve(node: Node, shape: Tensor, count: Tensor) -> _List:
    return _List([None] * number(count), _shape_of(shape), node("element_dtype"))


@reads("EmptyTensorList")
def _empty(node: Node, shape: Tensor, most: Tensor) -> _List:
    return _List([], _shape_of(shape), node("element_dtype"))


@reads("TensorListFromTensor")
def _from_tensor(node: Node, tensor: Tensor, shape: Tensor) -> _List:
    return _List(list(ops.unstack(tensor)), TensorShape(tensor.shape[1:]), tensor.dtype)


@reads("TensorListStack")
def _stack(node: Node, values: _List | Tensor, shape: Tensor) -> Tensor:
    return values if isinstance(values, Tensor) else values.stack(_shape_of(shape))


@reads("TensorListGetItem")
def _get_item(node: Node, values: _List | Tensor, index: Tensor, shape: Tensor) -> Tensor:
    if isinstance(values, Tensor) or isinstance(index, SymbolicTensor):
        return ops.gather(_stack(node, values, shape), index)
    element = values.elements[number(index)]
    return ops.zeros(values.shape, values.dtype) if element is None else element


@reads("TensorListSetItem")
def _set_item(node: Node, values: _List | Tensor, index: Tensor, element: Tensor) -> _List | Tensor:
    if isinstance(values, Tensor) or isinstance(index, SymbolicTensor):
        whole = values if isinstance(values, Tensor) else values.stack(element.shape)
        return ops.tensor_scatter_nd_update(whole, ops.reshape(index, (1, 1)), ops.expand_dims(element, 0))
    elements, place = list(values.elements), number(index)
    if place >= len(elements) and node("resize_if_index_out_of_bounds", False):
        elements += [None] * (place + 1 - len(elements))
    if not 0 <= place < len(elements):
        raise ValueError(f"the node {node.name!r} writes to place {place} of a list of {len(elements)}")
    elements[place] = element
    return _List(elements, values.shape, values.dtype)


@reads("TensorListPushBack")
def _push_back(node: Node, values: _List, element: Tensor) -> _List:
    return _List([*values.elements, element], values.shape, values.dtype)


@reads("TensorListLength")
def _length(node: Node, values: _List | Tensor) -> Tensor:
    return to_tensor(np.int32(values.shape[0] if isinstance(values, Tensor) else len(values.elements)))


# --- random numbers, of this program's seed


@reads("RandomUniform")
def _random_uniform(node: Node, shape: Tensor) -> Tensor:
    return ops.random_uniform(numbers(shape), dtype=node("dtype"))


@reads("RandomStandardNormal")
def _random_normal(node: Node, shape: Tensor) -> Tensor:
    return ops.random_normal(numbers(shape), dtype=node("dtype"))


@reads("TruncatedNormal")
def _truncated_normal(node: Node, shape: Tensor) -> Tensor:
    return ops.truncated_normal(numbers(shape), dtype=node("dtype"))


# --- what has an effect on nothing that is kept


@reads("NoOp")
def _nothing(node: Node) -> list:
    return []


@reads("Assert", effect=True)
def _assert(node: Node, condition: Tensor, *data: Tensor) -> list:
    ops.Assert(condition, list(data), node("summarize", 3))
    return []
