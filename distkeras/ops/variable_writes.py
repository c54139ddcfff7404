"""Writing to parts of a variable: methods of `tf.Variable`.

>>> import distkeras as tf
>>> v = tf.Variable([0.0, 0.0, 0.0])
>>> v.scatter_add(tf.IndexedSlices([5.0], [1])).numpy().tolist()
[0.0, 5.0, 0.0]
>>> v[1:].assign([2.0, 3.0]).numpy().tolist()
[0.0, 2.0, 3.0]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras.core.indexed_slices import IndexedSlices
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.ops._op import named
from distkeras.ops.elementwise import maximum, minimum
from distkeras.ops.indexing import gather, gather_nd, getitem
from distkeras.ops.scatter import (
    tensor_scatter_nd_add,
    tensor_scatter_nd_sub,
    tensor_scatter_nd_update,
)
from distkeras.ops.shape import broadcast_to, expand_dims, reshape


def _rows(variable: Variable, slices: Any, function: str) -> tuple[Tensor, Tensor]:
    if not isinstance(slices, IndexedSlices):
        raise TypeError(
            f"{function}: sparse_delta is not IndexedSlices: {slices!r}; use tf.IndexedSlices(values, indices)."
        )
    return expand_dims(slices.indices, -1), to_tensor(slices.values, variable.dtype)


def _by_rows(name: str, change: Callable, summary: str) -> Callable:
    """A method that takes IndexedSlices, and does what `change(variable, indices, updates)` gives."""

    def method(self: Variable, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Variable:
        return self.assign(change(self.value(), *_rows(self, sparse_delta, method.__name__)))

    return named(method, name, f"{summary} `tf.IndexedSlices`; gives the variable.")


def _by_index(name: str, change: Callable, summary: str) -> Callable:
    """A method that takes indices and updates, as `tf.tensor_scatter_nd_update` does."""

    def method(self: Variable, indices: Any, updates: Any, name: str | None = None) -> Variable:
        return self.assign(change(self.value(), indices, updates))

    return named(method, name, f"{summary} places given by coordinates; gives the variable.")


def _against_old(combine: Callable) -> Callable:
    """Rows combined with what is there; each row may be named once."""

    def change(value: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        return tensor_scatter_nd_update(value, indices, combine(gather_nd(value, indices), updates))

    return change


def _sparse_read(self: Variable, indices: Any, name: str | None = None) -> Tensor:
    """The rows at `indices`."""
    return gather(self.value(), indices)


def _gather_nd(self: Variable, indices: Any, name: str | None = None) -> Tensor:
    """The elements or slices at coordinates."""
    return gather_nd(self.value(), indices)


def _item(self: Variable, key: Any) -> Tensor:
    """`variable[key]`: a tensor, whose method `assign` writes to these places of the variable, and gives it."""
    part = getitem(self, key)
    part._assign = lambda value: _assign_item(self, key, value)
    return part


def _assign_item(variable: Variable, key: Any, value: Any) -> Variable:
    places = getitem(np.arange(variable.shape.num_elements()).reshape(variable.shape), key)
    updates = broadcast_to(to_tensor(value, like=variable), places.shape)
    flat = tensor_scatter_nd_update(reshape(variable, (-1,)), reshape(places, (-1, 1)), reshape(updates, (-1,)))
    return variable.assign(reshape(flat, variable.shape))


for _method in (
    _by_rows("scatter_add", tensor_scatter_nd_add, "Add"),
    _by_rows("scatter_sub", tensor_scatter_nd_sub, "Subtract"),
    _by_rows("scatter_update", tensor_scatter_nd_update, "Assign"),
    _by_rows("scatter_max", _against_old(maximum), "Take the larger of what is there and of"),
    _by_rows("scatter_min", _against_old(minimum), "Take the smaller of what is there and of"),
    _by_rows("scatter_mul", _against_old(lambda old, new: old * new), "Multiply by"),
    _by_rows("scatter_div", _against_old(lambda old, new: old / new), "Divide by"),
    _by_index("scatter_nd_add", tensor_scatter_nd_add, "Add at"),
    _by_index("scatter_nd_sub", tensor_scatter_nd_sub, "Subtract at"),
    _by_index("scatter_nd_update", tensor_scatter_nd_update, "Assign to"),
    named(_item, "__getitem__", _item.__doc__),
    named(_sparse_read, "sparse_read", "The rows at `indices`."),
    named(_gather_nd, "gather_nd", "The elements or slices at coordinates."),
):
    setattr(Variable, _method.__name__, _method)
