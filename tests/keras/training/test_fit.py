"""What fit, evaluate and predict do and return."""

import numpy as np
import pytest

import distkeras as tf
from tests.keras.training.models import Batches, Recorder, Sized, X, Y, endless, linear


@pytest.mark.parametrize(
    ("freq", "validated"),
    [(1, [1, 2, 3, 4]), (2, [2, 4]), ([1, 3], [1, 3]), ({4}, [4]), (range(2, 4), [2, 3]), (9, [])],
)
def test_validation_freq(freq, validated):
    recorder = Recorder()
    linear().fit(X, Y, epochs=4, verbose=0, callbacks=[recorder], validation_data=(X, Y), validation_freq=freq)
    logs = recorder.logs_of("on_epoch_end")
    assert [epoch + 1 for epoch in range(4) if "val_loss" in logs[epoch]] == validated


def test_initial_epoch():
    assert linear().fit(X, Y, epochs=5, initial_epoch=3, verbose=0).epoch == [3, 4]
    assert linear().fit(X, Y, epochs=2, initial_epoch=2, verbose=0).history == {}


def test_metrics_begin_anew_with_each_epoch_and_validation():
    model = linear(tf.keras.optimizers.SGD(0.0), metrics=["mae"])
    history = model.fit(X, Y, epochs=2, verbose=0, validation_data=(X[:3], Y[:3])).history
    assert history["mae"] == pytest.approx([Y.mean()] * 2, rel=1e-6)
    assert history["val_mae"] == pytest.approx([Y[:3].mean()] * 2, rel=1e-6)


def test_class_and_sample_weights_multiply():
    classes = np.arange(10) % 2
    weights = np.linspace(0.1, 1.0, 10)
    both = linear(loss="binary_crossentropy").fit(
        X, classes, sample_weight=weights, class_weight={0: 1.0, 1: 3.0}, verbose=0, shuffle=False
    )
    product = linear(loss="binary_crossentropy").fit(
        X, classes, sample_weight=weights * np.where(classes, 3.0, 1.0), verbose=0, shuffle=False
    )
    assert both.history["loss"] == pytest.approx(product.history["loss"], rel=1e-6)


def test_class_weights_do_not_weigh_validation():
    classes = np.arange(10) % 2
    options = {"verbose": 0, "shuffle": False, "class_weight": {0: 0.0, 1: 0.0}, "validation_split": 0.5}
    history = linear(loss="binary_crossentropy").fit(X, classes, **options).history
    assert history["loss"] == [0.0] and history["val_loss"][0] > 0.1


def test_weights_from_a_generator():
    def weighted():
        while True:
            yield X, Y, np.zeros(10)

    assert linear().fit(weighted(), steps_per_epoch=2, verbose=0).history["loss"] == [0.0]


def test_evaluate_returns_a_number_or_a_list():
    assert isinstance(linear().evaluate(X, Y, verbose=0), float)
    loss, mae = linear(metrics=["mae"]).evaluate(X, Y, batch_size=3, verbose=0)
    assert loss == pytest.approx(np.mean(Y**2)) and mae == pytest.approx(Y.mean())


def test_evaluate_weighs_short_batches():
    whole = linear().evaluate(X, Y, verbose=0)
    for data in (Batches((8, 2)), iter(Batches((1, 9)))):
        assert linear().evaluate(data, verbose=0) == pytest.approx(whole, rel=1e-6)


def test_steps_limit_evaluation_and_prediction():
    model = linear()
    assert model.evaluate(X, Y, batch_size=4, steps=1, verbose=0) == pytest.approx(np.mean(Y[:4] ** 2))
    assert model.predict(X, batch_size=4, steps=2).shape == (8, 1)
    assert model.predict(Batches(), steps=2).shape == (8, 1)
    assert model.evaluate(Batches(), steps=2, verbose=0) == pytest.approx(np.mean(Y[:8] ** 2))


@pytest.mark.parametrize(
    "data", [X, X.tolist(), Batches(), Sized(), {"x": X}], ids=["array", "list", "seq", "iter", "dict"]
)
def test_predict_needs_no_compile_and_no_targets(data):
    inputs = tf.keras.Input((2,), name="x")
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(3)(inputs))
    np.testing.assert_allclose(model.predict(data), model(X).numpy(), rtol=1e-6)
    assert model.predict(data).shape == (10, 3)


def test_predictions_of_different_lengths_are_refused():
    class Own(tf.keras.Model):
        def call(self, x):
            return x * 2.0

    batches = [np.ones((2, 3)), np.ones((2, 4))]
    with pytest.raises(ValueError, match=r"cannot be joined: .*\[\(3,\), \(4,\)\]"):
        Own().predict(iter(batches))
    assert Own().predict(iter([np.ones((2, 3)), np.ones((1, 3))])).shape == (3, 3)


