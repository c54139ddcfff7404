"""Second derivatives of kernels, from the same function written step by step in ops."""

from __future__ import annotations

from collections.abc import Callable

from distkeras.core.tape import GradientTape
from distkeras.core.tensor import Tensor


def second_derivative(function: Callable, incoming: tuple, inputs: tuple, cotangents: tuple) -> list[Tensor]:
    """The derivative, for `incoming` and `inputs`, of what pulls `incoming` back through the function."""
    with GradientTape() as outer:
        outer.watch([incoming, inputs])
        with GradientTape() as inner:
            inner.watch(inputs)
            outputs = function(*inputs)
        pulled_back = inner.gradient(outputs, list(inputs), list(incoming), unconnected_gradients="zero")
    return outer.gradient(pulled_back, [*incoming, *inputs], list(cotangents), unconnected_gradients="zero")
