"""Optimizer updates over flat parameter, gradient and slot arrays, in place.

Hyper-parameters are scalars of the arrays' element type, given at each call. Empty slices are allowed, so that each
rank can update its own part of an arena. The rules are those of TensorFlow 2.0's optimizers, epsilon included: RMSprop
adds it outside the root, but inside where there is momentum.
"""

from __future__ import annotations

import math

import numpy as np

from distkeras.kernels import adam_vectors, vmath
from distkeras.kernels.compile import ELEMENTWISE_FLAGS, inlined, kernel


def adam_rate(learning_rate: float, beta_1: float, beta_2: float, step: int) -> float:
    """Adam's learning rate with both bias corrections, learning_rate sqrt(1 - beta_2**step) / (1 - beta_1**step).

    Args:
        learning_rate, beta_1, beta_2: Adam's hyper-parameters.
        step: The number of this update, from 1.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015, end of section 2.

    >>> adam_rate(0.001, 0.9, 0.999, 1)
    0.000316227766016...
    """
    return learning_rate * math.sqrt(1 - beta_2**step) / (1 - beta_1**step)


@inlined
def decayed(learning_rate, decay, taken):
    """The learning rate after so many steps."""
    rate = np.float64(learning_rate)
    return rate / (1.0 + np.float64(decay) * taken) if decay != 0 else rate


@kernel("void(float32, float32, float32, float64, int64[::1], {t}[::1])", **ELEMENTWISE_FLAGS)
def begin_sgd(learning_rate, decay, momentum, epsilon, iterations, scalars):
    """scalars = (rate, momentum), or the rate alone, of the next step of SGD; iterations counts one more."""
    scalars[0] = decayed(learning_rate, decay, np.float64(iterations[0]))
    scalars[1:] = momentum
    iterations[0] += 1


@kernel("void(float32, float32, float32, float32, float64, int64[::1], {t}[::1])", **ELEMENTWISE_FLAGS)
def begin_rmsprop(learning_rate, decay, rho, momentum, epsilon, iterations, scalars):
    """scalars = (rate, rho, epsilon) of the next step of RMSprop, or with the momentum before epsilon; as above."""
    scalars[0] = decayed(learning_rate, decay, np.float64(iterations[0]))
    scalars[1], scalars[2] = rho, momentum
    scalars[scalars.size - 1] = epsilon
    iterations[0] += 1


@kernel("void(float32, float32, float32, float32, float64, int64[::1], {t}[::1])", **ELEMENTWISE_FLAGS)
def begin_adam(learning_rate, decay, beta_1, beta_2, epsilon, iterations, scalars):
    """scalars = (rate, beta_1, beta_2, epsilon) of the next `adam`, by `adam_rate`; iterations counts one more."""
    taken = np.float64(iterations[0])
    rate = decayed(learning_rate, decay, taken)
    slow = math.sqrt(1.0 - np.float64(beta_2) ** (taken + 1.0))
    scalars[0] = rate * slow / (1.0 - np.float64(beta_1) ** (taken + 1.0))
    scalars[1], scalars[2], scalars[3] = beta_1, beta_2, epsilon
    iterations[0] += 1


@inlined
def towards(average, value, decay):
    """average * decay + value * (1 - decay), with one multiplication."""
    return average + (value - average) * (type(value)(1) - decay)


