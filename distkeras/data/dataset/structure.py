"""Elements of datasets: structures (tuples, dicts) of arrays, which stages handle as flat lists of leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError
from distkeras.core.ragged_spec import RaggedTensorSpec
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.sparse_tensor import SparseTensor, SparseTensorSpec
from distkeras.core.spec import TensorShape, TensorSpec
from distkeras.core.tensor import Tensor, as_array, to_tensor
from distkeras.core.variable import Variable
from distkeras.data.dataset.sparse import SparseArray
from distkeras.data.ragged import RaggedArray

# Of ndarrays; of SparseArrays and RaggedArrays for sparse and ragged tensors, of datasets where elements hold datasets.
Leaves = list
COMPOSITES = {SparseTensor: SparseArray, RaggedTensor: RaggedArray}
LeafSpec = TensorSpec | SparseTensorSpec | RaggedTensorSpec


class DatasetSpec:
    """What is known of a dataset that is part of an element.

    Attributes:
        element_spec: What is known of its elements.
    """

    def __init__(self, element_spec: Any) -> None:
        self.element_spec = element_spec
        self.shape = TensorShape([])

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, DatasetSpec) and self.element_spec == other.element_spec

    def __hash__(self) -> int:
        return hash(_nest.structure_key(self.element_spec))

    def __repr__(self) -> str:
        return f"DatasetSpec({self.element_spec!r}, {self.shape!r})"


def is_dataset(value: Any) -> bool:
    """Whether `value` is a `tf.data.Dataset`."""
    return hasattr(value, "_stage")


def as_leaf(value: Any) -> np.ndarray | SparseArray | RaggedArray:
    """A tensor, array, number, text or list of them as an ndarray, text as bytes; sparse and ragged ones as theirs.

    Raises:
        TypeError: It is None or of no such kind.
        CaptureError: It is a symbol of a trace.
    """
    if value is None:
        raise TypeError("An element of a dataset cannot hold None: leave the part away, or give an empty tensor.")
    if type(value) in COMPOSITES:
        return COMPOSITES[type(value)].of(value)
    if isinstance(value, Variable):
        value = value.numpy()
    elif isinstance(value, list) and any(isinstance(leaf, (Tensor, Variable)) for leaf in _nest.flatten(value)):
        value = to_tensor(value)
    elif hasattr(value, "__array__") and not isinstance(value, (Tensor, np.ndarray, np.generic)):
        value = np.asarray(value)  # a column of a table: its own type, not that of a list
    array = as_array(value)
    return as_bytes(array) if array.dtype.kind == "O" else array


def as_bytes(array: np.ndarray) -> np.ndarray:
    """Text of an object array encoded as UTF-8, as TensorFlow holds it."""
    if not any(isinstance(item, str) for item in array.flat):
        return array
    encoded = np.empty(array.shape, object)
    for place, item in enumerate(array.flat):
        encoded.flat[place] = item.encode() if isinstance(item, str) else item
    return encoded


def _map_parts(convert: Callable[[Any], Any], value: Any) -> Any:
    """`convert` of each leaf; other than in `_nest`, a list is a leaf, as it is in datasets."""
    if isinstance(value, dict):
        return type(value)((key, _map_parts(convert, part)) for key, part in value.items())
    if isinstance(value, tuple):
        parts = [_map_parts(convert, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return convert(value)


def as_element(value: Any) -> Any:
    """`value` as a structure of tuples and dicts around arrays and datasets; lists become arrays."""
    return _map_parts(lambda leaf: leaf if is_dataset(leaf) else as_leaf(leaf), value)


def as_result(value: Any, what: str, traced: bool = True) -> Any:
    """What a user's function returned, as a structure around tensors and datasets.

    Raises:
        TypeError: It is, or holds, None.
        CaptureError: It holds a dataset while it is traced.
    """

    def convert(leaf: Any) -> Any:
        if leaf is None:
            raise TypeError(f"Unsupported return value from function passed to {what}: {value!r}: return tensors.")
        if is_dataset(leaf):
            if traced:
                raise CaptureError("A dataset is made for each element, which cannot be traced.")
            return leaf
        if type(leaf) in COMPOSITES:
            if traced:
                raise CaptureError(f"A {type(leaf).__name__} is made, whose number of elements is not known before.")
            return leaf
        return to_tensor(leaf)

    # A list is several results, not one tensor to be stacked.
    return _map_parts(convert, tuple(value) if isinstance(value, list) else value)


def spec_of(leaf: Any) -> Any:
    """The spec of a leaf."""
    if is_dataset(leaf):
        return DatasetSpec(leaf.element_spec)
    if isinstance(leaf, RaggedArray):
        return leaf.spec
    return (SparseTensorSpec if isinstance(leaf, SparseArray) else TensorSpec)(leaf.shape, leaf.dtype)


def loosened(leaf: Any) -> Any:
    """The spec of a leaf whose sizes may differ from element to element."""
    spec = spec_of(leaf)
    return spec if is_dataset(leaf) else _with_shape(spec, (None,) * leaf.ndim)


def wrap(leaf: Any) -> Any:
    """A leaf as users see it."""
    if isinstance(leaf, (SparseArray, RaggedArray)):
        return leaf.tensor()
    return leaf if is_dataset(leaf) else Tensor(leaf)


def unwrap(leaf: Any) -> Any:
    """The array of a tensor that a user's function gave; datasets as they are."""
    if type(leaf) in COMPOSITES:
        return COMPOSITES[type(leaf)].of(leaf)
    if not isinstance(leaf, Tensor):
        return leaf
    array = leaf._value("an element of a dataset")
    return as_bytes(array) if array.dtype.kind == "O" else array