@pytest.mark.parametrize("eager", [False, True])
def test_freezing_takes_effect_when_the_model_is_compiled(eager):
    """As two models share layers: one was compiled before they were frozen, the other after."""
    model = linear()
    model.compile("sgd", "mse", run_eagerly=eager)
    model.trainable = False
    inputs = tf.keras.Input((2,))
    around = tf.keras.Model(inputs, tf.keras.layers.Dense(1)(model(inputs)))
    around.compile("sgd", "mse", run_eagerly=eager)
    before = model.get_weights()
    around.train_on_batch(X, Y)
    assert all(np.array_equal(new, old) for new, old in zip(model.get_weights(), before, strict=True))
    model.train_on_batch(X, Y)
    assert not np.array_equal(model.get_weights()[0], before[0])
    assert not model.trainable


@pytest.mark.parametrize("eager", [False, True])
def test_predictions_of_any_structure(eager):
    class Nested(tf.keras.Model):
        def call(self, inputs):
            return {"twice": [inputs * 2.0, inputs + 1.0], "same": inputs}

    model = Nested()
    model.compile("sgd", run_eagerly=eager)
    found = model.predict_on_batch(X)
    np.testing.assert_array_equal(found["twice"][0], X * 2.0)
    np.testing.assert_array_equal(found["twice"][1], X + 1.0)
    np.testing.assert_array_equal(found["same"], X)


def test_compiling_again_begins_anew():
    model = linear(metrics=["mae"])
    model.fit(X, Y, verbose=0)
    model.compile("adam", "mae", metrics=["mse"])
    assert list(model.fit(X, Y, verbose=0).history) == ["loss", "mse"]
    assert model.optimizer.iterations.numpy() == 1


def test_run_eagerly_can_be_set():
    seen = []

    class Own(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = tf.keras.layers.Dense(1)

        def call(self, x):
            seen.append(type(x).__name__)
            return self.dense(x)

    model = Own()
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=5, verbose=0)
    assert model.run_eagerly is False and set(seen) == {"SymbolicTensor"}
    seen.clear()
    model.run_eagerly = True
    model.fit(X, Y, batch_size=5, verbose=0)
    assert model.run_eagerly is True and set(seen) == {"Tensor"}


def test_generator_methods():
    model, other = linear(metrics=["mae"]), linear(metrics=["mae"])
    history = model.fit_generator(endless(), steps_per_epoch=3, epochs=2, verbose=0, validation_data=(X, Y))
    expected = other.fit(Batches(), epochs=2, verbose=0, shuffle=False, validation_data=(X, Y))
    assert history.history == expected.history
    assert model.evaluate_generator(Batches()) == pytest.approx(other.evaluate(X, Y, verbose=0), rel=1e-6)
    np.testing.assert_allclose(model.predict_generator(Batches()), other.predict(X), rtol=1e-6)
    for call in (model.fit_generator, model.evaluate_generator, model.predict_generator):
        with pytest.raises(ValueError, match="is only valid for a generator based on the `keras.utils.Sequence` class"):
            call(endless())


def test_epochs_by_their_older_name():
    assert linear().fit(X, Y, nb_epoch=2, verbose=0).epoch == [0, 1]


def test_layers_with_losses_metrics_and_statistics_train_the_same_in_both_ways():
    class Watched(tf.keras.layers.Layer):
        def call(self, inputs):
            self.add_loss(tf.reduce_mean(tf.square(inputs)) * 0.1)
            self.add_metric(tf.reduce_max(inputs), name="largest", aggregation="mean")
            return inputs

    def build():
        x = tf.keras.Input((3,))
        h = tf.keras.layers.Dense(6, kernel_regularizer="l2", kernel_initializer="ones", name="h")(x)
        h = Watched()(tf.keras.layers.BatchNormalization()(h))
        h = tf.keras.layers.ActivityRegularization(l1=0.01)(h * 2.0)
        return tf.keras.Model(x, tf.keras.layers.Dense(1, kernel_initializer="ones")(h))

    x = np.random.RandomState(0).rand(64, 3).astype("float32")
    histories, weights = [], []
    for eagerly in (False, True):
        model = build()
        model.compile(tf.keras.optimizers.SGD(0.05), "mse", run_eagerly=eagerly)
        histories.append(model.fit(x, x.sum(1), epochs=3, batch_size=24, shuffle=False, verbose=0).history)
        weights.append(model.get_weights())
    assert set(histories[0]) == {"loss", "largest"}
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-5)
    for planned, eager in zip(*weights, strict=True):
        np.testing.assert_allclose(planned, eager, rtol=1e-4, atol=1e-6)


def test_weights_are_frozen_between_trainings():
    model = tf.keras.Sequential([tf.keras.layers.Dense(4, input_shape=(3,)), tf.keras.layers.Dense(5)])
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(np.ones((8, 3)), np.ones((8, 5)), epochs=1, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[2] != after[2]).any()
