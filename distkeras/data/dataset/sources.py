"""Stages that begin a dataset: arrays, numbers in sequence, Python generators, lists of elements."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import InvalidArgumentError
from distkeras.core.spec import TensorSpec, as_dtype
from distkeras.core.tensor import Tensor
from distkeras.data.dataset.stage import INFINITE, UNKNOWN, Key, Rows, Stage, scalar_spec
from distkeras.data.dataset.structure import (
    Leaves,
    as_bytes,
    as_element,
    as_leaf,
    is_dataset,
    spec_of,
    without_leading,
)
from distkeras.ops._op import integer


class ArrayRows(Rows):
    """The rows of arrays.

    Args:
        structure: Arrays in the structure of the elements; all have as many rows.
    """

    def __init__(self, structure: Any) -> None:
        self._arrays = _nest.flatten(structure)
        self.count = self._arrays[0].shape[0]
        self.spec = _nest.map_structure(lambda array: without_leading(spec_of(array)), structure)

    def take(self, numbers: np.ndarray, out: list[np.ndarray] | None = None) -> Leaves:
        first, last = int(numbers[0]), int(numbers[-1])
        if last - first == len(numbers) - 1 and (numbers[1:] > numbers[:-1]).all():  # one after the other
            return _copied([array[first : last + 1] for array in self._arrays], out)
        if out is None:
            return [array.take(numbers, axis=0) for array in self._arrays]
        for array, place in zip(self._arrays, out, strict=True):
            array.take(numbers, axis=0, out=place, mode="clip")  # other modes go through a buffer
        return out


def _copied(arrays: Leaves, out: list[np.ndarray] | None) -> Leaves:
    if out is None:
        return [array.copy() for array in arrays]
    for array, place in zip(arrays, out, strict=True):
        np.copyto(place, array)
    return out


class NumberRows(Rows):
    """The numbers start, start + step, ..."""

    def __init__(self, start: int, step: int, count: int | None) -> None:
        self._start, self._step, self.count = start, step, count
        self.spec = scalar_spec("int64")

    def take(self, numbers: np.ndarray, out: list[np.ndarray] | None = None) -> Leaves:
        return _copied([self._start + self._step * numbers], out)


class WholeStage(Stage):
    """All rows of something with random access, in their order."""

    is_whole = True

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def find_spec(self) -> Any:
        return self.rows.spec

    def order(self, key: Key) -> Iterator[int]:
        return itertools.count() if self.rows.count is None else iter(range(self.rows.count))

    def cardinality(self) -> int:
        return INFINITE if self.rows.count is None else self.rows.count


def slices_of(tensors: Any) -> Stage:
    """The rows of arrays, nested as elements are to be.

    Raises:
        ValueError: An array has no rows, or they have different numbers of them.
    """
    structure = as_element(tensors)
    leaves = _nest.flatten(structure)
    if not leaves:
        raise ValueError("Invalid `tensors`: there is no tensor to take slices of.")
    for leaf in leaves:
        if not leaf.ndim:
            raise ValueError(
                f"Unbatching a tensor is only supported for rank >= 1, received the scalar {leaf[()]!r}: use "
                "`from_tensors` for a dataset of one element."
            )
        if leaf.shape[0] != leaves[0].shape[0]:
            raise ValueError(
                f"Dimensions {leaves[0].shape[0]} and {leaf.shape[0]} are not compatible: from_tensor_slices needs "
                f"as many rows in each tensor, received the shapes {[array.shape for array in leaves]}."
            )
    return WholeStage(ArrayRows(structure))


def numbers(*args: Any) -> Stage:
    """The int64 numbers that Python's `range` gives.

    Raises:
        TypeError: An argument is no integer.
        ValueError: There are not one to three arguments, or the step is 0.
    """
    if not 1 <= len(args) <= 3:
        raise ValueError(f"Invalid `args`. The length of `args` should be between 1 and 3 but was {len(args)}.")
    whole = range(*(integer(arg, "each argument of range") for arg in args))
    return WholeStage(NumberRows(whole.start, whole.step, len(whole)))


class ElementsStage(Stage):
    """Elements that are there already.

    Args:
        elements: Lists of leaves.
        spec: The structure of their specs.
    """

    def __init__(self, elements: Sequence[Leaves], spec: Any) -> None:
        self._elements = elements
        self._spec = spec

    def find_spec(self) -> Any:
        return self._spec

    def stream(self, key: Key) -> Iterator[Leaves]:
        return iter(self._elements)

    def cardinality(self) -> int:
        return len(self._elements)


def single(tensors: Any) -> Stage:
    """One element."""
    structure = as_element(tensors)
    leaves = _nest.flatten(structure)
    if not leaves:
        raise ValueError("Invalid `tensors`: an element must hold a tensor.")
    return ElementsStage([leaves], _nest.map_structure(spec_of, structure))


class GeneratorStage(Stage):
    """What a Python generator yields.

    Args:
        generator: Called for each pass; gives an iterable.
        spec: The structure of the specs that what it yields must fit.
        args: Tensors that `generator` is called with, as arrays.
    """

    runs_python = True

    def __init__(self, generator: Callable[..., Any], spec: Any, args: Any = ()) -> None:
        self._generator = generator
        self._args = [as_leaf(arg) for arg in args]
        self._spec = spec
        self._specs = _nest.flatten(spec)

    def find_spec(self) -> Any:
        return self._spec

    def cardinality(self) -> int:
        return UNKNOWN

    def stream(self, key: Key) -> Iterator[Leaves]:
        for item in iter(self._generator(*(Tensor(arg).numpy() for arg in self._args))):
            yield [
                _fitted(value, spec)
                for value, spec in zip(_parts(item, self._spec, self._spec), self._specs, strict=True)
            ]


def generator_spec(output_types: Any, output_shapes: Any) -> Any:
    """The specs that a generator's elements must fit, of types and, if given, shapes in the same structure."""
    if output_shapes is None:
        return _map_types(lambda dtype, shape: TensorSpec(None, dtype), output_types, output_types)
    return _map_types(lambda dtype, shape: TensorSpec(shape, dtype), output_types, output_shapes)