def call(function: Callable, element: Any) -> Any:
    """`function` of an element: a tuple is its arguments."""
    return function(*element) if type(element) is tuple else function(element)


def _with_shape(spec: LeafSpec, shape: Any, deeper: int = 0) -> LeafSpec:
    """A spec of the same kind and type; of a ragged one with `deeper` ragged dimensions more."""
    if not isinstance(spec, RaggedTensorSpec):
        return type(spec)(shape, spec.dtype)
    if spec.ragged_rank + deeper < 0:  # a row that is ragged no more has rows like any tensor
        return TensorSpec(shape, spec.dtype)
    return spec.with_shape(shape, spec.ragged_rank + deeper)


def with_leading(spec: Any, size: int | None) -> LeafSpec:
    """The spec of `size` elements stacked.

    Raises:
        TypeError: It is that of a dataset.
    """
    if isinstance(spec, DatasetSpec):
        raise TypeError(
            "Elements that hold datasets (windows) cannot be batched: turn each into tensors first, as in "
            "`.flat_map(lambda window: window.batch(size))`."
        )
    return _with_shape(spec, TensorShape(None) if spec.shape.rank is None else (size, *spec.shape), 1)


def without_leading(spec: LeafSpec) -> LeafSpec:
    """The spec of one row."""
    return _with_shape(spec, TensorShape(None) if spec.shape.rank is None else spec.shape[1:], -1)


def common(one: Any, other: Any) -> Any:
    """The spec of what fits either of two specs: sizes that differ are None.

    Raises:
        TypeError: Their types differ.
    """
    if isinstance(one, DatasetSpec) or isinstance(other, DatasetSpec):
        if one == other:
            return one
        raise TypeError(f"Incompatible dataset elements: {one} vs. {other}.")
    if one.dtype != other.dtype or type(one) is not type(other) or _depth(one) != _depth(other):
        raise TypeError(f"Incompatible dataset elements: {one} vs. {other}.")
    if one.shape.rank is None or other.shape.rank is None or len(one.shape) != len(other.shape):
        return _with_shape(one, TensorShape(None))
    sizes = [left if left == right else None for left, right in zip(one.shape, other.shape, strict=True)]
    return _with_shape(one, sizes)


def _depth(spec: LeafSpec) -> tuple:
    return (spec.ragged_rank, spec.row_splits_dtype) if isinstance(spec, RaggedTensorSpec) else ()


def common_structure(one: Any, other: Any) -> Any:
    """`common` leaf by leaf.

    Raises:
        TypeError: The structures or the types differ.
    """
    try:
        _nest.assert_same_structure(one, other)
    except ValueError as error:
        raise TypeError(f"Incompatible dataset elements: {error}") from None
    return _nest.pack(one, [common(*pair) for pair in zip(_nest.flatten(one), _nest.flatten(other), strict=True)])
