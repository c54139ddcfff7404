"""Network: layers put together, either as a graph of symbolic tensors or by a `call` of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from distkeras import _nest
from distkeras.core import deferred
from distkeras.core.context import init_scope
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.distribute.strategies import get_strategy
from distkeras.keras.layers.arguments import map_shapes
from distkeras.keras.layers.base import Layer
from distkeras.keras.layers.keras_tensor import KerasTensor, abstract_call
from distkeras.keras.layers.masks import masks_of
from distkeras.keras.layers.naming import root_scope
from distkeras.keras.layers.node import Node, _static_shape
from distkeras.keras.layers.tracking import Tracked, unique
from distkeras.keras.models.additions import AddLoss, AddMetric
from distkeras.keras.models.graph import LayerGraph
from distkeras.keras.models.graph_config import graph_config, rebuild
from distkeras.keras.models.storable import Storable
from distkeras.keras.models.summary import print_summary
from distkeras.keras.saving.serialize import get_registered_name, json_value

KERAS_VERSION = "2.2.4-tf"  # what TensorFlow 2.0 writes into configs
_OPTIONS = ("trainable", "dtype", "dynamic", "autocast")


class Network(Storable, Layer):
    """Base of models: the part that has to do with layers, not with training.

    `Network(inputs, outputs)` is the graph between symbolic tensors; a subclass without inputs defines `call`.
    """

    _supports_ragged_inputs = True

    _untracked = Layer._untracked | {"inputs", "outputs", "input_specs", "optimizer", "_graph"}
    _own_weights_first = False
    _outputs_carry_masks = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.__dict__["_is_initialized"] = True
        ends = dict(zip(("inputs", "outputs", "name"), args, strict=False))
        if len(args) > 3 or any(key in kwargs for key in ends):
            raise TypeError(f"A model takes inputs, outputs and name, received {args!r} and {sorted(kwargs)}.")
        kwargs = {**ends, **kwargs}
        inputs, outputs = kwargs.pop("inputs", None), kwargs.pop("outputs", None)
        if (inputs is None) != (outputs is None):
            raise ValueError(
                "A functional model needs both `inputs` and `outputs`; a subclass defines `call` and gives neither."
            )
        for option in kwargs:
            if option != "name" and option not in _OPTIONS:
                raise TypeError(f"Keyword argument not understood: {option!r} (for {type(self).__name__}).")
        super().__init__(**kwargs)
        self._distribute_strategy = get_strategy()
        self._autocast = False  # the layers inside cast what they are given
        self.supports_masking = True
        self.inputs = self.outputs = self._graph = None
        self.input_specs = None
        self.input_names = self.output_names = None
        if inputs is not None:
            self._set_graph(LayerGraph(inputs, outputs))

    def _set_graph(self, graph: LayerGraph) -> None:
        self._graph = graph
        self.inputs, self.outputs = graph.input_tensors, graph.output_tensors
        self.input_names, self.output_names = graph.input_names, graph.output_names
        self.built = True
        if not self._inbound_nodes:
            Node(self, graph.inputs, (), {}, graph.outputs)

    def __setattr__(self, name: str, value: Any) -> None:
        if "_is_initialized" not in self.__dict__ and any(
            isinstance(leaf, (Tracked, Variable)) for leaf in _nest.flatten(value)
        ):
            raise RuntimeError(
                "It looks like you are subclassing `Model` and you forgot to call "
                "`super().__init__()`. Always start with this line."
            )
        super().__setattr__(name, value)
        if name == "optimizer":
            deferred.changed(self)

    def _checkpoint_children(self, wanted: Collection[str] = ()) -> dict[str, Any]:
        """Layers by their places, also among those with weights; attributes; the optimizer."""
        children: dict[str, Any] = {}
        with_weights, is_counted = 0, True
        for place, layer in enumerate(self.layers if self._has_stack else ()):
            # After a layer that is not built, nobody knows yet how many come before that have weights.
            is_counted = is_counted and (self._graph is not None or layer.built or bool(layer.weights))
            if is_counted and layer.weights:
                children[f"layer_with_weights-{with_weights}"] = layer
                with_weights += 1
            children[f"layer-{place}"] = layer
        held = super()._checkpoint_children(wanted)
        children.update((name, value) for name, value in held.items() if name not in ("_stack", "_input_layer"))
        return {**children, "optimizer": self.__dict__.get("optimizer")}

    # --- what it consists of

    @property
    def _has_stack(self) -> bool:
        """Whether its layers have places, as in a functional model, rather than only names of attributes."""
        return self._graph is not None

    @property
    def _is_graph_network(self) -> bool:
        return self._graph is not None

    @property
    def _has_no_call(self) -> bool:
        return self._graph is None and type(self).call is Network.call

    @property
    def distribute_strategy(self) -> Any:
        """The strategy in whose scope the model was made."""
        return self._distribute_strategy

    def _children(self) -> list[Any]:
        graph_layers = [] if self._graph is None else self._graph.layers
        return unique([*graph_layers, *super()._children()])

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside, in order."""
        return self._sublayers()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer, by its name or by its place among `layers`.

        Raises:
            ValueError: There is no such layer.
            TypeError: The index is no integer.
        """
        layers = self.layers
        if index is not None:
            if not isinstance(index, int):
                raise TypeError(f"`index` must be an integer, received {index!r}; `name` is the other argument.")
            if not -len(layers) <= index < len(layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has {len(layers)} layers."
                )
            return layers[index]
        if name is None:
            raise ValueError("Provide either a layer name or layer index.")
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"No such layer: {name}. The model has {[layer.name for layer in layers]}.")

    @property
    def weights(self) -> list[Variable]:
        """All variables, layer by layer."""
        return self._with_children(self._own_variables(), "weights")

    @property
    def stateful(self) -> bool:
        """Whether a layer keeps state from batch to batch."""
        return any(getattr(layer, "stateful", False) for layer in self._sublayers())

    @stateful.setter
    def stateful(self, value: bool) -> None:
        if value:
            raise ValueError("A model is stateful if one of its layers is.")

    @property
    def state_updates(self) -> list[Any]:
        """Always empty: layers assign their state when they are called."""
        return []

    def reset_states(self) -> None:
        """Forget the state that layers keep from batch to batch."""
        for layer in self._sublayers():
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_states"):
                layer.reset_states()

    # --- its place in other graphs

    @property
    def input(self) -> Any:
        """The symbolic input(s) of a functional model."""
        return super().input if self._graph is None else self._graph.inputs

    @property
    def output(self) -> Any:
        """The symbolic output(s) of a functional model."""
        return super().output if self._graph is None else self._graph.outputs

    @property
    def input_shape(self) -> Any:
        """The shape(s) of the input(s)."""
        return super().input_shape if self._graph is None else _static_shape(self._graph.inputs)

    @property
    def output_shape(self) -> Any:
        """The shape(s) of the output(s)."""
        return super().output_shape if self._graph is None else _static_shape(self._graph.outputs)

    # --- building and calling

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of a model defined by its `call`, without data.

        Args:
            input_shape: The shape(s) of the input(s), the batch included; sizes may be None.

        Raises:
            ValueError: `call` needs more than inputs, or cannot run on tensors without values.
        """
        if self._graph is not None:
            self.built = True
            return
        if input_shape is None:
            raise ValueError("Input shape must be defined when calling build on a model subclass network.")
        if not isinstance(input_shape, (tuple, list, dict)):
            raise ValueError(
                "Specified input shape is not one of the valid types. Please specify a batch input shape of type tuple "
                f"or list of input shapes. User provided input type: {type(input_shape)}"
            )
        more = [name for name in self._call_signature.required if name not in ("training", "mask")]
        if more:
            raise ValueError(
                "Currently, you cannot build your model if it has positional or keyword arguments that are not inputs "
                f"to the model, but are required for its `call` method: {more}. Call the model on data instead."
            )
        inputs = map_shapes(lambda shape: KerasTensor.from_spec(shape, self.dtype, self.name), input_shape)
        with init_scope(), root_scope():
            abstract_call(lambda values: self._call_inside(values), (inputs,), self.name)
        self.built = True

    def _call_inside(self, values: Any) -> Any:
        args, kwargs, _ = self._resolve_training((), {})
        if "training" in self._call_signature.required:
            kwargs = {"training": False, **kwargs}
        return self.call(values, *args, **kwargs)

    def _maybe_build(self, inputs: Any) -> None:
        """Layers of a model defined by its `call` are built in that call, under its name."""
        if self._graph is None and self.input_specs is None:
            if all(isinstance(leaf, Tensor) for leaf in _nest.flatten(inputs)):
                self._set_inputs(inputs)
        if type(self).build is Network.build:
            self.built = True
            self._load_initial_weights()
        else:
            super()._maybe_build(inputs)

    def _set_inputs(self, inputs: Any) -> None:
        """Note what a model defined by its `call` takes, for SavedModels; the first call does so.

        Args:
            inputs: Tensors, arrays or TensorSpecs, or a structure of them; the batch may have any size.
        """
        leaves = [leaf if hasattr(leaf, "shape") else to_tensor(leaf) for leaf in _nest.flatten(inputs)]
        specs = [TensorSpec([None, *leaf.shape[1:]] if len(leaf.shape) else [], leaf.dtype) for leaf in leaves]
        self.input_specs = _nest.pack(inputs, specs)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Compute the outputs: those of the graph, or what a subclass defines."""
        if self._graph is None:
            raise NotImplementedError("When subclassing the `Model` class, you should implement a `call` method.")
        return self._graph.run(inputs, training, mask)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask(s) of a functional model's output(s); None of a model defined by its `call`."""
        return None if self._graph is None else masks_of(self._graph.run(inputs, mask=mask))

    # --- losses and metrics of symbolic tensors

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add to the loss that training minimizes; see `Layer.add_loss`. A functional model takes symbolic tensors."""
        for loss in _nest.flatten(losses):
            if isinstance(loss, KerasTensor):
                self._extend(AddLoss()(loss))
            else:
                super().add_loss(loss, inputs)

    def add_metric(self, value: Any, aggregation: str | None = None, name: str | None = None) -> None:
        """Report a tensor beside the loss; see `Layer.add_metric`. A functional model takes symbolic tensors."""
        if isinstance(value, KerasTensor):
            self._extend(AddMetric(aggregation, name)(value))
        else:
            super().add_metric(value, aggregation, name)

    def _extend(self, tensor: KerasTensor) -> None:
        if self._graph is None:
            raise ValueError(f"A symbolic tensor, {tensor}, can only be added to a functional model.")
        self._set_graph(LayerGraph(self._graph.inputs, self._graph.outputs, [*self._graph.extras, tensor]))

    # --- configs

    def get_config(self) -> dict[str, Any]:
        """The name, layers and connections of a functional model.

        Raises:
            NotImplementedError: The model is defined by its `call`, which is code.
        """
        if self._graph is None:
            raise NotImplementedError(
                f"{type(self).__name__} is defined by its `call` and has no config: "
                "save its weights, or implement get_config."
            )
        return {"name": self.name, **graph_config(self._graph)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """A new model from what `get_config` gave."""
        if "input_layers" not in config:
            return cls(**config)
        rebuilt = rebuild(config, custom_objects)
        model = cls(inputs=rebuilt.inputs, outputs=rebuilt.outputs, name=config.get("name"))
        for layer in rebuilt.layers.values():
            if isinstance(layer, (AddLoss, AddMetric)):
                model._extend(layer.output)
        if config.get("trainable") is False:
            model._trainable = False
        return model

    def _updated_config(self) -> dict[str, Any]:
        return {
            "class_name": get_registered_name(type(self)),
            "config": self.get_config(),
            "keras_version": KERAS_VERSION,
            "backend": "tensorflow",
        }

    def to_json(self, **kwargs: Any) -> str:
        """The config as JSON; keyword arguments go to `json.dumps`. See `models.model_from_json`."""
        return json.dumps(self._updated_config(), default=json_value, **kwargs)

    def to_yaml(self, **kwargs: Any) -> str:
        """The config as YAML; keyword arguments go to `yaml.dump`. See `models.model_from_yaml`.

        >>> import distkeras as tf
        >>> model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
        >>> tf.keras.models.model_from_yaml(model.to_yaml()).output_shape
        (None, 2)
        """
        import yaml

        return yaml.safe_dump(json.loads(self.to_json()), **{"sort_keys": False, **kwargs})

    def summary(
        self,
        line_length: int | None = None,
        positions: list[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
    ) -> None:
        """Print the layers with their output shapes and numbers of parameters.

        Args:
            line_length: The width of the table.
            positions: Where the columns end: in characters, or as parts of the width.
            print_fn: Called with each line; `print` by default.

        Raises:
            ValueError: The model is not built.
        """
        if not self.built:
            raise ValueError(
                "This model has not yet been built. Build the model first by calling `build()` or calling `fit()` with "
                "some data, or specify an `input_shape` argument in the first layer(s) for automatic build."
            )
        print_summary(self, line_length, positions, print_fn)

    def count_params(self) -> int:
        """The number of scalars in the weights.

        Raises:
            ValueError: There are no weights yet.
        """
        if not self.built:
            raise ValueError(f"Model {self.name} has no weights yet: call `build(input_shape)`, or call it on data.")
        return super().count_params()
