"""Layer normalisation: each sample's numbers along the last dimension, scaled to mean beta and deviation gamma."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import SUM, Rows, each_row
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels import row_norm as kernels
from distkeras.kernels.gemm import as_matrix
from distkeras.ops._op import op
from distkeras.ops.elementwise import rsqrt, square
from distkeras.ops.reduction import reduce_mean, reduce_sum

_normalize = Primitive("layer_normalization")
_normalize_gradient = Primitive("layer_normalization_gradient")


@_normalize.def_shape
def _normalize_shape(x: TensorSpec, gamma: TensorSpec, beta: TensorSpec, epsilon: float) -> tuple:
    """y; and of each row the mean and the reciprocal deviation."""
    moments = TensorSpec((math.prod(x.shape[:-1]),), x.dtype)
    return x, moments, moments


@_normalize.def_kernel
def _normalize_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, epsilon: float) -> Calls:
    x, gamma, beta = inputs
    y, mean, rstd = outputs
    arguments = (as_matrix(x), gamma, beta, x.dtype.type(epsilon), mean, rstd, as_matrix(y))
    return [(kernels.normalize_rows[x.dtype], arguments)]


@_normalize.def_vjp
def _normalize_vjp(gradients: tuple, inputs: tuple, outputs: tuple, epsilon: float) -> tuple:
    # Gradients reach x through y alone: the moments are there for the backward pass only.
    (g, *_), (x, gamma, _), (_, mean, rstd) = gradients, inputs, outputs
    return _normalize_gradient(g, x, gamma, mean, rstd, epsilon=epsilon)


@_normalize.def_cut
def _normalize_cut(units: tuple, specs: tuple, samples: int, epsilon: float) -> Rows | None:
    rows = each_row(0)(units, specs, samples)
    return rows and rows._replace(outputs=(units[0], *[units[0] * math.prod(specs[0].shape[1:-1])] * 2))


@_normalize_gradient.def_cut
def _normalize_gradient_cut(units: tuple, specs: tuple, samples: int, epsilon: float) -> Rows | None:
    unit, x = units[1], specs[1]
    per_moment = unit * math.prod(x.shape[1:-1])
    fits = unit and len(x.shape) > 1 and units[0] in (0, unit) and not units[2] and {*units[3:]} <= {0, per_moment}
    return Rows((unit, unit, 0, per_moment, per_moment), (unit, SUM, SUM)) if fits else None


_normalize_gradient.def_shape(lambda g, x, gamma, mean, rstd, epsilon: (x, gamma, gamma))


@_normalize_gradient.def_kernel
def _normalize_gradient_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, epsilon: float) -> Calls:
    g, x, gamma, mean, rstd = inputs
    dx, dgamma, dbeta = outputs
    work = scratch((2, gamma.size), gamma.dtype)
    arguments = (as_matrix(x), as_matrix(g), gamma, mean, rstd, work, as_matrix(dx), dgamma, dbeta)
    return [(kernels.normalize_rows_gradient[x.dtype], arguments)]


@_normalize_gradient.def_vjp
def _normalize_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple, epsilon: float) -> tuple:
    """Second derivatives, in ops. With xhat = (x - mean) r and the map P(v) = v - mean(v) - xhat mean(v xhat), which is
    its own transpose, the three outputs are

        dx = r P(g gamma),  dgamma = sum(g xhat),  dbeta = sum(g)

    and are differentiated with respect to g, x (the moments being functions of x, and computed from it here, so that
    further derivatives see it) and gamma.
    """
    (h, hgamma, hbeta), (g, x, gamma, _, _) = gradients, inputs

    def mean(value: Tensor) -> Tensor:
        return reduce_mean(value, axis=-1, keepdims=True)

    deviation = x - mean(x)
    r = rsqrt(mean(square(deviation)) + epsilon)
    xhat = deviation * r

    def project(value: Tensor) -> Tensor:
        return value - mean(value) - xhat * mean(value * xhat)

    weighted, projected = g * gamma, project(h)
    for_g = gamma * r * projected + hgamma * xhat + hbeta
    for_gamma = reduce_sum(g * r * projected, tuple(range(x.ndim - 1)))
    on_xhat = hgamma * g - r * (h * mean(weighted * xhat) + weighted * mean(h * xhat))
    through_r = -(r * r) * xhat * mean(h * project(weighted))
    return for_g, r * project(on_xhat) + through_r, for_gamma, None, None


@op
def layer_normalization(x: Any, gamma: Any, beta: Any, epsilon: float = 1e-3) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, by the moments along the last dimension.

    Args:
        x: [..., n].
        gamma, beta: [n].
        epsilon: Added to the variance.

    Returns:
        A tensor like x.

    Source: Ba, Kiros, Hinton, "Layer normalization", 2016.

    >>> from distkeras import ops
    >>> ops.layer_normalization([[1.0, 3.0]], [1.0, 1.0], [0.0, 0.0], epsilon=0.0).numpy().tolist()
    [[-1.0, 1.0]]
    """
    x, gamma, beta = to_tensor(x), to_tensor(gamma), to_tensor(beta)
    if not x.ndim or not tuple(gamma.shape) == tuple(beta.shape) == (x.shape[-1],):
        raise InvalidArgumentError(
            f"layer_normalization: expected [..., n] with gamma and beta of [n], "
            f"received {x.shape}, {gamma.shape} and {beta.shape}."
        )
    return _normalize(x, gamma, beta, epsilon=float(epsilon))[0]
