"""Pooling one window at a time."""

import numpy as np


def windows(size, pooled_size, window, stride, padding):
    """(p, q, rows, columns) of every window, rows and columns being the unpadded entries it holds."""
    for p in range(pooled_size[0]):
        for q in range(pooled_size[1]):
            rows, columns = (
                range(
                    max(0, at * stride[axis] - padding[axis][0]),
                    min(size[axis], at * stride[axis] - padding[axis][0] + window[axis]),
                )
                for axis, at in enumerate((p, q))
            )
            yield p, q, rows, columns


def max_pool2d(x, pooled_shape, window, stride, padding):
    out = np.full(pooled_shape, -np.inf)
    index = np.zeros(pooled_shape, np.int64)
    for p, q, rows, columns in windows(x.shape[1:3], pooled_shape[1:3], window, stride, padding):
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            best = None
            for h in rows:
                for w in columns:
                    value = x[n, h, w, c]
                    if best is None or (value > best or np.isnan(value)) and not np.isnan(best):
                        best = value
                        top, left = p * stride[0] - padding[0][0], q * stride[1] - padding[1][0]
                        index[n, p, q, c] = (h - top) * window[1] + w - left
            out[n, p, q, c] = -np.inf if best is None else best
    return out, index


def max_pool2d_gradient(dy, index, shape, window, stride, padding):
    dx = np.zeros(shape)
    for n, p, q, c in np.ndindex(dy.shape):
        h = p * stride[0] - padding[0][0] + index[n, p, q, c] // window[1]
        w = q * stride[1] - padding[1][0] + index[n, p, q, c] % window[1]
        dx[n, h, w, c] += dy[n, p, q, c]
    return dx


def average_pool2d(x, pooled_shape, window, stride, padding):
    out = np.zeros(pooled_shape)
    for p, q, rows, columns in windows(x.shape[1:3], pooled_shape[1:3], window, stride, padding):
        values = x[:, rows.start : rows.stop, columns.start : columns.stop].astype(np.float64)
        out[:, p, q] = values.sum(axis=(1, 2)) / (len(rows) * len(columns))
    return out


def average_pool2d_gradient(dy, shape, window, stride, padding):
    dx = np.zeros(shape)
    for p, q, rows, columns in windows(shape[1:3], dy.shape[1:3], window, stride, padding):
        share = dy[:, p, q] / (len(rows) * len(columns))
        dx[:, rows.start : rows.stop, columns.start : columns.stop] += share[:, None, None, :]
    return dx
