"""`tf.keras.backend`: products, losses, normalisation, folds, and what is left of TF 1's graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distkeras import ops
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras import losses
from distkeras.ops._op import axes_of, axis_of

cumprod = ops.cumprod
print_tensor = ops.print_tensor

_X, _Y = "cdefghijklm", "nopqrstuvwx"  # letters for the dimensions of each; b is the batch, a what is summed over


def batch_dot(x: Any, y: Any, axes: Any = None) -> Tensor:
    """Products of each sample of x with that of y, summed over one axis of each.

    Args:
        x, y: [batch, ...], of at least two dimensions.
        axes: One axis for both, or a pair of axes; by default the last one of x and the last but one of y.

    Returns:
        [batch, the other dimensions of x, the other dimensions of y]; [batch, 1] where there are none.

    Raises:
        ValueError: An axis is the batch, or there are too few dimensions.

    >>> import distkeras as tf
    >>> tf.keras.backend.batch_dot(tf.ones((8, 3, 2)), tf.ones((8, 2, 5))).shape
    TensorShape([8, 3, 5])
    """
    x, y = to_tensor(x), to_tensor(y)
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError(f"batch_dot: expected at least two dimensions, received shapes {x.shape} and {y.shape}.")
    if axes is None:
        axes = (x.ndim - 1, max(y.ndim - 2, 1))
    pair = (axes, axes) if isinstance(axes, int) else tuple(axes)
    if len(pair) != 2 or not all(isinstance(axis, int) for axis in pair):
        raise ValueError(f"batch_dot: axes must be an axis or a pair of axes, one for each, received {axes!r}.")
    left, right = (axis_of(axis, tensor.ndim) for axis, tensor in zip(pair, (x, y), strict=True))
    if not (left and right):
        raise ValueError("batch_dot: axis 0 is the batch, and cannot be summed over.")
    x_letters = "b" + "".join("a" if i == left else _X[i] for i in range(1, x.ndim))
    y_letters = "b" + "".join("a" if i == right else _Y[i] for i in range(1, y.ndim))
    rest = "b" + x_letters[1:].replace("a", "") + y_letters[1:].replace("a", "")
    result = ops.einsum(f"{x_letters},{y_letters}->{rest}", x, y)
    return ops.expand_dims(result, 1) if result.ndim == 1 else result


def dot(x: Any, y: Any) -> Tensor:
    """The product over the last axis of x and the last but one of y."""
    if to_tensor(x).ndim <= 2 and to_tensor(y).ndim == 2:
        return ops.matmul(x, y)
    return ops.tensordot(x, y, [[to_tensor(x).ndim - 1], [max(to_tensor(y).ndim - 2, 0)]])


def l2_normalize(x: Any, axis: Any = None) -> Tensor:
    """x divided by its Euclidean norm along `axis`."""
    return ops.l2_normalize(x, axis)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """The cross-entropy of each element; `losses.binary_crossentropy` is its mean over the last axis."""
    elements = (ops.expand_dims(part, -1) for part in (target, output))
    return losses.binary_crossentropy(*elements, from_logits=from_logits)


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """The cross-entropy of each sample, whose class probabilities lie along `axis`."""
    target, output = (_last(part, axis) for part in (target, output))
    return losses.categorical_crossentropy(target, output, from_logits=from_logits)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """The same for integer targets."""
    return losses.sparse_categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def _last(x: Any, axis: int) -> Tensor:
    rank = to_tensor(x).ndim
    axis %= rank
    return to_tensor(x) if axis == rank - 1 else ops.transpose(x, [*(i for i in range(rank) if i != axis), axis])


def in_top_k(predictions: Any, targets: Any, k: int) -> Tensor:
    """Whether each target class is among the k largest predictions."""
    return ops.in_top_k(targets, predictions, k)


def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Tensor:
    """(x - mean) / sqrt(var + epsilon) * gamma + beta, along `axis`; beta and gamma may be None."""
    x = to_tensor(x)
    wide = [1] * x.ndim
    wide[axis] = x.shape[axis]

    def along(values: Any) -> Any:
        if values is None:
            return None
        values = to_tensor(values)
        return values if values.ndim == x.ndim else ops.reshape(values, wide)

    return ops.batch_normalization(x, along(mean), along(var), along(beta), along(gamma), epsilon)


def normalize_batch_in_training(
    x: Any, gamma: Any, beta: Any, reduction_axes: Sequence[int], epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """x normalised by its own moments over `reduction_axes`, and these moments."""
    x = to_tensor(x)
    axes = axes_of(reduction_axes, x.ndim)
    mean, variance = ops.moments(x, axes)
    wide = [1 if i in axes else n for i, n in enumerate(x.shape)]
    parts = [None if part is None else ops.reshape(part, wide) for part in (mean, variance, beta, gamma)]
    return ops.batch_normalization(x, *parts, epsilon), mean, variance


def map_fn(fn: Callable, elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """`fn` of each slice along the first dimension, stacked."""
    return ops.map_fn(fn, elems, dtype)


def foldl(fn: Callable, elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """The last of the running values a = fn(a, slice), from the first slice to the last."""
    return ops.foldl(fn, elems, initializer)


def foldr(fn: Callable, elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    """The last of the running values a = fn(a, slice), from the last slice to the first."""
    return ops.foldr(fn, elems, initializer)


# --- what belongs to graphs of TF 1


def backend() -> str:
    """'tensorflow': the backend of Keras whose behaviour this is."""
    return "tensorflow"


def placeholder(
    shape: Sequence[int | None] | None = None,
    ndim: int | None = None,
    dtype: Any = None,
    sparse: bool = False,
    name: str | None = None,
) -> Any:
    """A symbolic input, as `tf.keras.Input(batch_shape=shape)` gives.

    Raises:
        ValueError: Neither shape nor ndim is given.
    """
    from distkeras.keras.layers import Input

    if shape is None and ndim is None:
        raise ValueError("placeholder: give the shape, or at least ndim, the number of dimensions.")
    sizes = tuple(shape) if shape is not None else (None,) * int(ndim)
    return Input(batch_shape=sizes, dtype=dtype, name=name, sparse=sparse)


def gradients(loss: Any, variables: Any) -> Any:
    """Belongs to TF 1.

    Raises:
        RuntimeError: Always.
    """
    raise RuntimeError(
        "K.gradients is not supported when eager execution is enabled: compute the loss under tf.GradientTape() and "
        "call tape.gradient(loss, variables)."
    )


def is_sparse(tensor: Any) -> bool:
    """Whether it is a SparseTensor, or an input that is fed with them."""
    source = getattr(getattr(tensor, "_keras_history", None), "layer", None)
    return isinstance(tensor, SparseTensor) or getattr(source, "sparse", False) is True


def to_dense(tensor: Any) -> Any:
    """The dense tensor of a SparseTensor; anything else as it is."""
    return ops.sparse_to_dense(tensor) if isinstance(tensor, SparseTensor) else tensor


def manual_variable_initialization(value: bool) -> None:
    """Accepted: variables have their values from the beginning."""
