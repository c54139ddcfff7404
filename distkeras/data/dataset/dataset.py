"""`tf.data.Dataset`: a sequence of elements, made and read as TensorFlow's is.

A dataset is a face of its `Stage`, which does the work; see `stage.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import distkeras.ops  # noqa: F401  gives tensors their operators
from distkeras import _nest
from distkeras._errors import CaptureError, OutOfRangeError
from distkeras.core.context import state
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.tensor import Tensor
from distkeras.data.adapter import DataOptions
from distkeras.data.dataset.distributing import Distribution, options_of
from distkeras.data.dataset.functions import ElementFunction
from distkeras.data.dataset.options import Options
from distkeras.data.dataset.reading import matching
from distkeras.data.dataset.selecting import Shuffle
from distkeras.data.dataset.sources import GeneratorStage, generator_spec, numbers, single, slices_of
from distkeras.data.dataset.sparse import SparseArray
from distkeras.data.dataset.stage import INFINITE, UNKNOWN, Stage
from distkeras.data.dataset.structure import as_element, spec_of, with_leading, without_leading, wrap
from distkeras.data.dataset.transformations import Transformations, zipped


class Dataset(Transformations):
    """A sequence of elements: tensors, or tuples and dicts of them.

    Arrays are not copied: a batch's rows are read where they lie when the batch is made.

    >>> import distkeras as tf
    >>> dataset = tf.data.Dataset.from_tensor_slices(([1.0, 2.0, 3.0], [0, 1, 0]))
    >>> for x, y in dataset.batch(2):
    ...     print(x.numpy(), y.numpy())
    [1. 2.] [0 1]
    [3.] [0]
    """

    def __init__(self, stage: Stage) -> None:
        if not isinstance(stage, Stage):
            raise TypeError(
                f"Make datasets with tf.data.Dataset.from_tensor_slices, from_generator, ...: received {stage!r}."
            )
        self._stage = stage

    @classmethod
    def _of(cls, stage: Stage) -> Dataset:
        return Dataset(stage)

    # --- making datasets

    @staticmethod
    def from_tensors(tensors: Any) -> Dataset:
        """A dataset of one element."""
        return Dataset(single(tensors))

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        """A dataset of the rows of tensors.

        Args:
            tensors: A tensor, array or list, or tuples and dicts of them, with as many rows in each.

        Raises:
            ValueError: The numbers of rows differ, or there is a scalar.
        """
        return Dataset(slices_of(tensors))

    @staticmethod
    def from_generator(
        generator: Callable[..., Any], output_types: Any, output_shapes: Any = None, args: Any = None
    ) -> Dataset:
        """A dataset of what a Python generator yields.

        Args:
            generator: Called for each pass over the dataset, with `args`.
            output_types: Types, in the structure of the elements.
            output_shapes: Shapes in the same structure, None where a size may differ; any shape by default.
            args: Tensors or arrays that `generator` is called with.

        Raises:
            TypeError: `generator` cannot be called.
            InvalidArgumentError: When it is read: it yields something else than was said.

        >>> import distkeras as tf
        >>> dataset = tf.data.Dataset.from_generator(lambda: iter([1, 2]), tf.int64, ())
        >>> [x.item() for x in dataset.as_numpy_iterator()]
        [1, 2]
        """
        if not callable(generator):
            raise TypeError(f"`generator` must be callable, received {generator!r}: pass the function itself.")
        args = () if args is None else tuple(args)
        return Dataset(GeneratorStage(generator, generator_spec(output_types, output_shapes), args))

    @staticmethod
    def range(*args: int) -> Dataset:
        """The int64 numbers of Python's `range(*args)`."""
        return Dataset(numbers(*args))

    @staticmethod
    def zip(datasets: Any) -> Dataset:
        """Elements of several datasets side by side, until one of them ends.

        Args:
            datasets: Tuples and dicts of datasets.

        >>> import distkeras as tf
        >>> both = tf.data.Dataset.zip((tf.data.Dataset.range(3), tf.data.Dataset.range(5, 7)))
        >>> [(x.item(), y.item()) for x, y in both.as_numpy_iterator()]
        [(0, 5), (1, 6)]
        """
        return Dataset(zipped(datasets))

    @staticmethod
    def list_files(file_pattern: Any, shuffle: bool | None = None, seed: int | None = None) -> Dataset:
        """The names of the files that match a glob pattern, or any of several.

        Args:
            file_pattern: A text, or a list or tensor of texts.
            shuffle: Whether to give them in random order; None means yes.
            seed: As for `shuffle`.

        Raises:
            InvalidArgumentError: There is no such file.
        """
        names = matching(file_pattern)
        stage = slices_of(names)
        return Dataset(stage if shuffle is False else Shuffle(stage, len(names), seed, True))

    # --- what it is

    @property
    def element_spec(self) -> Any:
        """The TensorSpecs of an element, in its structure."""
        return self._stage.spec

    @property
    def output_shapes(self) -> Any:
        """The shapes of an element, in its structure."""
        return _nest.map_structure(lambda spec: spec.shape, self.element_spec)

    @property
    def output_types(self) -> Any:
        """The types of an element, in its structure."""
        return _nest.map_structure(lambda spec: spec.dtype, self.element_spec)

    def cardinality(self) -> Tensor:
        """The number of elements, int64; -1 where there is no end, -2 where it is not known."""
        return Tensor(np.array(self._stage.cardinality(), np.int64))

    def options(self) -> Options:
        """The options that are in force."""
        return options_of(self._stage)

    def __len__(self) -> int:
        count = self._stage.cardinality()
        if count == INFINITE:
            raise TypeError("The dataset is infinite.")
        if count == UNKNOWN:
            raise TypeError("The dataset length is unknown.")
        return count

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        spec = self._stage.known_spec
        shown = "not known before it is read" if spec is None else repr(spec)
        return f"<{type(self).__name__} element_spec={shown}>"

    # --- reading it

    def __iter__(self) -> DatasetIterator:
        """The elements as tensors.

        Raises:
            CaptureError: In a function that is being traced.
        """
        if state.trace is not None:
            raise CaptureError(
                "A dataset is iterated over in a function that is being traced: its elements have no values there. "
                "Iterate outside, and call the function with each element."
            )
        return DatasetIterator(self._stage)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements as NumPy arrays and scalars; of sparse tensors the whole arrays."""
        return (_nest.map_structure(_as_numpy, element) for element in iter(self))

    def reduce(self, initial_state: Any, reduce_func: Callable) -> Any:
        """`reduce_func(state, element)` of each element in turn, beginning with `initial_state`; the last state.

        Raises:
            TypeError: The function gives a state of another structure or type.

        >>> import distkeras as tf
        >>> tf.data.Dataset.range(5).reduce(np.int64(0), lambda total, x: total + x).numpy()
        np.int64(10)
        """
        structure = as_element(initial_state)
        expected = _nest.map_structure(spec_of, structure)
        leaves = _nest.flatten(structure)
        function = ElementFunction(reduce_func, "Dataset.reduce()", None)
        for element in self._stage.elements(None):
            given = (structure, self._stage.known_spec)
            leaves = function(given, [*leaves, *element])
            _check_state(expected, function.known_spec)
        return _nest.pack(structure, [wrap(leaf) for leaf in leaves])

    def _distributed(self, strategy: Any) -> DistributedDataset:
        """The dataset as one rank of a strategy sees it."""
        options = DataOptions(
            rank=strategy.rank,
            num_replicas=strategy.communicator.size,
            broadcast=strategy.agree,
            gather=strategy.collect,
            scatter=strategy.scatter,
        )
        return DistributedDataset(self._stage, options)


def _as_numpy(value: Any) -> Any:
    if isinstance(value, SparseTensor):
        return SparseArray.of(value).to_dense()
    return value.numpy() if isinstance(value, Tensor) else value


def _check_state(expected: Any, found: Any) -> None:
    same = _nest.structure_key(expected) == _nest.structure_key(found) and all(
        one.dtype == other.dtype for one, other in zip(_nest.flatten(expected), _nest.flatten(found), strict=True)
    )
    if not same:
        raise TypeError(
            "The element structure and types for the new state must match the initial state. "
            f"Expected {expected}; got {found}: give the initial state, such as np.int64(0), the type of the result."
        )


class DatasetIterator:
    """One pass over a dataset.

    Attributes:
        element_spec: The TensorSpecs of an element, in its structure.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._elements = stage.elements(None)

    @property
    def element_spec(self) -> Any:
        return self._stage.spec

    def __iter__(self) -> DatasetIterator:
        return self

    def __next__(self) -> Any:
        leaves = next(self._elements)
        return _nest.pack(self._stage.known_spec, [wrap(leaf) for leaf in leaves])

    next = __next__

    def get_next(self) -> Any:
        """The next element.

        Raises:
            OutOfRangeError: There is none.
        """
        try:
            return next(self)
        except StopIteration:
            raise OutOfRangeError("End of sequence: the dataset has no more elements.") from None


class DistributedDataset:
    """This rank's rows of each global batch of a dataset."""

    def __init__(self, stage: Stage, options: DataOptions) -> None:
        self._dataset = Dataset(stage)
        self._stage = stage
        self._distribution = Distribution(stage, options)

    @property
    def element_spec(self) -> Any:
        """The specs of an element; how many rows it has differs from rank to rank."""
        return _nest.map_structure(lambda spec: with_leading(without_leading(spec), None), self._dataset.element_spec)

    def __len__(self) -> int:
        return len(self._dataset)

    def __iter__(self) -> Iterator[Any]:
        for part in self._distribution.parts(None):
            yield _nest.pack(self._stage.spec, [wrap(leaf) for leaf in part.rows])