def _map_types(make: Callable, types: Any, shapes: Any) -> Any:
    """Types have the structure; a shape may be a tuple or list itself."""
    if isinstance(types, dict):
        return type(types)((key, _map_types(make, types[key], shapes[key])) for key in types)
    if isinstance(types, tuple):
        if not isinstance(shapes, tuple) or len(shapes) != len(types):
            raise ValueError(
                f"`output_shapes` must have the structure of `output_types` {types!r}, received {shapes!r}."
            )
        return tuple(_map_types(make, *pair) for pair in zip(types, shapes, strict=True))
    return make(as_dtype(types), shapes)


def _parts(item: Any, spec: Any, whole: Any) -> list:
    """The leaves of what a generator yielded, found by the structure that is expected."""
    if isinstance(spec, dict) and isinstance(item, dict) and set(item) == set(spec):
        return [leaf for key in _nest.sorted_keys(spec) for leaf in _parts(item[key], spec[key], whole)]
    if isinstance(spec, tuple) and isinstance(item, (tuple, list)) and len(item) == len(spec):
        return [leaf for part, inner in zip(item, spec, strict=True) for leaf in _parts(part, inner, whole)]
    if isinstance(spec, (dict, tuple)):
        raise InvalidArgumentError(
            "`generator` yielded an element that did not match the expected structure. The expected structure was "
            f"{whole}, but the yielded element was {item!r}."
        )
    return [item]


def _fitted(value: Any, spec: TensorSpec) -> np.ndarray:
    try:
        if isinstance(value, (Tensor, np.ndarray, np.generic)) or is_dataset(value):
            array = as_leaf(value)
        else:
            array = as_bytes(np.asarray(value, spec.dtype.numpy)) if _is_lossless(value, spec) else None
    except (TypeError, ValueError):
        array = None
    if array is None or (array.dtype != spec.dtype.numpy and not _may_cast(array, spec)):
        raise InvalidArgumentError(
            f"`generator` yielded an element that could not be converted to the expected type. The expected type was "
            f"{spec.dtype.name}, but the yielded element was {value!r}."
        )
    array = np.asarray(array, spec.dtype.numpy, order="C")
    if not spec.shape.is_compatible_with(array.shape):
        raise InvalidArgumentError(
            f"`generator` yielded an element of shape {array.shape} where an element of shape {spec.shape} was "
            "expected."
        )
    return array


def _is_lossless(value: Any, spec: TensorSpec) -> bool:
    """Whether Python numbers keep their value in the type: 2.5 is no int."""
    array = np.asarray(value)
    return spec.dtype.numpy.kind not in "iub" or array.dtype.kind in "iub" or not array.size


def _may_cast(array: np.ndarray, spec: TensorSpec) -> bool:
    return array.dtype.kind in "iubf" and np.can_cast(array.dtype, spec.dtype.numpy, "same_kind")
