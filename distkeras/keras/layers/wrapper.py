"""Layers around a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distkeras import ops
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.spec import TensorShape
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.call_context import call_context
from distkeras.keras.layers.input_spec import InputSpec
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object


class Wrapper(Layer):
    """Base of layers that apply another one.

    Args:
        layer: The layer.

    Raises:
        ValueError: It is no layer.
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Please initialize `{type(self).__name__}` with a `tf.keras.layers.Layer` instance, "
                f"received {layer!r}."
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        self.built = True

    @property
    def activity_regularizer(self) -> Any:
        """That of the layer inside."""
        return self.layer.activity_regularizer

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """A new wrapper, around a new layer, from what `get_config` gave."""
        settings = {key: value for key, value in config.items() if key != "layer"}
        return cls(deserialize_keras_object(config["layer"], LAYERS, custom_objects, "layer"), **settings)


@LAYERS.register()
class TimeDistributed(Wrapper):
    """One layer applied to every step of sequences.

    The steps of all sequences become one batch. A layer that keeps state, or that is not one of Keras' own and is built
    for batches of a fixed size, is applied to one step after the other instead, for it may depend on the batch.

    Args:
        layer: The layer, which sees inputs without the axis of steps.

    Raises:
        ValueError: It is no layer.

    >>> import distkeras as tf
    >>> tf.keras.layers.TimeDistributed(tf.keras.layers.Dense(8))(tf.ones((32, 10, 16))).shape
    TensorShape([32, 10, 8])
    """

    _supports_ragged_inputs = True

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True
        self._by_steps = False

    def build(self, input_shape: Any = None) -> None:
        if not isinstance(input_shape, (TensorShape, tuple)) or len(input_shape) < 3:
            raise ValueError(
                "`TimeDistributed` Layer should be passed an `input_shape` with at least 3 dimensions, received: "
                f"{input_shape}"
            )
        own = type(self.layer).__module__.partition(".")[0] != __name__.partition(".")[0]
        self._by_steps = bool(getattr(self.layer, "stateful", False) or (own and input_shape[0] is not None))
        self.input_spec = InputSpec(shape=(None, None, *input_shape[2:]))
        super().build(TensorShape((input_shape[0], *input_shape[2:])))

    def call(self, inputs: Tensor | RaggedTensor, training: Any = None, mask: Any = None) -> Tensor | RaggedTensor:
        if isinstance(inputs, RaggedTensor):
            return inputs.with_values(self._apply(inputs.values, training, None))
        if self._by_steps:
            return self._step_by_step(inputs, training, mask)
        inner = self._apply(_merged(inputs), training, _mask_within(mask))
        outputs = _unmerged(inner, inputs)
        if self.layer._outputs_carry_masks and getattr(inner, "_keras_mask", None) is not None:
            outputs._keras_mask = _unmerged(inner._keras_mask, inputs)
        return outputs

    def _step_by_step(self, inputs: Tensor, training: Any, mask: Tensor | None) -> Tensor:
        """A step that is masked repeats the output before it, zeros at first."""
        outputs: list[Tensor] = []
        for index, step in enumerate(ops.unstack(inputs, axis=1)):
            within = mask[:, index] if mask is not None and mask.ndim > 2 else None
            output = self._apply(step, training, within)
            if mask is not None and within is None:
                before = outputs[-1] if outputs else ops.zeros_like(output)
                kept = ops.reshape(mask[:, index], (inputs.shape[0],) + (1,) * (output.ndim - 1))
                output = ops.where(kept, output, before)
            outputs.append(output)
        return ops.stack(outputs, axis=1)

    def _apply(self, inputs: Tensor, training: Any, mask: Tensor | None) -> Tensor:
        """The layer's `call`: the activity of all steps together is regularised here, not in the layer."""
        signature = self.layer._call_signature
        given = {"training": training, "mask": mask}
        arguments = {key: value for key, value in given.items() if value is not None and signature.expects(key)}
        with call_context.enter(self.layer, training):
            return self.layer.call(inputs, **arguments)

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Any:
        """The layer's own mask for each step, or the steps' as it is."""
        if isinstance(inputs, RaggedTensor):
            return None
        if self._by_steps and (mask is None or mask.ndim == 2):
            return mask
        knows_masks = self.layer.supports_masking or type(self.layer).compute_mask is not Layer.compute_mask
        if knows_masks and not self.layer._outputs_carry_masks:  # a model would run once more, updates and all
            inner = self.layer.compute_mask(_merged(inputs), _mask_within(mask))
            if inner is not None:
                return _unmerged(inner, inputs)
        return None if mask is None else ops.reduce_any(mask, axis=tuple(range(2, mask.ndim)))

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        batch, steps, *rest = input_shape
        inner = self.layer.compute_output_shape(TensorShape((batch, *rest)))
        return TensorShape((inner[0], steps, *inner[1:]))


def _merged(tensor: Tensor) -> Tensor:
    """[batch, steps, ...] -> [batch * steps, ...]."""
    batch, steps, *rest = _sizes(tensor)
    return ops.reshape(tensor, ops.stack([batch * steps, *rest]) if None in tensor.shape else (batch * steps, *rest))


def _sizes(tensor: Tensor) -> list[Any]:
    """The sizes of a tensor; those that a symbolic one does not know as tensors."""
    shape = ops.shape(tensor) if None in tensor.shape else ()
    return [shape[axis] if size is None else size for axis, size in enumerate(tensor.shape)]


def _mask_within(mask: Tensor | None) -> Tensor | None:
    """What a mask says of the parts of each step; one of the steps themselves says nothing of them."""
    return _merged(mask) if mask is not None and mask.ndim > 2 else None


def _unmerged(tensor: Tensor, like: Tensor) -> Tensor:
    sizes = (*_sizes(like)[:2], *_sizes(tensor)[1:])
    is_known = all(isinstance(size, int) for size in sizes)
    return ops.reshape(tensor, sizes if is_known else ops.stack(sizes))
