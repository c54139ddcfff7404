"""Optimizer updates that treat each variable of an arena as a layer: weight decay for some, steps scaled by norms.

A layer is the range [starts[k], stops[k]) of the flat arrays; elements between layers are left alone. `decayed[k]` and
`adapted[k]` are 1 or 0 in the arrays' element type: whether the layer's weights decay, and whether its step is scaled.
"""

from __future__ import annotations

import math

import numpy as np

from distkeras.kernels import vmath
from distkeras.kernels.compile import kernel
from distkeras.kernels.update import towards

_LAYERS = "int64[::1], int64[::1], {t}[::1]"


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], " + _LAYERS + ", {t}, {t}, {t}, {t}, {t})")
def adamw(parameters, gradients, means, squares, starts, stops, decayed, rate, beta_1, beta_2, epsilon, decay):
    """m, v = moving averages of g and g**2;  p -= decay decayed[k] p + rate m / (sqrt(v) + epsilon).

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, algorithm 2.
    """
    for k in range(starts.size):
        layer, factor = slice(starts[k], stops[k]), decay * decayed[k]
        p, g, m, v = parameters[layer], gradients[layer], means[layer], squares[layer]
        for i in range(p.size):
            mean = towards(m[i], g[i], beta_1)
            square = towards(v[i], g[i] * g[i], beta_2)
            m[i] = mean
            v[i] = square
            p[i] -= factor * p[i] + rate * mean / (math.sqrt(square) + epsilon)


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}[::1], " + _LAYERS + ", {t}, {t}, {t}, {t}, {t})")
def amsgradw(
    parameters, gradients, means, squares, largest, starts, stops, decayed, rate, beta_1, beta_2, epsilon, decay
):
    """As `adamw`, with the largest v so far in the denominator."""
    for k in range(starts.size):
        layer, factor = slice(starts[k], stops[k]), decay * decayed[k]
        p, g, m, v, b = parameters[layer], gradients[layer], means[layer], squares[layer], largest[layer]
        for i in range(p.size):
            mean = towards(m[i], g[i], beta_1)
            square = towards(v[i], g[i] * g[i], beta_2)
            m[i] = mean
            v[i] = square
            bound = vmath.maximum(b[i], square)
            b[i] = bound
            p[i] -= factor * p[i] + rate * mean / (math.sqrt(bound) + epsilon)


@kernel(
    "void({t}[::1], {t}[::1], {t}[::1], {t}[::1], " + _LAYERS + ", {t}[::1], {t}, {t}, {t}, {t}, {t}, {t}, {t})",
)
def lamb(
    parameters,
    gradients,
    means,
    squares,
    starts,
    stops,
    decayed,
    adapted,
    learning_rate,
    beta_1,
    beta_2,
    mean_correction,
    square_correction,
    epsilon,
    decay,
):
    """m, v = moving averages of g and g**2;
    u = mean_correction m / (sqrt(square_correction v) + epsilon) + decay decayed[k] p;
    p -= learning_rate (|p| / |u| where adapted[k], else 1) u.

    Source: You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2020, algorithm 2.
    """
    to = parameters.dtype.type
    for k in range(starts.size):
        layer, factor, weights, length = slice(starts[k], stops[k]), decay * decayed[k], 0.0, 0.0
        p, g, m, v = parameters[layer], gradients[layer], means[layer], squares[layer]
        for i in range(p.size):
            mean = towards(m[i], g[i], beta_1)
            square = towards(v[i], g[i] * g[i], beta_2)
            m[i] = mean
            v[i] = square
            step = mean_correction * mean / (math.sqrt(square_correction * square) + epsilon) + factor * p[i]
            weights += np.float64(p[i]) * np.float64(p[i])
            length += np.float64(step) * np.float64(step)
        scaled = adapted[k] and weights > 0 and length > 0
        rate = learning_rate * (to(math.sqrt(weights / length)) if scaled else to(1))
        for i in range(p.size):  # the step once more: memory to keep it in would cost more
            bottom = math.sqrt(square_correction * v[i]) + epsilon
            p[i] -= rate * (mean_correction * m[i] / bottom + factor * p[i])


@kernel("void({t}[::1], {t}[::1], {t}[::1], " + _LAYERS + ", {t}[::1], {t}, {t}, {t}, {t}, {t}, b1)")
def lars(
    parameters,
    gradients,
    velocities,
    starts,
    stops,
    decayed,
    adapted,
    learning_rate,
    momentum,
    decay,
    trust,
    epsilon,
    nesterov,
):
    """b = decay decayed[k];
    rate = learning_rate trust |p| / (|g| + b |p| + epsilon) where adapted[k] and no norm is 0, else learning_rate;
    v = momentum v + rate (g + b p);  p -= v, or momentum v + rate (g + b p) for Nesterov.

    Source: You, Gitman, Ginsburg, "Large batch training of convolutional networks", 2017, algorithm 1.
    """
    to = parameters.dtype.type
    for k in range(starts.size):
        layer, factor, weights, slopes = slice(starts[k], stops[k]), decay * decayed[k], 0.0, 0.0
        p, g, v, rate = parameters[layer], gradients[layer], velocities[layer], learning_rate
        for i in range(p.size):
            weights += np.float64(p[i]) * np.float64(p[i])
            slopes += np.float64(g[i]) * np.float64(g[i])
        weights, slopes = math.sqrt(weights), math.sqrt(slopes)
        if adapted[k] and weights > 0 and slopes > 0:
            rate = to(learning_rate * trust * weights / (slopes + factor * weights + epsilon))
        for i in range(p.size):
            step = rate * (g[i] + factor * p[i])
            velocity = momentum * v[i] + step
            v[i] = velocity
            p[i] -= momentum * velocity + step if nesterov else velocity
