"""The optimizers' formulas on whole NumPy arrays, in float64. Each returns the parameters and the slots."""

import numpy as np


def sgd(p, g, lr):
    return p - lr * g, []


def momentum(p, g, v, lr, decay):
    v = decay * v - lr * g
    return p + v, [v]


def nesterov(p, g, v, lr, decay):
    v = decay * v - lr * g
    return p + decay * v - lr * g, [v]


def rmsprop(p, g, s, lr, rho, epsilon):
    s = rho * s + (1 - rho) * g**2
    return p - lr * g / (np.sqrt(s) + epsilon), [s]


def rmsprop_momentum(p, g, s, v, lr, rho, decay, epsilon):
    s = rho * s + (1 - rho) * g**2
    v = decay * v + lr * g / np.sqrt(s + epsilon)
    return p - v, [s, v]


def rmsprop_centered(p, g, s, a, lr, rho, epsilon):
    s, a = rho * s + (1 - rho) * g**2, rho * a + (1 - rho) * g
    return p - lr * g / (np.sqrt(s - a**2) + epsilon), [s, a]


def rmsprop_centered_momentum(p, g, s, a, v, lr, rho, decay, epsilon):
    s, a = rho * s + (1 - rho) * g**2, rho * a + (1 - rho) * g
    v = decay * v + lr * g / np.sqrt(s - a**2 + epsilon)
    return p - v, [s, a, v]


def adam(p, g, m, v, rate, beta_1, beta_2, epsilon):
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
    return p - rate * m / (np.sqrt(v) + epsilon), [m, v]


def amsgrad(p, g, m, v, largest, rate, beta_1, beta_2, epsilon):
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
    largest = np.maximum(largest, v)
    return p - rate * m / (np.sqrt(largest) + epsilon), [m, v, largest]


def adamax(p, g, m, u, rate, beta_1, beta_2, epsilon):
    m, u = beta_1 * m + (1 - beta_1) * g, np.maximum(beta_2 * u, abs(g))
    return p - rate * m / (u + epsilon), [m, u]


def nadam(p, g, m, v, gradient_rate, mean_rate, beta_1, beta_2, square_correction, epsilon):
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
    return p - (gradient_rate * g + mean_rate * m) / (np.sqrt(square_correction * v) + epsilon), [m, v]


def ftrl(p, g, s, z, lr, power, l1, l2, shrinkage):
    n = s + g**2
    z = z + g + 2 * shrinkage * p - (n**-power - s**-power) / lr * p
    p = (np.sign(z) * l1 - z) / (n**-power / lr + 2 * l2)
    return np.where(abs(z) <= l1, 0, p), [n, z]


def adagrad(p, g, s, lr, epsilon):
    s = s + g**2
    return p - lr * g / (np.sqrt(s) + epsilon), [s]


def adadelta(p, g, s, d, lr, rho, epsilon):
    s = rho * s + (1 - rho) * g**2
    u = g * np.sqrt(d + epsilon) / np.sqrt(s + epsilon)
    return p - lr * u, [s, rho * d + (1 - rho) * u**2]


# One layer each: `decay` and `adapted` are those of the layer.


def adamw(p, g, m, v, rate, beta_1, beta_2, epsilon, decay):
    after, slots = adam(p, g, m, v, rate, beta_1, beta_2, epsilon)
    return after - decay * p, slots


def amsgradw(p, g, m, v, largest, rate, beta_1, beta_2, epsilon, decay):
    after, slots = amsgrad(p, g, m, v, largest, rate, beta_1, beta_2, epsilon)
    return after - decay * p, slots


def lamb(p, g, m, v, lr, beta_1, beta_2, mean_correction, square_correction, epsilon, decay, adapted=True):
    m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
    step = mean_correction * m / (np.sqrt(square_correction * v) + epsilon) + decay * p
    weights, length = np.linalg.norm(p), np.linalg.norm(step)
    ratio = weights / length if adapted and weights > 0 and length > 0 else 1
    return p - lr * ratio * step, [m, v]


def lars(p, g, v, lr, momentum, decay, trust, epsilon, nesterov, adapted=True):
    weights, slopes = np.linalg.norm(p), np.linalg.norm(g)
    if adapted and weights > 0 and slopes > 0:
        lr = lr * trust * weights / (slopes + decay * weights + epsilon)
    step = lr * (g + decay * p)
    v = momentum * v + step
    return p - (momentum * v + step if nesterov else v), [v]