@kernel("void({t}[::1], {t}[::1], {t})")
def sgd(parameters, gradients, learning_rate):
    """p -= learning_rate g."""
    for i in range(parameters.size):
        parameters[i] -= learning_rate * gradients[i]


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}, {t})")
def momentum(parameters, gradients, velocities, learning_rate, decay):
    """v = decay v - learning_rate g;  p += v."""
    for i in range(parameters.size):
        velocity = decay * velocities[i] - learning_rate * gradients[i]
        velocities[i] = velocity
        parameters[i] += velocity


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}, {t})")
def nesterov(parameters, gradients, velocities, learning_rate, decay):
    """v = decay v - learning_rate g;  p += decay v - learning_rate g."""
    for i in range(parameters.size):
        step = learning_rate * gradients[i]
        velocity = decay * velocities[i] - step
        velocities[i] = velocity
        parameters[i] += decay * velocity - step


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}, {t}, {t})")
def rmsprop(parameters, gradients, squares, learning_rate, rho, epsilon):
    """s = rho s + (1 - rho) g**2;  p -= learning_rate g / (sqrt(s) + epsilon)."""
    for i in range(parameters.size):
        gradient = gradients[i]
        square = towards(squares[i], gradient * gradient, rho)
        squares[i] = square
        parameters[i] -= learning_rate * gradient / (math.sqrt(square) + epsilon)


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}, {t}, {t}, {t})")
def rmsprop_momentum(parameters, gradients, squares, velocities, learning_rate, rho, decay, epsilon):
    """s = rho s + (1 - rho) g**2;  v = decay v + learning_rate g / sqrt(s + epsilon);  p -= v."""
    for i in range(parameters.size):
        gradient = gradients[i]
        square = towards(squares[i], gradient * gradient, rho)
        squares[i] = square
        velocity = decay * velocities[i] + learning_rate * gradient / math.sqrt(square + epsilon)
        velocities[i] = velocity
        parameters[i] -= velocity


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}, {t}, {t})")
def rmsprop_centered(parameters, gradients, squares, means, learning_rate, rho, epsilon):
    """s, a = moving averages of g**2 and g;  p -= learning_rate g / (sqrt(s - a**2) + epsilon)."""
    for i in range(parameters.size):
        gradient = gradients[i]
        square = towards(squares[i], gradient * gradient, rho)
        mean = towards(means[i], gradient, rho)
        squares[i] = square
        means[i] = mean
        parameters[i] -= learning_rate * gradient / (math.sqrt(square - mean * mean) + epsilon)


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}, {t}, {t}, {t})")
def rmsprop_centered_momentum(parameters, gradients, squares, means, velocities, learning_rate, rho, decay, epsilon):
    """s, a = moving averages of g**2 and g;  v = decay v + learning_rate g / sqrt(s - a**2 + epsilon);  p -= v."""
    for i in range(parameters.size):
        gradient = gradients[i]
        square = towards(squares[i], gradient * gradient, rho)
        mean = towards(means[i], gradient, rho)
        squares[i] = square
        means[i] = mean
        velocity = decay * velocities[i] + learning_rate * gradient / math.sqrt(square - mean * mean + epsilon)
        velocities[i] = velocity
        parameters[i] -= velocity


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}, {t}, {t}, {t})")
def adam(parameters, gradients, means, squares, rate, beta_1, beta_2, epsilon):
    """m, v = moving averages of g and g**2;  p -= rate m / (sqrt(v) + epsilon), with rate as `adam_rate` gives it."""
    if adam_vectors.AVAILABLE and parameters.itemsize == 4:
        adam_vectors.update_by_adam(
            parameters.ctypes.data, gradients.ctypes.data, means.ctypes.data, squares.ctypes.data, parameters.size,
            np.float32(rate), np.float32(1) - np.float32(beta_1), np.float32(1) - np.float32(beta_2),
            np.float32(epsilon),
        )  # fmt: skip
        return
    for i in range(parameters.size):
        gradient = gradients[i]
        mean = towards(means[i], gradient, beta_1)
        square = towards(squares[i], gradient * gradient, beta_2)
        means[i] = mean
        squares[i] = square
        parameters[i] -= rate * mean / (math.sqrt(square) + epsilon)


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}, {t}, {t}, {t})")
def amsgrad(parameters, gradients, means, squares, largest, rate, beta_1, beta_2, epsilon):
    """As `adam`, with the largest v so far in the denominator."""
    for i in range(parameters.size):
        gradient = gradients[i]
        mean = towards(means[i], gradient, beta_1)
        square = towards(squares[i], gradient * gradient, beta_2)
        means[i] = mean
        squares[i] = square
        bound = vmath.maximum(largest[i], square)
        largest[i] = bound
        parameters[i] -= rate * mean / (math.sqrt(bound) + epsilon)


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}, {t}, {t}, {t})")
def adamax(parameters, gradients, means, norms, rate, beta_1, beta_2, epsilon):
    """m = moving average of g;  u = max(beta_2 u, |g|);  p -= rate m / (u + epsilon)."""
    for i in range(parameters.size):
        gradient = gradients[i]
        mean = towards(means[i], gradient, beta_1)
        norm = vmath.maximum(beta_2 * norms[i], abs(gradient))
        means[i] = mean
        norms[i] = norm
        parameters[i] -= rate * mean / (norm + epsilon)


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}, {t})")
def adagrad(parameters, gradients, sums, learning_rate, epsilon):
    """s += g**2;  p -= learning_rate g / (sqrt(s) + epsilon)."""
    for i in range(parameters.size):
        gradient = gradients[i]
        total = sums[i] + gradient * gradient
        sums[i] = total
        parameters[i] -= learning_rate * gradient / (math.sqrt(total) + epsilon)


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}, {t}, {t})")
def adadelta(parameters, gradients, squares, deltas, learning_rate, rho, epsilon):
    """s, d = averages of g**2 and u**2;  u = g sqrt(d + epsilon) / sqrt(s + epsilon);  p -= learning_rate u."""
    for i in range(parameters.size):
        gradient = gradients[i]
        square = towards(squares[i], gradient * gradient, rho)
        squares[i] = square
        update = gradient * math.sqrt(deltas[i] + epsilon) / math.sqrt(square + epsilon)
        deltas[i] = towards(deltas[i], update * update, rho)
        parameters[i] -= learning_rate * update


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}, {t}, {t}, {t}, {t}, {t})")
def nadam(parameters, gradients, means, squares, gradient_rate, mean_rate, beta_1, beta_2, square_correction, epsilon):
    """m, v = moving averages of g and g**2;

    p -= (gradient_rate g + mean_rate m) / (sqrt(square_correction v) + epsilon).

    Source: Dozat, "Incorporating Nesterov momentum into Adam", 2016; the rates hold the momentum schedule.
    """
    for i in range(parameters.size):
        gradient = gradients[i]
        mean = towards(means[i], gradient, beta_1)
        square = towards(squares[i], gradient * gradient, beta_2)
        means[i] = mean
        squares[i] = square
        step = gradient_rate * gradient + mean_rate * mean
        parameters[i] -= step / (math.sqrt(square_correction * square) + epsilon)


