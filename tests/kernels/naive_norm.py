"""Batch normalisation in float64, by its definition."""

import numpy as np


def channel_moments(x):
    if not len(x):
        return np.zeros(x.shape[1]), np.zeros(x.shape[1])
    x = x.astype(np.float64)
    mean = x.mean(axis=0)
    return mean, ((x - mean) ** 2).sum(axis=0)


def normalize(x, mean, rstd, gamma, beta):
    out = np.empty(x.shape)
    for r, row in enumerate(x.astype(np.float64)):
        out[r] = (row - mean) * rstd * gamma + beta
    return out


def gradient_sums(x, dy, mean, rstd):
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    return dy.sum(axis=0), (dy * (x - mean) * rstd).sum(axis=0)


def input_gradient(x, dy, gamma, epsilon):
    """By the Jacobian of one channel after the other: d xhat_i / d x_j."""
    rows, channels = x.shape
    dx = np.empty(x.shape)
    for c in range(channels if rows else 0):
        column = x[:, c].astype(np.float64)
        deviation = column - column.mean()
        rstd = 1 / np.sqrt((deviation**2).mean() + epsilon)
        jacobian = rstd * (np.eye(rows) - 1 / rows) - rstd**3 / rows * np.outer(deviation, deviation)
        dx[:, c] = gamma[c] * (dy[:, c] @ jacobian)
    return dx
