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


# So many elements are taken at a time: enough to fill vectors where rows are short, few enough to stay in the cache.
# A row that is written element by element is not read as a vector at once: the processor would wait for its writes.
_BLOCK = 1024


@inlined
def _softmax(x, out, log_totals, labels):
    """Fills out with the softmax of the rows of x; log_totals, unless it is empty, with log(sum(e**(row - shift))).

    The shift is a row's largest entry or, with labels, the labelled one, NaN if there is no such. log(sum(e**row))
    itself would lose the digits that large entries have in common with the shift.
    """
    rows = max(1, _BLOCK // max(1, x.shape[1]))
    for start in range(0, x.shape[0] if x.shape[1] else 0, rows):
        stop = min(start + rows, x.shape[0])
        for r in range(start, stop):
            row, result = x[r], out[r]
            largest = _row_maximum(row)
            if labels is not None:
                log_totals[r] = largest - row[labels[r]] if 0 <= labels[r] < row.size else np.nan
            elif log_totals.size:
                log_totals[r] = row.dtype.type(0)
            for j in range(row.size):
                result[j] = row[j] - largest
        block = out[start:stop].reshape(-1)
        for i in range(block.size):
            block[i] = vmath.exp(block[i])
        for r in range(start, stop):
            row = out[r]
            total = row.dtype.type(0)
            for j in range(row.size):
                total += row[j]
            factor = row.dtype.type(1) / total
            for j in range(row.size):
                row[j] *= factor
            if log_totals.size:
                log_totals[r] += vmath.log(total)


@kernel("void({t}[:, ::1], {t}[:, ::1])")
def softmax(x, out):
    """out[r, c] = e**x[r, c] / sum_j e**x[r, j]."""
    _softmax(x, out, x[:0].reshape(-1), None)


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
        total = row.dtype.type(0)
        for j in range(row.size):
            shifted = row[j] - largest
            result[j] = shifted
            total += vmath.exp(shifted)
        log_total = vmath.log(total)
        for j in range(row.size):  # from what was shifted: the sum of both would lose the digits of large entries
            result[j] -= log_total


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
    _softmax(logits, probabilities, losses, labels)


@kernel("void({t}[:, ::1], int64[::1], {t}[::1], {t}[:, ::1])")
def sparse_softmax_cross_entropy_gradient(probabilities, labels, dlosses, dlogits):
    """dlogits[r] = dlosses[r] * (probabilities[r] - one_hot(labels[r])), NaN for a label outside [0, C)."""
    columns = probabilities.shape[1]
    for r in range(probabilities.shape[0]):
        row, result = probabilities[r], dlogits[r]
        factor = dlosses[r] if 0 <= labels[r] < columns else row.dtype.type(np.nan)
        for j in range(columns):
            result[j] = row[j] * factor
    # After all rows, in half the time: what vectors have just written is not read number by number.
    for r in range(probabilities.shape[0]):
        if 0 <= labels[r] < columns:
            dlogits[r, labels[r]] -= dlosses[r]


@inlined
def _kept_within(value, low, high):
    """`value`, or the limit that it is beyond; NaN stays."""
    value = high if value > high else value
    return low if value < low else value


@inlined
def _kept_total(row, low, high):
    total = row.dtype.type(0)
    for j in range(row.size):
        total += _kept_within(row[j], low, high)
    return total


@kernel("void({t}[:, ::1], int64[::1], {t}, {t}, {t}[::1])")
def sparse_cross_entropy(probabilities, labels, low, high, losses):
    """losses[r] = log(sum_j q[r, j] / q[r, labels[r]]), where q is what is kept of the probabilities within
    [low, high]; NaN for labels outside [0, C)."""
    for r in range(probabilities.shape[0]):
        row, label = probabilities[r], labels[r]
        valid = 0 <= label < row.size
        losses[r] = _kept_total(row, low, high) / _kept_within(row[label], low, high) if valid else np.nan
    for r in range(losses.size):
        losses[r] = vmath.log(losses[r])


@kernel("void({t}[:, ::1], int64[::1], {t}[::1], {t}, {t}, {t}[:, ::1])")
def sparse_cross_entropy_gradient(probabilities, labels, dlosses, low, high, dprobabilities):
    """dprobabilities[r, j] = dlosses[r] * (1 / sum_i q[r, i] - (j == labels[r]) / q[r, j]), 0 beyond low and high."""
    for r in range(probabilities.shape[0]):
        row, result, label = probabilities[r], dprobabilities[r], labels[r]
        factor = dlosses[r] if 0 <= label < row.size else row.dtype.type(np.nan)
        slope = factor / _kept_total(row, low, high)
        for j in range(row.size):
            result[j] = slope if (low <= row[j]) & (row[j] <= high) else row.dtype.type(0)
    # After all rows, as above.
    for r in range(probabilities.shape[0]):
        label = labels[r]
        if 0 <= label < probabilities.shape[1] and low <= probabilities[r, label] <= high:
            dprobabilities[r, label] -= dlosses[r] / probabilities[r, label]


@kernel("void({t}[:, ::1], {t}[:, ::1], {t}[::1], {t}[:, ::1])")
def softmax_cross_entropy(logits, targets, losses, probabilities):
    """losses[r] = -sum_j targets[r, j] log(softmax(logits[r])[j]); probabilities = softmax(logits).

    A target of zero contributes nothing, even where the logit is minus infinity.
    """
    _softmax(logits, probabilities, losses, None)
    for r in range(logits.shape[0]):
        row, target = logits[r], targets[r]
        loss, weight, largest = row.dtype.type(0), row.dtype.type(0), _row_maximum(row)
        for j in range(row.size):
            term = target[j] * (largest - row[j])
            loss += row.dtype.type(0) if target[j] == row.dtype.type(0) else term
            weight += target[j]
        losses[r] = loss + weight * losses[r]


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
