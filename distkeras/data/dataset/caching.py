"""Elements kept after the first pass, in memory or in a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._wire import field, fields
from distkeras.data.dataset.sources import ArrayRows
from distkeras.data.dataset.sparse import SparseArray
from distkeras.data.dataset.stage import Key, Rows, Stage
from distkeras.data.dataset.structure import Leaves
from distkeras.data.files import tensor_from_bytes, tensor_to_bytes
from distkeras.data.ragged import RaggedArray
from distkeras.data.records import TFRecordWriter, read_records


class CachedRows(Rows):
    """Rows as a first pass gave them, read when the first is asked for."""

    def __init__(self, source: Stage) -> None:
        self._source = source
        self._rows: Rows | None = None
        self.spec = source.rows.spec
        self.count = source.cardinality()

    def take(self, numbers: np.ndarray, out: list[np.ndarray] | None = None) -> Leaves:
        if self._rows is None:
            order = np.fromiter(self._source.order(None), np.int64)
            self._rows = ArrayRows(_nest.pack(self.spec, self._source.rows.take(order)))
        return self._rows.take(numbers, out)


class MemoryCache(Stage):
    """Elements kept in memory by the first whole pass."""

    def __init__(self, source: Stage) -> None:
        self.inputs = (source,)
        self._kept: list[Leaves] | None = None
        if source.rows is not None and source.cardinality() >= 0:
            # Rows of arrays in their order are in memory as they are.
            kept = source.is_whole and isinstance(source.rows, ArrayRows)
            self.rows = source.rows if kept else CachedRows(source)
            self.is_whole = True

    def find_spec(self) -> Any:
        return self.inputs[0].known_spec

    def cardinality(self) -> int:
        return self.inputs[0].cardinality()

    def order(self, key: Key) -> Iterator[int]:
        return iter(range(self.rows.count))

    def stream(self, key: Key) -> Iterator[Leaves]:
        if self._kept is not None:
            yield from self._kept
            return
        kept = []
        for leaves in self.inputs[0].elements(key):
            kept.append(leaves)
            yield leaves
        self._kept = kept


class FileCache(Stage):
    """Elements kept in a file by the first whole pass: records of serialized tensors.

    The file is there as a whole or not at all, and later runs of the program read it as well.
    """

    def __init__(self, source: Stage, filename: str) -> None:
        self.inputs = (source,)
        self._path = f"{filename}.tfrecord"

    def find_spec(self) -> Any:
        return self.inputs[0].known_spec

    def cardinality(self) -> int:
        return self.inputs[0].cardinality()

    def stream(self, key: Key) -> Iterator[Leaves]:
        if os.path.exists(self._path):
            for record in read_records(self._path):
                yield [_leaf_from_bytes(*each) for each in fields(record)]
            return
        unfinished = f"{self._path}.{os.uname().nodename}.{os.getpid()}.part"
        try:
            with TFRecordWriter(unfinished) as writer:
                for leaves in self.inputs[0].elements(key):
                    writer.write(b"".join(map(_leaf_to_bytes, leaves)))
                    yield leaves
            os.replace(unfinished, self._path)
        finally:
            if os.path.exists(unfinished):
                os.remove(unfinished)


# The fields of a record: leaf after leaf, arrays, sparse and ragged ones.
_ARRAY, _SPARSE, _RAGGED = 1, 2, 3


def _leaf_to_bytes(leaf: np.ndarray | SparseArray | RaggedArray) -> bytes:
    if isinstance(leaf, SparseArray):
        kind, arrays = _SPARSE, (leaf.indices, leaf.values, np.array(leaf.shape, np.int64))
    elif isinstance(leaf, RaggedArray):
        kind, arrays = _RAGGED, (leaf.values, np.zeros(0, leaf.splits_type), *leaf.nested)
    else:
        return field(_ARRAY, tensor_to_bytes(leaf))
    return field(kind, b"".join(field(_ARRAY, tensor_to_bytes(array)) for array in arrays))


def _leaf_from_bytes(kind: int, content: bytes) -> np.ndarray | SparseArray | RaggedArray:
    if kind == _ARRAY:
        return tensor_from_bytes(content)
    arrays = [tensor_from_bytes(part) for _, part in fields(content)]
    if kind == _SPARSE:
        return SparseArray(*arrays)
    values, empty, *nested = arrays
    return RaggedArray(values, nested, empty.dtype)


def cached(source: Stage, filename: str) -> Stage:
    """The stage for `Dataset.cache(filename)`.

    Raises:
        TypeError: The name is no text.
    """
    if not isinstance(filename, (str, os.PathLike)):
        raise TypeError(f"cache: filename must be a path, or '' for memory, received {filename!r}.")
    return FileCache(source, filename) if filename else MemoryCache(source)
