"""Installs the operators on tensors, variables and slices: x + y is ops.add(x, y), and so on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras.core.indexed_slices import IndexedSlices
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.tensor import Tensor
from distkeras.core.variable import Variable
from distkeras.ops import elementwise as e
from distkeras.ops.indexing import getitem
from distkeras.ops.linalg import matmul


def _binary(function: Callable) -> Callable:
    def operator(self: Any, other: Any) -> Any:
        return function(self, other)

    return operator


def _reflected(function: Callable) -> Callable:
    def operator(self: Any, other: Any) -> Any:
        return function(other, self)

    return operator


def _unary(function: Callable) -> Callable:
    def operator(self: Any) -> Any:
        return function(self)

    return operator


def _comparison(function: Callable, otherwise: bool) -> Callable:
    """== and != with anything: what is no operand, None for one, is simply not equal."""

    def operator(self: Any, other: Any) -> Any:
        if other is None or isinstance(other, dict) or (isinstance(other, str) and self.dtype.name != "string"):
            return otherwise
        return function(self, other)

    return operator


_ARITHMETIC = {
    "add": e.add, "sub": e.subtract, "mul": e.multiply, "truediv": e.divide, "floordiv": e.floordiv, "mod": e.mod,
    "pow": e.pow, "matmul": matmul, "and": e.logical_and, "or": e.logical_or, "xor": e.logical_xor,
}  # fmt: skip
_ORDER = {"lt": e.less, "le": e.less_equal, "gt": e.greater, "ge": e.greater_equal}

for _kind in (Tensor, Variable, IndexedSlices, RaggedTensor):
    for _name, _function in _ARITHMETIC.items():
        setattr(_kind, f"__{_name}__", _binary(_function))
        setattr(_kind, f"__r{_name}__", _reflected(_function))
    for _name, _function in _ORDER.items():
        setattr(_kind, f"__{_name}__", _binary(_function))
    _kind.__eq__ = _comparison(e.equal, False)
    _kind.__ne__ = _comparison(e.not_equal, True)
    _kind.__neg__ = _unary(e.negative)
    _kind.__abs__ = _unary(e.abs)
    _kind.__invert__ = _unary(e.logical_not)

for _kind in (Tensor, IndexedSlices):  # parts of a variable can also be written: see variable_writes
    _kind.__getitem__ = _binary(getitem)
