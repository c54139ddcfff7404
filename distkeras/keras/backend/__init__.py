"""`tf.keras.backend`: settings, names, variables by value, and tensor functions under Keras' names.

Most functions are ops whose arguments Keras calls otherwise or orders otherwise; they work on tensors, variables and
the symbolic tensors of the functional API alike.
"""

from __future__ import annotations

import builtins
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras import _nest, ops
from distkeras._config import (
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.keras import activations
from distkeras.keras.backend.algebra import (
    backend,
    batch_dot,
    batch_normalization,
    binary_crossentropy,
    categorical_crossentropy,
    cumprod,
    dot,
    foldl,
    foldr,
    gradients,
    in_top_k,
    is_sparse,
    l2_normalize,
    manual_variable_initialization,
    map_fn,
    normalize_batch_in_training,
    placeholder,
    print_tensor,
    sparse_categorical_crossentropy,
    to_dense,
)
from distkeras.keras.backend.convolution import (
    bias_add,
    conv1d,
    conv2d,
    conv2d_transpose,
    conv3d,
    conv3d_transpose,
    depthwise_conv2d,
    local_conv1d,
    local_conv2d,
    pool2d,
    pool3d,
    resize_images,
    resize_volumes,
    separable_conv1d,
    separable_conv2d,
    spatial_2d_padding,
    spatial_3d_padding,
    temporal_padding,
)
from distkeras.keras.backend.ctc import ctc_batch_cost, ctc_decode, ctc_label_dense_to_sparse
from distkeras.keras.backend.names import renamed
from distkeras.keras.backend.random import (
    dropout,
    random_binomial,
    random_normal,
    random_normal_variable,
    random_uniform,
    random_uniform_variable,
    truncated_normal,
)
from distkeras.keras.backend.values import (
    batch_get_value,
    batch_set_value,
    clear_session,
    eval,
    eye,
    function,
    get_value,
    moving_average_update,
    ones,
    set_value,
    update,
    update_add,
    update_sub,
    variable,
    zeros,
)
from distkeras.keras.layers.call_context import (
    is_training,
    learning_phase,
    learning_phase_scope,
    set_learning_phase,
)
from distkeras.keras.layers.keras_tensor import KerasTensor
from distkeras.keras.layers.naming import get_uid, name_scope, reset_uids
from distkeras.keras.layers.rnn_scan import rnn

# --- what tensors are


def shape(x: Any) -> Tensor:
    """The shape as a tensor."""
    return ops.shape(x)


def int_shape(x: Any) -> tuple[int | None, ...]:
    """The shape as a tuple; sizes that are not known are None."""
    return tuple(to_tensor(x).shape)


def ndim(x: Any) -> int:
    """The number of dimensions."""
    return len(int_shape(x))


def dtype(x: Any) -> str:
    """The name of the element type."""
    return to_tensor(x).dtype.name


def count_params(x: Any) -> int:
    """The number of elements."""
    return int(np.prod(int_shape(x), dtype=np.int64))


def is_tensor(x: Any) -> bool:
    """Whether x is a tensor, sparse and ragged ones included, or a variable."""
    return isinstance(x, (Tensor, Variable, SparseTensor, RaggedTensor))


def is_keras_tensor(x: Any) -> bool:
    """Whether x comes from `tf.keras.Input` or a layer called on what does.

    Raises:
        ValueError: x is no tensor at all.
    """
    if not isinstance(x, (Tensor, Variable, KerasTensor)):
        raise ValueError(f"Unexpectedly found an instance of type {type(x)}: expected a symbolic tensor.")
    return isinstance(x, KerasTensor)


def cast_to_floatx(x: Any) -> Any:
    """x with elements of type `floatx()`: tensors stay tensors, everything else becomes an ndarray."""
    return ops.cast(x, floatx()) if is_tensor(x) else np.asarray(x, floatx())


# --- element by element

abs = renamed(ops.abs, "x")
cast = renamed(ops.cast, "x")
cos = renamed(ops.cos, "x")
equal = ops.equal
exp = renamed(ops.exp, "x")
greater = ops.greater
greater_equal = ops.greater_equal
identity = renamed(ops.identity, "x")
less = ops.less
less_equal = ops.less_equal
log = renamed(ops.log, "x")
maximum = ops.maximum
minimum = ops.minimum
not_equal = ops.not_equal
ones_like = renamed(ops.ones_like, "x")
pow = renamed(ops.pow, "x a")
round = renamed(ops.round, "x")
sign = renamed(ops.sign, "x")
sin = renamed(ops.sin, "x")
square = renamed(ops.square, "x")
zeros_like = renamed(ops.zeros_like, "x")

elu = activations.elu
hard_sigmoid = activations.hard_sigmoid
relu = activations.relu
sigmoid = renamed(ops.sigmoid, "x")
softmax = renamed(ops.softmax, "x axis")
softplus = renamed(ops.softplus, "x")
softsign = renamed(ops.softsign, "x")
tanh = renamed(ops.tanh, "x")


def sqrt(x: Any) -> Tensor:
    """The square root; 0 for negative elements."""
    return ops.sqrt(ops.maximum(x, 0.0))


def stop_gradient(variables: Any) -> Any:
    """Tensors that gradients take for constants; one, or a list of them."""
    return _nest.map_structure(ops.stop_gradient, variables)


def clip(x: Any, min_value: Any, max_value: Any) -> Tensor:
    """x with what lies outside [min_value, max_value] set to the nearer bound; a bound of None is none."""
    low = -np.inf if min_value is None else min_value
    high = np.inf if max_value is None else max_value
    if not is_tensor(low) and not is_tensor(high):
        high = builtins.max(low, high)
    return ops.clip_by_value(x, low, high)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Tensor:
    """One of two tensors where `condition` holds, the other elsewhere; both are computed.

    Args:
        condition: A bool tensor: a scalar, or of the first dimensions of the two.
        then_expression, else_expression: Tensors, or functions without arguments that give them.
    """
    chosen, other = (
        expression() if callable(expression) else expression for expression in (then_expression, else_expression)
    )
    condition = to_tensor(condition)
    while 0 < ndim(condition) < ndim(chosen):
        condition = ops.expand_dims(condition, -1)
    return ops.where(condition, chosen, other)


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x while training, `alt` otherwise; either may be a function without arguments, and only one is called."""
    chosen = x if is_training(training) else alt
    return chosen() if callable(chosen) else chosen


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """`alt` while training, x otherwise; see `in_train_phase`."""
    return in_train_phase(alt, x, training)


# --- reductions

logsumexp = renamed(ops.reduce_logsumexp, "x axis keepdims")
max = renamed(ops.reduce_max, "x axis keepdims")
min = renamed(ops.reduce_min, "x axis keepdims")
prod = renamed(ops.reduce_prod, "x axis keepdims")
sum = renamed(ops.reduce_sum, "x axis keepdims")


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` hold; numbers other than 0 do."""
    return ops.reduce_all(ops.cast(x, "bool"), axis, keepdims)


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether an element over `axis` holds; numbers other than 0 do."""
    return ops.reduce_any(ops.cast(x, "bool"), axis, keepdims)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`, of bools the fraction that is true."""
    return ops.reduce_mean(_numbers(x), axis, keepdims)


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The variance over `axis`."""
    return ops.reduce_variance(_numbers(x), axis, keepdims)


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The standard deviation over `axis`."""
    return ops.reduce_std(_numbers(x), axis, keepdims)


def argmax(x: Any, axis: int = -1) -> Tensor:
    """The index of the largest element along `axis`."""
    return ops.argmax(x, axis)


def argmin(x: Any, axis: int = -1) -> Tensor:
    """The index of the smallest element along `axis`."""
    return ops.argmin(x, axis)


def cumsum(x: Any, axis: int = 0) -> Tensor:
    """Sums of all elements up to each one along `axis`."""
    return ops.cumsum(x, axis)


def _numbers(x: Any) -> Tensor:
    x = to_tensor(x)
    return ops.cast(x, floatx()) if x.dtype.is_bool else x


# --- shapes

reshape = renamed(ops.reshape, "x shape")
reverse = renamed(ops.reverse, "x axes")
squeeze = renamed(ops.squeeze, "x axis")
stack = renamed(ops.stack, "x axis")


def tile(x: Any, n: Any) -> Tensor:
    """x repeated `n` times: a number for each axis, or one for the only axis."""
    return ops.tile(x, [n] if isinstance(n, numbers.Integral) else n)


def expand_dims(x: Any, axis: int = -1) -> Tensor:
    """A dimension of size 1 inserted at `axis`."""
    return ops.expand_dims(x, axis)


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Tensor:
    """Tensors one after the other along `axis`."""
    return ops.concat(tensors, axis)


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Tensor:
    """The dimensions in another order."""
    return ops.transpose(x, pattern)


def transpose(x: Any) -> Tensor:
    """The dimensions in reverse order."""
    return ops.transpose(x)


def flatten(x: Any) -> Tensor:
    """All elements in one dimension."""
    return ops.reshape(x, (-1,))


def batch_flatten(x: Any) -> Tensor:
    """Each sample's elements in one dimension."""
    sizes = int_shape(x)[1:]
    return ops.reshape(x, (-1, int(np.prod(sizes)) if None not in sizes else -1))


def repeat(x: Any, n: int) -> Tensor:
    """[samples, n, features] from [samples, features]."""
    return ops.tile(ops.expand_dims(x, 1), (1, n, 1))


def repeat_elements(x: Any, rep: int, axis: int) -> Tensor:
    """Each element `rep` times in a row along `axis`."""
    return ops.repeat(x, rep, axis)


def gather(reference: Any, indices: Any) -> Tensor:
    """Elements of the first dimension by index."""
    return ops.gather(reference, indices)


def one_hot(indices: Any, num_classes: int) -> Tensor:
    """Vectors of length `num_classes`, 1 at the index and 0 elsewhere."""
    return ops.one_hot(indices, num_classes)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Tensor:
    """Numbers from `start` to before `stop`; without `stop` from 0 to before `start`, none if that is negative."""
    first, last = (0, builtins.max(start, 0)) if stop is None else (start, stop)
    return ops.cast(ops.range(first, last, step), dtype)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor of type `floatx()` by default."""
    return ops.constant(value, dtype or floatx(), shape)


__all__ = [
    "abs", "all", "any", "arange", "argmax", "argmin", "backend", "batch_dot", "batch_flatten", "batch_get_value",
    "batch_normalization", "batch_set_value", "bias_add", "binary_crossentropy", "cast", "cast_to_floatx",
    "categorical_crossentropy", "clear_session", "clip", "concatenate", "constant", "conv1d", "conv2d",
    "conv2d_transpose", "conv3d", "conv3d_transpose", "cos", "count_params", "ctc_batch_cost",
    "ctc_decode", "ctc_label_dense_to_sparse", "cumprod", "cumsum", "depthwise_conv2d",
    "dot", "dropout", "dtype", "elu", "epsilon", "equal", "eval", "exp", "expand_dims", "eye", "flatten", "floatx",
    "foldl", "foldr", "function", "gather", "get_uid", "get_value", "gradients", "greater", "greater_equal",
    "hard_sigmoid", "identity", "image_data_format", "in_test_phase", "in_top_k", "in_train_phase", "int_shape",
    "is_keras_tensor", "is_sparse", "is_tensor", "l2_normalize", "learning_phase", "learning_phase_scope", "less",
    "less_equal", "local_conv1d", "local_conv2d", "log", "logsumexp", "manual_variable_initialization", "map_fn", "max",
    "maximum", "mean", "min", "minimum", "moving_average_update", "name_scope", "ndim", "normalize_batch_in_training",
    "not_equal", "one_hot", "ones", "ones_like", "permute_dimensions", "placeholder", "pool2d", "pool3d", "pow",
    "print_tensor", "prod", "random_binomial", "random_normal", "random_normal_variable", "random_uniform",
    "random_uniform_variable", "relu", "repeat", "repeat_elements", "reset_uids", "reshape", "resize_images",
    "resize_volumes", "reverse", "rnn", "round", "separable_conv1d", "separable_conv2d", "set_epsilon", "set_floatx",
    "set_image_data_format", "set_learning_phase", "set_value", "shape", "sigmoid", "sign", "sin", "softmax",
    "softplus", "softsign", "sparse_categorical_crossentropy", "spatial_2d_padding", "spatial_3d_padding", "sqrt",
    "square", "squeeze", "stack", "std", "stop_gradient", "sum", "switch", "tanh", "temporal_padding", "tile",
    "to_dense", "transpose", "truncated_normal", "update", "update_add", "update_sub", "var", "variable", "zeros",
    "zeros_like",
]  # fmt: skip
__dir__ = __all__.copy
