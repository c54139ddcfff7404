"""Optimizers make of variables what Keras 2's do, run at once and traced, and keep the same state and configs."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from distkeras.core import random_state
from distkeras.core import variable as variables_module
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import to_tensor
from distkeras.core.variable import Variable
from distkeras.graph.function import function
from distkeras.keras import optimizers
from tests.keras.optimizers.cases import CASES, SCHEDULE_STEPS, SCHEDULES, STEPS, gradients, start
from tests.keras.optimizers.cases import LATER as KERAS_LATER

RECORDED = dict(np.load(Path(__file__).parent / "data" / "optimizers.npz"))
INDICES = pytest.mark.parametrize("index", range(len(CASES)), ids=[f"{name} {arguments}" for name, arguments in CASES])
# Later versions' settings; what is set only in part of the versions.
LATER = {"beta"}


def make(index: int):
    name, arguments = CASES[index]
    return getattr(optimizers, name)(**arguments)


def make_variables(dtype=np.float32):
    return [Variable(value.astype(dtype), name=name) for name, value in start().items()]


def assert_step(index, step, variables):
    for i, variable in enumerate(variables):
        expected = RECORDED[f"{index} variable {i}"][step]
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5, atol=2e-6, err_msg=f"{variable.name} {step}")


def apply(optimizer, step, variables):
    grads = [to_tensor(gradient.astype(variables[0].dtype.numpy)) for gradient in gradients(step)]
    optimizer.apply_gradients(zip(grads, variables, strict=True))


@INDICES
def test_updates_are_those_of_keras(index):
    optimizer, variables = make(index), make_variables()
    for step in range(STEPS):
        apply(optimizer, step, variables)
        assert_step(index, step, variables)
    assert int(optimizer.iterations) == STEPS
    for i, weight in enumerate(optimizer.weights if f"{index} weight 0" in RECORDED else ()):
        np.testing.assert_allclose(weight.numpy(), RECORDED[f"{index} weight {i}"], rtol=2e-5, atol=2e-6)


@INDICES
def test_a_traced_step_is_the_eager_one(index):
    optimizer, variables = make(index), make_variables()

    @function
    def step_function(*grads):
        optimizer.apply_gradients(zip(grads, variables, strict=True))
        return optimizer.iterations.value(), variables[0].value()

    for step in range(STEPS):
        count, value = step_function(*map(to_tensor, gradients(step)))
        assert int(count) == step + 1
        assert_step(index, step, variables)
        np.testing.assert_array_equal(value.numpy(), variables[0].numpy())


@INDICES
def test_float64_variables(index):
    optimizer, variables = make(index), make_variables(np.float64)
    for step in range(STEPS):
        apply(optimizer, step, variables)
        assert_step(index, step, variables)
    assert all(variable.dtype == "float64" for variable in variables)


@INDICES
def test_state_and_configs_are_those_of_keras(index):
    optimizer, variables = make(index), make_variables()
    if CASES[index][0] in KERAS_LATER:
        optimizer.build(variables)
        assert optimizer.get_config().items() >= {key: pytest.approx(v) for key, v in CASES[index][1].items()}.items()
    else:
        assert_config(optimizer, RECORDED[f"{index} config before"])
        optimizer.build(variables)
        assert [weight.name for weight in optimizer.weights] == json.loads(str(RECORDED[f"{index} weight names"]))
        assert_config(optimizer, RECORDED[f"{index} config"])
    assert optimizers.deserialize(optimizers.serialize(optimizer)).get_config() == optimizer.get_config()


def assert_config(optimizer, recorded):
    expected, received = json.loads(str(recorded)), optimizer.get_config()
    assert set(expected) - set(received) <= LATER
    # TensorFlow 2.0 writes the decay as a float32 like the other hyper-parameters, later versions as it was given.
    assert received.pop("decay") == pytest.approx(expected["decay"], rel=1e-7)
    assert received == {key: value for key, value in expected.items() if key in received}
    json.dumps(received)


@INDICES
def test_weights_round_trip_and_go_on_alike(index):
    first, variables = make(index), make_variables()
    for step in range(2):
        apply(first, step, variables)
    second, copies = (
        make(index),
        [Variable(value.numpy(), name=name) for name, value in zip(start(), variables, strict=True)],
    )
    second.build(copies)
    second.set_weights(first.get_weights())
    apply(first, 2, variables)
    apply(second, 2, copies)
    for variable, copy in zip(variables, copies, strict=True):
        np.testing.assert_array_equal(variable.numpy(), copy.numpy())


def test_every_registered_optimizer_is_tried():
    assert set(optimizers.OPTIMIZERS) == {name for name, _ in CASES}
    for name in optimizers.OPTIMIZERS:
        assert type(optimizers.get(name.lower())) is type(optimizers.get(name)) is getattr(optimizers, name)


# --- hyper-parameters are runtime values


def test_hyper_parameters_change_a_compiled_step():
    optimizer, x = optimizers.SGD(learning_rate=1.0), Variable(0.0)

    @function
    def step_function(gradient):
        optimizer.apply_gradients([(gradient, x)])

    def moved():
        before = float(x)
        step_function(to_tensor(1.0))
        return before - float(x)

    assert moved() == 1.0
    optimizer.lr = 0.5
    assert moved() == 0.5
    optimizer.learning_rate.assign(0.25)
    assert moved() == 0.25
    optimizer.learning_rate = lambda: 2.0
    assert moved() == 2.0
    optimizer.learning_rate = optimizers.schedules.PiecewiseConstantDecay([4], [3.0, 4.0])
    assert [moved(), moved()] == [3.0, 4.0]
    assert optimizer.get_config()["learning_rate"]["class_name"] == "PiecewiseConstantDecay"


def test_a_schedule_of_ones_own_may_use_python_and_numpy():
    class Half(optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return np.float32(0.5 ** int(step))

    optimizer, x = optimizers.SGD(Half()), Variable(0.0)
    function(lambda: optimizer.apply_gradients([(to_tensor(1.0), x)]))()
    optimizer.apply_gradients([(to_tensor(1.0), x)])
    assert float(x) == -1.5


def test_lr_is_another_name():
    optimizer = optimizers.Adam(lr=0.5)
    assert float(optimizer.lr) == float(optimizer.learning_rate) == 0.5
    assert optimizers.Adam.from_config({"lr": 0.25}).get_config()["learning_rate"] == 0.25
    optimizer.lr = to_tensor(0.125)
    assert float(optimizer.learning_rate) == 0.125


@pytest.mark.parametrize("index", range(len(SCHEDULES)), ids=[f"{name} {arguments}" for name, arguments in SCHEDULES])
def test_schedules_are_those_of_keras(index):
    name, arguments = SCHEDULES[index]
    schedule = getattr(optimizers.schedules, name)(**arguments)
    received = [float(schedule(step)) for step in SCHEDULE_STEPS]
    np.testing.assert_allclose(received, RECORDED[f"schedule {index}"], rtol=2e-6, atol=1e-8)
    numbers = [schedule.value_at(step) for step in SCHEDULE_STEPS]
    np.testing.assert_allclose(numbers, received, rtol=1e-6, atol=2e-9)
    config = schedule.get_config()
    if f"schedule {index} config" in RECORDED:
        expected = json.loads(str(RECORDED[f"schedule {index} config"]))
        later = {"warmup_target": None, "warmup_steps": 0}
        assert config == {key: value for key, value in expected.items() if key in config}
        assert {key: value for key, value in expected.items() if key not in config}.items() <= later.items()
    assert config.items() >= arguments.items()
    copy = optimizers.schedules.deserialize(optimizers.schedules.serialize(schedule))
    assert float(copy(7)) == pytest.approx(float(function(schedule)(to_tensor(7))), rel=1e-6)
    optimizer = optimizers.Adam.from_config(optimizers.Adam(schedule).get_config())
    assert float(optimizer.learning_rate(7)) == float(copy(7))


def test_every_registered_schedule_is_tried():
    assert set(optimizers.schedules.SCHEDULES) == {name for name, _ in SCHEDULES} | {"LinearWarmup"}


def test_a_warm_up_leads_to_what_comes_after():
    schedules = optimizers.schedules
    for after in (0.5, schedules.PolynomialDecay(0.5, 100, 0.0), schedules.PiecewiseConstantDecay([3], [0.5, 0.25])):
        warm = schedules.LinearWarmup(after, 10, 0.1)
        later = [after if isinstance(after, float) else float(after(step)) for step in range(30)]
        expected = [0.1 + (later[10] - 0.1) * step / 10 if step < 10 else later[step] for step in range(30)]
        copy = schedules.deserialize(json.loads(json.dumps(schedules.serialize(warm))))
        for schedule in (warm, copy):
            np.testing.assert_allclose([float(schedule(step)) for step in range(30)], expected, rtol=1e-6)
            np.testing.assert_allclose([schedule.value_at(step) for step in range(30)], expected, rtol=1e-6)
        optimizer, x = optimizers.SGD(warm), Variable(0.0)
        for _ in range(12):
            optimizer.apply_gradients([(to_tensor(1.0), x)])
        assert float(x) == pytest.approx(-sum(expected[:12]), rel=1e-6)


def test_noise_belongs_to_the_seed_and_the_step():
    random_state.set_seed(5)
    schedule = optimizers.schedules.NoisyLinearCosineDecay(1.0, 1000)
    first = [schedule.value_at(step) for step in range(300)]
    assert first == [schedule.value_at(step) for step in range(300)]
    line = optimizers.schedules.LinearCosineDecay(1.0, 1000)
    noise = np.array([(value - line.value_at(step)) for step, value in enumerate(first)])
    spread = noise * (1 + np.arange(300)) ** 0.275  # the deviation that is left is 1, times the cosine
    assert 0.8 < spread.std() < 1.1 and abs(spread.mean()) < 0.2
    random_state.set_seed(6)
    assert schedule.value_at(3) != first[3]
    assert float(schedule(3)) != float(schedule(3))


def test_a_formula_that_overflows_gives_infinity_as_tensors_do():
    assert optimizers.schedules.ExponentialDecay(1.0, 1, 2.0).value_at(10**6) == np.inf


def test_a_subclass_of_a_known_schedule_is_asked_itself():
    class Doubled(optimizers.schedules.PolynomialDecay):
        def __call__(self, step):
            return 2.0 * super().__call__(step)

    optimizer, x = optimizers.SGD(Doubled(0.5, 10, 0.5)), Variable(0.0)
    optimizer.apply_gradients([(to_tensor(1.0), x)])
    assert float(x) == -1.0


# --- which variables are updated


def test_missing_gradients_leave_their_variables_and_warn():
    optimizer, variables = optimizers.Adam(0.1), make_variables()
    before = [variable.numpy() for variable in variables]
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['a/bias:0'\]"):
        optimizer.apply_gradients([(to_tensor(gradients(0)[0]), variables[0]), (None, variables[1])])
    assert (variables[0].numpy() != before[0]).all() and (variables[1].numpy() == before[1]).all()
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        optimizer.apply_gradients([(None, variables[0])])


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_parts_of_the_variables_in_turn_are_the_whole(name):
    """Slices of the arena, groups made one after the other and one group give the same for each variable."""
    whole, variables = optimizers.get(name), make_variables()
    parts = [optimizers.get(name) for _ in variables]
    single = [Variable(variable.numpy()) for variable in variables]
    late, joined = optimizers.get(name), [Variable(variable.numpy()) for variable in variables]
    late.build(joined[1:2])
    for step in range(3):
        apply(whole, step, variables)
        apply(late, step, joined)
        for part, variable, gradient in zip(parts, single, gradients(step), strict=True):
            part.apply_gradients([(to_tensor(gradient), variable)])
    assert len(late.groups) == 2
    for one, two, three in zip(variables, single, joined, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
        np.testing.assert_array_equal(one.numpy(), three.numpy())


def test_two_element_types_are_two_groups():
    optimizer = optimizers.Adam(0.1)
    single, double = Variable([1.0, 2.0], name="s"), Variable(np.array([1.0, 2.0]), name="d")
    for _ in range(2):
        optimizer.apply_gradients([(to_tensor(np.ones(2)), double), (to_tensor([1.0, 1.0]), single)])
    np.testing.assert_allclose(single.numpy(), double.numpy(), rtol=1e-6)
    names = [weight.name for weight in optimizer.weights]
    assert names == ["Adam/iter:0", "Adam/d/m:0", "Adam/s/m:0", "Adam/d/v:0", "Adam/s/v:0"]


def test_gradients_lie_where_variables_do():
    optimizer, variables = optimizers.Adam(), make_variables()
    optimizer.build(variables)
    (group,) = optimizer.groups
    for variable, view, gradient in zip(variables, group.parameters.views, group.gradients.views, strict=True):
        assert variable._array is view and gradient.shape == view.shape
        assert (
            view.ctypes.data - group.parameters.flat.ctypes.data
            == gradient.ctypes.data - group.gradients.flat.ctypes.data
        )
        slot = optimizer.get_slot(variable, "v")
        assert np.shares_memory(slot._array, group.slots["v"].flat)
    with pytest.raises(KeyError, match="keeps no slot 'momentum'"):
        optimizer.get_slot(variables[0], "momentum")


def test_two_optimizers_of_the_same_variables_share_their_memory():
    variables = make_variables()
    first, second = optimizers.SGD(1.0), optimizers.SGD(1.0)
    first.build(variables)
    count = variables_module.relocations
    second.build(variables)
    assert variables_module.relocations == count
    overlapping = optimizers.SGD(1.0)
    before = variables[0].numpy()
    for optimizer in (overlapping, first, overlapping):
        optimizer.apply_gradients([(to_tensor(np.ones((3, 5), np.float32)), variables[0])])
    np.testing.assert_allclose(variables[0].numpy(), before - 3, rtol=1e-6)


def test_constraints_are_applied_after_the_update():
    x = Variable([1.0, -1.0], constraint=lambda value: value * to_tensor([1.0, 0.0]))
    optimizer = optimizers.SGD(1.0)
    optimizer.apply_gradients([(to_tensor([0.5, 0.5]), x)])
    assert x.numpy().tolist() == [0.5, 0.0]
    function(lambda: optimizer.apply_gradients([(to_tensor([0.5, 0.5]), x)]))()
    assert x.numpy().tolist() == [0.0, 0.0]


def test_minimize():
    x = Variable(3.0)
    optimizer = optimizers.SGD(0.5)
    assert optimizer.minimize(lambda: x * x, [x]) is optimizer.iterations
    assert float(x) == 0.0
    x.assign(1.0)
    optimizer.minimize(lambda: x * x, lambda: [x], grad_loss=to_tensor(2.0))
    assert float(x) == -1.0
    with GradientTape() as tape:
        loss = x * 3.0
    optimizer.minimize(loss, [x], tape=tape)
    assert float(x) == -2.5
    with pytest.raises(ValueError, match="`tape` is required"):
        optimizer.minimize(loss, [x])


def test_nothing_to_do_is_no_step():
    optimizer = optimizers.SGD()
    optimizer.apply_gradients([])
    assert int(optimizer.iterations) == 0


def test_an_optimizer_of_ones_own():
    class SignDescent(optimizers.Optimizer):
        @property
        def slots(self):
            return {"last": 0.0}

        def begin_step(self):
            self.rate = self.decayed_learning_rate()

        def update(self, group, part):
            parameters, grads, last = group.arrays(part)
            parameters -= group.dtype.type(self.rate) * np.sign(grads)
            last[...] = grads

        def __init__(self, learning_rate=0.1, name="SignDescent", **kwargs):
            super().__init__(name, **kwargs)
            self.learning_rate = learning_rate

    optimizer, variables = SignDescent(0.5), make_variables()
    before = [variable.numpy() for variable in variables]
    apply(optimizer, 0, variables)
    for variable, value, gradient in zip(variables, before, gradients(0), strict=True):
        np.testing.assert_array_equal(variable.numpy(), value - np.float32(0.5) * np.sign(gradient))
        np.testing.assert_array_equal(optimizer.get_slot(variable, "last").numpy(), gradient)


def test_clipping_does_not_hide_what_is_no_number():
    x = Variable([1.0, 1.0])
    optimizers.SGD(1.0, clipnorm=1.0).apply_gradients([(to_tensor([np.nan, 1.0]), x)])
    assert np.isnan(x.numpy()).all()


def test_amsgrad_weights_fit_adam():
    amsgrad, plain = optimizers.Adam(amsgrad=True), optimizers.Adam()
    for optimizer in (amsgrad, plain):
        optimizer.build(make_variables())
    plain.set_weights(amsgrad.get_weights())
    assert len(plain.get_weights()) == 7


def test_configs_of_later_versions_are_read():
    config = {"name": "Adam", "learning_rate": 0.5, "weight_decay": None, "clipnorm": None, "use_ema": False,
              "ema_momentum": 0.99, "ema_overwrite_frequency": None, "jit_compile": True, "is_legacy_optimizer": False,
              "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False}  # fmt: skip
    assert optimizers.Adam.from_config(config).get_config()["learning_rate"] == 0.5
    with pytest.raises(TypeError, match="weight_decay"):
        optimizers.Adam.from_config({**config, "weight_decay": 0.1})


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: optimizers.SGD(foo=1), TypeError, "Unexpected keyword argument passed to optimizer: foo"),
        (lambda: optimizers.Adam(clipnorm=-1.0), ValueError, "Expected clipnorm >= 0, received: -1.0"),
        (lambda: optimizers.Adam(decay=-1.0), ValueError, "Expected decay >= 0"),
        (lambda: optimizers.SGD(clipnorm=1.0, global_clipnorm=1.0), ValueError, "both `clipnorm` and"),
        (lambda: optimizers.SGD(momentum=2.0), ValueError, "`momentum` must be between"),
        (lambda: optimizers.SGD(learning_rate="fast"), ValueError, "hyper-parameter learning_rate must be a number"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1.0), ValueError, "must be non-negative"),
        (lambda: optimizers.Ftrl(learning_rate_power=1.0), ValueError, "needs to be negative or zero"),
        (lambda: optimizers.Nadam(optimizers.schedules.ExponentialDecay(1.0, 1, 1.0)), ValueError, "LearningRateSched"),
        (lambda: optimizers.get("Adan"), ValueError, "Unknown optimizer: 'Adan'.*Did you mean 'Adam'"),
        (lambda: optimizers.get(3), ValueError, "Could not interpret optimizer identifier 3"),
        (lambda: optimizers.SGD().set_weights([1]), ValueError, "length 1, but the optimizer was expecting 0 weights"),
        (lambda: optimizers.SGD().apply_gradients([(1.0, 2.0)]), ValueError, "expected .gradient, tf.Variable. pairs"),
        (lambda: optimizers.SGD().get_gradients(1.0, []), RuntimeError, "GradientTape"),
        (lambda: optimizers.SGD().build([Variable(np.float16(1))]), ValueError, "float32 and float64 variables"),
        (
            lambda: optimizers.SGD().apply_gradients([(to_tensor([1.0]), Variable([1.0, 2.0]))]),
            ValueError,
            "expected a tensor of shape .2,.",
        ),
        (
            lambda: (lambda x: optimizers.SGD().apply_gradients([(1.0, x), (1.0, x)]))(Variable(1.0)),
            ValueError,
            "comes twice",
        ),
        (
            lambda: optimizers.schedules.PiecewiseConstantDecay([1], [1.0]),
            ValueError,
            "length of boundaries should be 1 less",
        ),
        (lambda: optimizers.schedules.LearningRateSchedule()(1), NotImplementedError, "must define __call__"),
        (lambda: optimizers.schedules.LearningRateSchedule().get_config(), NotImplementedError, "must define get_con"),
    ],
)
def test_bad_input_is_refused_with_a_message(call, error, match):
    with warnings.catch_warnings(), pytest.raises(error, match=match):
        call()


def test_gaps_between_variables_stay_zero():
    """Ranks compare arenas by digest: what no variable owns must not drift."""
    for index in range(len(CASES)):
        optimizer, variables = make(index), make_variables()
        for step in range(2):
            apply(optimizer, step, variables)
        (group,) = optimizer.groups
        owned = np.zeros(group.parameters.flat.size, bool)
        for part in group.parameters.layout.slices:
            owned[part] = True
        assert not group.parameters.flat[~owned].any(), CASES[index]
