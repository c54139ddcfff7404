"""A process that is alone uses up gradients of matrices row by row: weights are as with updates of whole arenas."""

import numpy as np
import pytest

import distkeras as tf
from distkeras.graph import plan
from distkeras.keras.optimizers import apply, kernel_update

RULES = {
    "sgd": lambda: tf.keras.optimizers.SGD(0.1),
    "momentum": lambda: tf.keras.optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: tf.keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, decay=0.1),
    "rmsprop": lambda: tf.keras.optimizers.RMSprop(0.01),
    "rmsprop centered": lambda: tf.keras.optimizers.RMSprop(0.01, centered=True, momentum=0.5),
    "adam": lambda: tf.keras.optimizers.Adam(0.01),
    "adam, decay": lambda: tf.keras.optimizers.Adam(0.01, decay=0.1),
    "amsgrad": lambda: tf.keras.optimizers.Adam(0.01, amsgrad=True),
    "adamax": lambda: tf.keras.optimizers.Adamax(0.01),
    "nadam": lambda: tf.keras.optimizers.Nadam(0.01),
    "adagrad": lambda: tf.keras.optimizers.Adagrad(0.1),
    "adadelta": lambda: tf.keras.optimizers.Adadelta(1.0),
    "ftrl": lambda: tf.keras.optimizers.Ftrl(0.1),
    "adam, schedule": lambda: tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)),
    "clipvalue": lambda: tf.keras.optimizers.Adam(0.01, clipvalue=1e-4),
    "schedule": lambda: tf.keras.optimizers.SGD(tf.keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)),
}
WHOLE = {
    "clipnorm": lambda: tf.keras.optimizers.SGD(0.1, clipnorm=0.01),
    "global_clipnorm": lambda: tf.keras.optimizers.SGD(0.1, global_clipnorm=0.01),
    "adamw": lambda: tf.keras.optimizers.AdamW(0.01),
    "lamb": lambda: tf.keras.optimizers.LAMB(0.01),
    "lars": lambda: tf.keras.optimizers.LARS(0.1),
}


@pytest.fixture
def plans(monkeypatch):
    """What plans were made, printed."""
    made = []
    build = plan.Plan.__init__

    def record(self, *arguments):
        build(self, *arguments)
        made.append(str(self))

    monkeypatch.setattr(plan.Plan, "__init__", record)
    return made


