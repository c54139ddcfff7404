"""Layers called on symbolic tensors: build, find out the outputs' shapes, write down the call."""

from __future__ import annotations

from typing import Any

from distkeras import _nest
from distkeras._errors import CaptureError
from distkeras.core.spec import TensorShape
from distkeras.keras.layers.input_spec import assert_input_compatibility
from distkeras.keras.layers.keras_tensor import KerasTensor, abstract_call
from distkeras.keras.layers.naming import name_scope, root_scope
from distkeras.keras.layers.node import Node
from distkeras.keras.layers.ragged_inputs import refuse_ragged


def call_symbolically(layer: Any, inputs: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """`layer(inputs, *args, **kwargs)` where KerasTensors are among the arguments.

    Returns:
        KerasTensors that know the layer they come from.

    Raises:
        ValueError: The inputs do not fit the layer, or it returned no tensors.
    """
    with root_scope(), name_scope(layer.name):
        refuse_ragged(layer, inputs)
        assert_input_compatibility(layer.input_spec, inputs, layer.name)
        layer._maybe_build(inputs)
        outputs = _outputs(layer, inputs, args, kwargs)
        layer._note_symbolic_losses(lambda loss, name: KerasTensor.from_spec(loss.shape, loss.dtype, name))
    Node.connect(layer, inputs, args, kwargs, outputs)
    return outputs


def _outputs(layer: Any, inputs: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    if layer.dynamic:
        return _declared_outputs(layer, inputs)

    def run(inputs: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        outputs = layer._call_now(inputs, args, dict(kwargs))
        if outputs is None:
            raise ValueError(
                f"A layer's `call` method should return a Tensor or a list of Tensors, not None (layer: {layer.name})."
            )
        return outputs

    try:
        return abstract_call(run, (inputs, args, kwargs), f"{layer.name}/Identity", vars(layer).get("arguments", ()))
    except CaptureError:
        if not _declares_shape(layer):
            raise
        return _declared_outputs(layer, inputs)


def _declares_shape(layer: Any) -> bool:
    from distkeras.keras.layers.base import Layer

    return type(layer).compute_output_shape is not Layer.compute_output_shape


def _declared_outputs(layer: Any, inputs: Any) -> Any:
    """The outputs by `compute_output_shape`, for layers whose `call` cannot run without values."""
    if not _declares_shape(layer):
        raise NotImplementedError(
            f"The layer {layer.name} is dynamic: it must implement compute_output_shape(input_shape) to be used in a "
            "functional or Sequential model."
        )
    shapes = layer.compute_output_shape(_nest.map_structure(lambda tensor: TensorShape(tensor.shape), inputs))
    several = isinstance(shapes, (list, tuple)) and any(isinstance(shape, (list, tuple)) for shape in shapes)
    outputs = [
        KerasTensor.from_spec(shape, layer._compute_dtype, f"{layer.name}/Identity")
        for shape in (shapes if several else [shapes])
    ]
    for tensor in outputs:
        tensor._keras_mask = None
    return outputs if several else outputs[0]
