"""Models, traced for two choices of their open sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from distkeras import _nest
from distkeras.core.spec import TensorSpec
from distkeras.graph.ir import Graph
from distkeras.graph.passes import fold_constants, merge_common, remove_dead
from distkeras.graph.trace import trace
from distkeras.keras.saving.exporting.sizes import MOST_OPEN_SIZES, Size, samples

Places = dict[tuple[int, int], int]


class Traced(NamedTuple):
    """A model's forward pass.

    Attributes:
        name: The model's.
        graphs: What it was traced to for the two choices; see `sizes`.
        specs: Of its inputs, with None for open sizes.
        places: (input, axis) -> number of the open size that stands there.
        input_names, output_names: What they are called.
    """

    name: str
    graphs: tuple[Graph, Graph]
    specs: list[TensorSpec]
    places: Places
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
    specs = _nest.flatten(signature)
    places = _open_sizes(specs)
    count = len(set(places.values()))
    if count > MOST_OPEN_SIZES:
        raise ValueError(f"At most {MOST_OPEN_SIZES} sizes may be None, received {count}: give some of them numbers.")
    first, second = (_traced(model, signature, specs, places, sizes) for sizes in samples(count))
    inputs = model.input_names or [f"input_{number + 1}" for number in range(len(specs))]
    outputs = model.output_names or [f"output_{number + 1}" for number in range(len(first.outputs))]
    outputs = [f"{name}_output" if name in inputs else name for name in outputs]
    return Traced(model.name, (first, second), specs, places, list(inputs), outputs)


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


def _traced(model: Any, signature: Any, specs: Sequence[TensorSpec], places: Places, sizes: Sequence[int]) -> Graph:
    def known(number: int, spec: TensorSpec) -> TensorSpec:
        shape = [sizes[places[number, axis]] if n is None else n for axis, n in enumerate(spec.shape)]
        return TensorSpec(shape, spec.dtype)

    inputs = _nest.pack(signature, [known(number, spec) for number, spec in enumerate(specs)])
    graph, _ = trace(lambda inputs: model(inputs, training=False), [inputs])
    return remove_dead(merge_common(fold_constants(graph)))
