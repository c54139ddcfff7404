from __future__ import annotations

import numpy as np
import pytest

from distkeras import ops
from distkeras._errors import InvalidArgumentError
from distkeras.core.context import Replica, on_replica
from distkeras.core.random_state import set_seed
from distkeras.core.tensor import to_tensor
from distkeras.graph.function import Function
from distkeras.testing import check_grads
from tests.ops.compare import check

DRAWS = {
    "uniform": lambda: ops.random_uniform((4, 1000), -1, 3),
    "normal": lambda: ops.random_normal((4, 1000), 1.0, 2.0),
    "truncated": lambda: ops.truncated_normal((4, 1000), 1.0, 2.0),
    "integers": lambda: ops.random_uniform((4, 1000), -2, 5, "int32"),
    "shuffle": lambda: ops.random_shuffle(np.arange(50)),
    "dropout": lambda: ops.dropout(np.ones((4, 50), np.float32), 0.5),
}


def _replica(step=3, first=0, seed=5):
    return on_replica(Replica(random_state=to_tensor(np.int64([seed, step, first]))))


@pytest.mark.parametrize("name", DRAWS)
def test_every_draw_is_another_and_the_seed_brings_all_back(name):
    draws = []
    for _ in range(2):
        set_seed(3)
        draws += [DRAWS[name]().numpy(), DRAWS[name]().numpy()]
    np.testing.assert_array_equal(draws[0], draws[2])
    np.testing.assert_array_equal(draws[1], draws[3])
    assert (draws[0] != draws[1]).any()


@pytest.mark.parametrize("name", DRAWS)
def test_every_call_of_a_compiled_function_draws_anew_and_the_seed_brings_all_back(name):
    compiled = Function(DRAWS[name])
    draws = []
    for _ in range(2):
        set_seed(3)
        draws += [compiled().numpy(), compiled().numpy()]
    np.testing.assert_array_equal(draws[0], draws[2])
    np.testing.assert_array_equal(draws[1], draws[3])
    assert (draws[0] != draws[1]).any()


def test_distributions():
    set_seed(0)
    uniform, normal, truncated, integers = (DRAWS[n]().numpy() for n in ("uniform", "normal", "truncated", "integers"))
    assert -1 <= uniform.min() and uniform.max() < 3 and abs(uniform.mean() - 1) < 0.1
    assert abs(normal.mean() - 1) < 0.15 and abs(normal.std() - 2) < 0.1 and np.abs(normal - 1).max() > 4
    assert np.abs(truncated - 1).max() <= 4 and abs(truncated.mean() - 1) < 0.15
    assert set(np.unique(integers)) == set(range(-2, 5)) and integers.dtype == np.int32
    assert sorted(DRAWS["shuffle"]().numpy()) == list(range(50))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws_have_the_type_asked_for(dtype):
    assert ops.random_normal((3, 2), dtype=dtype).dtype == dtype
    assert ops.random_uniform((), dtype=dtype).shape == ()


def test_dropout_drops_the_rate_and_scales_the_rest():
    set_seed(1)
    y = ops.dropout(np.ones((100, 100), np.float32), 0.25).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02


def test_dropout_belongs_to_the_sample_not_to_its_place_in_a_slice():
    x = np.ones((6, 40), np.float32)
    with _replica():
        whole = ops.dropout(x, 0.5, stream=7).numpy()
    for first, size in ((0, 2), (2, 4), (5, 1), (3, 0)):
        with _replica(first=first):
            part = ops.dropout(x[:size], 0.5, stream=7).numpy()
        np.testing.assert_array_equal(part, whole[first : first + size])
    with _replica(step=4):
        assert (ops.dropout(x, 0.5, stream=7).numpy() != whole).any()
    with _replica():
        assert (ops.dropout(x, 0.5, stream=8).numpy() != whole).any()


def test_the_gradient_of_dropout_has_its_mask():
    with _replica():
        check_grads(lambda x: ops.dropout(x * x, 0.5, stream=7), np.linspace(1, 2, 12).reshape(3, 4))


def test_noise_shape():
    with _replica():
        y = ops.dropout(np.ones((4, 6, 5), np.float32), 0.5, noise_shape=(None, 1, 5), stream=7).numpy()
    assert (y == y[:, :1]).all() and len(np.unique(y)) == 2
    with pytest.raises(ValueError, match="noise_shape must have 2 sizes, the first one"):
        ops.dropout(np.ones((4, 6), np.float32), 0.5, noise_shape=(1, 6))


