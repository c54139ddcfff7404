"""Layers at the beginning of sequence models: tables of vectors, and masks of steps that do not count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.core.spec import TensorShape
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.described_weights import DescribedWeights


@LAYERS.register()
class Embedding(DescribedWeights):
    """A vector for each whole number: the rows of a table.

    Args:
        input_dim: The number of rows; inputs are less than that.
        output_dim: The length of the vectors.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: For the table.
        activity_regularizer: A loss for the outputs.
        mask_zero: Whether the number 0 marks steps that do not count.
        input_length: The number of steps, if it is fixed.

    >>> import distkeras as tf
    >>> tf.keras.layers.Embedding(10, 4)(tf.constant([[1, 2, 3]])).shape
    TensorShape([1, 3, 4])
    """

    _supports_ragged_inputs = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        activity_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        input_length: int | Sequence[int | None] | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" not in kwargs and "batch_input_shape" not in kwargs:
            lengths = input_length if isinstance(input_length, (list, tuple)) else (input_length,)
            kwargs["input_shape"] = tuple(lengths)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if input_dim < 1 or output_dim < 1:
            raise ValueError(f"input_dim and output_dim must be positive, received {input_dim} and {output_dim}.")
        self.input_dim = int(input_dim)
        self.output_dim = int(output_dim)
        self._describe_weight("embeddings", embeddings_initializer, embeddings_regularizer, embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.input_length = input_length
        self._autocast = False  # a float16 table must not round the row numbers

    def build(self, input_shape: Any) -> None:
        self.embeddings = self._make_weight("embeddings", (self.input_dim, self.output_dim))
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        rows = inputs if inputs.dtype.is_integer else ops.cast(inputs, "int32")
        return ops.embedding_lookup(self.embeddings, rows)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The input's shape with the size of the vectors after it; `input_length` fills in what is not known."""
        lengths = self.input_length if isinstance(self.input_length, (list, tuple)) else [self.input_length]
        if self.input_length is None:
            return TensorShape((*input_shape, self.output_dim))
        known = TensorShape((input_shape[0], *lengths))
        if not known.is_compatible_with(input_shape):
            raise ValueError(
                f'"input_length" is {self.input_length}, but received input has shape {tuple(input_shape)}'
            )
        sizes = [a if a is not None else b for a, b in zip(known, input_shape, strict=True)]
        return TensorShape((*sizes, self.output_dim))

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor | None:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            **self._weight_config("embeddings", activity=True),
            "mask_zero": self.mask_zero,
            "input_length": self.input_length,
        }


@LAYERS.register()
class Masking(Layer):
    """Marks the steps at which all features equal a value, so that layers after it skip them.

    Args:
        mask_value: The value.

    >>> import distkeras as tf
    >>> tf.keras.layers.Masking()(tf.constant([[[1.0], [0.0]]]))._keras_mask.numpy().tolist()
    [[True, False]]
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.mask_value = mask_value

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor:
        return ops.reduce_any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Tensor) -> Tensor:
        kept = ops.reduce_any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return inputs * ops.cast(kept, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
