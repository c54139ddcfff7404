"""`tf.data.experimental`: further transformations, for `Dataset.apply`, and ways to make datasets."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor
from distkeras.data.dataset.dataset import Dataset
from distkeras.data.dataset.grouping import (
    GroupByWindow,
    Resample,
    check_window_size,
    distribution,
    filled_shapes,
)
from distkeras.data.dataset.joining import Choose, Sample
from distkeras.data.dataset.options import AutoShardPolicy, DistributeOptions
from distkeras.data.dataset.readers import CsvDataset, make_csv_dataset
from distkeras.data.dataset.scanning import Scan, Unique
from distkeras.data.dataset.selecting import AUTOTUNE
from distkeras.data.dataset.sources import NumberRows, WholeStage
from distkeras.data.dataset.stage import INFINITE as INFINITE_CARDINALITY
from distkeras.data.dataset.stage import UNKNOWN as UNKNOWN_CARDINALITY
from distkeras.data.dataset.transforms import IgnoreErrors, TakeWhile
from distkeras.data.parsing import parse_example
from distkeras.data.records import TFRecordWriter as _RecordWriter
from distkeras.ops import cast

__all__ = [
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "AutoShardPolicy",
    "Counter",
    "CsvDataset",
    "DistributeOptions",
    "TFRecordWriter",
    "bucket_by_sequence_length",
    "cardinality",
    "choose_from_datasets",
    "enumerate_dataset",
    "get_single_element",
    "group_by_window",
    "ignore_errors",
    "make_csv_dataset",
    "map_and_batch",
    "parallel_interleave",
    "parse_example_dataset",
    "prefetch_to_device",
    "rejection_resample",
    "sample_from_datasets",
    "scan",
    "shuffle_and_repeat",
    "take_while",
    "unbatch",
    "unique",
]

Transformation = Callable[[Dataset], Dataset]


# --- one dataset


def cardinality(dataset: Dataset) -> Tensor:
    """The number of elements, int64; INFINITE_CARDINALITY or UNKNOWN_CARDINALITY where there is no such number."""
    return dataset.cardinality()


def get_single_element(dataset: Dataset) -> Any:
    """The only element of a dataset.

    Raises:
        InvalidArgumentError: It has none, or several.
    """
    elements = iter(dataset)
    found = list(zip(range(2), elements, strict=False))
    if len(found) != 1:
        raise InvalidArgumentError("Dataset was empty." if not found else "Dataset had more than one element.")
    return found[0][1]


def Counter(start: int = 0, step: int = 1, dtype: Any = "int64") -> Dataset:  # noqa: N802  TensorFlow's name
    """The numbers start, start + step, ... without end.

    >>> import distkeras as tf
    >>> [x.item() for x in tf.data.experimental.Counter(2, 3).take(3).as_numpy_iterator()]
    [2, 5, 8]
    """
    counter = Dataset(WholeStage(NumberRows(int(start), int(step), None)))
    if dtype == "int64":
        return counter
    return counter.map(lambda number: cast(number, dtype))


# --- several datasets


def sample_from_datasets(datasets: Sequence[Dataset], weights: Any = None, seed: int | None = None) -> Dataset:
    """Elements of several datasets, each time of one drawn at random; those that have ended are passed over.

    Args:
        datasets: What to read; their elements have one structure.
        weights: How likely each is drawn; equally by default.
        seed: As for `Dataset.shuffle`.

    Raises:
        ValueError: There are not as many weights as datasets, or they are negative.
    """
    if not datasets:
        raise ValueError("Invalid `datasets`. `datasets` should not be empty.")
    given = [1.0] * len(datasets) if weights is None else weights
    if isinstance(given, Dataset):
        raise TypeError("Weights that change from element to element are not available: give a list of numbers.")
    given = np.asarray(given.numpy() if isinstance(given, Tensor) else given, np.float64)
    if given.shape != (len(datasets),):
        raise ValueError(
            "Invalid `weights`. `weights` should have the same length as `datasets` but got "
            f"`len(weights)={given.size}` vs. `len(datasets)={len(datasets)}`."
        )
    if (given < 0).any() or not given.sum():
        raise ValueError(
            f"Invalid `weights`: none may be negative, and one must be positive; received {given.tolist()}."
        )
    return Dataset(Sample([dataset._stage for dataset in datasets], given, seed))


def choose_from_datasets(datasets: Sequence[Dataset], choice_dataset: Dataset) -> Dataset:
    """Elements of several datasets, in the order that a dataset of their int64 numbers gives.

    Raises:
        TypeError: `choice_dataset` holds something else.
        InvalidArgumentError: When it is read: there is no dataset of that number.

    >>> import distkeras as tf
    >>> words = [tf.data.Dataset.from_tensors(word).repeat() for word in ("a", "b")]
    >>> choices = tf.data.Dataset.range(2).repeat(2)
    >>> list(tf.data.experimental.choose_from_datasets(words, choices).as_numpy_iterator())
    [b'a', b'b', b'a', b'b']
    """
    if not datasets:
        raise ValueError("Invalid `datasets`. `datasets` should not be empty.")
    return Dataset(Choose([dataset._stage for dataset in datasets], choice_dataset._stage))


# --- transformations, for Dataset.apply


def unbatch() -> Transformation:
    """`Dataset.unbatch`, for `apply`."""
    return lambda dataset: dataset.unbatch()


def enumerate_dataset(start: int = 0) -> Transformation:
    """`Dataset.enumerate`, for `apply`."""
    return lambda dataset: dataset.enumerate(start)


def map_and_batch(
    map_func: Callable,
    batch_size: int,
    num_parallel_batches: int | None = None,
    drop_remainder: bool = False,
    num_parallel_calls: int | None = None,
) -> Transformation:
    """`map`, then `batch`, for `apply`."""
    if num_parallel_batches is not None and num_parallel_calls is not None:
        raise ValueError("Give one of `num_parallel_batches` and `num_parallel_calls`, not both.")
    calls = num_parallel_calls if num_parallel_batches is None else batch_size * num_parallel_batches
    return lambda dataset: dataset.map(map_func, calls).batch(batch_size, drop_remainder)


def shuffle_and_repeat(buffer_size: int, count: int | None = None, seed: int | None = None) -> Transformation:
    """`shuffle`, then `repeat`, for `apply`."""
    return lambda dataset: dataset.shuffle(buffer_size, seed).repeat(count)


def parallel_interleave(
    map_func: Callable,
    cycle_length: int,
    block_length: int = 1,
    sloppy: bool = False,
    buffer_output_elements: int | None = None,
    prefetch_input_elements: int | None = None,
) -> Transformation:
    """`interleave` by threads, for `apply`.

    Args:
        map_func, cycle_length, block_length: As for `Dataset.interleave`.
        sloppy: Accepted: the order is always deterministic.
        buffer_output_elements, prefetch_input_elements: Accepted: how much is read ahead does not change the elements.
    """
    return lambda dataset: dataset.interleave(map_func, cycle_length, block_length, AUTOTUNE)


def prefetch_to_device(device: str, buffer_size: int | None = None) -> Transformation:
    """`prefetch`, for `apply`; the only device is the CPU."""
    return lambda dataset: dataset.prefetch(AUTOTUNE if buffer_size is None else buffer_size)


def ignore_errors() -> Transformation:
    """The elements but for those whose making raises an error.

    >>> import distkeras as tf
    >>> def half(x):
    ...     if x.numpy() % 2:
    ...         raise ValueError("odd")
    ...     return x // 2
    >>> numbers = tf.data.Dataset.range(4).map(half).apply(tf.data.experimental.ignore_errors())
    >>> [x.item() for x in numbers.as_numpy_iterator()]
    [0, 1]
    """
    return lambda dataset: Dataset(IgnoreErrors(dataset._stage))


def take_while(predicate: Callable) -> Transformation:
    """The elements before the first for which `predicate` gives false."""
    return lambda dataset: Dataset(TakeWhile(dataset._stage, predicate))


def scan(initial_state: Any, scan_func: Callable) -> Transformation:
    """A function of a state and each element: it gives the next state, and an element.

    Args:
        initial_state: The state before the first element: tensors, in any structure of tuples and dicts.
        scan_func: (state, element) -> (next state, element of the new dataset).

    Raises:
        TypeError: The function returns something else, or a state of another type.

    >>> import distkeras as tf
    >>> sums = tf.data.experimental.scan(tf.constant(0, tf.int64), lambda total, x: (total + x, total + x))
    >>> [x.item() for x in tf.data.Dataset.range(5).apply(sums).as_numpy_iterator()]
    [0, 1, 3, 6, 10]
    """
    return lambda dataset: Dataset(Scan(dataset._stage, initial_state, scan_func))


def unique() -> Transformation:
    """The elements, int32, int64 or text, without those that have come before.

    >>> import distkeras as tf
    >>> words = tf.data.Dataset.from_tensor_slices(["a", "b", "a"])
    >>> list(words.apply(tf.data.experimental.unique()).as_numpy_iterator())
    [b'a', b'b']
    """
    return lambda dataset: Dataset(Unique(dataset._stage))


def rejection_resample(
    class_func: Callable, target_dist: Any, initial_dist: Any = None, seed: int | None = None
) -> Transformation:
    """Elements left out at random so that their classes come in given proportions: pairs (class, element).

    Args:
        class_func: Gives an element's class, an integer scalar.
        target_dist: The share of each class that is wanted.
        initial_dist: The shares there are; counted while they are read by default.
        seed: As for `Dataset.shuffle`.

    Raises:
        ValueError: The shares do not sum to 1.
    """
    target = distribution(target_dist, "target_dist")
    initial = None if initial_dist is None else distribution(initial_dist, "initial_dist")
    if initial is not None and len(initial) != len(target):
        raise ValueError(f"`initial_dist` has {len(initial)} classes, `target_dist` {len(target)}: they must agree.")
    return lambda dataset: Dataset(Resample(dataset._stage, class_func, target, initial, seed))


def group_by_window(
    key_func: Callable, reduce_func: Callable, window_size: int | None = None, window_size_func: Callable | None = None
) -> Transformation:
    """Elements collected by key, each full window made into a dataset.

    Args:
        key_func: Gives an element's key, an int64 scalar.
        reduce_func: Called with a key and the dataset of a window's elements; gives a dataset.
        window_size: How many elements make a window.
        window_size_func: Instead of it, gives the number for a key.

    Raises:
        ValueError: Not exactly one of `window_size` and `window_size_func` is given.

    >>> import distkeras as tf
    >>> pairs = tf.data.experimental.group_by_window(lambda x: x % 2, lambda key, window: window.batch(2), 2)
    >>> [batch.tolist() for batch in tf.data.Dataset.range(5).apply(pairs).as_numpy_iterator()]
    [[0, 2], [1, 3], [4]]
    """
    if (window_size is None) == (window_size_func is None):
        raise ValueError("Give exactly one of `window_size` and `window_size_func`.")

    def size_of(key: int) -> int:
        size = window_size if window_size_func is None else window_size_func(Tensor(np.array(key, np.int64)))
        return check_window_size(int(size))

    return lambda dataset: Dataset(GroupByWindow(dataset._stage, key_func, reduce_func, size_of, Dataset))


def bucket_by_sequence_length(
    element_length_func: Callable,
    bucket_boundaries: Sequence[int],
    bucket_batch_sizes: Sequence[int],
    padded_shapes: Any = None,
    padding_values: Any = None,
    pad_to_bucket_boundary: bool = False,
    no_padding: bool = False,
    drop_remainder: bool = False,
) -> Transformation:
    """Batches of elements of similar length, filled up to one.

    Args:
        element_length_func: Gives an element's length, an integer scalar.
        bucket_boundaries: Lengths that separate buckets, increasing; a bucket has the lengths below its boundary.
        bucket_batch_sizes: The batch size of each bucket, one more than there are boundaries.
        padded_shapes, padding_values, drop_remainder: As for `Dataset.padded_batch`.
        pad_to_bucket_boundary: Whether to fill up to the boundary minus 1, rather than to the longest of the batch.
        no_padding: Whether elements have one shape in each bucket already.

    Raises:
        ValueError: There is not one batch size more than boundaries.
    """
    boundaries, sizes = [int(each) for each in bucket_boundaries], [int(each) for each in bucket_batch_sizes]
    if len(sizes) != len(boundaries) + 1:
        raise ValueError(
            f"`bucket_batch_sizes` must have one entry more than `bucket_boundaries`: received {len(sizes)} and "
            f"{len(boundaries)}."
        )

    def bucket_of(*args: Any) -> Tensor:
        return Tensor(np.array(bisect.bisect_right(boundaries, int(element_length_func(*args))), np.int64))

    def batched(key: Tensor, window: Dataset) -> Dataset:
        bucket = int(key)
        if no_padding:
            return window.batch(sizes[bucket], drop_remainder)
        shapes = padded_shapes
        if pad_to_bucket_boundary:
            if bucket == len(boundaries):
                raise InvalidArgumentError(
                    "When pad_to_bucket_boundary=True, elements must have length < max(bucket_boundaries), which is "
                    f"{boundaries[-1]}."
                )
            shapes = filled_shapes(window.element_spec, boundaries[bucket] - 1)
        return window.padded_batch(sizes[bucket], shapes, padding_values, drop_remainder)

    return group_by_window(bucket_of, batched, window_size_func=lambda key: sizes[int(key)])


def parse_example_dataset(features: dict, num_parallel_calls: int | None = 1) -> Transformation:
    """`tf.io.parse_example` of each batch of serialized examples, for `apply`."""
    return lambda dataset: dataset.map(lambda serialized: parse_example(serialized, features), num_parallel_calls)


class TFRecordWriter:
    """Writes a dataset of scalar strings as a TFRecord file.

    Args:
        filename: The file.
        compression_type: None, 'GZIP' or 'ZLIB'.
    """

    def __init__(self, filename: str, compression_type: str | None = None) -> None:
        self._arguments = filename, compression_type

    def write(self, dataset: Dataset) -> None:
        """Write all elements.

        Raises:
            TypeError: They are no scalar strings.
        """
        if not isinstance(dataset, Dataset):
            raise TypeError(f"Invalid `dataset.` Expected a `tf.data.Dataset` object but got {type(dataset)}.")
        with _RecordWriter(*self._arguments) as writer:
            for record in dataset.as_numpy_iterator():
                writer.write(record)
