from pathlib import Path

import numpy as np
import pytest

from distkeras.kernels import update
from tests.kernels import naive_update as naive
from tests.kernels.assembly import assert_vectorised

# name: (number of slots, hyper-parameters, the slots' first value)
RULES = {
    "sgd": (0, (0.1,), 0),
    "momentum": (1, (0.1, 0.9), 0),
    "nesterov": (1, (0.1, 0.9), 0),
    "rmsprop": (1, (0.01, 0.9, 1e-3), 0),
    "rmsprop_momentum": (2, (0.01, 0.9, 0.8, 1e-3), 0),
    "rmsprop_centered": (2, (0.01, 0.9, 1e-3), 0),
    "rmsprop_centered_momentum": (3, (0.01, 0.9, 0.8, 1e-3), 0),
    "adam": (2, (0.01, 0.9, 0.999, 1e-3), 0),
    "amsgrad": (3, (0.01, 0.9, 0.999, 1e-3), 0),
    "adamax": (2, (0.01, 0.9, 0.999, 1e-3), 0),
    "adagrad": (1, (0.1, 1e-3), 0.1),
    "adadelta": (2, (1.0, 0.9, 1e-3), 0),
}


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("size", [0, 1, 7, 64, 1003])
def test_follows_its_formula(name, size, dtype):
    slots, hyper, first = RULES[name]
    generator = np.random.default_rng(0)
    expected, state = generator.normal(size=size), [np.full(size, float(first)) for _ in range(slots)]
    actual, actual_state = expected.astype(dtype), [slot.astype(dtype) for slot in state]
    for step in range(4):
        gradient = generator.normal(size=size) * 0.5**step
        expected, state = getattr(naive, name)(expected, gradient, *state, *hyper)
        getattr(update, name)[dtype](actual, gradient.astype(dtype), *actual_state, *map(dtype, hyper))
    tolerance = 2e-6 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
    for slot, actual_slot in zip(state, actual_state, strict=True):
        np.testing.assert_allclose(actual_slot, slot, rtol=tolerance * 10, atol=tolerance)


@pytest.mark.parametrize("name", RULES)
def test_agrees_with_tensorflow(name):
    """Recorded by record_optimizers.py."""
    with np.load(Path(__file__).parent / "data" / "optimizers.npz") as recorded:
        start, gradients, expected = recorded["start"], recorded["gradients"], recorded[name]
    slots, hyper, first = RULES[name]
    state = [np.full(start.size, float(first)) for _ in range(slots)]
    for step, gradient in enumerate(gradients, 1):
        values = list(hyper)
        if name in ("adam", "amsgrad"):
            values[0] = update.adam_rate(*hyper[:3], step)
        if name == "adamax":
            values[0] = hyper[0] / (1 - hyper[1] ** step)
        getattr(update, name)[np.float64](start, gradient, *state, *values)
    np.testing.assert_allclose(start, expected, rtol=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_nan_in_a_gradient_reaches_its_parameter_only(name, dtype):
    slots, hyper, first = RULES[name]
    parameters, gradients = np.ones(40, dtype), np.ones(40, dtype)
    gradients[17] = np.nan
    getattr(update, name)[dtype](
        parameters, gradients, *[np.full(40, first, dtype) for _ in range(slots)], *map(dtype, hyper)
    )
    assert list(np.flatnonzero(np.isnan(parameters))) == [17]


@pytest.mark.parametrize("name", RULES)
def test_update_of_slices_is_the_update_of_the_whole(name):
    slots, hyper, first = RULES[name]
    generator = np.random.default_rng(3)
    gradients = generator.normal(size=100)
    whole = [generator.normal(size=100), gradients, *[np.full(100, float(first)) for _ in range(slots)]]
    parts = [array.copy() for array in whole]
    kernel = getattr(update, name)[np.float64]
    kernel(*whole, *hyper)
    for start, stop in ((0, 33), (33, 33), (33, 100)):
        kernel(*(array[start:stop] for array in parts), *hyper)
    for array, part in zip(whole, parts, strict=True):
        np.testing.assert_allclose(part, array, rtol=1e-15)


def test_scale_clip_and_add(dtype):
    x = np.array([-3, -1, 0, 2, np.nan, np.inf, -np.inf] * 9, dtype)
    scaled, clipped, total = x.copy(), x.copy(), np.ones_like(x)
    update.scale[dtype](scaled, dtype(0.5))
    update.clip[dtype](clipped, dtype(-1), dtype(1.5))
    update.add_scaled[dtype](x, dtype(2), total)
    np.testing.assert_array_equal(scaled, x * dtype(0.5))
    np.testing.assert_array_equal(clipped, np.clip(x, -1, 1.5))
    np.testing.assert_array_equal(total, 1 + 2 * x)


@pytest.mark.parametrize("name, instruction", [("sgd", "vf"), ("adam", "vsqrtps"), ("amsgrad", "vmaxps")])
def test_is_vectorised(name, instruction):
    assert_vectorised(getattr(update, name), instruction)
