"""SparseTensor: the elements of a tensor that are not zero, with where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.core.spec import DType, TensorShape, as_dtype
from distkeras.core.tensor import Tensor, to_tensor


class SparseTensor:
    """Some elements of a tensor that is zero (or empty text) elsewhere.

    It holds labels and features that come so; `tf.sparse.to_dense` gives the tensor that computations take.

    Args:
        indices: [elements, dimensions] integers: where the elements are.
        values: [elements].
        dense_shape: The tensor's shape.

    Raises:
        ValueError: The shapes do not go together.

    >>> import distkeras as tf
    >>> labels = tf.SparseTensor(indices=[[0, 1], [1, 0]], values=[5, 7], dense_shape=[2, 2])
    >>> tf.sparse.to_dense(labels).numpy().tolist()
    [[0, 5], [7, 0]]
    """

    def __init__(self, indices: Any, values: Any, dense_shape: Any) -> None:
        places = np.asarray(to_tensor(indices)._value("indices"))
        sizes = np.asarray(to_tensor(dense_shape)._value("a shape"))
        self.values = to_tensor(values)
        if sizes.ndim != 1 or sizes.dtype.kind not in "iu":
            raise ValueError(f"SparseTensor: dense_shape must be a list of integers, received {dense_shape!r}.")
        places = places.reshape(-1, sizes.size) if not places.size else places
        if places.ndim != 2 or places.shape[1] != sizes.size or places.dtype.kind not in "iuf"[: 3 - bool(places.size)]:
            raise ValueError(
                f"SparseTensor: expected integer indices of shape [elements, {sizes.size}] for dense_shape "
                f"{sizes.tolist()}, received shape {places.shape} and dtype {places.dtype}."
            )
        if self.values.shape != (len(places),):
            raise ValueError(
                f"SparseTensor: expected one value for each of {len(places)} indices, received shape "
                f"{self.values.shape}."
            )
        if ((places < 0) | (places >= sizes)).any():
            raise ValueError(f"SparseTensor: indices {places.tolist()} must lie in dense_shape {sizes.tolist()}.")
        self._shape = TensorShape(sizes)
        self.indices = Tensor(places.astype(np.int64))

    @classmethod
    def of_checked(cls, indices: np.ndarray, values: np.ndarray, dense_shape: Sequence[int]) -> SparseTensor:
        """Of int64 indices, values and sizes that are known to go together: nothing is looked at again."""
        made = object.__new__(cls)
        made.indices, made.values, made._shape = Tensor(indices), Tensor(values), TensorShape(dense_shape)
        return made

    @classmethod
    def from_value(cls, sparse_tensor_value: Any) -> SparseTensor:
        """From anything that has indices, values and dense_shape."""
        return cls(*(getattr(sparse_tensor_value, name) for name in ("indices", "values", "dense_shape")))

    @property
    def shape(self) -> TensorShape:
        return self._shape

    def get_shape(self) -> TensorShape:
        """The shape."""
        return self._shape

    @property
    def dense_shape(self) -> Tensor:
        """The shape as a tensor."""
        return Tensor(np.array(self._shape, np.int64))

    @property
    def dtype(self) -> DType:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return len(self._shape)

    def __repr__(self) -> str:
        return f"SparseTensor(indices={self.indices!r}, values={self.values!r}, dense_shape={self._shape})"


class SparseTensorSpec:
    """What is known of a SparseTensor before it has values.

    >>> import distkeras as tf
    >>> tf.SparseTensorSpec([None, 3], tf.int32).value_type.__name__
    'SparseTensor'
    """

    value_type = SparseTensor

    def __init__(self, shape: Any = None, dtype: Any = "float32") -> None:
        self.shape, self.dtype = TensorShape(shape), as_dtype(dtype)

    @classmethod
    def from_value(cls, value: SparseTensor) -> SparseTensorSpec:
        """The spec of a SparseTensor."""
        return cls(value.shape, value.dtype)

    def is_compatible_with(self, value: Any) -> bool:
        """Whether a SparseTensor, or a spec, fits."""
        return (
            isinstance(value, (SparseTensor, SparseTensorSpec))
            and value.dtype is self.dtype
            and self.shape.is_compatible_with(value.shape)
        )

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, SparseTensorSpec) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"SparseTensorSpec({self.shape!r}, {self.dtype!r})"
