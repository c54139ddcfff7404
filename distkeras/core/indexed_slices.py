"""IndexedSlices: the gradient of a table of which only some rows were used, as these rows and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.core.primitive import PRIMITIVES, bind
from distkeras.core.spec import DType, TensorShape
from distkeras.core.tensor import Tensor, register_conversion, to_tensor


class IndexedSlices:
    """Rows of a larger tensor that is zero elsewhere; rows of one number are meant to be added up.

    It is what a tape gives for a variable that was read with `tf.gather` or `tf.nn.embedding_lookup`, and optimizers
    then update these rows. In any other operation it becomes the tensor that it stands for.

    Args:
        values: The rows: [rows, ...].
        indices: Their numbers, integers: [rows].
        dense_shape: The shape of the larger tensor.

    Raises:
        ValueError: The numbers of rows and of indices differ.

    >>> import distkeras as tf
    >>> table = tf.Variable(tf.ones((4, 2)))
    >>> with tf.GradientTape() as tape:
    ...     y = 3.0 * tf.reduce_sum(tf.gather(table, [2, 0, 2]))
    >>> gradient = tape.gradient(y, table)
    >>> gradient.indices.numpy().tolist(), gradient.values.shape
    ([2, 0, 2], TensorShape([3, 2]))
    >>> tf.convert_to_tensor(gradient).numpy().tolist()
    [[3.0, 3.0], [0.0, 0.0], [6.0, 6.0], [0.0, 0.0]]
    """

    __array_priority__ = 100

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None) -> None:
        self.values, self.indices = to_tensor(values), to_tensor(indices)
        if self.indices.ndim != 1 or not self.values.ndim or self.values.shape[0] != self.indices.shape[0]:
            raise ValueError(
                f"IndexedSlices: expected values of shape [rows, ...] and one index for each row, received shapes "
                f"{self.values.shape} and {self.indices.shape}."
            )
        if not self.indices.dtype.is_integer:
            raise ValueError(f"IndexedSlices: indices must be integers, received dtype {self.indices.dtype.name}.")
        self._shape = None if dense_shape is None else TensorShape([int(size) for size in dense_shape])

    @property
    def dense_shape(self) -> Tensor | None:
        """The shape of the larger tensor, None where it was not given."""
        return None if self._shape is None else Tensor(np.array(self._shape, np.int64))

    @property
    def shape(self) -> TensorShape:
        return TensorShape((None, *self.values.shape[1:])) if self._shape is None else self._shape

    @property
    def dtype(self) -> DType:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return self.values.ndim

    @property
    def device(self) -> str:
        return self.values.device

    def numpy(self) -> np.ndarray:
        """The larger tensor as an ndarray."""
        return dense(self).numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return dense(self).__array__(dtype)

    def __repr__(self) -> str:
        return f"IndexedSlices(values={self.values!r}, indices={self.indices!r}, dense_shape={self._shape})"


def dense(value: Any) -> Any:
    """The tensor that slices stand for; anything else as it is.

    Raises:
        ValueError: The slices do not say how large it is.
    """
    if not isinstance(value, IndexedSlices):
        return value
    if value._shape is None:
        raise ValueError(
            "IndexedSlices without a shape cannot become a tensor: give IndexedSlices(values, indices, dense_shape)."
        )
    return bind(PRIMITIVES["scatter_add"], value.values, value.indices, rows=value._shape[0])


def joined(parts: Sequence[IndexedSlices]) -> IndexedSlices:
    """All rows of several slices of one tensor."""
    if len(parts) == 1:
        return parts[0]
    indices = [part.indices for part in parts]
    if len({index.dtype for index in indices}) > 1:
        indices = [bind(PRIMITIVES["cast"], index, dtype="int64") for index in indices]
    rows = bind(PRIMITIVES["concat"], *(part.values for part in parts), axis=0)
    return IndexedSlices(rows, bind(PRIMITIVES["concat"], *indices, axis=0), parts[0]._shape)


register_conversion(IndexedSlices, dense)
