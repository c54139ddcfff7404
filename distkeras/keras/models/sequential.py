"""Sequential: a stack of layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distkeras import _nest
from distkeras._errors import CaptureError
from distkeras.core.context import init_scope
from distkeras.keras import layers as keras_layers
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.keras_tensor import KerasTensor
from distkeras.keras.layers.masks import masks_of
from distkeras.keras.models.graph import LayerGraph
from distkeras.keras.models.model import Model
from distkeras.keras.saving.serialize import serialize_keras_object


@LAYERS.register()
class Sequential(Model):
    """A stack of layers, each called on the output of the one before.

    Without an `input_shape` in the first layer the weights are made when the model first sees data.

    Args:
        layers: The layers, from the input on.
        name: The model's name.

    >>> import distkeras as tf
    >>> model = tf.keras.Sequential()
    >>> model.add(tf.keras.layers.Dense(32, activation="relu", input_shape=(784,)))
    >>> model.add(tf.keras.layers.Dense(10, activation="softmax"))
    >>> model.output_shape
    (None, 10)
    """

    _untracked = Model._untracked | {"_build_input_shape"}

    def __init__(self, layers: Any = None, name: str | None = None) -> None:
        super().__init__(name=name)
        self._stack: list[Layer] = []
        self._input_layer: Any = None
        self._build_input_shape: Any = None
        if layers is not None:
            for layer in layers if isinstance(layers, (list, tuple)) else [layers]:
                self.add(layer)

    # --- the stack

    _has_stack = True

    @property
    def layers(self) -> list[Layer]:
        """The layers of the stack, without the input."""
        return list(self._stack)

    def add(self, layer: Layer) -> None:
        """Put a layer on top.

        Raises:
            TypeError: It is not a layer.
            ValueError: It gives several outputs.
        """
        if isinstance(layer, KerasTensor):
            layer = layer.op
        if not isinstance(layer, Layer):
            advice = " Make one of it: call the class, with its arguments." if isinstance(layer, type) else ""
            raise TypeError(f"The added layer must be an instance of class Layer. Found: {layer!r}.{advice}")
        if any(layer is known for known in self._stack) or any(layer.name == known.name for known in self._stack):
            raise ValueError(
                f"All layers added to a Sequential model should have unique names. {layer.name!r} is there already."
            )
        if isinstance(layer, keras_layers.InputLayer):
            if self._stack:
                raise ValueError("An InputLayer can only be the first layer of a Sequential model.")
            self._input_layer = layer
            self.built = False
            return
        self._stack.append(layer)
        if self._graph is not None:
            self._grow(layer)
        elif self._input_layer is not None or len(self._stack) == 1:
            self._begin(layer)
        else:
            self.built = False

    def _begin(self, layer: Layer) -> None:
        """Start the graph if the first layer tells what it takes."""
        if self._input_layer is None:
            shape, dtype = _declared_input(layer)
            if shape is None:
                self.built = False
                return
            self._input_layer = keras_layers.InputLayer(
                batch_input_shape=shape, dtype=dtype, name=f"{layer.name}_input"
            )
        self._connect(self._input_layer.output)

    def _connect(self, tensor: KerasTensor) -> None:
        inputs = tensor
        for layer in self._stack:
            tensor = _single_output(layer(tensor), layer)
        self._inbound_nodes.clear()
        self._set_graph(LayerGraph(inputs, tensor))

    def _grow(self, layer: Layer) -> None:
        tensor = _single_output(layer(self.outputs[0]), layer)
        self._inbound_nodes.clear()
        self._set_graph(LayerGraph(self._graph.inputs, tensor, self._graph.extras))

    def pop(self) -> None:
        """Take the topmost layer away.

        Raises:
            TypeError: There is none.
        """
        if not self._stack:
            raise TypeError("There are no layers in the model.")
        layer = self._stack.pop()
        if self._graph is None:
            return
        layer._inbound_nodes.clear()
        self._inbound_nodes.clear()
        if self._stack:
            below = self._stack[-1]
            below._outbound_nodes.clear()
            self._set_graph(LayerGraph(self._graph.inputs, below.output))
        else:
            self._input_layer = self._graph = self.inputs = self.outputs = None
            self.input_names = self.output_names = None
            self.built = False

    # --- building and calling

    def build(self, input_shape: Any = None) -> None:
        """Make the weights.

        Args:
            input_shape: The shape of the input, the batch included; not needed if the first layer has one.

        Raises:
            ValueError: The shape is needed and missing, or is not that of the first layer.
        """
        if input_shape is not None and not isinstance(input_shape, (tuple, list)):
            raise ValueError(f"`input_shape` must be a tuple of sizes, the batch included; received {input_shape!r}.")
        if self._graph is not None:
            self._check_shape(input_shape)
            self.built = True
            return
        if input_shape is None:
            raise ValueError("You must provide an `input_shape` argument.")
        self._build_for(tuple(input_shape), self._input_dtype())

    def _check_shape(self, input_shape: Any) -> None:
        known = tuple(self.inputs[0].shape)
        pairs = [] if input_shape is None else zip(known[1:], tuple(input_shape)[1:], strict=False)
        if input_shape is not None and (
            len(input_shape) != len(known) or any(a != b and a is not None and b is not None for a, b in pairs)
        ):
            raise ValueError(
                f"The model {self.name} takes inputs of shape {known}, by its first layer; received "
                f"input_shape={tuple(input_shape)}."
            )

    def _input_dtype(self) -> Any:
        return _declared_input(self._stack[0])[1] if self._stack else self.dtype

    def _build_for(self, shape: tuple[int | None, ...], dtype: Any) -> None:
        if not self._stack:
            raise ValueError(
                f"The Sequential model {self.name} has no layers yet: add some before it is built or called."
            )
        layer = keras_layers.InputLayer(batch_input_shape=shape, dtype=dtype, name=f"{self._stack[0].name}_input")
        try:
            with init_scope():
                self._connect(layer.output)
            self._input_layer, self._build_input_shape = layer, shape
        except (CaptureError, NotImplementedError):
            # A layer that needs values has no graph; the stack is called layer by layer all the same.
            for known in self._stack:
                known._inbound_nodes.clear()
                known._outbound_nodes.clear()
        self.built = True

    def _maybe_build(self, inputs: Any) -> None:
        if not self.built:
            tensor = _nest.flatten(inputs)[0]
            if len(_nest.flatten(inputs)) == 1 and hasattr(tensor, "shape"):
                self._build_for((None, *tensor.shape[1:]), tensor.dtype)
        self._load_initial_weights()

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The stack's output."""
        if self._graph is not None and self._graph.extras:
            return self._graph.run(inputs, training, mask)
        if self._graph is not None:
            (inputs,) = self._graph._conform(inputs)
        if mask is not None:
            inputs._keras_mask = mask
        for layer in self._stack:
            given = {} if training is None or not layer._call_signature.expects("training") else {"training": training}
            inputs = layer(inputs, **given)
        return inputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output, None for none."""
        return masks_of(self.call(inputs, mask=mask))

    # --- predictions of classifiers

    def predict_proba(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> Any:
        """The same as `predict`."""
        return self.predict(x, batch_size, verbose)

    def predict_classes(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> Any:
        """The most probable class of each sample, as an ndarray of int."""
        probabilities = self.predict(x, batch_size, verbose)
        if probabilities.shape[-1] > 1:
            return probabilities.argmax(axis=-1)
        return (probabilities > 0.5).astype("int32")

    # --- configs

    def get_config(self) -> dict[str, Any]:
        """The name and the layers; the first layer's config has the input's shape."""
        layers = [serialize_keras_object(layer) for layer in self._stack]
        config: dict[str, Any] = {"name": self.name, "layers": layers}
        if self._build_input_shape is not None:
            config["build_input_shape"] = self._build_input_shape
        elif self._graph is not None and layers and "layers" not in layers[0]["config"]:
            layers[0]["config"].setdefault("batch_input_shape", tuple(self.inputs[0].shape))
        return config

    @classmethod
    def from_config(cls, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """A new model from what `get_config` gave, or from a list of its layers' configs."""
        name, entries, shape = None, config, None
        if isinstance(config, Mapping):
            name, entries, shape = config.get("name"), config.get("layers"), config.get("build_input_shape")
        if not isinstance(entries, (list, tuple)):
            raise ValueError(f"The config of a Sequential model must list its layers, received {config!r}.")
        model = cls(name=name)
        for entry in entries:
            model.add(keras_layers.deserialize(entry, custom_objects))
        if model._graph is None and shape is not None and model._stack:
            model.build(shape)
        return model


def _declared_input(layer: Layer) -> tuple[Any, Any]:
    """The shape and type of the input that the first layer declares, in nested models by their own first layer."""
    if isinstance(layer, Model):
        if layer.inputs:
            return tuple(layer.inputs[0].shape), layer.inputs[0].dtype
        return (
            _declared_input(layer.layers[0]) if isinstance(layer, Sequential) and layer.layers else (None, layer.dtype)
        )
    return layer._batch_input_shape, layer.dtype


def _single_output(outputs: Any, layer: Layer) -> KerasTensor:
    leaves = _nest.flatten(outputs)
    if len(leaves) != 1:
        raise ValueError(
            "All layers in a Sequential model should have a single output tensor: layer "
            f"{layer.name} gives {len(leaves)}. For multi-output layers, use the functional API."
        )
    return leaves[0]
