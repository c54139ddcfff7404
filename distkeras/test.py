"""`tf.test`: what there is to run on, derivatives by differences, and a base for tests."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.core.tape import GradientTape, UnconnectedGradients
from distkeras.core.tensor import Tensor, as_array, to_tensor
from distkeras.core.variable import Variable

__all__ = [
    "TestCase",
    "compute_gradient",
    "gpu_device_name",
    "is_built_with_cuda",
    "is_built_with_gpu_support",
    "is_built_with_rocm",
    "is_gpu_available",
    "main",
]


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """False: there are only CPUs."""
    return False


def is_built_with_cuda() -> bool:
    """False: there are only CPUs."""
    return False


is_built_with_gpu_support = is_built_with_rocm = is_built_with_cuda


def gpu_device_name() -> str:
    """'': there are only CPUs."""
    return ""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the tests of the script, as `unittest.main` does."""
    unittest.main(argv=argv)


def compute_gradient(f: Callable, x: Sequence[Any], delta: float = 1 / 1024) -> tuple[list, list]:
    """The derivatives of `f` as a tape finds them, and as differences of its values do.

    Args:
        f: Takes the tensors of `x` and gives one.
        x: List of floating-point tensors.
        delta: Half the difference of the arguments.

    Returns:
        (derivatives, estimates): for each of `x` an array [elements of the result, elements of x].

    >>> import distkeras as tf
    >>> by_tape, by_differences = tf.test.compute_gradient(lambda x: x * x, [tf.constant(3.0)])
    >>> by_tape[0].tolist(), by_differences[0].round(2).tolist()
    ([[6.0]], [[6.0]])
    """
    if not isinstance(x, (list, tuple)):
        raise ValueError("`x` must be a list or tuple of tensors (possibly of one), received " + repr(x))
    tensors = [to_tensor(value) for value in x]
    with GradientTape(persistent=True) as tape:
        tape.watch(tensors)
        y = f(*tensors)
    rows = tape.jacobian(y, tensors, unconnected_gradients=UnconnectedGradients.ZERO)
    size = y.spec.size
    exact = [row.numpy().reshape(size, tensor.spec.size) for row, tensor in zip(rows, tensors, strict=True)]
    return exact, [_differences(f, tensors, place, size, delta) for place in range(len(tensors))]


def _differences(f: Callable, tensors: list[Tensor], place: int, size: int, delta: float) -> np.ndarray:
    around = tensors[place].numpy()
    result = np.empty((size, around.size), around.dtype)
    for i in range(around.size):
        step = np.zeros(around.size, around.dtype)
        step[i] = delta
        step = step.reshape(around.shape)
        above, below = (f(*tensors[:place], Tensor(around + sign * step), *tensors[place + 1 :]) for sign in (1, -1))
        result[:, i] = (above.numpy() - below.numpy()).reshape(-1) / (2 * delta)
    return result


class TestCase(unittest.TestCase):
    """`unittest.TestCase` that compares tensors."""

    __test__ = False  # for pytest, which would collect this base; classes of one's own are collected

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__test__ = True

    def evaluate(self, tensors: Any) -> Any:
        """Tensors and variables of a structure as arrays."""
        return _nest.map_structure(lambda leaf: leaf.numpy() if isinstance(leaf, (Tensor, Variable)) else leaf, tensors)

    def assertAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:  # noqa: N802
        """Both have one shape and the same elements."""
        np.testing.assert_array_equal(as_array(a), as_array(b), err_msg=msg or "", strict=False)

    def assertAllClose(  # noqa: N802
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None
    ) -> None:
        """Structures whose elements differ by at most atol + rtol * |b|."""
        if _nest.is_nested(a) and _nest.is_nested(b) and not isinstance(a, (list, tuple)):
            self.assertEqual(sorted(a), sorted(b), msg)
            for key in a:
                self.assertAllClose(a[key], b[key], rtol, atol, msg)
            return
        left, right = as_array(a), as_array(b)
        self.assertEqual(left.shape, right.shape, msg)
        np.testing.assert_allclose(left, right, rtol, atol, err_msg=msg or "")

    def assertNotAllClose(self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6) -> None:  # noqa: N802
        """They differ by more than `assertAllClose` allows."""
        with self.assertRaises(AssertionError):
            self.assertAllClose(a, b, rtol, atol)

    def assertShapeEqual(self, a: Any, b: Any, msg: str | None = None) -> None:  # noqa: N802
        """Both have one shape."""
        self.assertEqual(tuple(a.shape), tuple(b.shape), msg)

    def assertDTypeEqual(self, target: Any, expected_dtype: Any) -> None:  # noqa: N802
        """It is of this type."""
        self.assertEqual(to_tensor(target).dtype, expected_dtype)
