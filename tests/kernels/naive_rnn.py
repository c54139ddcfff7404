"""Recurrences one sample and one step after the other, and their derivatives by complex steps."""

import numpy as np


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, recurrent, h0, c0, mask):
    """All h, and the last c."""
    h, c, units = np.array(h0), np.array(c0), h0.shape[1]
    states = np.zeros((*x.shape[:2], units), x.dtype)
    for t in range(x.shape[0]):
        for n in range(x.shape[1]):
            if mask[t, n]:
                i, f, a, o = (x[t, n] + h[n] @ recurrent).reshape(4, units)
                c[n] = _sigmoid(f) * c[n] + _sigmoid(i) * np.tanh(a)
                h[n] = _sigmoid(o) * np.tanh(c[n])
            states[t, n] = h[n]
    return states, c


def gru(x, recurrent, bias, h0, mask):
    """All h."""
    h, units = np.array(h0), h0.shape[1]
    states = np.zeros((*x.shape[:2], units), x.dtype)
    for t in range(x.shape[0]):
        for n in range(x.shape[1]):
            if mask[t, n]:
                x_z, x_r, x_a = x[t, n].reshape(3, units)
                p_z, p_r, p_a = (h[n] @ recurrent + bias).reshape(3, units)
                z, r = _sigmoid(x_z + p_z), _sigmoid(x_r + p_r)
                h[n] = z * h[n] + (1 - z) * np.tanh(x_a + r * p_a)
            states[t, n] = h[n]
    return (states,)


def simple_rnn(x, recurrent, h0, mask):
    """All h."""
    h = np.array(h0)
    states = np.zeros(x.shape, x.dtype)
    for t in range(x.shape[0]):
        for n in range(x.shape[1]):
            if mask[t, n]:
                h[n] = np.tanh(x[t, n] + h[n] @ recurrent)
            states[t, n] = h[n]
    return (states,)


def gradients(function, weights, inputs, mask):
    """The derivative of the sum of weights * function(*inputs, mask) for each element of the inputs.

    f(x + ie) is f(x) + ie f'(x) + O(e^2): no difference is taken, so e may be as small as one likes.
    """
    tiny = 1e-30
    found = []
    for number, array in enumerate(inputs):
        gradient = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            moved = [other.astype(np.complex128) for other in inputs]
            moved[number][place] += 1j * tiny
            outputs = function(*moved, mask)
            gradient[place] = sum((w * out).sum() for w, out in zip(weights, outputs, strict=True)).imag / tiny
        found.append(gradient)
    return found
