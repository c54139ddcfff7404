"""Stages that join elements to batches, and take batches apart: batch, padded_batch, unbatch, window."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import DataLossError, InvalidArgumentError
from distkeras.core.spec import TensorShape, TensorSpec
from distkeras.core.tensor import as_array
from distkeras.data.dataset.sources import ElementsStage
from distkeras.data.dataset.sparse import SparseArray, stacked_sparse
from distkeras.data.dataset.stage import UNKNOWN, Key, Part, Stage, blocks
from distkeras.data.dataset.structure import DatasetSpec, Leaves, with_leading, without_leading
from distkeras.data.ragged import RaggedArray, stacked_ragged
from distkeras.data.sharding import shard_bounds


def check_batch_size(batch_size: int) -> int:
    """`batch_size` as an int.

    Raises:
        InvalidArgumentError: It is not positive.
    """
    if int(batch_size) < 1:
        raise InvalidArgumentError(f"Batch size must be greater than zero, received {batch_size}.")
    return int(batch_size)


def count_batches(count: int, batch_size: int, drop_remainder: bool) -> int:
    """How many batches so many elements make; INFINITE and UNKNOWN stay what they are."""
    return count if count < 0 else count // batch_size if drop_remainder else -(-count // batch_size)


class Batch(Stage):
    """Elements of one shape, stacked."""

    def __init__(self, source: Stage, batch_size: int, drop_remainder: bool) -> None:
        self.inputs = (source,)
        self._size = check_batch_size(batch_size)
        self._drops = drop_remainder
        self.known_spec  # noqa: B018  raises for elements that cannot be batched

    def find_spec(self) -> Any:
        known = self.inputs[0].known_spec
        size = self._size if self._drops else None
        return None if known is None else _nest.map_structure(lambda spec: with_leading(spec, size), known)

    def cardinality(self) -> int:
        return count_batches(self.inputs[0].cardinality(), self._size, self._drops)

    def _blocks(self, key: Key) -> Iterator[np.ndarray]:
        for numbers in blocks(self.inputs[0].order(key), self._size):
            if len(numbers) == self._size or not self._drops:
                yield numbers

    def stream(self, key: Key) -> Iterator[Leaves]:
        rows = self.inputs[0].rows
        if rows is not None:
            yield from map(rows.take, self._blocks(key))
            return
        for group in groups(self.inputs[0].elements(key), self._size, self._drops):
            yield stacked(group)

    @property
    def divides(self) -> bool:
        return self.inputs[0].rows is not None

    def parts(self, key: Key, rank: int, count: int) -> Iterator[Part]:
        rows = self.inputs[0].rows
        if rows is None:
            yield from super().parts(key, rank, count)
            return
        for numbers in self._blocks(key):
            start, stop = shard_bounds(len(numbers), rank, count)
            leaves = rows.take(numbers[start : max(stop, start + 1)])
            yield Part(len(numbers), start, stop - start, leaves)


def groups(elements: Iterator[Leaves], size: int, drop_remainder: bool) -> Iterator[list[Leaves]]:
    """So many elements at a time, the last ones perhaps fewer."""
    while group := list(itertools.islice(elements, size)):
        if len(group) == size or not drop_remainder:
            yield group


def stacked(elements: list[Leaves]) -> Leaves:
    """Elements as a batch.

    Raises:
        InvalidArgumentError: Their shapes differ.
    """
    batch = []
    for place, parts in enumerate(zip(*elements, strict=True)):
        if all(isinstance(part, SparseArray) for part in parts):
            batch.append(stacked_sparse(parts))
            continue
        if all(isinstance(part, RaggedArray) for part in parts):
            batch.append(stacked_ragged(parts))
            continue
        if not all(isinstance(part, np.ndarray) for part in parts):
            with_leading(DatasetSpec(None), None)
        for number, part in enumerate(parts):
            if part.shape != parts[0].shape:
                raise InvalidArgumentError(
                    f"Cannot batch tensors with different shapes in component {place}. First element had shape "
                    f"{list(parts[0].shape)} and element {number} had shape {list(part.shape)}: bring them to one "
                    "shape with `map`, or use `padded_batch`."
                )
        batch.append(np.stack(parts))
    return batch


# --- padding


class PaddedBatch(Stage):
    """Elements padded at their ends to one shape, and stacked.

    Args:
        padded_shapes: For each leaf, in the elements' structure, the shape to pad to; None or -1 for as much as the
            batch's largest element needs. None pads every size.
        padding_values: For each leaf the value to pad with; by default 0 or the empty text.
    """

    def __init__(
        self, source: Stage, batch_size: int, padded_shapes: Any, padding_values: Any, drop_remainder: bool
    ) -> None:
        self.inputs = (source,)
        self._size = check_batch_size(batch_size)
        self._drops = drop_remainder
        specs = _nest.flatten(source.spec)
        for spec in specs:
            if not isinstance(spec, TensorSpec):
                raise TypeError(
                    "`padded_batch` is only supported for datasets that produce tensor elements, received elements "
                    f"with {spec}: `batch` joins sparse and ragged tensors, which tf.sparse.to_dense and "
                    "ragged.to_tensor() make dense."
                )
        self._shapes = _padded_shapes(source.spec, padded_shapes)
        self._values = _padding_values(source.spec, padding_values)
        for spec, shape in zip(specs, self._shapes, strict=True):
            _check_padding(spec, shape)

    def find_spec(self) -> Any:
        source = self.inputs[0].known_spec
        size = self._size if self._drops else None
        specs = [
            TensorSpec((size, *shape), spec.dtype)
            for spec, shape in zip(_nest.flatten(source), self._shapes, strict=True)
        ]
        return _nest.pack(source, specs)

    def cardinality(self) -> int:
        return count_batches(self.inputs[0].cardinality(), self._size, self._drops)

    def stream(self, key: Key) -> Iterator[Leaves]:
        for group in groups(self.inputs[0].elements(key), self._size, self._drops):
            columns = zip(*group, strict=True)
            yield [padded(*column) for column in zip(columns, self._shapes, self._values, strict=True)]


def padded(parts: tuple[np.ndarray, ...], shape: tuple[int | None, ...], value: np.ndarray) -> np.ndarray:
    """Arrays stacked, each filled up to `shape`, whose None are the largest sizes there are.

    Raises:
        DataLossError: An array is larger than `shape`.
    """
    largest = [max(sizes) for sizes in zip(*(part.shape for part in parts), strict=True)]
    if len(largest) != len(shape):
        raise InvalidArgumentError(f"Expected elements of {len(shape)} dimensions to pad, received {parts[0].shape}.")
    wanted = [most if size is None else size for size, most in zip(shape, largest, strict=True)]
    if any(most > size for size, most in zip(wanted, largest, strict=True)):
        raise DataLossError(
            f"Attempted to pad to a smaller size than the input element: to {tuple(wanted)}, an element of "
            f"{tuple(largest)}: enlarge `padded_shapes`, or give None there."
        )
    out = np.empty((len(parts), *wanted), parts[0].dtype)
    out.fill(value[()])
    for number, part in enumerate(parts):
        out[(number, *(slice(size) for size in part.shape))] = part[()]
    return out


def _padded_shapes(structure: Any, padded_shapes: Any) -> list[tuple[int | None, ...]]:
    specs = _nest.flatten(structure)
    if padded_shapes is None:
        if any(spec.shape.rank is None for spec in specs):
            raise ValueError("`padded_shapes` must be given where the elements' number of dimensions is not known.")
        return [tuple(spec.shape) for spec in specs]
    found = _by_structure(structure, padded_shapes, "padded_shapes", _is_shape)
    return [tuple(None if size in (None, -1) else int(size) for size in as_sizes(shape)) for shape in found]


def as_sizes(shape: Any) -> tuple:
    """A shape as a tuple: of a TensorShape, list, tuple, tensor or single size."""
    if isinstance(shape, (TensorShape, tuple, list)):
        return tuple(shape)
    array = as_array(shape)
    return tuple(array.reshape(-1).tolist())


def _is_shape(value: Any) -> bool:
    return isinstance(value, TensorShape) or (
        not isinstance(value, dict) and all(size is None or not _nest.is_nested(size) for size in as_sizes(value))
    )


def _by_structure(structure: Any, values: Any, name: str, is_value: Callable[[Any], bool]) -> list:
    """The values for each leaf of a structure; values may look like structures themselves."""
    if isinstance(structure, dict) and isinstance(values, dict) and set(values) == set(structure):
        keys = _nest.sorted_keys(structure)
        return [found for key in keys for found in _by_structure(structure[key], values[key], name, is_value)]
    if isinstance(structure, tuple) and isinstance(values, (tuple, list)) and len(values) == len(structure):
        pairs = zip(structure, values, strict=True)
        return [found for part, inner in pairs for found in _by_structure(part, inner, name, is_value)]
    if _nest.is_nested(structure) or not is_value(values):
        raise ValueError(f"`{name}` must have the structure of the elements, {structure}; received {values!r}.")
    return [values]


def _padding_values(structure: Any, padding_values: Any) -> list[np.ndarray]:
    specs = _nest.flatten(structure)
    if padding_values is None:
        given: list = [None] * len(specs)
    elif _nest.is_nested(padding_values):
        given = _by_structure(structure, padding_values, "padding_values", lambda value: not _nest.is_nested(value))
    else:
        given = [padding_values] * len(specs)
    return [_padding_value(*pair) for pair in zip(given, specs, strict=True)]


def _padding_value(value: Any, spec: TensorSpec) -> np.ndarray:
    if value is None:
        return np.array(b"" if spec.dtype.name == "string" else 0, spec.dtype.numpy)
    array = as_array(value) if hasattr(value, "dtype") else as_array(value, spec.dtype)
    if array.dtype != spec.dtype.numpy or array.ndim:
        raise TypeError(
            f"Mismatched type between padding value {value!r} and input dataset's component of type "
            f"{spec.dtype.name}: give a single value of that type."
        )
    return np.array(array[()].encode() if isinstance(array[()], str) else array[()], spec.dtype.numpy)


def _check_padding(spec: TensorSpec, shape: tuple[int | None, ...]) -> None:
    fits = spec.shape.rank is None or (
        len(shape) == len(spec.shape)
        and all(size is None or had is None or size >= had for size, had in zip(shape, spec.shape, strict=True))
    )
    if not fits:
        raise ValueError(
            f"The padded shape {shape} is not compatible with the shape {spec.shape} of the corresponding input "
            "component: it needs as many dimensions, none smaller."
        )


# --- taking apart


class Unbatch(Stage):
    """The rows of each element."""

    def __init__(self, source: Stage) -> None:
        self.inputs = (source,)
        for spec in _nest.flatten(source.known_spec or ()):
            if not isinstance(spec, DatasetSpec) and spec.shape.rank == 0:
                raise ValueError("Cannot unbatch an input with scalar components: there is no axis to split.")

    def find_spec(self) -> Any:
        known = self.inputs[0].known_spec
        return None if known is None else _nest.map_structure(without_leading, known)

    def cardinality(self) -> int:
        return UNKNOWN

    def stream(self, key: Key) -> Iterator[Leaves]:
        for leaves in self.inputs[0].elements(key):
            sizes = {leaf.shape[:1] for leaf in leaves}
            if len(sizes) > 1 or () in sizes:
                raise InvalidArgumentError(
                    f"unbatch needs as many rows in each part, received {[leaf.shape for leaf in leaves]}."
                )
            for i in range(leaves[0].shape[0]):
                yield [leaf[i, ...] for leaf in leaves]


class Window(Stage):
    """Datasets of `size` elements each, every `stride`-th one, beginning every `shift` elements.

    Args:
        make_dataset: Makes a dataset of a stage.
    """

    def __init__(
        self, source: Stage, size: int, shift: int | None, stride: int, drop_remainder: bool, make_dataset: Callable
    ) -> None:
        self.inputs = (source,)
        self._size, self._shift, self._stride = size, size if shift is None else shift, stride
        for name in ("size", "shift", "stride"):
            if getattr(self, f"_{name}") < 1:
                raise InvalidArgumentError(
                    f"Window {name} must be greater than zero, received {getattr(self, f'_{name}')}."
                )
        self._drops = drop_remainder
        self._make_dataset = make_dataset

    def find_spec(self) -> Any:
        known = self.inputs[0].known_spec
        return None if known is None else _nest.map_structure(DatasetSpec, known)

    def cardinality(self) -> int:
        count = self.inputs[0].cardinality()
        if count < 0:
            return count
        reach = (self._size - 1) * self._stride + 1
        if self._drops:
            return max(0, (count - reach) // self._shift + 1)
        return -(-count // self._shift)

    def stream(self, key: Key) -> Iterator[Leaves]:
        elements = self.inputs[0].elements(key)
        reach = (self._size - 1) * self._stride + 1
        held: list[Leaves] = []
        ended = False
        while True:
            while len(held) < reach and not ended:
                taken = list(itertools.islice(elements, reach - len(held)))
                held += taken
                ended = not taken
            if not held or (self._drops and len(held) < reach):
                return
            yield self._windows(held[: reach : self._stride])
            missing = self._shift - len(held)
            held = held[self._shift :]
            if missing > 0:  # elements between two windows
                skipped = sum(1 for _ in itertools.islice(elements, missing))
                ended = ended or skipped < missing

    def _windows(self, elements: list[Leaves]) -> Leaves:
        """A dataset for each leaf."""
        specs = _nest.flatten(self.inputs[0].known_spec)
        return [
            self._make_dataset(ElementsStage([[leaves[place]] for leaves in elements], spec))
            for place, spec in enumerate(specs)
        ]
