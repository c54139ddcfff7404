"""Data in every form trains alike."""

import h5py
import numpy as np
import pytest

import distkeras as tf
from tests.keras.training.models import Batches, Sized, X, Y, endless, linear


def test_every_form_of_data_trains_alike(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        forms = {
            "arrays": (X, Y),
            "float64": (X.astype("float64"), Y.astype("float64")),
            "lists": (X.tolist(), Y.tolist()),
            "tensors": (tf.constant(X), tf.constant(Y)),
            "dict": ({"features": X}, {"out": Y}),
            "in lists": ([X], [Y]),
            "column": (X, Y[:, None]),
            "hdf5": (file.create_dataset("x", data=X), file.create_dataset("y", data=Y)),
            "sequence": (Batches(), None),
            "generator": (endless(), None),
            "iterable": (Sized(), None),
        }
        results = {}
        for name, (x, y) in forms.items():
            inputs = tf.keras.Input((2,), name="features")
            outputs = tf.keras.layers.Dense(1, kernel_initializer="zeros", name="out")(inputs)
            model = tf.keras.Model(inputs, outputs)
            model.compile("sgd", "mse", metrics=["mae"])
            options = {"batch_size": 4} if y is not None else {}
            if name == "generator":
                options["steps_per_epoch"] = 3
            history = model.fit(x, y, epochs=2, shuffle=False, verbose=0, **options)
            results[name] = (history.history, model.get_weights()[0].tolist())
    assert all(result == results["arrays"] for result in results.values()), results


def test_validation_on_data_in_batches():
    expected = linear().fit(X, Y, epochs=2, shuffle=False, verbose=0, validation_data=(X, Y)).history
    for data, steps in ((Batches(), None), (endless(), 3), (Sized(), None), (Batches((4, 4, 2)), 3)):
        history = (
            linear().fit(X, Y, epochs=2, shuffle=False, verbose=0, validation_data=data, validation_steps=steps).history
        )
        assert history["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-6)


def test_several_inputs_by_name_and_position():
    left, right = tf.keras.Input((2,), name="left"), tf.keras.Input((2,), name="right")
    out = tf.keras.layers.Dense(1)(tf.keras.layers.Concatenate()([left, right]))
    model = tf.keras.Model([left, right], out)
    by_position = model.predict([X, 2 * X])
    np.testing.assert_array_equal(model.predict({"right": 2 * X, "left": X}), by_position)
    assert not np.array_equal(model.predict([2 * X, X]), by_position)


def test_a_subclassed_model_learns_its_outputs_from_data():
    class Two(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = tf.keras.layers.Dense(1), tf.keras.layers.Dense(3, activation="softmax")

        def call(self, x):
            return self.first(x), self.second(x)

    classes = np.arange(10) % 3
    for data in ((X, [Y, classes]), (endless_pairs(classes), None)):
        model = Two()
        model.compile("sgd", ["mse", "sparse_categorical_crossentropy"], metrics=["accuracy"])
        assert model.metrics_names == ["loss"]
        history = model.fit(*data, epochs=1, verbose=0, steps_per_epoch=2)
        names = ["loss", "output_1_loss", "output_2_loss", "output_1_accuracy", "output_2_accuracy"]
        assert model.metrics_names == names == list(history.history)
        assert model.metrics[0]._fn is tf.keras.metrics.binary_accuracy
        assert model.metrics[1]._fn is tf.keras.metrics.sparse_categorical_accuracy
        assert history.params["metrics"] == names


def endless_pairs(classes):
    while True:
        yield X, [Y, classes]


def test_targets_given_to_compile():
    expected = linear().fit(X, Y, verbose=0, shuffle=False).history
    model = linear(target_tensors=[tf.constant(Y)])
    assert model.fit(X, verbose=0, shuffle=False).history == expected
    assert isinstance(model.evaluate(X, verbose=0), float)
