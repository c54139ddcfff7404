"""Normalisation of each row of a matrix, and its gradients: layer normalisation.

Loops run over the last axis. A row's mean is taken twice, the second time of what is left of the row after the first,
so that the sum of squares loses nothing to a large mean; sums over rows run in blocks, and blocks are added up.

Source: Ba, Kiros, Hinton, "Layer normalization", 2016.
"""

from __future__ import annotations

import math

from distkeras.kernels.compile import inlined, kernel

_BLOCK = 64  # rows over which sums run before they are merged


@inlined
def _moments(row):
    """The mean and the variance of a row's numbers."""
    to = row.dtype.type
    factor = to(1) / to(max(row.size, 1))
    total = to(0)
    for j in range(row.size):
        total += row[j]
    shift = total * factor
    rest, squares = to(0), to(0)
    for j in range(row.size):
        deviation = row[j] - shift
        rest += deviation
        squares += deviation * deviation
    correction = rest * factor
    return shift + correction, max(to(0), squares * factor - correction * correction)


@kernel("void({t}[:, ::1], {t}[::1], {t}[::1], {t}, {t}[::1], {t}[::1], {t}[:, ::1])")
def normalize_rows(x, gamma, beta, epsilon, mean, rstd, out):
    """out[r, j] = (x[r, j] - mean[r]) rstd[r] gamma[j] + beta[j], where rstd[r] = 1 / sqrt(variance[r] + epsilon)."""
    to = x.dtype.type
    for r in range(x.shape[0]):
        row, result = x[r], out[r]
        center, variance = _moments(row)
        scale = to(1) / math.sqrt(variance + epsilon)
        mean[r], rstd[r] = center, scale
        for j in range(row.size):
            result[j] = (row[j] - center) * scale * gamma[j] + beta[j]


@kernel("void({t}[:, ::1], {t}[:, ::1], {t}[::1], {t}[::1], {t}[::1], {t}[:, ::1], {t}[:, ::1], {t}[::1], {t}[::1])")
def normalize_rows_gradient(x, dy, gamma, mean, rstd, work, dx, dgamma, dbeta):
    """With xhat = (x - mean) rstd and g = dy gamma, both [rows, n], and work [2, n]:

    dx = rstd (g - mean_j(g) - xhat mean_j(g xhat)),  dgamma = sum_r(dy xhat),  dbeta = sum_r(dy)
    """
    to = x.dtype.type
    factor = to(1) / to(max(x.shape[1], 1))
    products, sums = work[0], work[1]
    dgamma[:] = to(0)
    dbeta[:] = to(0)
    for first in range(0, x.shape[0], _BLOCK):
        products[:] = to(0)
        sums[:] = to(0)
        for r in range(first, min(first + _BLOCK, x.shape[0])):
            row, gradient, result = x[r], dy[r], dx[r]
            center, scale = mean[r], rstd[r]
            total, along = to(0), to(0)
            for j in range(row.size):
                weighted = gradient[j] * gamma[j]
                total += weighted
                along += weighted * (row[j] - center)
            for j in range(row.size):
                products[j] += gradient[j] * ((row[j] - center) * scale)
                sums[j] += gradient[j]
            total, along = total * factor, along * factor * scale * scale
            for j in range(row.size):
                result[j] = scale * (gradient[j] * gamma[j] - total - (row[j] - center) * along)
        for j in range(dgamma.size):
            dgamma[j] += products[j]
            dbeta[j] += sums[j]
