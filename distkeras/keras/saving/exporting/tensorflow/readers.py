"""Functions of TensorFlow's graphs, run node by node with the operations that are here.

`READERS` holds, for each of TensorFlow's operations that can be read, what computes it: a function (node, *inputs) ->
output, or a list of outputs. Those of what is written stand beside their writers, the others in the modules `read_*`.

Step by step the nodes run one after the other; within a `tf.function` they are traced like any other Python, so that
what has been read is compiled, differentiated and written again as if it had been made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras._registry import Registry
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.saving.exporting.tensorflow.decoding import FunctionDef, NodeDef
from distkeras.keras.saving.exporting.tensorflow.messages import FunctionName

READERS = Registry("TensorFlow operation")
_REQUIRED = object()


class Reader(NamedTuple):
    """How an operation is read.

    Attributes:
        apply: (node, *inputs) -> output, or a list of outputs.
        outputs: What TensorFlow calls the outputs where several have names.
        effect: Whether it does something besides giving outputs.
    """

    apply: Callable[..., Any]
    outputs: tuple[str, ...] = ()
    effect: bool = False


def reads(*operations: str, outputs: tuple[str, ...] = (), effect: bool = False) -> Callable[[Callable], Callable]:
    """A decorator that enters what reads some operations."""

    def enter(apply: Callable) -> Callable:
        for operation in operations:
            READERS.add(operation, Reader(apply, outputs, effect))
        return apply

    return enter


class Node:
    """A node while it is read: its attributes, and the functions that it may call.

    Attributes:
        name, operation: What it is called, and what it does.
    """

    def __init__(self, definition: NodeDef, library: Mapping[str, FunctionDef]) -> None:
        self.name, self.operation = definition.name, definition.operation
        self._attributes = definition.attributes
        self._library = library

    def __call__(self, attribute: str, default: Any = _REQUIRED) -> Any:
        """An attribute; files leave out those that are as TensorFlow has them by default.

        Raises:
            ValueError: It is not there and has no default.
        """
        found = self._attributes.get(attribute, default)
        if found is _REQUIRED:
            raise ValueError(f"the node {self.name!r} ({self.operation}) has no attribute {attribute!r}")
        return found

    def text(self, attribute: str, default: str = "") -> str:
        """An attribute that is a text."""
        found = self._attributes.get(attribute)
        return default if found is None else found.decode()

    def call(self, function: FunctionName, inputs: Sequence[Any]) -> list[Any]:
        """What a function that an attribute names makes of the inputs.

        Raises:
            ValueError: There is none of that name.
        """
        if function.name not in self._library:
            raise ValueError(f"the node {self.name!r} calls the function {function.name!r}, which is not there")
        return run(self._library[function.name], inputs, self._library)


def run(function: FunctionDef, arguments: Sequence[Any], library: Mapping[str, FunctionDef]) -> list[Any]:
    """The results of a function.

    Args:
        function: Of a graph's library.
        arguments: Tensors, and for handles what they stand for, such as a Variable.
        library: The functions that it may call.

    Raises:
        NotImplementedError: It applies an operation that is not here.
        ValueError: It is damaged.
    """
    if len(arguments) != len(function.arguments):
        raise ValueError(f"{function.name!r} takes {len(function.arguments)} arguments, received {len(arguments)}")
    known = {name: [value] for name, value in zip(function.arguments, arguments, strict=True)}
    for node in _in_order(function, [value for _, value in function.results]):
        inputs = [_value(function, known, value) for value in node.inputs if not value.startswith("^")]
        reader = READERS.get(node.operation)
        if reader is None:
            raise NotImplementedError(
                f"The function {function.name!r} applies the operation {node.operation!r} (its node {node.name!r}), "
                "which is not available here: make the model in Python and use load_weights(folder)."
            )
        outputs = reader.apply(Node(node, library), *inputs)
        known[node.name] = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    return [_value(function, known, value) for _, value in function.results]


def _value(function: FunctionDef, known: Mapping[str, list[Any]], reference: str) -> Any:
    """What `argument`, or `node:output`, or `node:output:number`, stands for."""
    name, *rest = reference.split(":")
    if name not in known:
        raise ValueError(f"{function.name!r} has no node {name!r}, though it is referred to")
    if not rest:
        return known[name][0]
    node = function.nodes.get(name)
    names = () if node is None else READERS[node.operation].outputs
    first = names.index(rest[0]) if len(rest) == 2 and rest[0] in names else 0
    return known[name][first + int(rest[-1])]


def _in_order(function: FunctionDef, results: Sequence[str]) -> list[NodeDef]:
    """The nodes that results or effects need, each after those that it needs."""
    wanted = [reference.split(":")[0] for reference in results] + function.effects
    for node in function.nodes.values():
        reader = READERS.get(node.operation)
        if reader is not None and reader.effect:
            wanted.append(node.name)
    needed = _needed(function, wanted)
    order: list[NodeDef] = []
    done: set[str] = set()
    for first in [name for name in function.nodes if name in needed]:  # effects keep the order of the file
        waiting, entered = [first], set()
        while waiting:
            name = waiting[-1]
            before = [place for place in _sources(function, name) if place not in done]
            if name in done or not before:
                waiting.pop()
                if name not in done:
                    done.add(name)
                    order.append(function.nodes[name])
            elif name in entered:
                raise ValueError(f"{function.name!r}: the node {name!r} needs itself")
            else:
                entered.add(name)
                waiting.extend(reversed(before))
    return order


def _needed(function: FunctionDef, wanted: Sequence[str]) -> set[str]:
    needed: set[str] = set()
    waiting = [name for name in wanted if name in function.nodes]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(_sources(function, name))
    return needed


def _sources(function: FunctionDef, name: str) -> list[str]:
    """The nodes that one must come after."""
    names = [reference.lstrip("^").split(":")[0] for reference in function.nodes[name].inputs]
    return [source for source in names if source in function.nodes]


def known_now(value: Any) -> np.ndarray:
    """A tensor's array, for what operations must know in numbers, such as axes and shapes.

    Raises:
        CaptureError: It is computed from the arguments of a function that is being traced.
    """
    return to_tensor(value).numpy() if isinstance(value, Tensor) else np.asarray(value)


def numbers(value: Any) -> list[int]:
    """A tensor's elements as ints."""
    return [int(number) for number in np.reshape(known_now(value), -1)]


def number(value: Any) -> int:
    """The int in a tensor of one element."""
    (found,) = numbers(value)
    return found
