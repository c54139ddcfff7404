"""Lambda: a function of tensors as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.saving.serialize import get_registered_object


@LAYERS.register()
class Lambda(Layer):
    """A function of the inputs as a layer.

    A config names the function; code is neither written to files nor run from them. To load such a model, announce the
    function: `load_model(path, custom_objects={"name": function})`.

    Args:
        function: Takes the inputs, and `mask` and `training` if it has such arguments.
        output_shape: The shape of the output without the batch, or a function of the input's: needed only if the
            function cannot run on tensors without values.
        mask: The output's mask, or a function (inputs, mask) that gives it.
        arguments: More keyword arguments for the function.

    >>> import distkeras as tf
    >>> tf.keras.layers.Lambda(lambda x: x ** 2)(tf.constant([[3.0]])).numpy().tolist()
    [[9.0]]
    """

    _supports_ragged_inputs = True

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"function must be callable, received {function!r}.")
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):  # built-in functions may not say
            parameters = {}
        self._passes = tuple(name for name in ("mask", "training") if name in parameters)

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        known = {"mask": mask, "training": training}
        return self.function(inputs, **{**self.arguments, **{name: known[name] for name in self._passes}})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        several = isinstance(input_shape, list) and isinstance(input_shape[0], (list, tuple))
        return ((input_shape[0] if several else input_shape)[0], *self._output_shape)

    def get_config(self) -> dict[str, Any]:
        named = getattr(self.function, "__name__", "<lambda>") != "<lambda>"
        return {
            **super().get_config(),
            "function": self.function,
            "function_type": "function" if named else "lambda",
            "module": getattr(self.function, "__module__", None),
            "output_shape": self._output_shape,
            "output_shape_type": "function" if callable(self._output_shape) else "raw",
            "output_shape_module": getattr(self._output_shape, "__module__", None),
            "arguments": self.arguments,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Lambda:
        """A Lambda from a config.

        Raises:
            ValueError: The function is not known by its name, or is stored as code, which is never run.
        """
        settings = {key: config[key] for key in config if key not in _SOURCES}
        settings["function"] = _function(config["function"], custom_objects)
        if config.get("output_shape_type") == "function":
            # A function without a name cannot be told from others; the shape is found by calling the layer's function.
            unnamed = config["output_shape"] == "<lambda>"
            settings["output_shape"] = None if unnamed else _function(config["output_shape"], custom_objects)
        return cls(**settings)


_SOURCES = ("function_type", "module", "output_shape_type", "output_shape_module")


def _function(identifier: Any, custom_objects: Mapping[str, Any] | None) -> Callable[..., Any]:
    if callable(identifier):
        return identifier
    if not isinstance(identifier, str):
        raise ValueError(
            "The file stores the function of a Lambda layer as code, which is never run. Build the model in Python "
            "and load only its weights, or replace the Lambda by a layer of your own, given in custom_objects."
        )
    found = get_registered_object(identifier, custom_objects)
    if found is None:
        raise ValueError(
            f"Unknown function of a Lambda layer: {identifier!r}. "
            f"Pass it as custom_objects={{{identifier!r}: function}}."
        )
    return found
