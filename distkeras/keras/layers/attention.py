"""Attention over the steps of a sequence: for each query a mean of values, weighted by how well their keys answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.call_context import is_training
from distkeras.keras.layers.regularization import Noise

_FAR_BELOW = -1e9  # what is added to the score of a step that does not count


def causal_mask(queries: int, keys: int) -> np.ndarray:
    """[queries, keys], bool: whether a key is not later than the query."""
    return np.tri(queries, keys, dtype=bool)


def masked_scores(scores: Tensor, mask: Any) -> Tensor:
    """Scores that vanish in a softmax where the mask, which is broadcast to them, is False; None masks nothing."""
    if mask is None:
        return scores
    if scores.dtype == "float16":  # in which a number so low that scores vanish beside it would overflow with them
        return ops.where(ops.cast(mask, "bool"), scores, ops.constant(-65504.0, "float16"))
    return scores + (1.0 - ops.cast(mask, scores.dtype)) * _FAR_BELOW


class _DenseAttention(Noise):
    """Base of attention by scores of every query with every key.

    Inputs are [query, value] or [query, value, key], of shapes [batch, queries, size], [batch, steps, size of values]
    and [batch, steps, size]; keys are the values if they are left out. Masks are [batch, queries], for outputs that are
    set to zero, and [batch, steps], for values that are left out.
    """

    def __init__(self, causal: bool = False, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.causal = causal
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in the range [0, 1), received {dropout!r}.")
        self.dropout = dropout

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        raise NotImplementedError

    def call(self, inputs: Sequence[Tensor], mask: Any = None, training: Any = None) -> Tensor:
        self._check(inputs, mask)
        query, value, key = inputs if len(inputs) == 3 else (*inputs, inputs[1])
        query_mask, value_mask = (None, None) if mask is None else mask[:2]
        scores = self._scores(query, key)
        kept = None if value_mask is None else ops.expand_dims(value_mask, 1)
        if self.causal:
            past = ops.constant(causal_mask(*scores.shape[1:]))
            kept = past if kept is None else ops.logical_and(kept, past)
        weights = ops.softmax(masked_scores(scores, kept))
        if self.dropout and is_training(training):
            weights = ops.dropout(weights, self.dropout, stream=self._stream)
        outputs = ops.matmul(weights, value)
        return outputs if query_mask is None else outputs * ops.cast(ops.expand_dims(query_mask, -1), outputs.dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """That of the queries."""
        self._check(inputs, mask)
        return None if mask is None else mask[0]

    def _check(self, inputs: Any, mask: Any) -> None:
        name = type(self).__name__
        if not isinstance(inputs, list):
            raise ValueError(
                f"{name} layer must be called on a list of inputs, namely [query, value] or [query, value, key]. "
                f"Received: {inputs}"
            )
        if len(inputs) not in (2, 3):
            raise ValueError(
                f"{name} layer accepts inputs list of length 2 or 3, namely [query, value] or [query, value, key]. "
                f"Given length: {len(inputs)}"
            )
        if mask is None:
            return
        if not isinstance(mask, list):
            raise ValueError(f"{name} layer mask must be a list, namely [query_mask, value_mask]. Received: {mask}")
        if not 2 <= len(mask) <= len(inputs):
            raise ValueError(
                f"{name} layer mask must be a list of length 2, namely [query_mask, value_mask]. "
                f"Given length: {len(mask)}"
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[0][:-1], input_shape[1][-1])

    def get_config(self) -> dict[str, Any]:
        dropout = {"dropout": self.dropout} if self.dropout else {}
        return {**super().get_config(), "causal": self.causal, **dropout, **self._seed_config()}


@LAYERS.register()
class Attention(_DenseAttention):
    """softmax(query @ key^T) @ value: Luong's attention.

    Args:
        use_scale: Whether a learned scalar multiplies the scores.
        causal: Whether a query only sees values up to its own position.
        dropout: The fraction of the weights dropped in training.

    Source: Luong, Pham, Manning, "Effective approaches to attention-based neural machine translation", 2015.

    >>> import distkeras as tf
    >>> query, value = tf.ones((2, 3, 4)), tf.ones((2, 5, 4))
    >>> tf.keras.layers.Attention()([query, value]).shape
    TensorShape([2, 3, 4])
    """

    def __init__(self, use_scale: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.scale = None

    def build(self, input_shape: Any) -> None:
        if self.use_scale:
            self.scale = self.add_weight("scale", (), None, "ones")
        super().build(input_shape)

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        scores = ops.matmul(query, key, transpose_b=True)
        return scores * self.scale if self.use_scale else scores

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "use_scale": self.use_scale}


@LAYERS.register()
class AdditiveAttention(_DenseAttention):
    """softmax(sum(scale * tanh(query + key))) @ value: Bahdanau's attention.

    Args:
        use_scale: Whether the features are weighted by learned factors.
        causal: Whether a query only sees values up to its own position.
        dropout: The fraction of the weights dropped in training.

    Source: Bahdanau, Cho, Bengio, "Neural machine translation by jointly learning to align and translate", 2014.

    >>> import distkeras as tf
    >>> query, value = tf.ones((2, 3, 4)), tf.ones((2, 5, 4))
    >>> tf.keras.layers.AdditiveAttention()([query, value]).shape
    TensorShape([2, 3, 4])
    """

    def __init__(self, use_scale: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.scale = None

    def build(self, input_shape: Any) -> None:
        if self.use_scale:
            self.scale = self.add_weight("scale", (input_shape[1][-1],), None, "glorot_uniform")
        super().build(input_shape)

    def _scores(self, query: Tensor, key: Tensor) -> Tensor:
        features = ops.tanh(ops.expand_dims(query, 2) + ops.expand_dims(key, 1))
        return ops.reduce_sum(features * self.scale if self.use_scale else features, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "use_scale": self.use_scale}
