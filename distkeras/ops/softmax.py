"""Softmax, its logarithm, and the cross-entropies that are computed from logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import Rows, all_rows
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels import softmax as kernels
from distkeras.kernels.gemm import as_matrix
from distkeras.ops._op import axis_of, op, operands
from distkeras.ops.creation import one_hot
from distkeras.ops.elementwise import abs as absolute
from distkeras.ops.elementwise import (
    cast,
    exp,
    expm1,
    logical_and,
    maximum,
    minimum,
    multiply,
    softplus,
    stop_gradient,
    where,
    zeros_of,
)
from distkeras.ops.reduction import reduce_sum
from distkeras.ops.shape import expand_dims, reshape, transpose


def _softmax_cut(units: tuple, specs: tuple, samples: int) -> Rows | None:
    return all_rows(units, specs, samples) if len(specs[0].shape) > 1 else None


def _row_primitive(name: str, kernel: Any) -> Primitive:
    primitive = Primitive(name)
    primitive.def_shape(lambda x, *others: x)
    primitive.def_cut(_softmax_cut)

    @primitive.def_kernel
    def lower(inputs: Sequence, outputs: Sequence, scratch: Any) -> Calls:
        return [(kernel[inputs[0].dtype], (*map(as_matrix, inputs), as_matrix(outputs[0])))]

    return primitive


_softmax = _row_primitive("softmax", kernels.softmax)
_softmax_gradient = _row_primitive("softmax_gradient", kernels.softmax_gradient)
_log_softmax = _row_primitive("log_softmax", kernels.log_softmax)
_log_softmax_gradient = _row_primitive("log_softmax_gradient", kernels.log_softmax_gradient)

_softmax.def_vjp(lambda gradients, inputs, outputs: (lambda: _softmax_gradient(outputs[0], gradients[0]),))
_log_softmax.def_vjp(lambda gradients, inputs, outputs: (lambda: _log_softmax_gradient(outputs[0], gradients[0]),))


@_softmax_gradient.def_vjp
def _softmax_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    """z = y (d - sum(y d)): with s = sum(y d), dz/dd is the same map, and dz/dy = h (d - s) - d sum(h y)."""
    (h,), (y, d) = gradients, inputs
    return (
        lambda: h * (d - reduce_sum(y * d, -1, True)) - d * reduce_sum(h * y, -1, True),
        lambda: _softmax_gradient(y, h),
    )


@_log_softmax_gradient.def_vjp
def _log_softmax_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    """z = d - exp(y) sum(d)."""
    (h,), (y, d) = gradients, inputs
    return (
        lambda: -(h * exp(y) * reduce_sum(d, -1, True)),
        lambda: h - reduce_sum(h * exp(y), -1, True),
    )


def _along(primitive: Primitive, logits: Any, axis: int) -> Tensor:
    x = to_tensor(logits)
    if not x.dtype.is_floating or not x.ndim:
        raise InvalidArgumentError(
            f"{primitive.name}: expected floating-point tensors of at least 1 dimension, "
            f"received {x.dtype.name} {x.shape}."
        )
    axis = axis_of(-1 if axis is None else axis, x.ndim)
    if axis == x.ndim - 1:
        return primitive(x)
    order = tuple(x.ndim - 1 if i == axis else axis if i == x.ndim - 1 else i for i in range(x.ndim))
    return transpose(primitive(transpose(x, order)), order)


@op
def softmax(logits: Any, axis: int = -1, name: str | None = None) -> Tensor:
    """exp(x) / sum(exp(x)) along `axis`.

    >>> import distkeras as tf
    >>> tf.nn.softmax([0.0, 0.0]).numpy().tolist()
    [0.5, 0.5]
    """
    return _along(_softmax, logits, axis)


@op
def log_softmax(logits: Any, axis: int = -1, name: str | None = None) -> Tensor:
    """log(softmax(x)), exact where softmax would be 0."""
    return _along(_log_softmax, logits, axis)


# --- cross-entropy from logits: one kernel gives losses and probabilities, one more the gradient

_cross_entropy = Primitive("softmax_cross_entropy")
_sparse_cross_entropy = Primitive("sparse_softmax_cross_entropy")
_cross_entropy_gradient = Primitive("softmax_cross_entropy_gradient")
_sparse_cross_entropy_gradient = Primitive("sparse_softmax_cross_entropy_gradient")

for _forward, _kernel in (
    (_cross_entropy, kernels.softmax_cross_entropy),
    (_sparse_cross_entropy, kernels.sparse_softmax_cross_entropy),
):
    _forward.def_cut(all_rows)
    _forward.def_shape(lambda logits, labels: (TensorSpec(logits.shape[:1], logits.dtype), logits))
    _forward.def_kernel(
        lambda inputs, outputs, scratch, kernel=_kernel: [(kernel[inputs[0].dtype], (*inputs, *outputs))]
    )
for _backward, _kernel in (
    (_cross_entropy_gradient, kernels.softmax_cross_entropy_gradient),
    (_sparse_cross_entropy_gradient, kernels.sparse_softmax_cross_entropy_gradient),
):
    _backward.def_cut(all_rows)
    _backward.def_shape(lambda probabilities, labels, g, logits: probabilities)
    _backward.def_kernel(
        lambda inputs, outputs, scratch, kernel=_kernel: [(kernel[inputs[0].dtype], (*inputs[:3], *outputs))]
    )


@_cross_entropy.def_vjp
def _cross_entropy_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    (g, _), (logits, labels), (_, probabilities) = gradients, inputs, outputs
    return (
        lambda: _cross_entropy_gradient(probabilities, labels, g, logits),
        lambda: -(expand_dims(g, -1) * _log_softmax(logits)),
    )


@_sparse_cross_entropy.def_vjp
def _sparse_cross_entropy_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    (g, _), (logits, labels), (_, probabilities) = gradients, inputs, outputs
    return lambda: _sparse_cross_entropy_gradient(probabilities, labels, g, logits), None


@_cross_entropy_gradient.def_vjp
def _cross_entropy_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    """z = g (p sum(t) - t), where p = softmax(x) is kept from the forward pass: x carries the derivative."""
    (h,), (p, t, g, _) = gradients, inputs
    column = expand_dims(g, -1)
    total = reduce_sum(t, -1, True)
    return (
        None,
        lambda: column * (reduce_sum(h * p, -1, True) - h),
        lambda: reduce_sum(h * (p * total - t), -1),
        lambda: _softmax_gradient(p, h * column * total),
    )


@_sparse_cross_entropy_gradient.def_vjp
def _sparse_cross_entropy_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    (h,), (p, labels, g, _) = gradients, inputs
    return (
        None,
        None,
        lambda: reduce_sum(h * (p - one_hot(labels, p.shape[-1], dtype=p.dtype)), -1),
        lambda: _softmax_gradient(p, h * expand_dims(g, -1)),
    )


@op
def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: int = -1, name: str | None = None) -> Tensor:
    """-sum(labels * log(softmax(logits))) along `axis`.

    Args:
        labels: Probabilities of the classes, of the shape of `logits`.
    """
    x, t = operands(logits, labels)
    axis = axis_of(axis, x.ndim)
    if x.shape != t.shape:
        raise InvalidArgumentError(f"logits and labels must have one shape, received {x.shape} and {t.shape}.")
    if axis != x.ndim - 1:
        order = (*(i for i in range(x.ndim) if i != axis), axis)
        x, t = transpose(x, order), transpose(t, order)
    lead, classes = tuple(x.shape[:-1]), x.shape[-1]
    rows = int(np.prod(lead, dtype=np.int64))
    losses, _ = _cross_entropy(reshape(x, (rows, classes)), reshape(t, (rows, classes)))
    return reshape(losses, lead)


@op
def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: str | None = None) -> Tensor:
    """-log(softmax(logits)[label]) for integer labels; NaN where a label is not a class.

    Args:
        labels: Integers, of the shape of `logits` without its last dimension.
    """
    x, labels = to_tensor(logits), to_tensor(labels)
    if not labels.dtype.is_integer:
        raise InvalidArgumentError(f"labels must be integers, received dtype {labels.dtype.name}.")
    if tuple(labels.shape) != tuple(x.shape[:-1]):
        raise InvalidArgumentError(
            f"labels must have the shape of the logits without the last dimension, "
            f"received {labels.shape} and {x.shape}."
        )
    lead, classes = tuple(x.shape[:-1]), x.shape[-1]
    rows = int(np.prod(lead, dtype=np.int64))
    losses, _ = _sparse_cross_entropy(reshape(x, (rows, classes)), reshape(cast(labels, "int64"), (rows,)))
    return reshape(losses, lead)


# --- cross-entropy from probabilities: what log and softmax would give, without either

_cross_entropy_of_probabilities = Primitive("sparse_cross_entropy")
_cross_entropy_of_probabilities.def_cut(all_rows)
_cross_entropy_of_probabilities.def_shape(
    lambda probabilities, labels, low, high: TensorSpec(probabilities.shape[:1], probabilities.dtype)
)
_slope_of_probabilities = Primitive("sparse_cross_entropy_gradient")
_slope_of_probabilities.def_cut(all_rows)
_slope_of_probabilities.def_shape(lambda probabilities, labels, g, low, high: probabilities)

for _primitive, _kernel in (
    (_cross_entropy_of_probabilities, kernels.sparse_cross_entropy),
    (_slope_of_probabilities, kernels.sparse_cross_entropy_gradient),
):
    _primitive.def_kernel(
        lambda inputs, outputs, scratch, low, high, kernel=_kernel: [
            (kernel[(kind := inputs[0].dtype)], (*inputs, kind.type(low), kind.type(high), *outputs))
        ]
    )


@_cross_entropy_of_probabilities.def_vjp
def _cross_entropy_of_probabilities_vjp(
    gradients: tuple, inputs: tuple, outputs: tuple, low: float, high: float
) -> tuple:
    (g,), (p, labels) = gradients, inputs
    return lambda: _slope_of_probabilities(p, labels, g, low=low, high=high), None


@_slope_of_probabilities.def_vjp
def _slope_of_probabilities_vjp(gradients: tuple, inputs: tuple, outputs: tuple, low: float, high: float) -> tuple:
    """z = g m (1 / s - t / q), where q is p within limits, s its sum, t is 1 at the label, m is 1 where q is p."""
    (h,), (p, labels, g) = gradients, inputs

    def parts() -> tuple[Tensor, Tensor, Tensor]:
        q = maximum(minimum(p, high), low)
        inside = cast(q == p, p.dtype)
        return inside / reduce_sum(q, -1, True), inside * one_hot(labels, p.shape[-1], dtype=p.dtype) / q, q

    def to_probabilities() -> Tensor:
        of_sum, of_label, q = parts()
        return expand_dims(g, -1) * (h * of_label / q - of_sum * reduce_sum(h * of_sum, -1, True))

    def to_losses() -> Tensor:
        of_sum, of_label, _ = parts()
        return reduce_sum(h * (of_sum - of_label), -1)

    return to_probabilities, None, to_losses


@op
def sparse_cross_entropy(labels: Any, probabilities: Any, low: float, high: float) -> Tensor:
    """-log(q[label] / sum(q)) for integer labels, where q are probabilities within limits; NaN where a label is none.

    Args:
        labels: int64, of the shape of `probabilities` without its last dimension.
        probabilities: Along the last dimension those of the classes.
        low, high: The limits; what is beyond them has no influence on gradients.
    """
    p = to_tensor(probabilities)
    lead, classes = tuple(p.shape[:-1]), p.shape[-1]
    rows = int(np.prod(lead, dtype=np.int64))
    p, labels = reshape(p, (rows, classes)), reshape(cast(labels, "int64"), (rows,))
    return reshape(_cross_entropy_of_probabilities(p, labels, low=low, high=high), lead)


@op
def sigmoid_cross_entropy_with_logits(labels: Any, logits: Any, name: str | None = None) -> Tensor:
    """-labels * log(sigmoid(x)) - (1 - labels) * log(1 - sigmoid(x)), element by element, without overflow."""
    x, t = operands(logits, labels)
    # softplus(x) = max(x, 0) + softplus(-|x|): the large parts of x and x t cancel before the small part is added.
    # `where` rather than `relu` and `abs`: the derivative at 0 has to come from one side, not from their middle.
    positive = x >= 0
    return where(positive, x, zeros_of(x)) - multiply(x, t) + softplus(where(positive, -x, x))


@op
def weighted_cross_entropy_with_logits(labels: Any, logits: Any, pos_weight: Any, name: str | None = None) -> Tensor:
    """-pos_weight * labels * log(sigmoid(x)) - (1 - labels) * log(1 - sigmoid(x)), element by element."""
    x, t = operands(logits, labels)
    weight = 1 + (pos_weight - 1) * t
    # As above; (1 - t) x is what is left of the large parts.
    return (1 - t) * x + weight * (softplus(where(x >= 0, -x, x)) + where(x >= 0, zeros_of(x), -x))


# --- activations made of element-wise ops


@op
def elu(features: Any, name: str | None = None) -> Tensor:
    """x where x > 0, exp(x) - 1 elsewhere (Clevert et al. 2015)."""
    x = to_tensor(features)
    return where(x > 0, x, expm1(minimum(x, 0)))


@op
def selu(features: Any, name: str | None = None) -> Tensor:
    """Scaled elu with the constants that keep activations normalised (Klambauer et al. 2017)."""
    x = to_tensor(features)
    return where(x >= 0, x * 1.0507009873554805, elu(x) * (1.0507009873554805 * 1.6732632423543772))


@op
def leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Tensor:
    """x where x > 0, alpha * x elsewhere."""
    x = to_tensor(features)
    return where(x > 0, x, x * alpha)


@op
def relu6(features: Any, name: str | None = None) -> Tensor:
    """x cut to [0, 6]; the derivative is 0 at both ends."""
    x = to_tensor(features)
    return where(logical_and(x > 0, x < 6), x, stop_gradient(minimum(maximum(x, 0), 6)))


@op
def softsign(features: Any, name: str | None = None) -> Tensor:
    """x / (1 + |x|)."""
    x = to_tensor(features)
    return x / (absolute(x) + 1)
