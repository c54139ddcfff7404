"""A graph as TensorFlow's scripts look at it: nodes with names, operations and the names of their inputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from distkeras.graph.ir import Graph, Value


@dataclass(frozen=True)
class NodeDef:
    """One node: its name, what it does, and the names of the nodes that its inputs come from."""

    name: str
    op: str
    input: tuple[str, ...] = ()


@dataclass(frozen=True)
class GraphDef:
    """The nodes of a graph, in an order in which they can run."""

    node: tuple[NodeDef, ...]

    def __str__(self) -> str:
        return "\n".join(f"{node.name} = {node.op}({', '.join(node.input)})" for node in self.node)


def graph_def(graph: Graph) -> GraphDef:
    """The nodes: inputs, constants, and one for each equation."""
    seen: Counter[str] = Counter()
    places: dict[Value, str] = {}
    nodes: list[NodeDef] = []

    def add(name: str, op: str, inputs: tuple[Value, ...], outputs: tuple[Value, ...]) -> None:
        number = seen[name]
        seen[name] += 1
        name = f"{name}_{number}" if number else name
        nodes.append(NodeDef(name, op, tuple(places[value] for value in inputs)))
        places.update((value, f"{name}:{place}" if place else name) for place, value in enumerate(outputs))

    for value in graph.inputs:
        add("input", "Placeholder", (), (value,))
    for value in graph.constants:
        add("constant", "Const", (), (value,))
    if graph.random_state:
        add("random_state", "Placeholder", (), (graph.random_state,))
    for equation in graph.equations:
        add(equation.primitive.name, equation.primitive.name, equation.inputs, equation.outputs)
    return GraphDef(tuple(nodes))
