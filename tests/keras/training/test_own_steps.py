"""train_step, test_step and predict_step of one's own, and the functions that run them."""

import numpy as np
import pytest

import distkeras as tf
from tests.keras.training.models import X, Y, endless, linear
from tests.keras.training.own_models import Adversaries, KeepsItsOwnLoss, UsesWhatWasCompiled


def compiled(kind, **options):
    model = kind([tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="zeros", kernel_regularizer="l2")])
    model.compile("sgd", "mse", metrics=["mae"], **options)
    return model


def test_what_a_step_adds_to_the_logs_and_to_the_predictions():
    class Own(tf.keras.Sequential):
        def train_step(self, data):
            logs = super().train_step(data)
            return {**logs, "twice": 2.0 * logs["loss"]}

        def predict_step(self, data):
            return super().predict_step(data) + 1.0

    model = compiled(Own)
    history = model.fit(X, Y, verbose=0, shuffle=False).history
    assert history["twice"] == pytest.approx([2 * history["loss"][0]], rel=1e-6)
    assert model.history.params["metrics"] == ["loss", "mae", "twice"]
    np.testing.assert_allclose(model.predict(X), model(X).numpy() + 1.0, rtol=1e-6)


@pytest.mark.parametrize("eager", [False, True])
def test_compiled_loss_and_metrics_are_those_of_fit(eager):
    options = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0, "validation_data": (X[:5], Y[:5])}
    expected = compiled(tf.keras.Sequential).fit(X, Y, **options)
    found = compiled(UsesWhatWasCompiled, run_eagerly=eager).fit(X, Y, **options)
    assert list(found.history) == list(expected.history) == ["loss", "mae", "val_loss", "val_mae"]
    for name, values in expected.history.items():
        assert found.history[name] == pytest.approx(values, rel=1e-6)
    for one, other in zip(found.model.get_weights(), expected.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_what_compiled_loss_and_metrics_consist_of():
    model = compiled(tf.keras.Sequential)
    assert [metric.name for metric in model.compiled_loss.metrics] == ["loss"]
    assert model.compiled_metrics.metrics == model.metrics
    assert float(model.compiled_loss(tf.ones((2, 1)), tf.zeros((2, 1)))) == 1.0
    fresh = tf.keras.Sequential()
    assert fresh.compiled_loss is None and fresh.compiled_metrics is None and fresh.loss is None


@pytest.mark.parametrize("eager", [False, True])
def test_a_step_that_keeps_its_own_loss(eager):
    model = KeepsItsOwnLoss()
    model.compile(tf.keras.optimizers.SGD(0.0), run_eagerly=eager)
    weights = np.linspace(0.0, 1.0, 10)
    options = {"sample_weight": weights, "batch_size": 4, "shuffle": False, "verbose": 0}
    history = model.fit(X, {"sum": [Y + 1.0]}, epochs=2, **options).history
    assert history["loss"] == pytest.approx([weights.mean()] * 2, rel=1e-6)
    assert history["mae"] == pytest.approx([1.0] * 2, rel=1e-6)  # metrics begin anew with each epoch
    assert model.metrics_names == ["loss", "error"]


@pytest.mark.parametrize("kind", ["functional", "subclassed"])
def test_compiled_metrics_need_no_compiled_loss(kind):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = tf.reduce_mean(tf.square(y_pred - y))
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.compiled_metrics.update_state(y, y_pred)
        return {"loss": loss, **{metric.name: metric.result() for metric in self.metrics}}

    if kind == "functional":
        model = type("Own", (tf.keras.Sequential,), {"train_step": train_step})(
            [tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="ones")]
        )
    else:
        model = type("Own", (KeepsItsOwnLoss,), {"train_step": train_step, "metrics": tf.keras.Model.metrics})()
        del model.loss_tracker, model.error
    model.compile(tf.keras.optimizers.SGD(0.0), metrics=["mae"])
    history = model.fit(X, Y + 1.0, batch_size=4, shuffle=False, verbose=0).history
    assert list(history) == ["loss", "mae"] and history["mae"] == pytest.approx([1.0], rel=1e-6)
    assert history["loss"] == pytest.approx([1.0], rel=1e-6)  # a number is reported as it is: the last batch's


