"""Every call that cannot work says so before anything is changed."""

import numpy as np
import pytest

import distkeras as tf

X, Y = np.ones((10, 2), "float32"), np.ones(10, "float32")


class Batches(tf.keras.utils.Sequence):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X, Y


def generator():
    yield X, Y


def model_of(kind="one"):
    one, two = tf.keras.Input((2,), name="one"), tf.keras.Input((2,), name="two")
    left, right = tf.keras.layers.Dense(1, name="left"), tf.keras.layers.Dense(3, name="right", activation="softmax")
    if kind == "one":
        model = tf.keras.Model(one, left(one))
        model.compile("sgd", "mse", metrics=["mae"])
    elif kind == "two":
        model = tf.keras.Model([one, two], [left(one), right(two)])
        model.compile("sgd", ["mse", "sparse_categorical_crossentropy"])
    elif kind == "categorical":
        model = tf.keras.Model(two, right(two))
        model.compile("sgd", "categorical_crossentropy")
    else:
        fixed = tf.keras.Input(batch_shape=(4, 2))
        model = tf.keras.Model(fixed, left(fixed))
        model.compile("sgd", "mse")
    return model


FIT = [
    ({"x": None}, ValueError, "`x` is None"),
    ({"x": "text"}, ValueError, "Cannot read data from an object of type builtins.str"),
    ({"x": 3}, ValueError, "Cannot read data from an object of type builtins.int"),
    ({"x": []}, ValueError, "Cannot read data"),
    ({"y": None}, ValueError, r"has a loss for the outputs \['left'\], but no targets"),
    ({"y": Y[:9]}, ValueError, "Found 10 input samples and 9 target samples"),
    ({"x": X[:0], "y": Y[:0]}, ValueError, "0 samples"),
    ({"x": np.ones((10, 3))}, ValueError, r"expected one to have shape \(2,\) but got array with shape \(3,\)"),
    ({"x": np.ones((10, 2, 2))}, ValueError, "expected one to have 2 dimensions"),
    ({"x": [X, X]}, ValueError, "expected 1 array"),
    ({"x": {"uno": X}}, ValueError, r"No data provided for \['one'\]"),
    ({"x": X.astype(str)}, ValueError, "expected an array of numbers"),
    ({"x": np.array([None] * 10)}, ValueError, "expected an array of numbers"),
    ({"x": [[1.0, 2.0], [3.0]], "y": [1, 2]}, ValueError, "cannot be made into an array"),
    ({"y": np.ones((10, 2))}, ValueError, "shape of the output"),
    ({"sample_weight": np.ones(9)}, ValueError, "sample_weight"),
    ({"sample_weight": np.ones((10, 1))}, ValueError, 'specify sample_weight_mode="temporal"'),
    ({"use_multiprocessing": "spawn"}, TypeError, "`use_multiprocessing` must be True or False, received 'spawn'"),
    ({"class_weight": {0: 1.0}}, ValueError, r"The classes \[1\.0\] exist in the data"),
    ({"class_weight": [1.0, 2.0]}, TypeError, "must be a dict of class -> weight"),
    ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1, received 0"),
    ({"batch_size": -2}, ValueError, "`batch_size` must be at least 1"),
    ({"batch_size": 2.5}, TypeError, "`batch_size` must be an integer, received 2.5 of type float"),
    ({"batch_size": "8"}, TypeError, "`batch_size` must be an integer"),
    ({"batch_size": True}, TypeError, "`batch_size` must be an integer"),
    ({"epochs": 1.5}, TypeError, "`epochs` must be an integer"),
    ({"epochs": "3"}, TypeError, "`epochs` must be an integer"),
    ({"epochs": None}, TypeError, "`epochs` must be an integer"),
    ({"epochs": -1}, ValueError, "`epochs` must be at least 0"),
    ({"initial_epoch": -1}, ValueError, "`initial_epoch` must be at least 0"),
    ({"initial_epoch": 0.5}, TypeError, "`initial_epoch` must be an integer"),
    ({"verbose": 3}, ValueError, r"`verbose` must be 0 \(silent\)"),
    ({"verbose": "auto"}, ValueError, "`verbose` must be"),
    ({"shuffle": "chunk"}, ValueError, "`shuffle` must be True, False or 'batch'"),
    ({"validation_split": 1.5}, ValueError, "`validation_split` must be at least 0 and less than 1"),
    ({"validation_split": 1.0}, ValueError, "`validation_split` must be at least 0 and less than 1"),
    ({"validation_split": -0.1}, ValueError, "`validation_split` must be at least 0 and less than 1"),
    ({"validation_split": "0.1"}, TypeError, "`validation_split` must be a number"),
    ({"validation_split": 0.99}, ValueError, "leaves 0 to train on and 10 to validate on"),
    ({"validation_data": (X,)}, ValueError, "must contain either 2 items"),
    ({"validation_data": (X, Y, Y, Y)}, ValueError, "However we received 4 items"),
    ({"validation_data": (X, Y[:3])}, ValueError, "Found 10 input samples and 3 target samples"),
    ({"validation_data": (np.ones((10, 5)), Y)}, ValueError, r"expected one to have shape \(2,\)"),
    ({"validation_data": 3}, ValueError, "Cannot read data"),
    ({"validation_steps": 2}, ValueError, "neither `validation_data` nor `validation_split`"),
    ({"validation_steps": 0, "validation_split": 0.2}, ValueError, "`validation_steps` must be at least 1"),
    ({"validation_freq": 0}, ValueError, "`validation_freq` can not be less than 1"),
    ({"validation_freq": 1.5}, ValueError, "`validation_freq` must be an integer or a container"),
    ({"validation_freq": "12"}, ValueError, "`validation_freq` must be an integer or a container"),
    ({"steps_per_epoch": 0}, ValueError, "`steps_per_epoch` must be at least 1"),
    ({"steps_per_epoch": 2.0}, TypeError, "`steps_per_epoch` must be an integer"),
    ({"steps_per_epoch": 5, "batch_size": 5}, ValueError, "5 steps were asked for, but 10 samples make only 2 batches"),
    ({"max_queue_size": 0}, ValueError, "`max_queue_size` must be at least 1"),
    ({"workers": -1}, ValueError, "`workers` must be at least 0"),
    ({"callbacks": ["History"]}, TypeError, "Expected `callbacks` to hold instances"),
    ({"callbacks": [tf.keras.callbacks.History]}, TypeError, "Expected `callbacks` to hold instances"),
    ({"learning_rate": 0.1}, TypeError, r"Unrecognized keyword arguments: \['learning_rate'\]"),
    ({"x": Batches(), "y": Y}, ValueError, "`y` argument is not supported when using a keras.utils.Sequence"),
    ({"x": generator(), "y": Y}, ValueError, "`y` argument is not supported when using a generator"),
    ({"x": Batches(), "y": None, "batch_size": 3}, ValueError, "`batch_size` argument must not be specified"),
    ({"x": Batches(), "y": None, "sample_weight": Y}, ValueError, "`sample_weight` argument is not supported"),
    ({"x": Batches(), "y": None, "validation_split": 0.2}, ValueError, "`validation_split` argument is not supported"),
    ({"x": Batches(), "y": None, "shuffle": "batch"}, ValueError, "shuffle='batch' is for arrays"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), FIT, ids=lambda value: str(value)[:40])
