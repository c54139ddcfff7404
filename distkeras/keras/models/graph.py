"""The graph of a functional model: which layer calls lead from its inputs to its outputs, and running them.

A node's depth is the length of the longest way from it to an output. Nodes run from the deepest to the shallowest, and
layers are listed in that order, which fixes the order of a model's weights and of its config.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from distkeras import _nest, ops
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.layers.keras_tensor import KerasTensor
from distkeras.keras.layers.node import Node
from distkeras.keras.layers.tracking import unique


class LayerGraph:
    """Layer calls between symbolic inputs and outputs.

    Args:
        inputs: KerasTensors made by `Input`, in a structure.
        outputs: KerasTensors computed from them, in a structure.
        extras: More KerasTensors to compute, for the losses and metrics they carry.

    Attributes:
        layers: All layers, inputs first.
        nodes: All calls, in an order in which they can run.

    Raises:
        ValueError: An input does not come from `Input` or is given twice, an output depends on something else, or two
            layers have one name.
    """

    def __init__(self, inputs: Any, outputs: Any, extras: list[KerasTensor] | None = None) -> None:
        self.inputs, self.outputs, self.extras = _unwrapped(inputs), _unwrapped(outputs), list(extras or ())
        self.input_tensors: list[KerasTensor] = _nest.flatten(self.inputs)
        self.output_tensors: list[KerasTensor] = _nest.flatten(self.outputs)
        self._check_ends()
        found, indices = _walk([*self.output_tensors, *self.extras])
        self.node_depths, layer_depths = _depths(found)
        for tensor in self.input_tensors:
            if id(tensor.node) not in self.node_depths:  # nothing depends on it
                self.node_depths[id(tensor.node)], layer_depths[tensor.op] = 0, 0
                indices[tensor.op] = -1
                found.append(tensor.node)
        self.nodes: list[Node] = sorted(found, key=lambda node: -self.node_depths[id(node)])
        self.layers = sorted(layer_depths, key=lambda layer: (-layer_depths[layer], indices[layer]))
        self._check_connected()
        self._check_names()

    # --- checks

    def _check_ends(self) -> None:
        for kind, tensors in (("Input", self.input_tensors), ("Output", self.output_tensors)):
            if not tensors:
                raise ValueError(f"A model needs at least one input and one output: there is no {kind.lower()} tensor.")
            for tensor in tensors:
                if not isinstance(tensor, KerasTensor):
                    raise ValueError(
                        f"{kind} tensors to a Model must be symbolic tensors that come from `tf.keras.Input`, "
                        f"received {tensor!r}."
                    )
        for tensor in self.input_tensors:
            if tensor.node.keras_inputs or tensor.node.input_tensors is not tensor.node.output_tensors:
                raise ValueError(
                    f"Input tensors to a Model must come from `tf.keras.Input`. Received {tensor}, an output of layer "
                    f"{tensor.op.name!r}: make a new Input and call the layers after it on that."
                )
        if len(unique(self.input_tensors)) != len(self.input_tensors):
            raise ValueError(
                "The list of inputs passed to the model is redundant. All inputs should only appear once. "
                f"Found: {self.input_tensors}"
            )

    def _check_connected(self) -> None:
        known = {id(tensor) for tensor in self.input_tensors}
        reached: list[str] = []
        for node in self.nodes:
            for tensor in node.keras_inputs or (_nest.flatten(node.output_tensors)):
                if id(tensor) not in known:
                    raise ValueError(
                        f'Graph disconnected: cannot obtain value for tensor {tensor} at layer "{tensor.op.name}". '
                        f"The following previous layers were accessed without issue: {reached}. "
                        "Its Input is missing from the inputs of the model."
                    )
            for tensor in _nest.flatten(node.output_tensors):
                known.update((id(tensor), id(tensor._keras_mask)))
            reached.append(node.layer.name)

    def _check_names(self) -> None:
        for name, count in Counter(layer.name for layer in self.layers).items():
            if count > 1:
                raise ValueError(
                    f'The name "{name}" is used {count} times in the model. All layer names should be unique.'
                )

    # --- names

    @property
    def input_names(self) -> list[str]:
        return [tensor.op.name for tensor in self.input_tensors]

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that give the outputs, numbered where one gives several."""
        names: list[str] = []
        for tensor in self.output_tensors:
            name, count = tensor.op.name, 1
            while name in names:
                name, count = f"{tensor.op.name}_{count}", count + 1
            names.append(name)
        return names

    @property
    def nodes_by_depth(self) -> dict[int, list[Node]]:
        by_depth: dict[int, list[Node]] = {}
        for node in self.nodes:
            by_depth.setdefault(self.node_depths[id(node)], []).append(node)
        return by_depth

    # --- running

    def run(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The outputs for inputs with values, or for symbols of a trace."""
        tensors = self._conform(inputs)
        if mask is not None:
            for tensor, item in zip(tensors, _nest.flatten(mask), strict=True):
                tensor._keras_mask = item
        values = dict(zip(map(id, self.input_tensors), tensors, strict=True))
        for node in self.nodes:
            if not node.keras_inputs:
                continue
            first, args, kwargs = node.arguments(values)
            signature = node.layer._call_signature
            if (
                training is not None
                and signature.expects("training")
                and signature.given("training", args, kwargs) is None
            ):
                args, kwargs = signature.give("training", training, args, kwargs)
            outputs = node.layer(first, *args, **kwargs)
            for tensor, value in zip(_nest.flatten(node.output_tensors), _nest.flatten(outputs), strict=True):
                values[id(tensor)] = value
                values[id(tensor._keras_mask)] = getattr(value, "_keras_mask", None)
        return _nest.pack(self.outputs, [values[id(tensor)] for tensor in self.output_tensors])

    def _conform(self, inputs: Any) -> list[Tensor]:
        """One tensor for each of the model's inputs, of its type, with a last axis of size 1 where that is missing."""
        if isinstance(inputs, dict) and not isinstance(self.inputs, dict):
            missing = [name for name in self.input_names if name not in inputs]
            if missing:
                raise ValueError(f"Missing data for input {missing[0]!r}: the keys given are {sorted(inputs)}.")
            inputs = [inputs[name] for name in self.input_names]
        leaves = _nest.flatten(inputs)
        if len(leaves) != len(self.input_tensors):
            raise ValueError(
                f"The model expects {len(self.input_tensors)} inputs, {self.input_names}, "
                f"but it received {len(leaves)}."
            )
        return [_fitted(leaf, tensor) for leaf, tensor in zip(leaves, self.input_tensors, strict=True)]


def _fitted(value: Any, reference: KerasTensor) -> Tensor | RaggedTensor:
    if isinstance(value, RaggedTensor) != reference.ragged:
        kinds = ("a tensor", "a ragged tensor")
        raise ValueError(
            f"Input {reference.name!r} takes {kinds[reference.ragged]}, but received {kinds[not reference.ragged]}: "
            "ragged.to_tensor() and tf.RaggedTensor.from_tensor make one of the other."
        )
    if isinstance(value, RaggedTensor):
        return value if value.dtype == reference.dtype else ops.cast(value, reference.dtype)
    tensor, rank = to_tensor(value), len(reference.shape)
    if tensor.ndim == rank - 1 and reference.shape[-1] == 1:
        tensor = ops.expand_dims(tensor, tensor.ndim)
    elif tensor.ndim == rank + 1 and tensor.shape[-1] == 1 and reference.shape[-1] != 1:
        tensor = ops.squeeze(tensor, [rank])
    return tensor if tensor.dtype == reference.dtype else ops.cast(tensor, reference.dtype)


def _unwrapped(structure: Any) -> Any:
    return structure[0] if isinstance(structure, list) and len(_nest.flatten(structure)) == 1 else structure


def _walk(tensors: list[KerasTensor]) -> tuple[list[Node], dict[Any, int]]:
    """Every node that the tensors depend on, each after those it depends on; and when each layer was first met."""
    nodes: list[Node] = []
    indices: dict[Any, int] = {}
    state: dict[int, str] = {}
    for tensor in tensors:
        pending = [(tensor.node, None)]
        while pending:
            node, parents = pending.pop()
            if parents is None:
                if id(node) in state:
                    continue
                state[id(node)] = "open"
                indices.setdefault(node.layer, len(indices))
                parents = iter(node.parents)
            following = next(parents, None)
            if following is None:
                state[id(node)] = "done"
                nodes.append(node)
                continue
            pending.append((node, parents))
            if state.get(id(following)) == "open":
                raise ValueError(f"The tensor {following.output_tensors} is part of a cycle.")
            pending.append((following, None))
    return nodes, indices


def _depths(nodes: list[Node]) -> tuple[dict[int, int], dict[Any, int]]:
    """The depth of each node, by id, and of each layer: that of its deepest node."""
    of_nodes: dict[int, int] = {}
    of_layers: dict[Any, int] = {}
    for node in reversed(nodes):
        depth = max(of_nodes.get(id(node), 0), of_layers.get(node.layer, 0))
        of_nodes[id(node)] = of_layers[node.layer] = depth
        for parent in node.parents:
            of_nodes[id(parent)] = max(of_nodes.get(id(parent), 0), depth + 1)
    return of_nodes, of_layers
