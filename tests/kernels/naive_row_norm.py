"""Layer normalisation in float64, by its definition, and its gradients by the Jacobian of each row."""

import numpy as np


def normalize_rows(x, gamma, beta, epsilon):
    out = np.empty(x.shape)
    for r, row in enumerate(x.astype(np.float64)):
        out[r] = (row - row.mean()) / np.sqrt(row.var() + epsilon) * gamma + beta
    return out


def normalize_rows_gradient(x, dy, gamma, epsilon):
    dx, dgamma, dbeta = np.empty(x.shape), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for r, (row, gradient) in enumerate(zip(x.astype(np.float64), dy.astype(np.float64), strict=True)):
        size = len(row)
        deviation = row - row.mean()
        rstd = 1 / np.sqrt((deviation**2).mean() + epsilon)
        jacobian = rstd * (np.eye(size) - 1 / size) - rstd**3 / size * np.outer(deviation, deviation)
        dx[r] = (gradient * gamma) @ jacobian
        dgamma += gradient * deviation * rstd
        dbeta += gradient
    return dx, dgamma, dbeta
