"""Functions of one element made into functions of many at once, where that provably gives the same.

A value that depends on the element gets a leading axis, along which nothing is mixed: each equation is either
element-wise, or one of the few that move elements and have a rule here. Anything else is left to be run per element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras.core.primitive import PRIMITIVES, bind
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor
from distkeras.graph.ir import Equation, Graph, Value
from distkeras.graph.trace import trace

# Primitive -> (parameters, number of elements) -> its parameters for a leading axis.
_MOVING: dict[str, Callable[[dict, int], dict]] = {
    "reshape": lambda params, count: {"shape": (count, *params["shape"])},
    "broadcast_to": lambda params, count: {"shape": (count, *params["shape"])},
    "transpose": lambda params, count: {"perm": (0, *(axis + 1 for axis in params["perm"]))},
    "slice": lambda params, count: {"index": ((0, count, 1), *params["index"])},
    "parse_example": lambda params, count: params,
    "decode_raw": lambda params, count: params,
}


def can_lift(graph: Graph) -> bool:
    """Whether every equation has a rule, and every output is a result of the elements."""
    known = set(graph.inputs)
    for equation in graph.equations:
        if any(value in known for value in equation.inputs):
            primitive = equation.primitive
            if primitive.expression(**equation.params) is None and primitive.name not in _MOVING:
                return False
            known.update(equation.outputs)
    return all(value in known for value in graph.outputs)


def keeps_rows(graph: Graph) -> bool:
    """Whether each row of the outputs depends on the same row of the inputs alone."""
    rows = {value.spec.shape[:1] for value in graph.inputs}
    known = set(graph.inputs)
    if len(rows) != 1 or () in rows:
        return False
    for equation in graph.equations:
        if not any(value in known for value in equation.inputs):
            continue
        rank = len(equation.outputs[0].spec.shape)
        beside = [value.spec.shape for value in equation.inputs if value not in known]
        if (
            equation.primitive.expression(**equation.params) is None
            or any(value in known and len(value.spec.shape) != rank for value in equation.inputs)
            or any(len(shape) == rank and shape[0] != 1 for shape in beside)
        ):
            return False
        known.update(equation.outputs)
    return all(value in known for value in graph.outputs)


def lifted(graph: Graph, count: int) -> Graph:
    """The graph for `count` elements, stacked along a leading axis of each input and output."""
    specs = [TensorSpec((count, *value.spec.shape), value.spec.dtype) for value in graph.inputs]

    def run(*inputs: Tensor) -> list[Tensor]:
        known: dict[Value, Tensor] = {**graph.constants, **dict(zip(graph.inputs, inputs, strict=True))}
        many = set(graph.inputs)
        for equation in graph.equations:
            outputs = _run(equation, known, many, count)
            known.update(zip(equation.outputs, outputs, strict=True))
        return [known[value] for value in graph.outputs]

    return trace(run, specs)[0]


def _run(equation: Equation, known: dict[Value, Tensor], many: set[Value], count: int) -> tuple[Tensor, ...]:
    primitive, params = equation.primitive, equation.params
    operands = [known[value] for value in equation.inputs]
    if any(value in many for value in equation.inputs):
        many.update(equation.outputs)
        if primitive.name in _MOVING:
            params = _MOVING[primitive.name](params, count)
        else:
            rank = len(equation.outputs[0].spec.shape)
            operands = [
                _aligned(tensor, value, rank, count) if value in many else tensor
                for tensor, value in zip(operands, equation.inputs, strict=True)
            ]
    outputs = bind(primitive, *operands, **params)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _aligned(tensor: Tensor, value: Value, rank: int, count: int) -> Tensor:
    """Sizes of 1 after the leading axis, so that the others stay beside those they were beside."""
    shape: tuple[Any, ...] = tuple(value.spec.shape)
    if len(shape) == rank:
        return tensor
    return bind(PRIMITIVES["reshape"], tensor, shape=(count, *(1,) * (rank - len(shape)), *shape))
