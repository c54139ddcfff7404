"""Traced functions as functions of a graph's library."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from distkeras import _nest
from distkeras.core.spec import TensorSpec
from distkeras.core.variable import Variable
from distkeras.keras.saving.exporting.sizes import Size
from distkeras.keras.saving.exporting.tensorflow import neural, recurrent, training  # noqa: F401  (they enter their operations)
from distkeras.keras.saving.exporting.tensorflow.messages import Argument, function_message
from distkeras.keras.saving.exporting.tensorflow.operators import OPERATORS
from distkeras.keras.saving.exporting.tensorflow.writer import Writer
from distkeras.keras.saving.exporting.tracing import trace_function
from distkeras.keras.saving.exporting.translation import Shaped, Translation


class GraphFunction(NamedTuple):
    """A function of the library.

    Attributes:
        name: What the library calls it.
        arguments: (args, kwargs), with TensorSpecs for tensors.
        results: What it gives, with TensorSpecs for tensors.
        captures: The variables that it takes after its arguments.
    """

    name: str
    arguments: tuple[tuple, dict[str, Any]]
    results: Any
    captures: list[Variable]

    def inputs(self) -> list[TensorSpec]:
        """What it takes."""
        return tensors_of(self.arguments)

    def outputs(self) -> list[TensorSpec]:
        """What it gives."""
        return tensors_of(self.results)


class Library:
    """The functions that are written into one file.

    Args:
        keys: The variables that the file's checkpoint holds.

    Attributes:
        messages: FunctionDefs by name.
    """

    def __init__(self, keys: Mapping[Variable, str]) -> None:
        self.keys = keys
        self.messages: dict[str, bytes] = {}

    def add(self, name: str, function: Callable, args: Sequence[Any], kwargs: dict[str, Any]) -> GraphFunction:
        """Trace and write a function.

        Args:
            name: What it is called, in messages too.
            function: Of tensors, and of other arguments.
            args, kwargs: Its arguments, with TensorSpecs for tensors.

        Raises:
            ValueError: It does what TensorFlow's operations cannot, or what open sizes decide; or it gives what is no
                tensor.
        """
        traced = trace_function(name, function, args, kwargs)
        self._check(name, traced.results)
        inner: dict[str, bytes] = dict(self.messages)
        writer = Writer(self.keys.__contains__, inner)
        inputs = [writer.name(f"input_{number}") for number in range(len(traced.specs))]
        translation = Translation(traced, writer, inputs, OPERATORS, "TensorFlow")
        after = [f"^{effect}" for effect in writer.effects]
        results = {
            Argument(f"output_{number}", shaped.dtype.numpy): writer.node(
                "Identity", value, *after, T=shaped.dtype.numpy
            )
            for number, (value, shaped) in enumerate(zip(translation.results, translation.outputs, strict=True))
        }
        pairs = zip(inputs, traced.specs, strict=True)
        given = [Argument(called, spec.dtype.numpy) for called, spec in pairs] + writer.arguments()
        full_name = self._full_name(name)
        effects = writer.effects
        inner[full_name] = function_message(full_name, given, results, writer.nodes, True, effects)
        self.messages = inner
        outputs = iter(translation.outputs)
        structure = _nest.map_structure(
            lambda leaf: _open(next(outputs)) if isinstance(leaf, TensorSpec) else leaf, traced.results
        )
        return GraphFunction(full_name, (tuple(args), dict(kwargs)), structure, list(writer.captures.values()))

    @staticmethod
    def _check(name: str, results: Any) -> None:
        others = [leaf for leaf in _nest.flatten(results) if not isinstance(leaf, TensorSpec) and leaf is not None]
        if others:
            raise ValueError(f"{name!r} gives {others[0]!r}, which is no tensor, as a SavedModel's functions give.")

    def _full_name(self, name: str) -> str:
        """As TensorFlow calls functions that are run, without signs that names must not have."""
        wanted = found = f"__inference_{re.sub('[^A-Za-z0-9_]', '_', name)}"
        number = 0
        while found in self.messages:
            number += 1
            found = f"{wanted}_{number}"
        return found


def _open(shaped: Shaped) -> TensorSpec:
    return TensorSpec([None if isinstance(size, Size) else size for size in shaped.shape], shaped.dtype)


def tensors_of(structure: Any) -> list[TensorSpec]:
    """The specs in a structure."""
    return [leaf for leaf in _nest.flatten(structure) if isinstance(leaf, TensorSpec)]
