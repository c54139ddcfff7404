"""The functional API's graph: a Node for each call of a layer on symbolic tensors."""

from __future__ import annotations

import itertools
from typing import Any

from distkeras import _nest
from distkeras.keras.layers.keras_tensor import History, KerasTensor
from distkeras.keras.layers.masks import masks_of

_serial_numbers = itertools.count()


class Node:
    """One call of a layer on symbolic tensors.

    Args:
        layer: The layer called.
        inputs: Its first argument: a KerasTensor or a structure with some.
        args, kwargs: The other arguments; KerasTensors may be among them.
        outputs: The KerasTensors it gave, in a structure.

    Attributes:
        index: Which of the layer's calls it is.
        serial_number: Grows from node to node: an order in which the calls can be made again.
    """

    def __init__(self, layer: Any, inputs: Any, args: tuple, kwargs: dict[str, Any], outputs: Any) -> None:
        self.layer = layer
        # Copies: the caller may go on filling the lists it passed.
        self.input_tensors, self.args, self.kwargs = _nest.map_structure(lambda leaf: leaf, (inputs, args, kwargs))
        self.output_tensors = self.input_tensors if outputs is inputs else outputs
        self.index = len(layer._inbound_nodes)
        self.serial_number = next(_serial_numbers)
        layer._inbound_nodes.append(self)

    @classmethod
    def connect(cls, layer: Any, inputs: Any, args: tuple, kwargs: dict[str, Any], outputs: Any) -> Node:
        """A node whose outputs are new, known to the layers that its inputs come from."""
        node = cls(layer, inputs, args, kwargs, outputs)
        for position, tensor in enumerate(_nest.flatten(outputs)):
            tensor._keras_history = History(layer, node.index, position)
            if tensor._keras_mask is not None:
                tensor._keras_mask._keras_history = tensor._keras_history
        for source in node.inbound_layers:
            source._outbound_nodes.append(node)
        return node

    @property
    def outbound_layer(self) -> Any:
        return self.layer

    @property
    def keras_inputs(self) -> list[KerasTensor]:
        """All KerasTensors among the arguments; none for an input layer, whose tensor comes from outside."""
        if self.input_tensors is self.output_tensors:
            return []
        leaves = _nest.flatten([self.input_tensors, self.args, self.kwargs])
        return [leaf for leaf in leaves if isinstance(leaf, KerasTensor)]

    @property
    def inbound_layers(self) -> list[Any]:
        return [tensor._keras_history.layer for tensor in self.keras_inputs]

    @property
    def parents(self) -> list[Node]:
        """The nodes that made the inputs."""
        return [tensor.node for tensor in self.keras_inputs]

    def arguments(self, values: dict[int, Any]) -> tuple[Any, tuple, dict[str, Any]]:
        """The call's arguments with `values[id(tensor)]` in place of each KerasTensor."""
        return _nest.map_structure(
            lambda leaf: values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf,
            (self.input_tensors, self.args, self.kwargs),
        )


def _static_shape(structure: Any) -> Any:
    return _nest.map_structure(lambda tensor: tuple(tensor.shape), structure)


class Connected:
    """How a layer was called on symbolic tensors; base of Layer."""

    _inbound_nodes: list[Node]
    _outbound_nodes: list[Node]

    @property
    def inbound_nodes(self) -> list[Node]:
        return self._inbound_nodes

    @property
    def outbound_nodes(self) -> list[Node]:
        return self._outbound_nodes

    def _at(self, node_index: int, what: str) -> Any:
        if not self._inbound_nodes:
            raise RuntimeError(f"The layer {self.name} has never been called and thus has no defined {what}.")
        if not -len(self._inbound_nodes) <= node_index < len(self._inbound_nodes):
            raise ValueError(
                f"Asked to get {what} at node {node_index}, but the layer {self.name} has only "
                f"{len(self._inbound_nodes)} inbound nodes."
            )
        node = self._inbound_nodes[node_index]
        return node.input_tensors if what.startswith("input") else node.output_tensors

    def get_input_at(self, node_index: int) -> Any:
        """The input(s) of one of the layer's calls."""
        return _single(self._at(node_index, "input"))

    def get_output_at(self, node_index: int) -> Any:
        """The output(s) of one of the layer's calls."""
        return _single(self._at(node_index, "output"))

    def get_input_shape_at(self, node_index: int) -> Any:
        """The input shape(s) of one of the layer's calls."""
        return _static_shape(self._at(node_index, "input shape"))

    def get_output_shape_at(self, node_index: int) -> Any:
        """The output shape(s) of one of the layer's calls."""
        return _static_shape(self._at(node_index, "output shape"))

    def get_input_mask_at(self, node_index: int) -> Any:
        """The mask(s) of the input(s) of one of the layer's calls, None for none."""
        return _single(masks_of(self._at(node_index, "input")))

    def get_output_mask_at(self, node_index: int) -> Any:
        """The mask(s) of the output(s) of one of the layer's calls, None for none."""
        return _single(masks_of(self._at(node_index, "output")))

    def _only(self, what: str, getter: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(f"Layer {self.name} is not connected: it has no {what}. Call it on a tensor first.")
        if len(self._inbound_nodes) > 1:
            raise AttributeError(
                f'Layer {self.name} has multiple inbound nodes, hence the notion of "layer {what}" is ill-defined. '
                f"Use `{getter}(node_index)` instead."
            )
        return _single(self._at(0, what))

    @property
    def input(self) -> Any:
        """The input tensor(s), for a layer that was called once.

        Raises:
            AttributeError: It was called on nothing, or more than once.
        """
        return self._only("input", "get_input_at")

    @property
    def output(self) -> Any:
        """The output tensor(s), for a layer that was called once.

        Raises:
            AttributeError: It was called on nothing, or more than once.
        """
        return self._only("output", "get_output_at")

    @property
    def input_mask(self) -> Any:
        """The mask(s) of the input(s), for a layer that was called once.

        Raises:
            AttributeError: It was called on nothing, or more than once.
        """
        return masks_of(self._only("input", "get_input_mask_at"))

    @property
    def output_mask(self) -> Any:
        """The mask(s) of the output(s), for a layer that was called once.

        Raises:
            AttributeError: It was called on nothing, or more than once.
        """
        return masks_of(self._only("output", "get_output_mask_at"))

    def _only_shape(self, what: str, tensors: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(f"The layer has never been called and thus has no defined {what} shape.")
        shapes = [_static_shape(getattr(node, tensors)) for node in self._inbound_nodes]
        if any(shape != shapes[0] for shape in shapes):
            raise AttributeError(
                f'The layer "{self.name}" has multiple inbound nodes, with different {what} shapes. Hence the notion '
                f'of "{what} shape" is ill-defined for the layer. Use `get_{what}_shape_at(node_index)` instead.'
            )
        return shapes[0]

    @property
    def input_shape(self) -> Any:
        """The shape(s) of the input, if all calls agree.

        Raises:
            AttributeError: It was called on nothing, or on different shapes.
        """
        return self._only_shape("input", "input_tensors")

    @property
    def output_shape(self) -> Any:
        """The shape(s) of the output, if all calls agree.

        Raises:
            AttributeError: It was called on nothing, or its outputs differ in shape.
        """
        return self._only_shape("output", "output_tensors")


def _single(structure: Any) -> Any:
    return structure[0] if isinstance(structure, list) and len(structure) == 1 else structure
