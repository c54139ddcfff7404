"""Comparing what an op gives with what it should give: values, shape and element type."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.core.tape import GradientTape
from distkeras.core.tensor import Tensor, to_tensor


def check(result: Any, expected: Any, rtol: float = 1e-6, atol: float = 0.0) -> None:
    """Assert that a tensor holds `expected`, in its very type; Python numbers stand for int32 and float32."""
    assert isinstance(result, Tensor), f"expected a Tensor, received {type(result).__name__}"
    wanted = to_tensor(expected)
    assert (result.dtype, result.shape) == (wanted.dtype, wanted.shape)
    if result.dtype.is_floating:
        np.testing.assert_allclose(result.numpy(), wanted.numpy(), rtol, atol)
    else:
        np.testing.assert_array_equal(result.numpy(), wanted.numpy())


def gradient(function: Any, *arguments: Any) -> list[Any]:
    """The gradients of the sum of function(*arguments), as lists of numbers; None where there is none."""
    tensors = [to_tensor(np.asarray(argument, np.float32)) for argument in arguments]
    with GradientTape() as tape:
        tape.watch(tensors)
        target = function(*tensors)
    return [None if part is None else part.numpy().tolist() for part in tape.gradient(target, tensors)]