def _data(rows=40, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((rows, 170), np.float32), random.integers(0, 7, rows)


def _model(optimizer, **settings):
    tf.random.set_seed(3)
    layers = [
        tf.keras.layers.Dense(130, activation="tanh", input_shape=(170,), **settings),
        tf.keras.layers.Dense(7, activation="softmax"),
    ]
    model = tf.keras.Sequential(layers)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def _train(model, steps=3, rows=40):
    for step in range(steps):
        model.train_on_batch(*_data(rows, step))
    return [*model.get_weights(), *model.optimizer.get_weights()]


def _separately(monkeypatch, train):
    with monkeypatch.context() as patch:
        patch.setattr(apply, "kernel_update", lambda *arguments: None)
        return train()


def _assert_equal(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rows", [40, 130])
@pytest.mark.parametrize("rule", RULES)
def test_equals_the_update_of_whole_gradients(rule, rows, plans, monkeypatch):
    actual = _train(_model(RULES[rule]()), rows=rows)
    assert sum("by_rows" in text for text in plans) == 1
    _assert_equal(actual, _separately(monkeypatch, lambda: _train(_model(RULES[rule]()), rows=rows)))
    assert sum("by_rows" in text for text in plans) == 1
    assert actual[len(_model(RULES[rule]()).weights)] == 3  # iterations


@pytest.mark.parametrize("rule", WHOLE)
def test_rules_that_see_whole_gradients_get_them(rule, plans):
    _train(_model(WHOLE[rule]()), steps=1)
    assert plans
    assert not any("by_rows" in text for text in plans)


def test_one_that_updates_in_its_own_way_gets_whole_gradients(plans):
    class Half(tf.keras.optimizers.Adam):
        def update(self, group, part):
            group.arrays(part)[1][...] *= 0.5
            super().update(group, part)

    _train(_model(Half(0.01)), steps=1)
    assert not any("by_rows" in text for text in plans)


def test_float64(monkeypatch):
    tf.keras.backend.set_floatx("float64")
    try:
        actual = _train(_model(tf.keras.optimizers.Adam(0.01)))
        _assert_equal(actual, _separately(monkeypatch, lambda: _train(_model(tf.keras.optimizers.Adam(0.01)))))
    finally:
        tf.keras.backend.set_floatx("float32")


def test_settings_change_while_training(plans, monkeypatch):
    def train():
        model = _model(tf.keras.optimizers.SGD(0.1, momentum=0.9))
        _train(model, 1)
        model.optimizer.lr = 0.01
        model.optimizer.momentum = 0.5
        _train(model, 1)
        for name, value in (("clipvalue", 1e-3), ("nesterov", True), ("clipnorm", 1e-4), ("clipnorm", None)):
            setattr(model.optimizer, name, value)
            weights = _train(model, 1)
        return weights

    actual = train()
    assert ["by_rows" in text for text in plans] == [True, True, True, False, True]
    _assert_equal(actual, _separately(monkeypatch, train))


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (lambda: tf.keras.optimizers.Adam(0.01), {"beta_1": 0.5, "epsilon": 0.1}),
        (lambda: tf.keras.optimizers.SGD(0.01, momentum=0.5, decay=0.1), {"momentum": 0.9, "decay": 0.3}),
        (lambda: tf.keras.optimizers.SGD(0.01), {"decay": 0.3}),
        (lambda: tf.keras.optimizers.RMSprop(0.01, momentum=0.5), {"momentum": 0.8, "epsilon": 0.1}),
        (lambda: tf.keras.optimizers.RMSprop(0.01, centered=True), {"rho": 0.5}),
    ],
)
def test_what_a_step_begins_with_changes_while_training(monkeypatch, make, changes):
    def train():
        model = _model(make())
        weights = _train(model, 2)
        assert kernel_update.begin_calls(model.optimizer, kernel_update.Scalars(model.optimizer, [np.dtype("f4")]))
        schedule = tf.keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
        rates = [("learning_rate", tf.Variable(0.05)), ("learning_rate", schedule)]
        for name, value in [("lr", 0.02), *changes.items(), *rates]:
            setattr(model.optimizer, name, value)
            before, weights = weights, _train(model, 1)
            assert not np.array_equal(before[0], weights[0])
        return weights

    _assert_equal(train(), _separately(monkeypatch, train))


def test_a_subclass_begins_a_step_in_its_own_way(monkeypatch):
    class Slower(tf.keras.optimizers.Adam):
        def decayed_learning_rate(self):
            return 0.5 * super().decayed_learning_rate()

    halved = _train(_model(Slower(0.01)))
    expected = _train(_model(tf.keras.optimizers.Adam(0.005)))
    for one, other in zip(halved[:4], expected[:4], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_constraints(monkeypatch):
    def train():
        return _train(_model("adam", kernel_constraint=tf.keras.constraints.MaxNorm(0.5)))

    _assert_equal(train(), _separately(monkeypatch, train))


def test_a_gradient_that_is_wanted_otherwise_is_computed_whole(plans):
    weight = tf.Variable(np.ones((170, 130), np.float32))
    optimizer = tf.keras.optimizers.SGD(1.0)

    @tf.function
    def step(x, twice):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.matmul(x, weight))
        gradient = tape.gradient(loss, weight)
        before = tf.reduce_sum(weight)
        optimizer.apply_gradients([(gradient, weight)])
        return (gradient, before, tf.reduce_sum(weight)) if twice else (before, tf.reduce_sum(weight))

    x = tf.ones((2, 170))
    gradient, before, after = step(x, True)
    assert "by_rows" not in plans[-1]
    np.testing.assert_array_equal(gradient.numpy(), np.full((170, 130), 2.0))
    assert float(before) - float(after) == 2 * 170 * 130
    before, after = step(x, False)
    assert "by_rows" in plans[-1]
    assert (float(before), float(after)) == (-170 * 130, -3 * 170 * 130)


def test_nan_in_a_gradient_that_was_not_kept_is_reported(capsys):
    model = _model("adam")
    x, y = _data()
    x[0, 0] = np.nan
    model.fit(x, y, epochs=2, verbose=0, batch_size=40, callbacks=[tf.keras.callbacks.TerminateOnNaN()])
    assert "dense" in capsys.readouterr().out
