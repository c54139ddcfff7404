"""What holds for every primitive: compiled it gives what it gives eagerly, and its derivatives are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
import distkeras.graph.function
import distkeras.graph.rows  # noqa: F401  (these have primitives of their own, as have the faces below)
from distkeras.core.primitive import PRIMITIVES
from distkeras.testing import check_compiled, check_grads
from tests.ops.examples import EXAMPLES, TESTED_ELSEWHERE, Example

# One element type is enough to see that a plan is wired rightly; these families have kernels of their own for float64.
_FLOAT64 = {"add", "exp", "matmul", "reduce_sum", "softmax", "select", "pow", "conv2d", "batch_normalization"}
_FLOAT64 |= {"depthwise_conv2d", "depthwise_conv2d_weight_gradient"}


def _cases(choose=lambda example: True):
    return [pytest.param(example, id=key) for key, example in EXAMPLES.items() if choose(example)]


def test_every_primitive_has_an_example():
    assert tf.feature_column and tf.summary and tf.io
    known = {example.name for example in EXAMPLES.values()} | set(TESTED_ELSEWHERE)
    assert set(PRIMITIVES) == known
    for path in TESTED_ELSEWHERE.values():
        assert Path(path.replace("tests/", str(Path(__file__).parents[1]) + "/", 1)).exists()


@pytest.mark.parametrize("example", _cases())
def test_compiled_equals_eager_in_float32(example: Example):
    differentiable = PRIMITIVES[example.name].vjp is not None
    check_compiled(
        example, *example.arguments("float32"), atol=example.atol, batched=example.batched, gradients=differentiable
    )


@pytest.mark.parametrize("example", _cases(lambda example: example.name in _FLOAT64))
def test_compiled_equals_eager_in_float64(example: Example):
    check_compiled(example, *example.arguments("float64"), batched=example.batched)


def _is_differentiable(example: Example) -> bool:
    return PRIMITIVES[example.name].vjp is not None and example.name != "stop_gradient"


@pytest.mark.parametrize("example", _cases(_is_differentiable))
def test_derivatives_agree_with_differences(example: Example):
    check_grads(example, *example.arguments("float64"), order=example.order)


@pytest.mark.parametrize("example", _cases())
def test_an_example_is_worth_testing(example: Example):
    """The shape rule tells what comes out, and what comes out is not constant."""
    results = example(*map(_tensor, example.arguments("float32")))
    results = results if isinstance(results, (tuple, list)) else (results,)
    for result in results:
        assert result.numpy().dtype == result.dtype.numpy
    if results[0].spec.size > 1 and example.name not in {"is_nan", "is_inf", "is_finite", "floor_mod"}:
        assert len(np.unique(results[0].numpy())) > 1


def _tensor(array: np.ndarray):
    from distkeras.core.tensor import to_tensor

    return to_tensor(array)