def test_no_rate_is_the_very_tensor():
    x = ops.ones((2, 2))
    assert ops.dropout(x, 0) is x


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: ops.dropout(np.ones(3, np.float32), 1.0), ValueError, r"in the range \[0, 1\), received 1.0"),
        (lambda: ops.dropout([1, 2], 0.5), InvalidArgumentError, "expected floating-point numbers"),
        (lambda: ops.random_uniform((2,), dtype="int32"), ValueError, "Must specify maxval"),
        (lambda: ops.random_normal((2,), dtype="int32"), ValueError, "random numbers are float32 or float64"),
    ],
)
def test_bad_arguments(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_compiled_dropout_is_that_of_eager_for_one_state():
    x = np.ones((4, 50), np.float32)
    with _replica():
        eager = ops.dropout(x, 0.5, stream=7)
        compiled = Function(lambda x: ops.dropout(x, 0.5, stream=7))(x)
    check(compiled, eager.numpy())


PARAMETRIC = {
    "gamma": (lambda: ops.random_gamma((20000,), [0.5, 3.0], [1.0, 2.0]), [0.5, 1.5], [0.5, 0.75]),
    "poisson": (lambda: ops.random_poisson((20000,), [0.5, 30.0]), [0.5, 30.0], [0.5, 30.0]),
}


@pytest.mark.parametrize("name", PARAMETRIC)
def test_draws_with_parameters_have_their_moments(name):
    draw, mean, variance = PARAMETRIC[name]
    set_seed(1)
    numbers = draw().numpy()
    assert numbers.shape == (20000, 2)
    np.testing.assert_allclose(numbers.mean(0), mean, rtol=0.05)
    np.testing.assert_allclose(numbers.var(0), variance, rtol=0.08)


def test_classes_are_drawn_with_their_probabilities():
    set_seed(2)
    drawn = ops.random_categorical(np.log(np.float32([[0.1, 0.2, 0.7], [1.0, 1e-9, 1e-9]])), 5000)
    assert drawn.shape == (2, 5000) and drawn.dtype.name == "int64" and not drawn.numpy()[1].any()
    np.testing.assert_allclose(np.bincount(drawn.numpy()[0]) / 5000, [0.1, 0.2, 0.7], atol=0.03)
    assert ops.random_categorical([[0.0]], 1, "int32").dtype.name == "int32"
    with pytest.raises(InvalidArgumentError, match="floats \\[batch, classes\\]"):
        ops.random_categorical([0.5, 0.5], 1)


def test_a_samples_draws_do_not_depend_on_the_ranks():
    rates = np.float32([[1.0, 9.0]] * 4)

    def draws(first, rows):
        with _replica(first=first):
            return [
                ops.random_gamma((), rates[rows], seed=4).numpy(), ops.random_poisson((), rates[rows], seed=4).numpy(),
                ops.random_categorical(rates[rows], 3, seed=4).numpy(),
            ]  # fmt: skip

    whole, parts = draws(0, slice(0, 4)), [draws(0, slice(0, 3)), draws(3, slice(3, 4))]
    for i, expected in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[i] for part in parts]), expected)


STATELESS = {
    "uniform": lambda seed: ops.stateless_uniform((2, 500), seed, -1.0, 1.0),
    "normal": lambda seed: ops.stateless_normal((2, 500), seed, 1.0, 2.0, "float64"),
    "truncated": lambda seed: ops.stateless_truncated_normal((2, 500), seed),
    "categorical": lambda seed: ops.stateless_categorical(np.zeros((2, 3), np.float32), 500, seed),
    "integers": lambda seed: ops.stateless_uniform((2, 500), seed, 0, 9, "int32"),
}


@pytest.mark.parametrize("name", STATELESS)
def test_stateless_draws_are_functions_of_their_seed(name):
    draw = STATELESS[name]
    first = draw([1, 2]).numpy()
    set_seed(99)
    np.testing.assert_array_equal(draw(np.int64([1, 2])).numpy(), first)
    np.testing.assert_array_equal(Function(draw)(np.int32([1, 2])).numpy(), first)
    assert (draw([1, 3]).numpy() != first).any() and (draw([2, 2]).numpy() != first).any()
    with pytest.raises(InvalidArgumentError, match="seed must be two integers"):
        draw([1, 2, 3])