def test_models_of_models_with_optimizers_of_their_own():
    model = Adversaries()
    model.compile(tf.keras.optimizers.SGD(0.1), tf.keras.optimizers.Adam(0.1))
    before = [model.generator.get_weights(), model.critic.get_weights()]
    noise = model.fit(X, epochs=3, verbose=0).history["noise"]
    assert len(set(noise)) == 3  # each step draws anew, though no step counts in the model's own optimizer
    for part, old in zip((model.generator, model.critic), before, strict=True):
        assert not np.array_equal(part.get_weights()[0], old[0])
    with pytest.raises(NotImplementedError, match="you should implement a `call` method"):
        model.predict(X)


def test_steps_of_ones_own_on_a_generator():
    expected = compiled(tf.keras.Sequential).fit(endless(), steps_per_epoch=3, verbose=0).history
    found = compiled(UsesWhatWasCompiled).fit(endless(), steps_per_epoch=3, verbose=0).history
    assert found["mae"] == pytest.approx(expected["mae"], rel=1e-6)


def test_a_step_that_returns_no_logs_is_refused():
    class Own(tf.keras.Sequential):
        def train_step(self, data):
            return 3.0

    with pytest.raises(TypeError, match=r"Own.train_step must return a dict .* received 3.0 of type float"):
        compiled(Own).fit(X, Y, verbose=0)


def test_single_steps_return_what_the_step_reports():
    class Own(tf.keras.Sequential):
        def test_step(self, data):
            return {"rows": tf.constant(7.0)}

        def train_step(self, data):
            return {**super().train_step(data), "rows": tf.constant(7.0)}

    model = compiled(Own)
    assert model.test_on_batch(X, Y) == 7.0 and model.evaluate(X, Y, verbose=0) == 7.0
    assert model.train_on_batch(X, Y)[2] == 7.0


def test_what_a_step_reports_is_shown(capsys):
    class Own(tf.keras.Sequential):
        def test_step(self, data):
            return {"rows": tf.constant(7.0)}

    compiled(Own).fit(X, Y, verbose=2, validation_data=(X, Y))
    assert capsys.readouterr().out.rstrip().endswith(" - val_rows: 7.0000")


@pytest.mark.parametrize("wrap", [lambda function: function, tf.function], ids=["plain", "tf.function"])
def test_the_functions_that_run_steps(wrap):
    made = []

    class Own(UsesWhatWasCompiled):
        def make_train_function(self):
            if self.train_function is None:
                made.append("train")
                self.train_function = wrap(lambda iterator: {**self.train_step(next(iterator)), "own": 1.0})
            return self.train_function

        def make_test_function(self):
            return lambda iterator: {"own": 2.0 + 0.0 * self.test_step(next(iterator))["mae"]}

        def make_predict_function(self):
            return lambda iterator: self.predict_step(next(iterator)) * 0.0

    model = compiled(Own)
    history = model.fit(X, Y, batch_size=4, epochs=2, verbose=0, validation_data=(X, Y)).history
    assert history["own"] == [1.0] * 2 and history["val_own"] == [2.0] * 2 and made == ["train"]
    np.testing.assert_array_equal(model.predict(X), np.zeros((10, 1)))
    model.compile("sgd", "mse", metrics=["mae"])
    assert model.train_function is None
    model.fit(X, Y, verbose=0)
    assert made == ["train"] * 2


def test_variables_without_gradients_are_named_once():
    class Own(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.unused = tf.keras.layers.Dense(1, name="used"), tf.keras.layers.Dense(1, name="unused")

        def call(self, inputs):
            self.unused(inputs)
            return self.used(inputs)

    model = Own()
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="Gradients do not exist for variables .*unused/kernel") as caught:
        model.fit(X, Y, batch_size=4, epochs=2, verbose=0)  # batches of 4 and of 2, so two plans
    assert len(caught) == 1


def test_a_model_that_is_not_changed_by_steps_of_its_own_needs_no_targets():
    class Own(tf.keras.Sequential):
        def train_step(self, data):
            return {"mean": tf.reduce_mean(self(data))}

    model = Own([tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
    model.compile()
    assert model.fit(X, verbose=0).history["mean"] == pytest.approx([Y.mean()], rel=1e-6)
    with pytest.raises(ValueError, match="no output has a loss"):
        linear(loss=None).fit(X, Y, verbose=0)
