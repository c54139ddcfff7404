"""Batch normalisation over the last dimension, with moments over the global batch.

    moments of this rank's rows -> merged over ranks -> y = (x - mean) / sqrt(variance + epsilon) * gamma + beta

The replica that runs the step does the merging; alone, it has nothing to merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core import context
from distkeras.core.primitive import PRIMITIVES, Calls, Primitive
from distkeras.core.rows import Rows, common_unit, each_row
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels import norm as kernels
from distkeras.kernels.gemm import as_matrix
from distkeras.ops._op import op
from distkeras.ops.elementwise import maximum, rsqrt, square
from distkeras.ops.reduction import reduce_sum

_normalize = Primitive("batch_normalization")
_normalize_gradient = Primitive("batch_normalization_gradient")
_sum_over_replicas = Primitive("sum_over_replicas", effect=True)


@_normalize.def_shape
def _normalize_shape(x: TensorSpec, gamma: TensorSpec, beta: TensorSpec, epsilon: float, replica: Any) -> tuple:
    """y, mean, variance, and the number of rows that they were taken over."""
    return x, gamma, gamma, TensorSpec((1,), x.dtype)


@_normalize.def_cut
def _normalize_cut(units: tuple, specs: tuple, samples: int, **params: Any) -> Rows | None:
    unit = common_unit(units, specs, samples, (0,))
    return Rows((unit, 0, 0), (unit, 0, 0, 0), has_replica=True) if unit else None


@_normalize.def_kernel
def _normalize_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, epsilon: float, replica: Any) -> Calls:
    (x, gamma, beta), (y, mean, variance, count) = inputs, outputs
    moments = _moments_kernel((x,), (mean, variance, count), scratch, replica=replica)
    return moments + _apply_kernel((x, mean, variance, gamma, beta), (y,), scratch, epsilon=epsilon, relu=False)


# In a plan the moments and what is done with them are apart, so that a relu can become part of that.

_moments = Primitive("batch_moments")
_apply = Primitive("normalization_by_moments")


@_normalize.def_rewrite
def _in_two(view: Any, inputs: tuple, epsilon: float, replica: Any) -> tuple:
    x, gamma, beta = inputs
    mean, variance, count = view.apply(_moments, (x,), replica=replica)
    (y,) = view.apply(_apply, (x, mean, variance, gamma, beta), epsilon=epsilon, relu=False)
    return y, mean, variance, count


@PRIMITIVES["relu"].def_rewrite
def _relu_at_once(view: Any, inputs: tuple) -> tuple | None:
    made = view.producer(inputs[0])
    if made is None or made.primitive is not _apply or not view.is_used_once(inputs[0]):
        return None
    return view.apply(_apply, made.inputs, **{**made.params, "relu": True})


@_moments.def_shape
def _moments_shape(x: TensorSpec, replica: Any) -> tuple:
    """Mean, variance, and the number of rows that they were taken over."""
    channels = TensorSpec(x.shape[-1:], x.dtype)
    return channels, channels, TensorSpec((1,), x.dtype)


@_moments.def_cut
def _moments_cut(units: tuple, specs: tuple, samples: int, **params: Any) -> Rows | None:
    unit = common_unit(units, specs, samples, (0,))
    return Rows((unit,), (0, 0, 0), has_replica=True) if unit else None


@_moments.def_kernel
def _moments_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, replica: Any) -> Calls:
    lower = _lower_moments_alone if replica.is_alone else _lower_moments
    return lower(inputs[0], *outputs, replica, scratch)


_apply.def_shape(lambda x, *channels, epsilon, relu: x)
_apply.def_cut(each_row(0))


@_apply.def_kernel
def _apply_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, epsilon: float, relu: bool) -> Calls:
    (x, mean, variance, gamma, beta), (y,) = inputs, outputs
    rstd = scratch(mean.shape, mean.dtype)
    return [
        (kernels.reciprocal_deviation[x.dtype], (variance, x.dtype.type(epsilon), rstd)),
        *kernels.lower_normalize_channels(as_matrix(x), mean, rstd, gamma, beta, as_matrix(y), scratch, relu=relu),
    ]


def _lower_moments_alone(
    x: np.ndarray, mean: np.ndarray, variance: np.ndarray, count: np.ndarray, replica: Any, scratch: Any
) -> Calls:
    """Kernels alone: no Python stands between those before and after."""
    rows = as_matrix(x)
    return [
        *kernels.lower_channel_moments(rows, mean, variance, scratch),
        (kernels.moments_alone[x.dtype], (variance, len(rows), count)),
    ]


def _lower_moments(
    x: np.ndarray, mean: np.ndarray, variance: np.ndarray, count: np.ndarray, replica: Any, scratch: Any
) -> Calls:
    parts = [as_matrix(x[rows]) for rows in replica.parts(x.shape[0])]
    means, m2s = (scratch((len(parts), mean.size), mean.dtype) for _ in range(2))
    moments = [
        call
        for part, *of_part in zip(parts, means, m2s, strict=True)
        for call in kernels.lower_channel_moments(part, *of_part, scratch)
    ]
    together = np.empty((len(parts), 1 + 2 * mean.size))
    together[:, 0] = [len(part) for part in parts]
    return [*moments, (_merge, (replica, together, means, m2s, count, mean, variance))]


def _merge(replica: Any, parts: np.ndarray, means: np.ndarray, m2s: np.ndarray, *moments: np.ndarray) -> None:
    """The global batch's row count, mean and variance from the parts' counts, means and sums of squared deviations."""
    count, mean, variance = moments
    parts[:, 1 : 1 + mean.size], parts[:, 1 + mean.size :] = means, m2s
    merged = replica.merge_moments(parts)
    count[0], mean[...] = merged[0], merged[1 : 1 + mean.size]
    np.divide(merged[1 + mean.size :], max(merged[0], 1), out=variance, casting="unsafe")


@_normalize.def_vjp
def _normalize_vjp(gradients: tuple, inputs: tuple, outputs: tuple, epsilon: float, replica: Any) -> tuple:
    (g, *_), (x, gamma, _), (_, mean, variance, count) = gradients, inputs, outputs
    # Gradients reach x through y alone: mean and variance leave the layer only as statistics to keep.
    dx, dgamma, dbeta = _normalize_gradient(g, x, gamma, mean, variance, count, epsilon=epsilon, replica=replica)
    return dx, dgamma, dbeta


_normalize_gradient.def_shape(lambda g, x, gamma, mean, variance, count, epsilon, replica: (x, gamma, gamma))


@_normalize_gradient.def_cut
def _normalize_gradient_cut(units: tuple, specs: tuple, samples: int, **params: Any) -> Rows | None:
    unit = common_unit(units, specs, samples, (0, 1))
    return Rows((unit, unit, 0, 0, 0, 0), (unit, 0, 0), has_replica=True) if unit else None


@_normalize_gradient.def_kernel
def _normalize_gradient_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Any, *, epsilon: float, replica: Any
) -> Calls:
    """dgamma and dbeta are what this replica adds to the gradients; dx needs the global sums."""
    g, x, gamma, mean, variance, count = inputs
    dx, dgamma, dbeta = outputs
    rstd = scratch(mean.shape, mean.dtype)
    calls: Calls = [(kernels.reciprocal_deviation[x.dtype], (variance, x.dtype.type(epsilon), rstd))]
    known = mean, rstd
    if replica.is_alone:
        sums = dbeta, dgamma
        calls += kernels.lower_normalization_gradient_sums(as_matrix(x), as_matrix(g), *known, *sums, scratch)
    else:
        parts = replica.parts(x.shape[0])
        of_parts = scratch((len(parts), 2, mean.size), mean.dtype)
        sums = scratch((2, mean.size), mean.dtype)
        for rows, of_part in zip(parts, of_parts, strict=True):
            part = as_matrix(x[rows]), as_matrix(g[rows])
            calls += kernels.lower_normalization_gradient_sums(*part, *known, *of_part, scratch)
        calls.append((_sum_over, (replica, of_parts, sums, dbeta, dgamma)))
    return calls + kernels.lower_normalization_input_gradient(
        as_matrix(x), as_matrix(g), *known, gamma, *sums, count, as_matrix(dx), scratch
    )


def _sum_over(replica: Any, parts: np.ndarray, sums: np.ndarray, dbeta: np.ndarray, dgamma: np.ndarray) -> None:
    sums[...], (dbeta[...], dgamma[...]) = replica.sum_parts(parts)


@_normalize_gradient.def_vjp
def _normalize_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple, epsilon: float, replica: Any) -> tuple:
    """Second derivatives, in ops: with xhat = (x - mean) r, the three outputs are

        dx = gamma r (g - mean(g) - xhat mean(g xhat)),  dgamma = sum(g xhat),  dbeta = sum(g)

    and are differentiated with respect to g, x (mean and variance being functions of x, and computed from it here, so
    that further derivatives see it) and gamma.
    """
    (h, hgamma, hbeta), (g, x, gamma, _, _, count) = gradients, inputs
    axes = tuple(range(x.ndim - 1))

    def total(value: Tensor) -> Tensor:
        return _over_replicas(reduce_sum(value, axes), replica)

    count = maximum(count, 1.0)
    deviation = x - total(x) / count
    r = rsqrt(total(square(deviation)) / count + epsilon)
    xhat = deviation * r
    mean_g, mean_gx = total(g) / count, total(g * xhat) / count
    # dx as a function of g is symmetric: its transpose is the same map.
    mean_h, mean_hx = total(h) / count, total(h * xhat) / count
    projected_h = h - mean_h - xhat * mean_hx
    projected_g = g - mean_g - xhat * mean_gx
    for_g = gamma * r * projected_h + hgamma * xhat + hbeta
    # What xhat receives, from dx and from dgamma; then xhat's own derivative with respect to x.
    on_xhat = hgamma * g - gamma * r * (mean_gx * h + mean_hx * g)
    through_xhat = r * (on_xhat - total(on_xhat) / count - xhat * (total(on_xhat * xhat) / count))
    through_r = -(gamma * r * r) * xhat * (total(h * projected_g) / count)
    return for_g, through_xhat + through_r, reduce_sum(h * r * projected_g, axes), None, None, None


_sum_over_replicas.def_shape(lambda x, replica: x)
_sum_over_replicas.def_vjp(
    lambda gradients, inputs, outputs, replica: (lambda: _sum_over_replicas(gradients[0], replica=replica),)
)


@_sum_over_replicas.def_kernel
def _sum_over_replicas_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, replica: Any) -> Calls:
    return [(np.copyto, (outputs[0], inputs[0])), (replica.allreduce, (outputs[0],))]


def _over_replicas(tensor: Tensor, replica: Any) -> Tensor:
    return _sum_over_replicas(tensor, replica=replica)


@op
def batch_normalization_training(
    x: Any, gamma: Any, beta: Any, epsilon: float = 1e-3, synchronized: bool = True, unbiased: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise over all but the last dimension by the batch's own moments.

    Args:
        x: [..., channels].
        gamma, beta: [channels]: the scale and offset after normalising.
        epsilon: Added to the variance.
        synchronized: Take the moments over the global batch of all ranks, rather than this rank's slice.
        unbiased: Return the variance times n / (n - 1), n being the number of rows; y uses the biased one always.

    Returns:
        y, the mean, and the variance.

    Source: Ioffe and Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training".
    """
    x, gamma, beta = to_tensor(x), to_tensor(gamma), to_tensor(beta)
    if x.ndim < 2 or tuple(gamma.shape) != (x.shape[-1],) or tuple(beta.shape) != (x.shape[-1],):
        raise InvalidArgumentError(
            f"batch_normalization: expected [..., channels] with gamma and beta of [channels], "
            f"received {x.shape}, {gamma.shape} and {beta.shape}."
        )
    replica = context.state.replica if synchronized else context.Replica()
    y, mean, variance, count = _normalize(x, gamma, beta, epsilon=float(epsilon), replica=replica)
    return y, mean, variance * (count / maximum(count - 1.0, 1.0)) if unbiased else variance


@op
def batch_normalization_inference(
    x: Any, mean: Any, variance: Any, gamma: Any, beta: Any, epsilon: float = 1e-3
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, along the last dimension; gamma and beta may be None."""
    scale = rsqrt(to_tensor(variance) + epsilon)
    if gamma is not None:
        scale = scale * gamma
    offset = -(to_tensor(mean) * scale)
    return to_tensor(x) * scale + (offset if beta is None else offset + beta)
