"""Updates that treat each variable as a layer follow their formulas in each, and leave what lies between alone."""

from __future__ import annotations

import numpy as np
import pytest

from distkeras.kernels import update_layers
from tests.kernels import naive_update as naive
from tests.kernels.assembly import assert_vectorised

# name: (hyper-parameters, their place of the decay, slots)
RULES = {
    "adamw": ((0.01, 0.9, 0.999, 1e-3, 0.02), 4, 2),
    "amsgradw": ((0.01, 0.9, 0.5, 1e-3, 0.02), 4, 3),
    "lamb": ((0.01, 0.9, 0.999, 1.3, 1.7, 1e-3, 0.02), 6, 2),
    "lars": ((0.5, 0.9, 0.02, 0.1, 1e-3, False), 2, 1),
    "lars nesterov": ((0.5, 0.9, 0.02, 0.1, 1e-3, True), 2, 1),
}
STARTS, STOPS = np.array([0, 48, 64, 160]), np.array([33, 49, 160, 160])  # the last one is empty
DECAYED, ADAPTED = np.array([1.0, 0.0, 1.0, 1.0]), np.array([1.0, 1.0, 0.0, 1.0])
SIZE = 176


def flags(name, dtype):
    only_decayed = name in ("adamw", "amsgradw")
    return [flag.astype(dtype) for flag in ([DECAYED] if only_decayed else [DECAYED, ADAPTED])]


def by_layer(name, p, g, slots, hyper, place):
    """The naive rule, layer by layer, in place."""
    for k, (start, stop) in enumerate(zip(STARTS, STOPS, strict=True)):
        part, values = slice(start, stop), list(hyper)
        values[place] *= DECAYED[k]
        more = {"adapted": bool(ADAPTED[k])} if len(flags(name, p.dtype)) == 2 else {}
        rule = getattr(naive, name.split()[0])
        p[part], made = rule(p[part], g[part], *(slot[part] for slot in slots), *values, **more)
        for slot, value in zip(slots, made, strict=True):
            slot[part] = value


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_follows_its_formula_in_each_layer(name, dtype):
    hyper, place, count = RULES[name]
    generator = np.random.default_rng(0)
    expected, state = generator.normal(size=SIZE), [np.zeros(SIZE) for _ in range(count)]
    expected[48] = 0  # a layer without length
    actual, actual_state = expected.astype(dtype), [slot.astype(dtype) for slot in state]
    numbers = [value if isinstance(value, bool) else dtype(value) for value in hyper]
    kernel = getattr(update_layers, name.split()[0])[dtype]
    for _ in range(4):
        gradient = generator.normal(size=SIZE)
        by_layer(name, expected, gradient, state, hyper, place)
        kernel(actual, gradient.astype(dtype), *actual_state, STARTS, STOPS, *flags(name, dtype), *numbers)
    tolerance = 4e-6 if dtype == np.float32 else 1e-13
    for one, other in zip([actual, *actual_state], [expected, *state], strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["adamw", "lamb", "lars"])
def test_nan_in_a_gradient_stays_in_its_layer(name):
    hyper, _, count = RULES[name]
    arrays = [np.ones(SIZE), np.ones(SIZE), *(np.zeros(SIZE) for _ in range(count))]
    arrays[1][70] = np.nan
    getattr(update_layers, name)[np.float64](*arrays, STARTS, STOPS, *flags(name, np.float64), *hyper)
    assert np.isnan(arrays[0][70]) and np.isfinite(arrays[0][:64]).all() and np.isfinite(arrays[0][160:]).all()


@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_is_vectorised(name):
    assert_vectorised(getattr(update_layers, name), "vsqrtps")