def test_fit(arguments, error, message):
    model = model_of()
    before = model.get_weights()
    with pytest.raises(error, match=message):
        model.fit(**{"x": X, "y": Y, "verbose": 0, **arguments})
    assert all(np.array_equal(new, old) for new, old in zip(model.get_weights(), before, strict=True))
    assert model.history is None


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "message"),
    [
        ("two", {"x": X, "y": [Y, Y]}, ValueError, "expected 2 array"),
        ("two", {"x": [X, X, X], "y": [Y, Y]}, ValueError, "expected 2 array"),
        ("two", {"x": [X, X], "y": Y}, ValueError, "expected 2 array"),
        ("two", {"x": [X, X[:5]], "y": [Y, Y]}, ValueError, "same number of samples"),
        ("two", {"x": [X, X], "y": {"left": Y}}, ValueError, r"No data provided for \['right'\]"),
        ("two", {"x": [X, X], "y": [Y, np.ones((10, 3))]}, ValueError, "expects integer classes"),
        ("two", {"x": [X, X], "y": [Y, Y], "class_weight": {0: 1.0}}, TypeError, "several outputs"),
        ("two", {"x": [X, X], "y": [Y, Y], "sample_weight": Y}, TypeError, "several outputs"),
        ("categorical", {"x": X, "y": Y}, ValueError, "sparse_categorical_crossentropy"),
        ("fixed", {"x": X, "y": Y, "batch_size": 5}, ValueError, "incompatible with the batch size 4"),
    ],
)
def test_fit_other_models(kind, arguments, error, message):
    with pytest.raises(error, match=message):
        model_of(kind).fit(**arguments, verbose=0)


