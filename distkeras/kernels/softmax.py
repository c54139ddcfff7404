"""Softmax over the rows of a matrix, its logarithm, and cross-entropy taken from logits in the same pass.

Each row is shifted by its largest entry, so nothing overflows; NaN in a row makes the whole row NaN. The gradients of
the cross-entropies reuse the probabilities that the forward kernels leave behind.
"""

from __future__ import annotations

import numpy as np

from distkeras.kernels import vmath
from distkeras.kernels.compile import inlined, kernel


@inlined
def _row_maximum(row):
    """The largest entry; a negative NaN may be passed over, for its exponential is NaN all the same."""
    largest = vmath.order(row[0])
    for j in range(1, row.size):
        entry = vmath.order(row[j])
        largest = entry if entry > largest else largest
    return vmath.from_order(largest, row[0])


@inlined
def _exponentials(row, largest, out):
    """Fills out with e**(row - largest) and returns their sum."""
    total = row.dtype.type(0)
    for j in range(row.size):
        value = vmath.exp(row[j] - largest)
        out[j] = value
        total += value
    return total


@inlined
def _softmax_row(row, out):
    """Fills out with the softmax of row and returns log(sum(e**row))."""
    largest = _row_maximum(row)
    total = _exponentials(row, largest, out)
    factor = row.dtype.type(1) / total
    for j in range(row.size):
        out[j] *= factor
    return largest + vmath.log(total)


@kernel("void({t}[:, ::1], {t}[:, ::1])")
def softmax(x, out):
    """out[r, c] = e**x[r, c] / sum_j e**x[r, j]."""
    for r in range(x.shape[0] if x.shape[1] else 0):
        _softmax_row(x[r], out[r])


@kernel("void({t}[:, ::1], {t}[:, ::1], {t}[:, ::1])")
def softmax_gradient(y, dy, out):
    """out = y * (dy - sum_j y[r, j] dy[r, j]), where y is the softmax."""
    for r in range(y.shape[0]):
        row, gradient, result = y[r], dy[r], out[r]
        total = row.dtype.type(0)
        for j in range(row.size):
            total += row[j] * gradient[j]
        for j in range(row.size):
            result[j] = row[j] * (gradient[j] - total)


@kernel("void({t}[:, ::1], {t}[:, ::1])")
def log_softmax(x, out):
    """out[r, c] = x[r, c] - log(sum_j e**x[r, j])."""
    for r in range(x.shape[0] if x.shape[1] else 0):
        row, result = x[r], out[r]
        largest = _row_maximum(row)
        log_total = vmath.log(_exponentials(row, largest, result))
        for j in range(row.size):
            result[j] = row[j] - largest - log_total


@kernel("void({t}[:, ::1], {t}[:, ::1], {t}[:, ::1])")
def log_softmax_gradient(y, dy, out):
    """out = dy - e**y * sum_j dy[r, j], where y is the logarithm of the softmax."""
    for r in range(y.shape[0]):
        row, gradient, result = y[r], dy[r], out[r]
        total = row.dtype.type(0)
        for j in range(row.size):
            total += gradient[j]
        for j in range(row.size):
            result[j] = gradient[j] - vmath.exp(row[j]) * total


@kernel("void({t}[:, ::1], int64[::1], {t}[::1], {t}[:, ::1])")
def sparse_softmax_cross_entropy(logits, labels, losses, probabilities):
    """losses[r] = -log(probabilities[r, labels[r]]), NaN for labels outside [0, C); probabilities = softmax(logits)."""
    columns = logits.shape[1]
    for r in range(logits.shape[0]):
        losses[r] = np.nan
        if columns:
            log_total = _softmax_row(logits[r], probabilities[r])
            if 0 <= labels[r] < columns:
                losses[r] = log_total - logits[r, labels[r]]


@kernel("void({t}[:, ::1], int64[::1], {t}[::1], {t}[:, ::1])")
def sparse_softmax_cross_entropy_gradient(probabilities, labels, dlosses, dlogits):
    """dlogits[r] = dlosses[r] * (probabilities[r] - one_hot(labels[r])), NaN for a label outside [0, C)."""
    columns = probabilities.shape[1]
    for r in range(probabilities.shape[0]):
        row, result, label = probabilities[r], dlogits[r], labels[r]
        valid = 0 <= label < columns
        factor = dlosses[r] if valid else row.dtype.type(np.nan)
        for j in range(columns):
            result[j] = row[j] * factor
        if valid:
            result[label] -= factor


@kernel("void({t}[:, ::1], {t}[:, ::1], {t}[::1], {t}[:, ::1])")
def softmax_cross_entropy(logits, targets, losses, probabilities):
    """losses[r] = -sum_j targets[r, j] log(softmax(logits[r])[j]); probabilities = softmax(logits).

    A target of zero contributes nothing, even where the logit is minus infinity.
    """
    for r in range(logits.shape[0]):
        row, target = logits[r], targets[r]
        loss = row.dtype.type(0)
        if row.size:
            log_total = _softmax_row(row, probabilities[r])
            for j in range(row.size):
                term = target[j] * (log_total - row[j])
                loss += row.dtype.type(0) if target[j] == row.dtype.type(0) else term
        losses[r] = loss


@kernel("void({t}[:, ::1], {t}[:, ::1], {t}[::1], {t}[:, ::1])")
def softmax_cross_entropy_gradient(probabilities, targets, dlosses, dlogits):
    """dlogits[r] = dlosses[r] * (probabilities[r] * sum_j targets[r, j] - targets[r])."""
    for r in range(probabilities.shape[0]):
        row, target, result, factor = probabilities[r], targets[r], dlogits[r], dlosses[r]
        total = row.dtype.type(0)
        for j in range(row.size):
            total += target[j]
        for j in range(row.size):
            result[j] = factor * (row[j] * total - target[j])
