"""Stages that remember what they have read: a state handed on from element to element, and elements seen before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.core.spec import TensorSpec
from distkeras.data.dataset.functions import ElementFunction
from distkeras.data.dataset.stage import UNKNOWN, Key, PassKeys, Stage
from distkeras.data.dataset.structure import Leaves, as_element, spec_of
from distkeras.data.dataset.transforms import first_draw

_KINDS = ("int32", "int64", "string")


class Scan(Stage):
    """What a function makes of a state and each element, besides the next state.

    Args:
        initial_state: The state before the first element, in any structure.
        scan_func: (state, element) -> (next state, what is given out).
    """

    def __init__(self, source: Stage, initial_state: Any, scan_func: Callable) -> None:
        self.inputs = (source,)
        self._initial = as_element(initial_state)
        self._state_spec = _nest.map_structure(spec_of, self._initial)
        known = source.known_spec
        spec = None if known is None else (self._state_spec, known)
        self._function = ElementFunction(scan_func, "scan()", spec)
        self._passes = PassKeys()
        if self._function.known_spec is not None:
            self._checked(self._function.known_spec)

    @property
    def runs_python(self) -> bool:
        return not self._function.is_traced

    def find_spec(self) -> Any:
        known = self._function.known_spec
        return None if known is None else self._checked(known)[1]

    def cardinality(self) -> int:
        return self.inputs[0].cardinality()

    def _checked(self, result: Any) -> tuple:
        """A result's specs, once it is clear that they are a pair whose state is as it was.

        Raises:
            TypeError: They are not.
        """
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(
                "The scan function must return a pair comprising the new state and the output value, received "
                f"{result}."
            )
        before, after = _nest.flatten(self._state_spec), _nest.flatten(result[0])
        if [leaf.dtype for leaf in before] != [leaf.dtype for leaf in after]:
            raise TypeError(
                f"The element types for the new state must match the initial state. Expected {self._state_spec}; got "
                f"{result[0]}: cast what the scan function returns."
            )
        return result

    def stream(self, key: Key) -> Iterator[Leaves]:
        state = _nest.flatten(self._initial)
        draws = itertools.count(first_draw(self._passes.numbered(key)))
        for leaves, draw in zip(self.inputs[0].elements(key), draws, strict=False):
            found = self._function((self._state_spec, self.inputs[0].known_spec), [*state, *leaves], draw)
            self._checked(self._function.known_spec)
            state = found[: len(state)]
            yield found[len(state) :]


class Unique(Stage):
    """The elements that have not come before."""

    def __init__(self, source: Stage) -> None:
        self.inputs = (source,)
        if source.known_spec is not None:
            self._check(source.known_spec)

    def find_spec(self) -> Any:
        return self.inputs[0].known_spec

    def cardinality(self) -> int:
        return UNKNOWN

    @staticmethod
    def _check(spec: Any) -> None:
        if not isinstance(spec, TensorSpec) or spec.dtype.name not in _KINDS:
            raise TypeError(
                f"`tf.data.experimental.unique()` takes datasets of one tensor of type {', '.join(_KINDS)}, received "
                f"{spec}."
            )

    def stream(self, key: Key) -> Iterator[Leaves]:
        seen = set()
        for leaves in self.inputs[0].elements(key):
            self._check(self.inputs[0].known_spec)
            (leaf,) = leaves
            identity = (leaf.shape, tuple(leaf.reshape(-1).tolist()))
            if identity not in seen:
                seen.add(identity)
                yield [np.asarray(leaf)]
