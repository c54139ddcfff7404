"""The examples of the Model page of TensorFlow 2.0's API, run as they stand there, and trained."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

RANDOM = np.random.RandomState(0)
X = RANDOM.rand(64, 3).astype("float32")
Y = (X @ RANDOM.uniform(-1, 1, (3, 5))).argmax(axis=1)


def functional():
    inputs = tf.keras.Input(shape=(3,))
    x = tf.keras.layers.Dense(4, activation=tf.nn.relu)(inputs)
    outputs = tf.keras.layers.Dense(5, activation=tf.nn.softmax)(x)
    return tf.keras.Model(inputs=inputs, outputs=outputs)


def subclassed():
    class MyModel(tf.keras.Model):
        def __init__(self):
            super(MyModel, self).__init__()  # noqa: UP008 - as on the page
            self.dense1 = tf.keras.layers.Dense(4, activation=tf.nn.relu)
            self.dense2 = tf.keras.layers.Dense(5, activation=tf.nn.softmax)

        def call(self, inputs):
            x = self.dense1(inputs)
            return self.dense2(x)

    return MyModel()


def subclassed_with_training():
    class MyModel(tf.keras.Model):
        def __init__(self):
            super(MyModel, self).__init__()  # noqa: UP008 - as on the page
            self.dense1 = tf.keras.layers.Dense(4, activation=tf.nn.relu)
            self.dense2 = tf.keras.layers.Dense(5, activation=tf.nn.softmax)
            self.dropout = tf.keras.layers.Dropout(0.5)

        def call(self, inputs, training=False):
            x = self.dense1(inputs)
            if training:
                x = self.dropout(x, training=training)
            return self.dense2(x)

    return MyModel()


@pytest.mark.parametrize("build", [functional, subclassed, subclassed_with_training])
@pytest.mark.parametrize("eagerly", [False, True], ids=["plan", "eager"])
def test_the_examples_train(build, eagerly):
    tf.random.set_seed(1)
    model = build()
    model.compile(tf.keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", ["accuracy"], run_eagerly=eagerly)
    loss_before, _ = model.evaluate(X, Y, verbose=0)
    history = model.fit(X, Y, epochs=12, batch_size=16, verbose=0).history
    assert list(history) == ["loss", "accuracy"] and len(history["loss"]) == 12
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    assert loss < 0.9 * loss_before
    probabilities = model.predict(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), np.ones(64), rtol=1e-5)
    assert accuracy == pytest.approx((probabilities.argmax(axis=1) == Y).mean())
    assert loss == pytest.approx(-np.log(probabilities[np.arange(64), Y]).mean(), rel=1e-4)


@pytest.mark.parametrize("eagerly", [False, True], ids=["plan", "eager"])
def test_a_training_flag_in_call_changes_training_only(eagerly):
    model = subclassed_with_training()
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    assert model.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


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

    histories, weights = [], []
    for eagerly in (False, True):
        model = build()
        model.compile(tf.keras.optimizers.SGD(0.05), "mse", run_eagerly=eagerly)
        histories.append(model.fit(X, Y[:, None] / 5, epochs=3, batch_size=24, shuffle=False, verbose=0).history)
        weights.append(model.get_weights())
    assert set(histories[0]) == {"loss", "largest"}
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-5)
    for planned, eager in zip(*weights, strict=True):
        np.testing.assert_allclose(planned, eager, rtol=1e-4, atol=1e-6)


def test_saving_and_loading(tmp_path):
    model = functional()
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(X, Y, epochs=1, verbose=0)
    model.save(str(tmp_path / "my_model.h5"))
    loaded = tf.keras.models.load_model(str(tmp_path / "my_model.h5"))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.evaluate(X, Y, verbose=0) == pytest.approx(model.evaluate(X, Y, verbose=0))
    model.save_weights(str(tmp_path / "weights.h5"))
    twin = functional()
    twin.load_weights(str(tmp_path / "weights.h5"))
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


def test_weights_are_frozen_between_trainings():
    model = tf.keras.Sequential([tf.keras.layers.Dense(4, input_shape=(3,)), tf.keras.layers.Dense(5)])
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, RANDOM.rand(64, 5), epochs=1, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[2] != after[2]).any()
