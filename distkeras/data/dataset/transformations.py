"""What can be done with a dataset: the methods of `tf.data.Dataset` that give another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras import _nest
from distkeras.data.dataset.batching import Batch, PaddedBatch, Unbatch, Window
from distkeras.data.dataset.caching import cached
from distkeras.data.dataset.joining import Concatenate, Zip
from distkeras.data.dataset.options import Options
from distkeras.data.dataset.selecting import (
    AUTOTUNE,
    Prefetch,
    Repeat,
    Shard,
    Shuffle,
    Skip,
    Take,
    WithOptions,
)
from distkeras.data.dataset.sources import NumberRows, WholeStage
from distkeras.data.dataset.stage import Stage
from distkeras.data.dataset.structure import is_dataset
from distkeras.data.dataset.transforms import Filter, Interleave, Map
from distkeras.ops._op import integer

# One that does not depend on the machine, so that the order of elements does not.
_CYCLE_LENGTH = 4


class Transformations:
    """The methods of a dataset that give another one."""

    _stage: Stage

    @classmethod
    def _of(cls, stage: Stage) -> Any:
        """The dataset over a stage."""
        raise NotImplementedError

    # --- each element by itself

    def map(self, map_func: Callable, num_parallel_calls: int | None = None) -> Any:
        """`map_func` of each element, in order.

        The function is traced and compiled where that can be done; where it looks at values (`.numpy()`, Python control
        flow over tensors, NumPy) it is called for each element.

        Args:
            map_func: Takes the parts of an element that is a tuple, else the element; gives a tensor or a structure.
            num_parallel_calls: With how many threads to call a function that is not compiled; in worker processes
                instead if `fit` is given `use_multiprocessing=True`.

        Raises:
            TypeError: The function gives None.

        >>> import distkeras as tf
        >>> [x.item() for x in tf.data.Dataset.range(3).map(lambda x: x * 10).as_numpy_iterator()]
        [0, 10, 20]
        """
        return self._of(Map(self._stage, map_func, _optional(num_parallel_calls, "num_parallel_calls")))

    def filter(self, predicate: Callable) -> Any:
        """The elements for which `predicate` gives true.

        Raises:
            ValueError: It does not give a scalar bool.

        >>> import distkeras as tf
        >>> [x.item() for x in tf.data.Dataset.range(6).filter(lambda x: x % 2 == 0).as_numpy_iterator()]
        [0, 2, 4]
        """
        return self._of(Filter(self._stage, predicate))

    def flat_map(self, map_func: Callable) -> Any:
        """The elements of the datasets that `map_func` gives for each element, one dataset after the other.

        >>> import distkeras as tf
        >>> rows = tf.data.Dataset.from_tensor_slices([[1, 2], [3, 4]])
        >>> [x.item() for x in rows.flat_map(tf.data.Dataset.from_tensor_slices).as_numpy_iterator()]
        [1, 2, 3, 4]
        """
        return self._of(Interleave(self._stage, map_func, what="Dataset.flat_map()"))

    def interleave(
        self,
        map_func: Callable,
        cycle_length: int = AUTOTUNE,
        block_length: int = 1,
        num_parallel_calls: int | None = None,
    ) -> Any:
        """The elements of the datasets that `map_func` gives for each element, several of them read in turns.

        Args:
            map_func: Gives a dataset.
            cycle_length: How many are read in turns; 4 for AUTOTUNE.
            block_length: How many elements are taken from each at its turn.
            num_parallel_calls: If given, each is read by a thread of its own; the order stays.

        >>> import distkeras as tf
        >>> def twice(x):
        ...     return tf.data.Dataset.from_tensors(x).repeat(2)
        >>> [x.item() for x in tf.data.Dataset.range(3).interleave(twice, cycle_length=2).as_numpy_iterator()]
        [0, 1, 0, 1, 2, 2]
        """
        cycle_length = _CYCLE_LENGTH if cycle_length == AUTOTUNE else integer(cycle_length, "cycle_length")
        calls = _optional(num_parallel_calls, "num_parallel_calls")
        return self._of(Interleave(self._stage, map_func, cycle_length, integer(block_length, "block_length"), calls))

    def enumerate(self, start: int = 0) -> Any:
        """Pairs (number, element), the numbers int64 from `start` on."""
        numbers = WholeStage(NumberRows(integer(start, "start"), 1, None))
        return self._of(Zip((0, 1), [numbers, self._stage]))

    # --- which elements, in which order

    def take(self, count: int) -> Any:
        """The first `count` elements; all of them for -1."""
        return self._of(Take(self._stage, integer(count, "count")))

    def skip(self, count: int) -> Any:
        """All but the first `count` elements; none for -1."""
        return self._of(Skip(self._stage, integer(count, "count")))

    def shard(self, num_shards: int, index: int) -> Any:
        """Every `num_shards`-th element, beginning with number `index`.

        Raises:
            InvalidArgumentError: `index` is not in [0, num_shards).
        """
        return self._of(Shard(self._stage, integer(num_shards, "num_shards"), integer(index, "index")))

    def repeat(self, count: int | None = None) -> Any:
        """The elements `count` times over; without end for None or -1."""
        return self._of(Repeat(self._stage, -1 if count is None else integer(count, "count")))

    def shuffle(self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool | None = None) -> Any:
        """The elements in random order: each is drawn from a buffer of the next `buffer_size`.

        The order is a function of the seed and of how often the dataset was gone through; it is not TensorFlow's.

        Args:
            buffer_size: As many as the dataset has elements for an even shuffle.
            seed: By default the order follows from `tf.random.set_seed`.
            reshuffle_each_iteration: Whether each pass has an order of its own; None means yes.

        Raises:
            InvalidArgumentError: `buffer_size` is not positive.

        >>> import distkeras as tf
        >>> numbers = tf.data.Dataset.range(5).shuffle(5, seed=1)
        >>> sorted(x.item() for x in numbers.as_numpy_iterator())
        [0, 1, 2, 3, 4]
        """
        reshuffles = reshuffle_each_iteration is None or bool(reshuffle_each_iteration)
        size, seed = integer(buffer_size, "buffer_size"), _optional(seed, "seed")
        return self._of(Shuffle(self._stage, size, seed, reshuffles))

    def concatenate(self, dataset: Any) -> Any:
        """These elements, then those of `dataset`.

        Raises:
            TypeError: Their structures or types differ.
        """
        _check_dataset(dataset, "concatenate")
        return self._of(Concatenate(self._stage, dataset._stage))

    # --- batches

    def batch(self, batch_size: int, drop_remainder: bool = False) -> Any:
        """So many elements at a time, stacked.

        Args:
            batch_size: Over all ranks, where the dataset is given to `fit` under a strategy.
            drop_remainder: Whether to leave out a last batch that is shorter.

        Raises:
            InvalidArgumentError: `batch_size` is not positive; or, when it is read, elements differ in shape.

        >>> import distkeras as tf
        >>> [batch.tolist() for batch in tf.data.Dataset.range(5).batch(2).as_numpy_iterator()]
        [[0, 1], [2, 3], [4]]
        """
        return self._of(Batch(self._stage, integer(batch_size, "batch_size"), bool(drop_remainder)))

    def padded_batch(
        self, batch_size: int, padded_shapes: Any = None, padding_values: Any = None, drop_remainder: bool = False
    ) -> Any:
        """So many elements at a time, filled up to one shape and stacked.

        Args:
            batch_size: As for `batch`.
            padded_shapes: A shape for each part of the elements, in their structure; None or -1 in it stands for the
                size of the largest element of the batch. By default all sizes that are not known.
            padding_values: A value for each part, or one for all; 0 or the empty text by default.
            drop_remainder: As for `batch`.

        Raises:
            ValueError: A shape does not fit the elements.
            DataLossError: An element is larger than its padded shape.

        >>> import distkeras as tf
        >>> dataset = tf.data.Dataset.from_generator(lambda: iter([[1], [2, 3]]), tf.int32, (None,))
        >>> [batch.tolist() for batch in dataset.padded_batch(2, (None,)).as_numpy_iterator()]
        [[[1, 0], [2, 3]]]
        """
        size = integer(batch_size, "batch_size")
        return self._of(PaddedBatch(self._stage, size, padded_shapes, padding_values, bool(drop_remainder)))

    def unbatch(self) -> Any:
        """The rows of each element as elements.

        Raises:
            ValueError: Elements are scalars.
        """
        return self._of(Unbatch(self._stage))

    def window(self, size: int, shift: int | None = None, stride: int = 1, drop_remainder: bool = False) -> Any:
        """Datasets of `size` elements each, one for each part of the elements.

        Args:
            size: Elements in a window.
            shift: How far the next window begins after this one; `size` by default.
            stride: A window takes every `stride`-th element.
            drop_remainder: Whether to leave out last windows that are shorter.

        >>> import distkeras as tf
        >>> [[x.item() for x in w.as_numpy_iterator()] for w in tf.data.Dataset.range(5).window(3, shift=2)]
        [[0, 1, 2], [2, 3, 4], [4]]
        """
        size, shift, stride = integer(size, "size"), _optional(shift, "shift"), integer(stride, "stride")
        return self._of(Window(self._stage, size, shift, stride, bool(drop_remainder), self._of))

    # --- how it is read

    def cache(self, filename: str = "") -> Any:
        """The same elements, kept by the first whole pass: in memory, or in `filename`.tfrecord."""
        return self._of(cached(self._stage, filename))

    def prefetch(self, buffer_size: int) -> Any:
        """The same elements, up to `buffer_size` of them read ahead by a thread; two for AUTOTUNE."""
        return self._of(Prefetch(self._stage, integer(buffer_size, "buffer_size")))

    def apply(self, transformation_func: Callable) -> Any:
        """`transformation_func(self)`.

        Raises:
            TypeError: It gives no dataset.
        """
        made = transformation_func(self)
        if not is_dataset(made):
            raise TypeError(f"`transformation_func` must return a `tf.data.Dataset` object. Got {type(made)}.")
        return made

    def with_options(self, options: Options) -> Any:
        """The same elements, with options set.

        Raises:
            TypeError: `options` are no `tf.data.Options`.
        """
        if not isinstance(options, Options):
            raise TypeError(f"with_options expects tf.data.Options, received {options!r}.")
        return self._of(WithOptions(self._stage, options))


def _optional(value: Any, what: str) -> int | None:
    return None if value is None else integer(value, what)


def _check_dataset(value: Any, what: str) -> None:
    if not is_dataset(value):
        raise TypeError(f"{what} expects a `tf.data.Dataset`, received {value!r} of type {type(value).__name__}.")


def zipped(datasets: Any) -> Stage:
    """The stage of `Dataset.zip`.

    Raises:
        TypeError: `datasets` is no structure of datasets, or holds a list.
        ValueError: There is no dataset.
    """

    def check(part: Any) -> None:
        if isinstance(part, list) or not (is_dataset(part) or isinstance(part, (tuple, dict))):
            raise TypeError(
                "Invalid input to `zip`. Inputs are expected to be (nested) structures, tuples and dicts, of "
                f"`tf.data.Dataset` objects; received {part!r}."
            )
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, tuple) else ():
            check(inner)

    check(datasets)
    leaves = _nest.flatten(datasets)
    if not leaves:
        raise ValueError("Invalid input to `zip`: there is no dataset.")
    return Zip(_nest.pack(datasets, range(len(leaves))), [dataset._stage for dataset in leaves])
