"""Data held as arrays: NumPy arrays, tensors, nested lists of numbers, DataFrames, HDF5 datasets, memory maps.

Nothing is copied as a whole: a batch's rows are read, and cast, when the batch is made. What lies in a file in chunks
is read by one rank of each node for all (data/node.py), so that no chunk is decompressed by each of them; of everything
else a rank reads its own rows.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.tensor import Tensor, as_array
from distkeras.core.variable import Variable
from distkeras.data.adapter import ADAPTERS, Data, DataAdapter, DataOptions, GlobalBatch, Place
from distkeras.data.chunks import ChunkedRows, by_chunks
from distkeras.data.hdf5 import check_is_whole, is_in_chunks, place_of
from distkeras.data.node import NodeReader
from distkeras.data.ragged import RaggedArray
from distkeras.data.sharding import BatchPlan, Rows, num_rows, part_of, span_of
from distkeras.ops.sparse import to_dense

DEFAULT_BATCH_SIZE = 32


def is_array(value: Any) -> bool:
    """Whether `value` is something with a shape, a type and rows: an ndarray, tensor, DataFrame, HDF5 dataset.

    DataFrames and sparse matrices are known by their methods, so that their libraries need not be there.
    """
    if (
        isinstance(value, (np.ndarray, Tensor, Variable, SparseTensor, RaggedTensor))
        or hasattr(value, "iloc")
        or hasattr(value, "tocsr")
    ):
        return True
    return all(hasattr(value, name) for name in ("shape", "dtype", "__getitem__", "__len__"))


def is_list_of_numbers(value: Any) -> bool:
    """Whether `value` is a nested list of Python numbers, which is one array and not a list of arrays."""
    if isinstance(value, (list, tuple)):
        return bool(value) and is_list_of_numbers(value[0])
    return isinstance(value, (bool, int, float, np.number, np.bool_))


def as_rows(value: Any, what: str, text: bool = False) -> Any:
    """`value` as something with a shape, whose first axis counts samples.

    Args:
        value: An array of any kind, or a nested list of numbers.
        what: How messages call it.
        text: Whether its elements may be texts.

    Returns:
        An ndarray without a copy where one exists; HDF5 datasets and the like are returned as they are, to be read
        batch by batch, sparse matrices as their `SparseRows`, and ragged tensors as their RaggedArrays.

    Raises:
        ValueError: It is no array, its elements are not numbers, or it has no axis of samples.
    """
    if hasattr(value, "iloc"):
        value = _frame_to_array(value)
    elif hasattr(value, "tocsr"):
        value = SparseRows(value.tocsr())
    elif isinstance(value, SparseTensor):
        value = to_dense(value, validate_indices=False).numpy()
    elif isinstance(value, RaggedTensor):
        value = RaggedArray.of(value)
    elif isinstance(value, Variable):
        value = value.numpy()
    elif not is_array(value) or isinstance(value, Tensor) or not _has_numpy_dtype(value):
        value = _converted(value, what)
    if not len(value.shape):
        raise ValueError(f"{what}: expected an array whose first axis counts samples, received the scalar {value!r}.")
    kind = np.dtype(value.dtype).kind
    if text and kind in "SUO" and isinstance(value, np.ndarray):
        return _converted(value, what)
    if kind not in "biuf":
        raise ValueError(
            f"{what}: expected an array of numbers, received one of dtype {value.dtype} and shape {value.shape}: "
            "encode text and objects as numbers first."
        )
    return value


def _converted(value: Any, what: str) -> np.ndarray:
    try:
        return as_array(value)
    except (TypeError, ValueError) as error:
        ragged = "non-rectangular" in str(error)
        advice = " tf.keras.preprocessing.sequence.pad_sequences makes rows of one length." if ragged else ""
        raise ValueError(f"{what}: cannot be made into an array: {str(error).rstrip('.')}.{advice}") from None


def _frame_to_array(frame: Any) -> np.ndarray:
    array = frame.to_numpy()
    dtypes = getattr(frame, "dtypes", None)
    kinds = {getattr(dtype, "kind", "O") for dtype in (dtypes if np.iterable(dtypes) else [dtypes])}
    if array.dtype == object and kinds <= set("biuf"):  # numbers of several types, or with gaps
        return frame.to_numpy(dtype="float64", na_value=np.nan)
    return array


def _has_numpy_dtype(value: Any) -> bool:
    try:
        np.dtype(value.dtype)
    except TypeError:  # a tensor of another library
        return False
    return True


def expand_vector(value: Any) -> Any:
    """Samples that are single numbers as rows of one number: shape (n,) becomes (n, 1)."""
    if len(value.shape) != 1:
        return value
    return value[:, None] if isinstance(value, np.ndarray) else np.asarray(value)[:, None]


def take(array: Any, rows: Rows, float_type: str) -> np.ndarray | RaggedArray:
    """The given rows; floating-point numbers as `float_type`.

    Raises:
        OSError: They cannot be read from their file.
    """
    if isinstance(array, np.ndarray):
        taken = np.asarray(array[rows])
    elif isinstance(array, RaggedArray):
        taken = array[rows]
    else:
        try:
            taken = _rows_of_file(array, rows)
            check_is_whole(array)
        except OSError as error:
            raise OSError(f"Rows of {place_of(array)} cannot be read: {error}") from error
    if taken.dtype.kind == "f" and taken.dtype != float_type:
        return taken.astype(float_type)
    return taken


def _rows_of_file(array: Any, rows: Rows) -> np.ndarray:
    if isinstance(rows, slice) or isinstance(array, ChunkedRows):
        return np.asarray(array[rows])
    # HDF5 reads a selection only in increasing order.
    order = np.argsort(rows, kind="stable")
    taken = np.empty((len(rows), *array.shape[1:]), array.dtype)
    if len(rows):
        taken[order] = array[rows[order]]
    return taken


def map_arrays(function: Any, data: Any) -> Any:
    """`function` of every array of a structure; what is absent (None) stays so."""
    if not _nest.is_nested(data):  # the usual case, met at every step
        return None if data is None else function(data)
    return _nest.map_structure(lambda leaf: None if leaf is None else function(leaf), data)


def arrays_of(data: Any) -> list:
    """The arrays of a structure, without what is absent."""
    if not _nest.is_nested(data):
        return [] if data is None else [data]
    return [leaf for leaf in _nest.flatten(data) if leaf is not None]


def check_lengths(x: Any, y: Any, sample_weight: Any) -> int:
    """The number of samples.

    Raises:
        ValueError: There are none, or the parts have different numbers of them.
    """
    counts = {}
    for name, part in (("input", x), ("target", y), ("sample_weight", sample_weight)):
        lengths = sorted({array.shape[0] for array in arrays_of(part)})
        if len(lengths) > 1:
            shapes = [tuple(array.shape) for array in arrays_of(part)]
            raise ValueError(f"All {name} arrays should have the same number of samples. Got array shapes: {shapes}.")
        counts.update({name: lengths[0]} if lengths else {})
    if "input" not in counts:
        raise ValueError("Expected input data, received no array at all.")
    for name, count in counts.items():
        if count != counts["input"]:
            raise ValueError(
                "Input arrays should have the same number of samples as "
                f"{name} arrays. Found {counts['input']} input samples and {count} {name} samples."
            )
    if counts["input"] == 0:
        raise ValueError("The data has 0 samples: expected at least one.")
    return counts["input"]


@ADAPTERS.register("arrays")
class ArrayAdapter(DataAdapter):
    """Arrays, or nested structures of them, whose first axis counts samples."""

    form = "arrays, tensors or (nested) lists of numbers, alone or in a list or dict"

    @classmethod
    def can_handle(cls, x: Any) -> bool:
        leaves = _nest.flatten(x)
        return (
            (_nest.is_nested(x) or is_array(x))
            and bool(leaves)
            and all(is_array(leaf) or is_list_of_numbers(leaf) for leaf in leaves)
        )

    def __init__(self, x: Any, y: Any, sample_weight: Any, options: DataOptions) -> None:
        self._data = options.standardize(x, y, sample_weight)
        count = check_lengths(*self._data)
        self.batch_size = _batch_size(count, options)
        chunked, order = by_chunks(arrays_of(self._data)) if options.shuffle is True else ({}, None)
        if chunked:
            self._data = tuple(map_arrays(lambda array: chunked.get(id(array), array), part) for part in self._data)
        self._chunked = list(chunked.values())
        self._shared = _SharedRows(self._data, options)
        self._place: Place | None = None
        self._plan = BatchPlan(count, self.batch_size, options.shuffle, options.order_key, order)
        self.num_batches = options.steps or self._plan.num_batches
        self._float_type = options.float_type
        # The usual case, met at every step: one array for each part, of types that need no cast.
        self._is_plain = all(
            part is None or (type(part) is np.ndarray and (part.dtype.kind != "f" or part.dtype == options.float_type))
            for part in self._data
        )
        if self.num_batches > self._plan.num_batches:
            raise ValueError(
                f"{options.steps} steps were asked for, but {count} samples make only "
                f"{self._plan.num_batches} batches of {self.batch_size}: leave the number of steps away, or choose a "
                "smaller `batch_size`."
            )
        self.num_samples = min(count, self.num_batches * self.batch_size)

    def batches(self, epoch: int) -> Iterator[GlobalBatch]:
        for rows_of_file in self._chunked:
            rows_of_file.forget()
        first = self._place.step if self._place is not None and self._place.epoch == epoch else 0
        plan = itertools.islice(self._plan.rows(epoch), first, self.num_batches)
        if self._shared.is_needed:
            yield from self._shared.batches(plan)
            return
        for rows in plan:
            yield GlobalBatch(num_rows(rows), functools.partial(self._read, rows))

    def go_to(self, place: Place) -> int:
        self._place = place
        return 0

    def how_to_speed_up(self) -> str:
        return (
            "Keep the data in memory as float32 arrays; of files, shuffle='batch' reads whole stretches, and "
            "shuffle=True whole chunks, of which compressed ones take longer."
        )

    def _read(self, whole: Rows, start: int, stop: int) -> Data:
        rows = part_of(whole, start, stop)
        if self._is_plain:
            if isinstance(rows, slice):
                return tuple([None if part is None else part[rows] for part in self._data])
            # In half the time of part[rows].
            return tuple([None if part is None else part.take(rows, 0) for part in self._data])
        return tuple(map_arrays(lambda array: take(array, rows, self._float_type), part) for part in self._data)

    def close(self) -> None:
        self._shared.close()


class _SharedRows:
    """Data of which one rank of each node reads what lies in chunks.

    Attributes:
        is_needed: Whether there is such data, and another rank on this node.
    """

    def __init__(self, data: Data, options: DataOptions) -> None:
        self._data, self._options = data, options
        chunked = [array for array in arrays_of(data) if isinstance(array, ChunkedRows) or is_in_chunks(array)]
        self._stored = {id(array): array for array in chunked}
        self._node = NodeReader(options) if chunked and options.num_replicas > 1 else None
        self.is_needed = self._node is not None and not self._node.is_alone

    def batches(self, plan: Iterator[Rows]) -> Iterator[GlobalBatch]:
        """The batches of these rows."""
        node = self._node
        if node.reads:
            plan, to_read = itertools.tee(plan)
        items = node.items(lambda: (node.prepare(self._read(rows)) for rows in to_read))
        for rows, item in zip(plan, items, strict=False):
            yield GlobalBatch(num_rows(rows), functools.partial(self._parts, rows, *item.value))

    def _read(self, whole: Rows) -> tuple[int, list[np.ndarray]]:
        """Which row of a batch is the first that ranks of this node take, and the stored rows from it on."""
        first, stop = 0, num_rows(whole)
        if self._options.by_rows:
            first, stop = span_of(stop, self._node.ranks, self._options.num_replicas)
        rows = part_of(whole, first, stop)
        return first, [take(array, rows, self._options.float_type) for array in self._stored.values()]

    def _parts(self, whole: Rows, first: int, stored: list[np.ndarray], start: int, stop: int) -> Data:
        """Rows of a batch: of stored arrays from those that were read for this node."""
        rows, read = part_of(whole, start, stop), dict(zip(self._stored, stored, strict=True))

        def part(array: Any) -> np.ndarray:
            found = read.get(id(array))
            return take(array, rows, self._options.float_type) if found is None else found[start - first : stop - first]

        return tuple(map_arrays(part, each) for each in self._data)

    def close(self) -> None:
        if self._node is not None:
            self._node.close()


def _batch_size(num_samples: int, options: DataOptions) -> int:
    if options.batch_size is not None:
        return options.batch_size
    return DEFAULT_BATCH_SIZE if options.steps is None else -(-num_samples // options.steps)


class SparseRows:
    """Rows of a sparse matrix, made dense when they are read.

    Args:
        matrix: The matrix in compressed rows (`scipy.sparse.csr_matrix`), of shape (rows, columns).
    """

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix
        self.shape = matrix.shape
        self.dtype = matrix.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self._matrix[rows].toarray()


class RowRange:
    """Some consecutive rows of data that is read when it is needed, such as an HDF5 dataset."""

    def __init__(self, array: Any, start: int, stop: int) -> None:
        self._array, self._start = array, start
        self.shape = (stop - start, *array.shape[1:])
        self.dtype = array.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            return self._array[self._start + start : self._start + stop : step]
        return self._array[np.asarray(rows) + self._start]


def row_range(array: Any, start: int, stop: int) -> Any:
    """The rows from `start` to before `stop`, without reading or copying them."""
    in_memory = isinstance(array, (np.ndarray, RaggedArray))
    return array[start:stop] if in_memory else RowRange(array, start, stop)
