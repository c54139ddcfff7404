"""Counts, means and sums of squared deviations of a whole, from those of its parts."""

from __future__ import annotations

import numpy as np


def merge_moments(parts: np.ndarray) -> np.ndarray:
    """Merge the parts around their means, one after the other.

    Args:
        parts: float64 [parts, 1 + 2 channels]: count, means, sums of squared deviations.

    Returns:
        The same of the whole, [1 + 2 channels].

    Source: Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances".

    >>> merge_moments(np.array([[1, 2.0, 0.0], [1, 4.0, 0.0]]))
    array([2., 3., 2.])
    """
    channels = parts.shape[1] // 2
    total, center, spread = 0.0, np.zeros(channels), np.zeros(channels)
    for part in parts:
        n, other, other_m2 = part[0], part[1 : 1 + channels], part[1 + channels :]
        if n:
            delta = other - center
            spread = spread + other_m2 + delta * delta * (total * n / (total + n))
            center = center + delta * (n / (total + n))
            total += n
    return np.concatenate([[total], center, spread])
