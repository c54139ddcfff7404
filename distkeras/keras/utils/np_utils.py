"""Small preparations of NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np


def to_categorical(y: Any, num_classes: int | None = None, dtype: Any = "float32") -> np.ndarray:
    """Integer classes as one-hot rows.

    Args:
        y: Classes from 0 to `num_classes - 1`, of any shape; a last axis of size 1 is dropped.
        num_classes: Number of classes; by default one more than the largest.
        dtype: Element type of the result.

    Returns:
        An array of the shape of `y` with an axis of `num_classes` added.

    Raises:
        ValueError: `y` holds no integers, or classes outside of the range.

    >>> to_categorical([0, 2], num_classes=3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    classes = np.asarray(y)
    if classes.dtype.kind not in "biuf":
        raise ValueError(f"to_categorical expects integer classes, received values of dtype {classes.dtype}: {y!r}.")
    as_integers = classes.astype("int64")
    if not np.array_equal(as_integers, classes):
        raise ValueError(f"to_categorical expects integer classes, received values of dtype {classes.dtype}: {y!r}.")
    shape = classes.shape[:-1] if classes.ndim > 1 and classes.shape[-1] == 1 else classes.shape
    flat = as_integers.reshape(-1)
    if num_classes is None:
        num_classes = max(int(flat.max()) + 1, 1) if flat.size else 0
    outside = flat[(flat < 0) | (flat >= num_classes)]
    if outside.size:
        raise ValueError(f"to_categorical: expected classes from 0 to {num_classes - 1}, received {outside[0]}.")
    one_hot = np.zeros((flat.size, num_classes), np.dtype(getattr(dtype, "numpy", dtype)))
    one_hot[np.arange(flat.size), flat] = 1
    return one_hot.reshape(*shape, num_classes)


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """`x` divided by its norms along an axis; where a norm is 0, `x` itself.

    Args:
        x: An array.
        axis: The axis along which norms are taken.
        order: Which norm: 2 is the Euclidean one.

    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    norms = np.linalg.norm(np.atleast_1d(x), order, axis, keepdims=True)
    return x / np.where(norms == 0, 1, norms)
