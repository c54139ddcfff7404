"""Multi-head attention, which Keras has since TensorFlow 2.4."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.core.spec import TensorShape
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.layers.arguments import positive_integer
from distkeras.keras.layers.attention import causal_mask, masked_scores
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.call_context import is_training
from distkeras.keras.layers.described_weights import DescribedWeights
from distkeras.keras.layers.regularization import Noise

_INPUT_SHAPES = ("query_shape", "key_shape", "value_shape")


class _Projection(DescribedWeights):
    """inputs @ kernel + bias over the last `contracted` axes, the outputs having axes of `sizes` in their place."""

    def __init__(self, sizes: Sequence[int], contracted: int, use_bias: bool, name: str, dtype: Any) -> None:
        super().__init__(name=name, dtype=dtype)
        self.sizes = tuple(sizes)
        self.contracted = contracted
        self.use_bias = use_bias

    def build(self, input_shape: Any) -> None:
        shape = (*input_shape[len(input_shape) - self.contracted :], *self.sizes)
        self.kernel = self._make_weight("kernel", shape)
        self.bias = self._make_bias(*self.sizes)
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        kept = inputs.shape[: inputs.ndim - self.contracted]
        rows, size, width = math.prod(kept), math.prod(inputs.shape[len(kept) :]), math.prod(self.sizes)
        outputs = ops.matmul(ops.reshape(inputs, (rows, size)), ops.reshape(self.kernel, (size, width)))
        if self.use_bias:
            outputs = ops.bias_add(outputs, ops.reshape(self.bias, (width,)))
        return ops.reshape(outputs, (*kept, *self.sizes))


@LAYERS.register()
class MultiHeadAttention(Noise, DescribedWeights):
    """Attention in several heads at once, each with projections of its own of queries, keys and values.

    It is called on `(query, value, key=None, attention_mask=None, return_attention_scores=False, training=None,
    use_causal_mask=False)`, with query [batch, ..., size], value and key [batch, ..., size]; keys are the values if
    they are left out. `attention_mask`, [batch, queries, keys], is False where a query must not see a key; masks that
    the inputs carry are heeded as well.

    Args:
        num_heads: The number of heads.
        key_dim: The size of each head's queries and keys.
        value_dim: The size of each head's values, `key_dim` by default.
        dropout: The fraction of the attention weights dropped in training.
        use_bias: Whether the projections have biases.
        output_shape: The last size(s) of the output, those of the queries by default.
        attention_axes: The axes attended over, all but the batch and the last one by default.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer: Losses for the weights.
        activity_regularizer: A loss for the outputs.
        kernel_constraint, bias_constraint: Applied to the weights after each update.

    Source: Vaswani et al., "Attention is all you need", 2017.

    >>> import distkeras as tf
    >>> layer = tf.keras.layers.MultiHeadAttention(num_heads=2, key_dim=2)
    >>> outputs, scores = layer(tf.ones((3, 8, 16)), tf.ones((3, 4, 16)), return_attention_scores=True)
    >>> outputs.shape, scores.shape
    (TensorShape([3, 8, 16]), TensorShape([3, 2, 8, 4]))
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in the range [0, 1), received {dropout!r}.")
        self.num_heads = positive_integer(num_heads, "num_heads")
        self.key_dim = positive_integer(key_dim, "key_dim")
        self.value_dim = positive_integer(value_dim or key_dim, "value_dim")
        self.dropout = dropout
        self.use_bias = use_bias
        self._output_argument = output_shape
        self._output_sizes = _as_tuple(output_shape)
        self.attention_axes = _as_tuple(attention_axes)
        self._describe_weight("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._describe_weight("bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        axes = tuple(range(1, rank - 1)) if self.attention_axes is None else self.attention_axes
        if not axes or not all(0 < axis % rank < rank - 1 and -rank <= axis < rank for axis in axes):
            raise ValueError(
                f"attention_axes must lie between the batch and the last axis of the queries, of shape {input_shape}; "
                f"received {self.attention_axes}."
            )
        self.attention_axes = tuple(axis % rank for axis in axes)
        self._query_dense = self._projection("query", (self.num_heads, self.key_dim), 1)
        self._key_dense = self._projection("key", (self.num_heads, self.key_dim), 1)
        self._value_dense = self._projection("value", (self.num_heads, self.value_dim), 1)
        self._output_dense = self._projection("attention_output", self._output_sizes or (input_shape[-1],), 2)
        super().build(input_shape)

    def _projection(self, name: str, sizes: Sequence[int], contracted: int) -> _Projection:
        projection = _Projection(sizes, contracted, self.use_bias, name, self._policy)
        for kind in ("kernel", "bias"):
            projection._describe_weight(kind, **self._description(kind))
        return projection

    def call(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        key = value if key is None else key
        mask = self._mask(query, value, key, attention_mask, use_causal_mask)
        queries = self._query_dense(query) * (1.0 / math.sqrt(self.key_dim))
        outputs, weights = self._attend(queries, self._key_dense(key), self._value_dense(value), mask, training)
        outputs = self._output_dense(outputs)
        return (outputs, weights) if return_attention_scores else outputs

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Any, training: Any) -> tuple[Tensor, Tensor]:
        """[..., attended axes, heads, size] -> the same of values, and the weights [..., heads, queries, keys]."""
        rank, axes = query.ndim, self.attention_axes
        rest = [axis for axis in range(rank - 1) if axis not in axes]  # the batch, axes not attended over, the heads
        order = [*rest, *axes, rank - 1]
        batches = [query.shape[axis] for axis in rest]
        sizes = [[tensor.shape[axis] for axis in axes] for tensor in (query, key)]
        query, key, value = (
            ops.reshape(ops.transpose(tensor, order), (*batches, math.prod(steps), tensor.shape[-1]))
            for tensor, steps in ((query, sizes[0]), (key, sizes[1]), (value, sizes[1]))
        )
        scores = ops.reshape(ops.matmul(query, key, transpose_b=True), (*batches, *sizes[0], *sizes[1]))
        if mask is not None:
            while mask.ndim < scores.ndim:  # one mask for all heads, and for all that is not attended over
                mask = ops.expand_dims(mask, -2 * len(axes) - 1)
        flat = (*batches, math.prod(sizes[0]), math.prod(sizes[1]))
        weights = ops.softmax(ops.reshape(masked_scores(scores, mask), flat))
        if self.dropout and is_training(training):
            weights = ops.dropout(weights, self.dropout, stream=self._stream)
        outputs = ops.reshape(ops.matmul(weights, value), (*batches, *sizes[0], value.shape[-1]))
        outputs = ops.transpose(outputs, [order.index(axis) for axis in range(rank)])
        return outputs, ops.reshape(weights, scores.shape)

    def _mask(self, query: Tensor, value: Tensor, key: Tensor, mask: Any, causal: bool) -> Any:
        """[batch, queries, keys] of what may be seen, from all sources; None if everything may."""
        query_mask, value_mask, key_mask = (getattr(tensor, "_keras_mask", None) for tensor in (query, value, key))
        masks = [] if mask is None else [ops.cast(to_tensor(mask), "bool")]
        if query_mask is not None:
            masks.append(ops.expand_dims(query_mask, -1))
        masks += [ops.expand_dims(item, -2) for item in (value_mask, key_mask) if item is not None]
        if causal:
            masks.append(ops.constant(causal_mask(query.shape[1], value.shape[1])[None]))
        if not masks:
            return None
        kept = masks[0]
        for item in masks[1:]:
            kept = ops.logical_and(kept, item)
        return kept

    def compute_output_shape(self, input_shape: Any, value_shape: Any = None, key_shape: Any = None) -> TensorShape:
        """The shape of the output; only the queries' matters."""
        return TensorShape((*input_shape[:-1], *(self._output_sizes or (input_shape[-1],))))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **self._seed_config(),
            **self._shapes_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "output_shape": self._output_argument,
            "attention_axes": self.attention_axes,
            **self._weight_config("kernel", "bias", activity=True),
        }

    def _shapes_config(self) -> dict[str, Any]:
        """Shapes of the inputs, by which other versions of Keras build the layer; its last size is all that counts."""
        dense = (self._query_dense, self._key_dense, self._value_dense) if self.built else (None,) * 3
        rank = len(self.attention_axes or ()) + 2
        shapes = (layer and [*[None] * (rank - 1), layer.kernel.shape[0]] for layer in dense)
        return dict(zip(_INPUT_SHAPES, shapes, strict=True))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MultiHeadAttention:
        """A new layer; the shapes of inputs that later versions write are found out at the first call."""
        return cls(**{key: value for key, value in config.items() if key not in _INPUT_SHAPES})


def _as_tuple(value: int | Sequence[int] | None) -> tuple[int, ...] | None:
    return None if value is None else (value,) if isinstance(value, numbers.Integral) else tuple(value)
