"""Recurrences over sequences against loops, and their derivatives."""

import numpy as np
import pytest

from distkeras.kernels import rnn
from tests.kernels import guarded, naive_rnn
from tests.kernels.assembly import assert_vectorised
from tests.kernels.lowered import run

# For each: how many gates, the inputs between x and mask, how many states there are, and what else comes out.
CELLS = {
    "lstm": (4, ("recurrent", "state", "state"), ("last", "sequence", "gates")),
    "gru": (3, ("recurrent", "bias", "state"), ("gates", "sequence")),
    "simple_rnn": (1, ("recurrent", "state"), ()),
}
SIZES = [(1, 1, 1), (1, 3, 2), (4, 3, 5), (5, 2, 19)]  # steps, samples, units


def shapes_of(name, steps, samples, units):
    gates = CELLS[name][0]
    return {
        "x": (steps, samples, gates * units),
        "recurrent": (units, gates * units),
        "bias": (gates * units,),
        "state": (samples, units),
        "last": (samples, units),
        "sequence": (steps, samples, units),
        "gates": (steps, samples, gates * units),
    }


def problem(name, sizes, dtype):
    """Inputs, with steps that do not count at the beginning, in the middle and at the end, and empty outputs."""
    random, shapes = np.random.default_rng(0), shapes_of(name, *sizes)
    inputs = [guarded.normal(random, shapes[kind], dtype) for kind in ("x", *CELLS[name][1])]
    outputs = [guarded.empty(shapes[kind], dtype) for kind in ("sequence", *CELLS[name][2])]
    mask = np.arange(sizes[0] * sizes[1]).reshape(sizes[:2]) % 4 != 1
    return inputs, mask, outputs


def forward(name, inputs, mask, outputs):
    run(getattr(rnn, f"{name}_forward")((*inputs, mask), tuple(outputs), guarded.Scratch()))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CELLS)
def test_states_are_those_of_loops(name, dtype, sizes):
    inputs, mask, outputs = problem(name, sizes, dtype)
    forward(name, inputs, mask, outputs)
    expected = getattr(naive_rnn, name)(*(array.astype(np.float64) for array in inputs), mask)
    for value, wanted in zip(outputs, expected, strict=False):
        np.testing.assert_allclose(value, wanted, rtol=0, atol=2e-5 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("name", CELLS)
def test_gradients_are_the_derivatives(name, sizes):
    inputs, mask, outputs = problem(name, sizes, np.float64)
    forward(name, inputs, mask, outputs)
    random = np.random.default_rng(1)
    # Of the outputs h is given on, and the LSTM's last c.
    incoming = [random.standard_normal(output.shape) for output in (outputs[:2] if name == "lstm" else outputs[:1])]
    known = {"lstm": [outputs[0], *outputs[2:]], "gru": outputs, "simple_rnn": outputs}[name]
    kept = [array for i, array in enumerate(inputs[1:]) if CELLS[name][1][i] != "bias"]
    gradients = [guarded.empty(array.shape, np.float64) for array in inputs]
    calls = getattr(rnn, f"{name}_gradient")((*incoming, *kept, mask, *known), tuple(gradients), guarded.Scratch())
    for _ in range(2):  # a replay begins anew
        run(calls)
        expected = naive_rnn.gradients(getattr(naive_rnn, name), incoming, inputs, mask)
        for value, wanted in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", CELLS)
def test_no_samples(name):
    inputs, mask, outputs = problem(name, (3, 0, 2), np.float64)
    forward(name, inputs, mask, outputs)
    known = {"lstm": [outputs[0], *outputs[2:]], "gru": outputs, "simple_rnn": outputs}[name]
    incoming = outputs[:2] if name == "lstm" else outputs[:1]
    kept = [array for i, array in enumerate(inputs[1:]) if CELLS[name][1][i] != "bias"]
    gradients = [np.full(array.shape, np.nan) for array in inputs]
    run(getattr(rnn, f"{name}_gradient")((*incoming, *kept, mask, *known), tuple(gradients), guarded.Scratch()))
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))


@pytest.mark.parametrize("kernel", [rnn.lstm_step, rnn.lstm_step_gradient])
def test_steps_fill_vector_registers(kernel):
    assert_vectorised(kernel, "mulps")
