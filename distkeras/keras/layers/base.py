"""Layer, the base of all layers, models and metrics: what is called, with weights made at the first call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import _config, _nest
from distkeras._registry import Registry
from distkeras.core.context import init_scope
from distkeras.core.spec import TensorShape, TensorSpec, as_dtype
from distkeras.core.tensor import to_tensor
from distkeras.core.variable import Variable
from distkeras.keras import constraints, initializers, regularizers
from distkeras.keras.layers.arguments import batch_input_shape, map_shapes
from distkeras.keras.layers.autocast import AutoCastVariable, Typed
from distkeras.keras.layers.call_context import call_context, resolve_training
from distkeras.keras.layers.call_signature import CallSignature
from distkeras.keras.layers.contributions import Contributes
from distkeras.keras.layers.input_spec import InputSpec, assert_input_compatibility
from distkeras.keras.layers.keras_tensor import KerasTensor, abstract_call, has_keras_tensor
from distkeras.keras.layers.masks import resolve_mask, set_masks
from distkeras.keras.layers.naming import name_scope, root_scope, snake_case, unique_name
from distkeras.keras.layers.node import Connected
from distkeras.keras.layers.ragged_inputs import refuse_ragged
from distkeras.keras.layers.symbolic import call_symbolically
from distkeras.keras.layers.tracking import Tracked, count_elements
from distkeras.keras.layers.weight_budget import spend
from distkeras.keras.mixed_precision import policy as policies

LAYERS = Registry("layer")

_OPTIONS = (
    "input_shape",
    "input_dim",
    "batch_input_shape",
    "batch_size",
    "weights",
    "activity_regularizer",
    "autocast",
)


class Layer(Contributes, Connected, Typed, Tracked):
    """A computation with weights.

    Subclasses make their weights in `build(input_shape)`, compute in `call(inputs)`, which may take `training` and
    `mask` as well, and list their arguments in `get_config`.

    Args:
        trainable: Whether training changes the weights.
        name: The layer's name; by default its class in snake case, numbered.
        dtype: The type of weights and computations, to which floating-point inputs are cast; or a
            `tf.keras.mixed_precision.experimental.Policy`. By default the global policy: `floatx()`, unless one is set.
        dynamic: Whether `call` uses Python values of tensors, so that it can only run eagerly.
        **kwargs: `input_shape` (without the batch), `batch_input_shape` or `input_dim`, with `batch_size`: what the
            first layer of a Sequential model is fed; `weights`: arrays to begin with; `activity_regularizer`;
            `autocast`: whether inputs are cast.

    Raises:
        TypeError: There is another keyword argument.

    >>> import distkeras as tf
    >>> class Scale(tf.keras.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight("factor", shape=input_shape[-1:], initializer="ones")
    ...     def call(self, inputs):
    ...         return inputs * self.factor
    >>> layer = Scale()
    >>> layer(tf.ones((2, 3))).shape, layer.weights[0].name
    (TensorShape([2, 3]), 'scale/factor:0')
    """

    _untracked = Contributes._untracked | {"_input_spec", "_config_arguments"}
    # Whether inputs may be ragged; None means yes for users' own layers, and no for others.
    _supports_ragged_inputs: bool | None = None
    _outputs_carry_masks = False  # whether `call` itself gives outputs that have their masks

    def __init__(
        self, trainable: bool = True, name: str | None = None, dtype: Any = None, dynamic: bool = False, **kwargs: Any
    ) -> None:
        for option in kwargs:
            if option not in _OPTIONS:
                raise TypeError(f"Keyword argument not understood: {option!r} (for {type(self).__name__}).")
        self._name = name or unique_name(snake_case(type(self).__name__))
        self._trainable = bool(trainable)
        self._set_policy(dtype)
        self._dynamic = bool(dynamic)
        self._autocast = kwargs.get("autocast", True)
        self._activity_regularizer = regularizers.get(kwargs.get("activity_regularizer"))
        self._initial_weights = kwargs.get("weights")
        self._batch_input_shape = batch_input_shape(kwargs)
        self.built = False
        self.stateful = False
        self.supports_masking = False
        self._input_spec = None
        self.__dict__.setdefault("_own_weights", [])
        self._inbound_nodes, self._outbound_nodes = [], []
        self._losses, self._symbolic_losses, self._callable_losses, self._metrics = [], [], [], []

    # --- what subclasses define

    def build(self, input_shape: Any) -> None:
        """Make the weights; called once, before the first call, with the shape(s) of the inputs."""
        self.built = True

    def call(self, inputs: Any, **kwargs: Any) -> Any:
        """Compute the output(s)."""
        return inputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask(s) of the output(s), None for none."""
        if not self.supports_masking:
            if any(leaf is not None for leaf in _nest.flatten(mask)):
                raise TypeError(f"Layer {self.name} does not support masking, but was passed an input_mask: {mask}")
            return None
        return mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape(s) of the output(s) for inputs of the given shape(s), whose sizes may be None."""
        signature = map_shapes(lambda shape: TensorSpec(shape, self._compute_dtype or _config.floatx()), input_shape)
        return _nest.map_structure(lambda spec: spec.shape, self.compute_output_signature(signature))

    def compute_output_signature(self, input_signature: Any) -> Any:
        """The specs of the outputs for inputs with the given TensorSpecs.

        Raises:
            TypeError: The signature holds something else.
        """
        for spec in _nest.flatten(input_signature):
            if not isinstance(spec, TensorSpec):
                raise TypeError(
                    f"Only TensorSpec signature types are supported, but saw signature entry {spec!r}; for shapes "
                    "there is compute_output_shape."
                )
        inputs = _nest.map_structure(
            lambda spec: KerasTensor.from_spec(spec.shape, spec.dtype, self.name), input_signature
        )
        with root_scope(), name_scope(self.name):
            self._maybe_build(inputs)
        outputs = abstract_call(lambda values: self._call_now(values, (), {}), (inputs,), self.name)
        return _nest.map_structure(lambda tensor: TensorSpec(tensor.shape, tensor.dtype), outputs)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a layer again, without its weights.

        Raises:
            NotImplementedError: The subclass has arguments of its own and does not say what they are.
        """
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if self._batch_input_shape is not None:
            config["batch_input_shape"] = self._batch_input_shape
        config["dtype"] = policies.serialize(self._policy)
        if self._dynamic:
            config["dynamic"] = True
        known = {"self", "dynamic", "batch_input_shape", *config}
        own = [argument for argument in inspect.getfullargspec(type(self).__init__).args if argument not in known]
        if own and type(self).get_config is Layer.get_config:
            raise NotImplementedError(
                f"Layers with arguments in `__init__` must override `get_config`: {type(self).__name__} has {own}."
            )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer from what `get_config` gave."""
        return cls(**config)

    # --- weights

    def add_weight(
        self,
        name: str | None = None,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool | None = None,
        constraint: Any = None,
        partitioner: Any = None,
        use_resource: bool | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        experimental_autocast: bool = True,
    ) -> Variable:
        """Make a variable that belongs to the layer.

        Args:
            name: Its name; the layer's is put before it.
            shape: Its shape, a scalar by default.
            dtype: Its element type, the layer's by default.
            initializer: Its first value: an initializer or its name; Glorot uniform for floats, zeros otherwise.
            regularizer: Gives a loss for it.
            trainable: Whether training changes it.
            constraint: Applied to it after each update.
            synchronization, aggregation: As for `tf.Variable`; a variable that is synchronised on reading
                (`ON_READ`) is not trainable.
            experimental_autocast: Whether `call` reads it in the type in which the layer computes.

        Raises:
            ValueError: A size is not known, or the arguments contradict each other.
        """
        if partitioner is not None or use_resource is False:
            raise ValueError(
                "Variables are neither partitioned nor references: leave partitioner and use_resource out."
            )
        sizes = TensorShape(() if shape is None else shape)
        if not sizes.is_fully_defined():
            raise ValueError(f"The weight {name!r} of layer {self.name!r} needs known sizes, received shape {sizes}.")
        kind = as_dtype(dtype or self._dtype or _config.floatx())
        on_read = getattr(synchronization, "name", synchronization) == "ON_READ"
        if on_read and trainable:
            raise ValueError(
                "Synchronization value can be set to VariableSynchronization.ON_READ only for non-trainable variables."
            )
        spend(name or "Variable", sizes)
        initial = initializers.get(initializer or ("glorot_uniform" if kind.is_floating else "zeros"))
        is_cast = experimental_autocast and self._policy.should_cast_variables and kind.is_floating
        variable = (AutoCastVariable if is_cast else Variable)(
            lambda: initial(tuple(sizes), dtype=kind),
            trainable=not on_read if trainable is None else bool(trainable),
            name=name,
            dtype=kind,
            constraint=constraints.get(constraint),
            synchronization=synchronization,
            aggregation=aggregation,
        )
        self._add_own_weight(variable, name)
        if regularizer is not None:
            self._add_regularizer(variable, regularizers.get(regularizer))
        return variable

    add_variable = add_weight

    def count_params(self) -> int:
        """The number of scalars in the weights.

        Raises:
            ValueError: There are no weights yet.
        """
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on {self.name}, but the layer isn't built. You can build it "
                f"manually via: `{self.name}.build(batch_input_shape)`."
            )
        return count_elements(self.weights)

    # --- properties

    @property
    def name(self) -> str:
        return self._name

    @property
    def dynamic(self) -> bool:
        """Whether this layer, or one inside of it, can only run eagerly."""
        return any(layer._dynamic for layer in self._flatten_layers())

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets all layers inside as well."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self._sublayers():
            layer.trainable = value

    @property
    def activity_regularizer(self) -> Any:
        """A function of the outputs whose mean over the batch is added to the loss."""
        return self._activity_regularizer

    @activity_regularizer.setter
    def activity_regularizer(self, regularizer: Any) -> None:
        self._activity_regularizer = regularizers.get(regularizer)

    @property
    def input_spec(self) -> Any:
        """What the inputs must be: an InputSpec, a structure of them, or None."""
        return self._input_spec

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        for spec in _nest.flatten(value):
            if spec is not None and not isinstance(spec, InputSpec):
                raise TypeError(f"Layer input_spec must be an instance of InputSpec. Got: {spec!r}")
        self._input_spec = value

    @property
    def _call_signature(self) -> CallSignature:
        signature = self.__dict__.get("_signature")
        if signature is None:
            signature = self.__dict__["_signature"] = CallSignature(self.call)
        return signature

    # --- calling

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Apply the layer, building it first if need be.

        Args:
            inputs: A tensor or array, or a structure of them; or symbolic tensors, for the functional API.
            *args, **kwargs: Passed to `call`. `training` and `mask` are found out if they are left out.

        Raises:
            ValueError: The inputs do not fit the layer.
        """
        if "_name" not in self.__dict__:
            raise RuntimeError(
                f"You must call `super().__init__()` in the layer constructor: {type(self).__name__} does not."
            )
        if has_keras_tensor((inputs, args, kwargs)):
            return call_symbolically(self, inputs, args, kwargs)
        with name_scope(self.name):
            return self._call_now(_nest.map_structure(_as_tensor, inputs), args, kwargs)

    def apply(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The same as calling the layer."""
        return self(inputs, *args, **kwargs)

    def _call_now(self, inputs: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Check, build, `call`, and attach what follows from the call."""
        if call_context.layer is None:
            self._clear_losses()
        args, kwargs, training = self._resolve_training(args, kwargs)
        args, kwargs, mask = resolve_mask(self._call_signature, inputs, args, kwargs)
        with call_context.enter(self, training):
            refuse_ragged(self, inputs)
            assert_input_compatibility(self.input_spec, inputs, self.name)
            self._maybe_build(inputs)
            outputs = self.call(self._cast(inputs), *args, **kwargs)
            self._handle_activity_regularization(outputs)
        if call_context.watcher is not None:
            call_context.watcher(self, outputs)
        knows_masks = type(self).compute_mask is not Layer.compute_mask or (self.supports_masking and mask is not None)
        if knows_masks and not self._outputs_carry_masks:
            set_masks(self, inputs, outputs, mask)
        return outputs

    def _resolve_training(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any], Any]:
        """The arguments with `training` filled in, and the flag for the calls inside."""
        signature = self._call_signature
        given = signature.given("training", args, kwargs)
        training = resolve_training(given)
        if not signature.expects("training"):
            kwargs.pop("training", None)
        elif training is not None and training is not given:
            args, kwargs = signature.give("training", training, args, kwargs)
        if training is None:
            training = signature.defaults.get("training")
        return args, kwargs, training

    def _maybe_build(self, inputs: Any) -> None:
        if self.built:
            return
        self._infer_policy(inputs)
        known = all(hasattr(leaf, "shape") for leaf in _nest.flatten(inputs))
        with init_scope():
            self.build(_nest.map_structure(lambda leaf: TensorShape(leaf.shape), inputs) if known else None)
        self.built = True
        self._load_initial_weights()

    def _load_initial_weights(self) -> None:
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    @property
    def name_scope(self) -> Any:
        """A context in which weights are named after the layer."""
        return name_scope(self.name)

    @classmethod
    def with_name_scope(cls, method: Callable) -> Callable:
        """Decorate a method so that it runs in the layer's name scope."""

        @functools.wraps(method)
        def in_scope(self: Any, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return in_scope

    def __repr__(self) -> str:
        return (
            f"<{type(self).__module__}.{type(self).__name__} {self._name!r}>"
            if "_name" in self.__dict__
            else object.__repr__(self)
        )


def _as_tensor(leaf: Any) -> Any:
    return to_tensor(leaf) if isinstance(leaf, (np.ndarray, np.generic, float, int, Variable)) else leaf