def test_generators_are_not_read_by_processes_and_that_is_said():
    with pytest.warns(UserWarning, match="data is a generator; a thread of this process reads it"):
        model_of().fit(generator(), steps_per_epoch=1, verbose=0, use_multiprocessing=True)
    model_of().fit(X, Y, verbose=0, use_multiprocessing=True)


def test_a_bad_batch_is_named_when_it_comes():
    def bad():
        yield X, Y
        yield X, Y[:3]

    with pytest.raises(ValueError, match="Found 10 input samples and 3 target samples"):
        model_of().fit(bad(), verbose=0)
    with pytest.raises(ValueError, match="a tuple of 4 parts"):
        model_of().fit(iter([(X, Y, Y, Y)]), verbose=0)
    with pytest.raises(RuntimeError, match="ran out in epoch 1 after 1 of 3 steps"):
        model_of().fit(generator(), steps_per_epoch=3, verbose=0)
    with pytest.raises(RuntimeError, match="ran out in epoch 2 after 0 of 1 steps"):
        model_of().fit(generator(), epochs=2, verbose=0)
    with pytest.raises(RuntimeError, match="The data is empty"):
        model_of().fit(iter([]), verbose=0)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("fit", (X, Y)),
        ("evaluate", (X, Y)),
        ("train_on_batch", (X, Y)),
        ("test_on_batch", (X, Y)),
        ("fit_generator", (Batches(),)),
        ("evaluate_generator", (Batches(),)),
    ],
)
def test_models_that_were_not_compiled(method, arguments):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    with pytest.raises(RuntimeError, match="You must compile your model before training/testing"):
        getattr(model, method)(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": None}, ValueError, "`x` is None"),
        ({"x": X[:0]}, ValueError, "0 samples"),
        ({"x": [X, X]}, ValueError, "expected 1 array"),
        ({"x": X, "steps": 0}, ValueError, "`steps` must be at least 1"),
        ({"x": X, "steps": 7}, ValueError, "7 steps were asked for, but 10 samples make only 5 batches of 2"),
        ({"x": X, "batch_size": 0}, ValueError, "`batch_size` must be at least 1"),
        ({"x": X, "batch_size": 10, "steps": 3}, ValueError, "3 steps were asked for"),
        ({"x": X, "verbose": 7}, ValueError, "`verbose` must be"),
        ({"x": Batches(), "batch_size": 3}, ValueError, "`batch_size` argument must not be specified"),
        ({"x": X, "callbacks": [3]}, TypeError, "Expected `callbacks`"),
    ],
)
@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_evaluate_and_predict(method, arguments, error, message):
    targets = {"y": Y[: len(arguments["x"])]} if method == "evaluate" and isinstance(arguments["x"], np.ndarray) else {}
    with pytest.raises(error, match=message):
        getattr(model_of(), method)(**{"verbose": 0, **targets, **arguments})


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, Y), "`x` is None"),
        ((X, None), "no targets were given"),
        ((X, Y[:4]), "Found 10 input samples and 4 target samples"),
        ((X[:0], Y[:0]), "0 samples"),
        ((np.ones((10, 3)), Y), r"expected one to have shape \(2,\)"),
    ],
)
def test_single_steps(method, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(model_of(), method)(*arguments)