@kernel("void({t}[::1], {t}[::1], {t}[::1], {t}[::1], {t}, {t}, {t}, {t}, {t})")
def ftrl(parameters, gradients, sums, linears, learning_rate, power, l1, l2, l2_shrinkage):
    """n = s + g**2;  z += g + 2 l2_shrinkage p - (n**-power - s**-power) / learning_rate p;  s = n;
    p = (sign(z) l1 - z) / (s**-power / learning_rate + 2 l2) where abs(z) > l1, else 0.

    Source: McMahan et al., "Ad click prediction: a view from the trenches", 2013.
    """
    root, to = power == -0.5, parameters.dtype.type
    for i in range(parameters.size):
        gradient, parameter, before = gradients[i], parameters[i], sums[i]
        total = before + gradient * gradient
        if root:
            old, new = math.sqrt(before), math.sqrt(total)
        else:
            old, new = before**-power, total**-power
        linear = linears[i] + gradient + to(2) * l2_shrinkage * parameter - (new - old) / learning_rate * parameter
        sums[i] = total
        linears[i] = linear
        bounded = min(max(linear, -l1), l1)
        beyond = (bounded - linear) / (new / learning_rate + to(2) * l2)
        parameters[i] = to(0) if abs(linear) <= l1 else beyond


@kernel("void({t}[::1], {t})")
def scale(x, factor):
    """x *= factor."""
    for i in range(x.size):
        x[i] *= factor


@kernel("void({t}[::1], {t}, {t})")
def clip(x, low, high):
    """x = min(max(x, low), high); NaN stays."""
    for i in range(x.size):
        value = x[i]
        value = low if value < low else value
        x[i] = high if value > high else value


@kernel("void({t}[:, :], {t}[::1])", **ELEMENTWISE_FLAGS)
def sum_rows(rows, out):
    """out = the sum of the rows, added up in their order."""
    for i in range(out.size):
        total = rows[0, i]
        for row in range(1, rows.shape[0]):
            total += rows[row, i]
        out[i] = total


@kernel("void({t}[:, ::1], int64, int64, int64)")
def sum_rows_into(rows, own, start, stop):
    """rows[own, start:stop] = the sum of rows[:, start:stop]: that row first, then the others in their order."""
    total = rows[own, start:stop]
    for other in range(rows.shape[0]):
        if other != own:
            row = rows[other, start:stop]
            for i in range(total.size):
                total[i] += row[i]
