"""Convolutions and their gradients, one pixel of a window at a time, in float64."""

import numpy as np


def out_shape(x_shape, w_shape, strides, padding, dilations):
    sizes = [
        max(0, (x_shape[1 + i] + sum(padding[i]) - dilations[i] * (w_shape[i] - 1) - 1) // strides[i] + 1)
        for i in range(2)
    ]
    return (x_shape[0], *sizes, w_shape[3])


def _meetings(x_shape, w_shape, y_shape, strides, padding, dilations):
    """(i, j, p, q, h, v): output pixel i, j meets input pixel h, v through kernel element p, q."""
    for i, j, p, q in np.ndindex(*y_shape[1:3], *w_shape[:2]):
        h = i * strides[0] + p * dilations[0] - padding[0][0]
        v = j * strides[1] + q * dilations[1] - padding[1][0]
        if 0 <= h < x_shape[1] and 0 <= v < x_shape[2]:
            yield i, j, p, q, h, v


def forward(x, w, strides, padding, dilations, bias=None, relu=False):
    y = np.zeros(out_shape(x.shape, w.shape, strides, padding, dilations))
    for i, j, p, q, h, v in _meetings(x.shape, w.shape, y.shape, strides, padding, dilations):
        y[:, i, j] += x[:, h, v].astype(float) @ w[p, q].astype(float)
    if bias is not None:
        y += bias
    return np.where(y < 0, 0, y) if relu else y


def weight_gradient(x, dy, w_shape, strides, padding, dilations):
    dw = np.zeros(w_shape)
    for i, j, p, q, h, v in _meetings(x.shape, w_shape, dy.shape, strides, padding, dilations):
        dw[p, q] += x[:, h, v].astype(float).T @ dy[:, i, j].astype(float)
    return dw


def input_gradient(dy, w, x_shape, strides, padding, dilations):
    dx = np.zeros(x_shape)
    for i, j, p, q, h, v in _meetings(x_shape, w.shape, dy.shape, strides, padding, dilations):
        dx[:, h, v] += dy[:, i, j].astype(float) @ w[p, q].astype(float).T
    return dx


def depthwise_forward(x, w, strides, padding, dilations):
    y = np.zeros(out_shape(x.shape, (*w.shape[:2], 1, x.shape[3]), strides, padding, dilations))
    for i, j, p, q, h, v in _meetings(x.shape, w.shape, y.shape, strides, padding, dilations):
        y[:, i, j] += x[:, h, v].astype(float) * w[p, q]
    return y


def depthwise_input_gradient(dy, w, x_shape, strides, padding, dilations):
    dx = np.zeros(x_shape)
    for i, j, p, q, h, v in _meetings(x_shape, w.shape, dy.shape, strides, padding, dilations):
        dx[:, h, v] += dy[:, i, j].astype(float) * w[p, q]
    return dx


def depthwise_weight_gradient(x, dy, w_shape, strides, padding, dilations):
    dw = np.zeros(w_shape)
    for i, j, p, q, h, v in _meetings(x.shape, w_shape, dy.shape, strides, padding, dilations):
        dw[p, q] += (x[:, h, v].astype(float) * dy[:, i, j]).sum(0)
    return dw
