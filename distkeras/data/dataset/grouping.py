"""Stages that sort elements by a key of each: windows of one key, and drawing classes in given proportions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import InvalidArgumentError
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor
from distkeras.data.dataset.functions import ElementFunction
from distkeras.data.dataset.sources import ElementsStage
from distkeras.data.dataset.stage import UNKNOWN, Draws, Key, Stage, extended
from distkeras.data.dataset.structure import Leaves, is_dataset


class GroupByWindow(Stage):
    """Elements collected by key; each full window is made into a dataset, whose elements follow.

    Args:
        key_func: Gives an element's key, an int64 scalar.
        reduce_func: Called with a key and the dataset of a window's elements; gives a dataset.
        window_size_of: Gives for a key how many elements make a window.
        make_dataset: Makes a dataset of a stage.
    """

    runs_python = True

    def __init__(
        self,
        source: Stage,
        key_func: Callable,
        reduce_func: Callable,
        window_size_of: Callable[[int], int],
        make_dataset: Callable,
    ) -> None:
        self.inputs = (source,)
        self._key = ElementFunction(key_func, "group_by_window", source.known_spec)
        self._reduce = reduce_func
        self._size_of = window_size_of
        self._make_dataset = make_dataset
        self._found: Any = None

    def find_spec(self) -> Any:
        return self._found

    def cardinality(self) -> int:
        return UNKNOWN

    def stream(self, key: Key) -> Iterator[Leaves]:
        groups: dict[int, list[Leaves]] = {}
        for leaves in self.inputs[0].elements(key):
            group_key = self._key_of(leaves)
            group = groups.setdefault(group_key, [])
            group.append(leaves)
            if len(group) == self._size_of(group_key):
                yield from self._reduced(group_key, groups.pop(group_key), key)
        for group_key in sorted(groups):
            yield from self._reduced(group_key, groups[group_key], key)

    def _key_of(self, leaves: Leaves) -> int:
        found = self._key(self.inputs[0].known_spec, leaves)
        if len(found) != 1 or found[0].dtype != np.int64 or found[0].ndim:
            raise ValueError(f"`key_func` must return a single tf.int64 scalar, received {self._key.known_spec}.")
        return int(found[0])

    def _reduced(self, group_key: int, group: list[Leaves], key: Key) -> Iterator[Leaves]:
        window = self._make_dataset(ElementsStage(group, self.inputs[0].known_spec))
        made = self._reduce(Tensor(np.array(group_key, np.int64)), window)
        if not is_dataset(made):
            raise TypeError(f"`reduce_func` must return a `Dataset` object. Got {type(made)}.")
        for leaves in made._stage.elements(extended(key, 0)):
            self._found = self._found or made._stage.known_spec
            yield leaves


def check_window_size(size: int) -> int:
    """The size of a window.

    Raises:
        InvalidArgumentError: It is not positive.
    """
    if size < 1:
        raise InvalidArgumentError(f"Window size must be greater than zero, but got {size}.")
    return size


class Resample(Stage):
    """Elements left out at random, so that their classes come in given proportions: pairs (class, element).

    An element of class i is kept with probability (target_i / initial_i) / max_j (target_j / initial_j).

    Args:
        class_func: Gives an element's class, an int32 or int64 scalar.
        target: The proportions wanted.
        initial: Those of the source; None to count them while it is read.
        seed: As for `shuffle`.
    """

    def __init__(
        self, source: Stage, class_func: Callable, target: np.ndarray, initial: np.ndarray | None, seed: int | None
    ) -> None:
        self.inputs = (source,)
        self._class = ElementFunction(class_func, "rejection_resample", source.known_spec)
        self._target, self._initial = target, initial
        self._draws = Draws(seed)

    @property
    def runs_python(self) -> bool:
        return not self._class.is_traced

    def find_spec(self) -> Any:
        element, found = self.inputs[0].known_spec, self._class.known_spec
        return None if element is None or found is None else (found, element)

    def cardinality(self) -> int:
        return UNKNOWN

    def stream(self, key: Key) -> Iterator[Leaves]:
        generator = self._draws.generator(self._draws.numbered(key))
        counts = np.ones(len(self._target))  # one of each to begin with, so that none is divided by
        for leaves in self.inputs[0].elements(key):
            found = self._class(self.inputs[0].known_spec, leaves)
            label = int(found[0])
            if not 0 <= label < len(self._target):
                raise InvalidArgumentError(f"`class_func` gave class {label}; there are {len(self._target)} of them.")
            counts[label] += 1
            initial = counts / counts.sum() if self._initial is None else self._initial
            ratio = np.divide(self._target, initial, out=np.zeros(len(counts)), where=initial > 0)
            if generator.random() * ratio.max() < ratio[label]:
                yield [*found, *leaves]


def distribution(values: Any, name: str) -> np.ndarray:
    """Proportions of classes.

    Raises:
        ValueError: They are negative, or do not sum to 1.
    """
    found = np.asarray(values.numpy() if isinstance(values, Tensor) else values, np.float64)
    if found.ndim != 1 or (found < 0).any() or not np.isclose(found.sum(), 1, atol=1e-4):
        raise ValueError(f"`{name}` must hold a share for each class, which sum to 1; received {found.tolist()}.")
    return found


def filled_shapes(spec: Any, boundary: int) -> Any:
    """The shapes of elements with their unknown sizes set to `boundary`."""

    def fill(leaf: TensorSpec) -> tuple:
        return tuple(boundary if size is None else size for size in leaf.shape)

    return _nest.map_structure(fill, spec)
