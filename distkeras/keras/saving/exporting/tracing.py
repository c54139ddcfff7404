"""Models and functions, traced for two choices of their open sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from distkeras import _nest
from distkeras.core.spec import TensorSpec
from distkeras.graph.ir import Graph
from distkeras.graph.passes import fold_constants, merge_common, remove_dead
from distkeras.graph.trace import trace
from distkeras.keras.saving.exporting.sizes import MOST_OPEN_SIZES, Size, samples

Places = dict[tuple[int, int], int]


class Traced(NamedTuple):
    """A function, such as a model's forward pass.

    Attributes:
        name: What messages call it.
        graphs: What it was traced to for the two choices; see `sizes`.
        specs: Of its inputs, with None for open sizes.
        places: (input, axis) -> number of the open size that stands there.
        results: The structure of what it gives: a TensorSpec for each output of the first graph.
        input_names, output_names: What they are called.
    """

    name: str
    graphs: tuple[Graph, Graph]
    specs: list[TensorSpec]
    places: Places
    results: Any
    input_names: list[str]
    output_names: list[str]

    @property
    def open_sizes(self) -> int:
        """How many there are."""
        return len(set(self.places.values()))

    def name_of(self, size: Size) -> str | None:
        """What an open size is called, None for what is made of such."""
        if size.factor != 1 or size.offset or [added for _, added in size.terms] != [0]:
            return None
        ((symbol, _),) = size.terms
        is_batch = any(axis == 0 for (_, axis), its_symbol in self.places.items() if its_symbol == symbol)
        return "batch" if is_batch else f"size_{symbol}"


def trace_model(model: Any, input_signature: Any = None) -> Traced:
    """Trace `model(inputs, training=False)`.

    Args:
        model: Its weights exist.
        input_signature: A TensorSpec, or a structure of them, for what it is called with; by default its inputs.

    Raises:
        ValueError: The model has no weights or no known inputs, or too many sizes are open.
    """
    signature = _signature(model, input_signature)
    traced = trace_function(model.name, lambda inputs: model(inputs, training=False), [signature], {})
    inputs = model.input_names or traced.input_names
    outputs = model.output_names or traced.output_names
    outputs = [f"{name}_output" if name in inputs else name for name in outputs]
    return traced._replace(input_names=list(inputs), output_names=outputs)


def trace_function(name: str, function: Callable, args: Sequence[Any], kwargs: dict[str, Any]) -> Traced:
    """Trace a function.

    Args:
        name: What messages call it.
        function: Of tensors, and of other arguments.
        args, kwargs: Its arguments, with TensorSpecs for tensors.

    Raises:
        ValueError: Too many sizes are open, or the number of dimensions of an argument is.
    """
    arguments = list(args), dict(kwargs)
    specs = [leaf for leaf in _nest.flatten(arguments) if isinstance(leaf, TensorSpec)]
    for spec in specs:
        if spec.shape.rank is None:
            raise ValueError(f"{name!r} takes {spec}: give it a shape, in which sizes may be None.")
    places = _open_sizes(specs)
    count = len(set(places.values()))
    if count > MOST_OPEN_SIZES:
        raise ValueError(f"At most {MOST_OPEN_SIZES} sizes may be None, received {count}: give some of them numbers.")
    (first, results), (second, _) = (_traced(function, arguments, places, sizes) for sizes in samples(count))
    inputs = [f"input_{number + 1}" for number in range(len(specs))]
    outputs = [f"output_{number + 1}" for number in range(len(first.outputs))]
    return Traced(name, (first, second), specs, places, results, inputs, outputs)


def _signature(model: Any, given: Any) -> Any:
    if given is None:
        given = model.inputs
        if not given:
            raise ValueError(
                f"{model.name!r} is defined by its `call`, so that the shapes of its inputs are not known: pass "
                "input_signature=tf.TensorSpec(shape, dtype), or a structure of them."
            )
        given = given[0] if len(given) == 1 else list(given)
    if not model.built:
        raise ValueError(f"{model.name!r} has no weights yet: call it on data, or build() it, before it is exported.")
    return _nest.map_structure(lambda leaf: TensorSpec(leaf.shape, leaf.dtype), given)


def _open_sizes(specs: Sequence[TensorSpec]) -> Places:
    """(input, axis) -> number of the open size: all first dimensions are one, the batch."""
    places: Places = {}
    found = [(number, axis) for number, spec in enumerate(specs) for axis, n in enumerate(spec.shape) if n is None]
    for place in sorted(found, key=lambda place: place[1] > 0):
        is_batch = place[1] == 0
        places[place] = 0 if is_batch else max(places.values(), default=-1) + 1
    return places


def _traced(function: Callable, arguments: Any, places: Places, sizes: Sequence[int]) -> tuple[Graph, Any]:
    number = -1

    def known(leaf: Any) -> Any:
        nonlocal number
        if not isinstance(leaf, TensorSpec):
            return leaf
        number += 1
        shape = [sizes[places[number, axis]] if n is None else n for axis, n in enumerate(leaf.shape)]
        return TensorSpec(shape, leaf.dtype)

    args, kwargs = _nest.map_structure(known, arguments)
    graph, results = trace(function, args, kwargs)
    return remove_dead(merge_common(fold_constants(graph))), results
