"""Copies of models, with new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras import _nest
from distkeras.keras.layers import InputLayer
from distkeras.keras.layers.base import Layer
from distkeras.keras.layers.keras_tensor import KerasTensor
from distkeras.keras.models.additions import AddLoss, AddMetric
from distkeras.keras.models.model import Model
from distkeras.keras.models.sequential import Sequential


def clone_layer(layer: Any) -> Any:
    """A new layer with the same config."""
    return type(layer).from_config(layer.get_config())


def clone_model(model: Any, input_tensors: Any = None, clone_function: Callable[[Any], Any] | None = None) -> Any:
    """A model of the same structure, with new layers and new weights.

    Args:
        model: A functional or Sequential model.
        input_tensors: Symbolic tensors made by `Input` to build it on; new inputs by default.
        clone_function: Makes a new layer of one (input layers excepted); by default from its config.

    Raises:
        ValueError: The model is defined by its `call`, or input_tensors do not fit.

    >>> import distkeras as tf
    >>> model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    >>> tf.keras.models.clone_model(model).output_shape
    (None, 2)
    """
    if clone_function is not None and not callable(clone_function):
        raise ValueError(f"Expected `clone_function` argument to be a callable, got {clone_function!r}.")

    def copy(layer: Any) -> Any:
        made = clone_layer(layer) if clone_function is None else clone_function(layer)
        if not isinstance(made, Layer):
            raise ValueError(f"`clone_function` must return a layer, but for {layer.name!r} it returned {made!r}.")
        return made

    if isinstance(model, Sequential):
        return _clone_stack(model, input_tensors, copy)
    if not isinstance(model, Model) or model._graph is None:
        raise ValueError(
            "Expected `model` argument to be a functional or Sequential model, got a subclassed model instead: "
            f"{model!r}. It is defined by its code: make another one by calling its class."
        )
    return _clone_graph(model, input_tensors, copy)


def _clone_stack(model: Sequential, input_tensors: Any, copy: Callable) -> Sequential:
    given = [] if input_tensors is None else _nest.flatten(input_tensors)
    if len(given) > 1:
        raise ValueError(f"To clone a Sequential model, give at most 1 input tensor; received {len(given)}.")
    clone = Sequential(name=model.name)
    if given:
        clone.add(_checked(given[0]))
    elif model._graph is not None and model._build_input_shape is None:
        clone.add(InputLayer.from_config(model._input_layer.get_config()))
    for layer in model.layers:
        clone.add(copy(layer))
    if model._build_input_shape is not None and clone._graph is None:
        clone.build(model._build_input_shape)
    return clone


def _clone_graph(model: Model, input_tensors: Any, copy: Callable) -> Model:
    graph = model._graph
    layers = {
        layer: InputLayer.from_config(layer.get_config()) if isinstance(layer, InputLayer) else copy(layer)
        for layer in graph.layers
    }
    if input_tensors is None:
        inputs = [layers[tensor.op].output for tensor in graph.input_tensors]
    else:
        inputs = [_checked(tensor) for tensor in _nest.flatten(input_tensors)]
        if len(inputs) != len(graph.input_tensors):
            raise ValueError(f"The model has {len(graph.input_tensors)} inputs, but input_tensors are {len(inputs)}.")
    values = dict(zip(map(id, graph.input_tensors), inputs, strict=True))
    for node in sorted(graph.nodes, key=lambda node: node.serial_number):
        if node.keras_inputs:
            first, args, kwargs = node.arguments(values)
            outputs = layers[node.layer](first, *args, **kwargs)
            results = zip(_nest.flatten(node.output_tensors), _nest.flatten(outputs), strict=True)
            values.update((id(tensor), value) for tensor, value in results)
    clone = type(model)(
        _nest.pack(graph.inputs, inputs),
        _nest.pack(graph.outputs, [values[id(tensor)] for tensor in graph.output_tensors]),
        name=model.name,
    )
    for layer in layers.values():
        if isinstance(layer, (AddLoss, AddMetric)):
            clone._extend(layer.output)
    return clone


def _checked(tensor: Any) -> KerasTensor:
    if not isinstance(tensor, KerasTensor):
        raise ValueError(f"input_tensors must be symbolic tensors made by `tf.keras.Input`, received {tensor!r}.")
    return tensor
