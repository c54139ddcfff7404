from pathlib import Path

import numpy as np
import pytest

from distkeras.kernels import update
from tests.kernels import naive_update as naive
from tests.kernels.assembly import assert_vectorised

# name: (hyper-parameters, the slots' first values)
RULES = {
    "sgd": ((0.1,), ()),
    "momentum": ((0.1, 0.9), (0,)),
    "nesterov": ((0.1, 0.9), (0,)),
    "rmsprop": ((0.01, 0.9, 1e-3), (0,)),
    "rmsprop_momentum": ((0.01, 0.9, 0.8, 1e-3), (0, 0)),
    "rmsprop_centered": ((0.01, 0.9, 1e-3), (0, 0)),
    "rmsprop_centered_momentum": ((0.01, 0.9, 0.8, 1e-3), (0, 0, 0)),
    "adam": ((0.01, 0.9, 0.999, 1e-3), (0, 0)),
    "amsgrad": ((0.01, 0.9, 0.999, 1e-3), (0, 0, 0)),
    "adamax": ((0.01, 0.9, 0.999, 1e-3), (0, 0)),
    "nadam": ((0.004, 0.006, 0.9, 0.999, 1.3, 1e-3), (0, 0)),
    "ftrl": ((0.1, -0.5, 0.3, 0.02, 0.01), (0.1, 0)),
    "adagrad": ((0.1, 1e-3), (0.1,)),
    "adadelta": ((1.0, 0.9, 1e-3), (0, 0)),
}


def _slots(name, size, dtype):
    return [np.full(size, first, dtype) for first in RULES[name][1]]


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def _check_formula(name, hyper, size, dtype):
    generator = np.random.default_rng(0)
    expected, state = generator.normal(size=size), _slots(name, size, np.float64)
    actual, actual_state = expected.astype(dtype), [slot.astype(dtype) for slot in state]
    for step in range(4):
        gradient = generator.normal(size=size) * 0.5**step
        expected, state = getattr(naive, name)(expected, gradient, *state, *hyper)
        getattr(update, name)[dtype](actual, gradient.astype(dtype), *actual_state, *map(dtype, hyper))
    tolerance = 4e-6 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)
    for slot, actual_slot in zip(state, actual_state, strict=True):
        np.testing.assert_allclose(actual_slot, slot, rtol=tolerance * 10, atol=tolerance * 4)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("size", [0, 1, 7, 64, 1003])
def test_follows_its_formula(name, size, dtype):
    _check_formula(name, RULES[name][0], size, dtype)


@pytest.mark.parametrize("hyper", [(0.1, -0.3, 0.0, 0.0, 0.0), (0.1, -0.8, 0.1, 0.0, 0.1)], ids=str)
def test_ftrl_with_another_power(hyper, dtype):
    _check_formula("ftrl", hyper, 50, dtype)


@pytest.mark.parametrize("name", [name for name in RULES if name != "nadam"])
def test_agrees_with_tensorflow(name):
    """Recorded by record_optimizers.py; Nadam's schedule of rates is the optimizer's, not the kernel's."""
    with np.load(Path(__file__).parent / "data" / "optimizers.npz") as recorded:
        parameters, gradients, expected = recorded["start"], recorded["gradients"], recorded[name]
    hyper, state = RULES[name][0], _slots(name, parameters.size, np.float64)
    for step, gradient in enumerate(gradients, 1):
        values = list(hyper)
        if name in ("adam", "amsgrad"):
            values[0] = update.adam_rate(*hyper[:3], step)
        if name == "adamax":
            values[0] = hyper[0] / (1 - hyper[1] ** step)
        getattr(update, name)[np.float64](parameters, gradient, *state, *values)
    np.testing.assert_allclose(parameters, expected, rtol=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_nan_in_a_gradient_reaches_its_parameter_only(name, dtype):
    parameters, gradients = np.ones(40, dtype), np.ones(40, dtype)
    gradients[17] = np.nan
    getattr(update, name)[dtype](parameters, gradients, *_slots(name, 40, dtype), *map(dtype, RULES[name][0]))
    assert list(np.flatnonzero(np.isnan(parameters))) == [17]


@pytest.mark.parametrize("name", RULES)
def test_update_of_slices_is_the_update_of_the_whole(name):
    generator, hyper = np.random.default_rng(3), RULES[name][0]
    whole = [generator.normal(size=100), generator.normal(size=100), *_slots(name, 100, np.float64)]
    parts = [array.copy() for array in whole]
    kernel = getattr(update, name)[np.float64]
    kernel(*whole, *hyper)
    for start, stop in ((0, 33), (33, 33), (33, 100)):
        kernel(*(array[start:stop] for array in parts), *hyper)
    for array, part in zip(whole, parts, strict=True):
        np.testing.assert_allclose(part, array, rtol=1e-14)


def test_bits_of_an_element_are_not_up_to_how_many_there_are():
    generator, hyper = np.random.default_rng(3), tuple(map(np.float32, RULES["adam"][0]))
    whole = [abs(generator.normal(size=100)).astype(np.float32) for _ in range(4)]
    parts = [array.copy() for array in whole]
    kernel = update.adam[np.float32]
    kernel(*whole, *hyper)
    for start, stop in ((0, 5), (5, 22), (22, 22), (22, 100)):
        kernel(*(array[start:stop] for array in parts), *hyper)
    for array, part in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(part, array)


@pytest.mark.parametrize("gradient, expected", [(1e30, 1.0), (0.0, 1.0), (np.inf, np.nan), (1.0, 0.9968377)])
def test_adam_by_gradients_whose_squares_are_none(gradient, expected):
    parameters, gradients = np.ones(40, np.float32), np.full(40, gradient, np.float32)
    slots = _slots("adam", 40, np.float32)
    update.adam[np.float32](parameters, gradients, *slots, *map(np.float32, (0.001, 0.9, 0.999, 1e-7)))
    np.testing.assert_allclose(parameters, expected, rtol=1e-6)


def test_scale_and_clip(dtype):
    x = np.array([-3, -1, 0, 2, np.nan, np.inf, -np.inf] * 9, dtype)
    scaled, clipped = x.copy(), x.copy()
    update.scale[dtype](scaled, dtype(0.5))
    update.clip[dtype](clipped, dtype(-1), dtype(1.5))
    np.testing.assert_array_equal(scaled, x * dtype(0.5))
    np.testing.assert_array_equal(clipped, np.clip(x, -1, 1.5))


@pytest.mark.parametrize("name, instruction", [("sgd", "vf"), ("adam", "vsqrtps"), ("amsgrad", "vmaxps")])
def test_is_vectorised(name, instruction):
    assert_vectorised(getattr(update, name), instruction)
