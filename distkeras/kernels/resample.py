"""One axis made longer or shorter: every place of the result is a weighted sum of places of the input."""

from __future__ import annotations

from distkeras.kernels.compile import kernel


@kernel("void({t}[:, :, ::1], int64[::1], int64[::1], {t}[::1], {t}[:, :, ::1])")
def resample(x, starts, places, weights, out):
    """out[o, i, c] = sum of weights[k] * x[o, places[k], c] over k from starts[i] to before starts[i + 1]."""
    for o in range(out.shape[0]):
        for i in range(out.shape[1]):
            for c in range(out.shape[2]):
                out[o, i, c] = 0
            for k in range(starts[i], starts[i + 1]):
                place = places[k]
                weight = weights[k]
                for c in range(out.shape[2]):
                    out[o, i, c] += weight * x[o, place, c]
