"""`Model.fit` and `fit_generator`, argument by argument."""

import threading

import numpy as np
import pytest

import distkeras as tf

keras = tf.keras
X = np.arange(24.0, dtype="float32").reshape(12, 2) / 12
Y = X.sum(1)
CLASSES = np.arange(12) % 3


def linear(optimizer=None, loss="mse", **options):
    """A model that gives zeros; by default it does not learn."""
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,), kernel_initializer="zeros", name="out")])
    model.compile(keras.optimizers.SGD(0.0) if optimizer is None else optimizer, loss, **options)
    return model


def two(loss="mae", **options):
    x = keras.Input((2,), name="x")
    zeros = {"kernel_initializer": "zeros"}
    model = keras.Model(x, [keras.layers.Dense(1, name=name, **zeros)(x) for name in ("left", "right")])
    model.compile(keras.optimizers.SGD(0.0), loss, **options)
    return model


def losses(model, *data, **options):
    history = model.fit(*data, verbose=0, **options).history
    return {name: values[-1] for name, values in history.items()}


class Batches(keras.utils.Sequence):
    """Three batches of four; notes which were asked for and by which threads."""

    def __init__(self):
        self.read, self.threads, self.epochs_ended = [], set(), 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.read.append(index)
        self.threads.add(threading.get_ident())
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]

    def on_epoch_end(self):
        self.epochs_ended += 1


def endless(batches=None):
    batches = batches or Batches()
    while True:
        for index in range(3):
            yield batches[index]


# --- data


def test_fit_returns_the_history_which_the_model_keeps():
    model = linear()
    history = model.fit(X, Y, epochs=2, verbose=0)
    assert isinstance(history, keras.callbacks.History) and model.history is history
    assert history.epoch == [0, 1] and list(history.history) == ["loss"] and len(history.history["loss"]) == 2


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (X, Y),
        ([X], [Y]),
        ({"x": X}, {"left": Y, "right": Y}),
        (tf.constant(X), [tf.constant(Y)] * 2),
        (X.tolist(), [Y.tolist()] * 2),
        (X, (Y, Y[:, None])),
    ],
)
def test_inputs_and_targets_by_position_and_by_name(x, y):
    model = two() if isinstance(y, (dict, tuple)) or len(y) == 2 else linear(loss="mae")
    assert losses(model, x, y)["loss"] == pytest.approx(Y.mean() * (len(model.outputs)), rel=1e-6)


@pytest.mark.parametrize(("batch_size", "steps"), [(None, 1), (5, 3), (12, 1), (1, 12), (40, 1)])
def test_batch_size(batch_size, steps):
    model = linear("sgd")
    model.fit(X, Y, batch_size=batch_size, verbose=0)
    assert model.optimizer.iterations.numpy() == steps
    assert model.history.params["batch_size"] == (32 if batch_size is None else batch_size)


# --- epochs and steps


@pytest.mark.parametrize(("epochs", "initial", "ran"), [(3, 0, [0, 1, 2]), (3, 2, [2]), (3, 3, []), (0, 0, [])])
def test_epochs_are_numbers_up_to_which_to_train(epochs, initial, ran):
    assert linear().fit(X, Y, epochs=epochs, initial_epoch=initial, verbose=0).epoch == ran


@pytest.mark.parametrize(
    ("x", "options", "steps"),
    [
        ((X, Y), {"steps_per_epoch": 3}, 3),
        ((X, Y), {"steps_per_epoch": 2, "batch_size": 4}, 2),
        ((Batches(),), {}, 3),
        ((Batches(),), {"steps_per_epoch": 2}, 2),
        ((endless(),), {"steps_per_epoch": 7}, 7),
    ],
)
def test_steps_per_epoch(x, options, steps):
    model = linear("sgd")
    model.fit(*x, epochs=2, verbose=0, **options)
    assert model.optimizer.iterations.numpy() == 2 * steps and model.history.params["steps"] == steps


def test_a_sequence_is_told_that_an_epoch_has_ended():
    batches = Batches()
    linear().fit(batches, epochs=3, verbose=0, workers=0)
    assert batches.epochs_ended == 3


# --- order


def test_shuffling_of_arrays_of_batches_and_of_sequences():
    def seen(shuffle):
        rows = []

        class Keeps(keras.losses.Loss):
            def call(self, y_true, y_pred):
                rows.extend(y_true.numpy().ravel().astype(int).tolist())
                return tf.reduce_mean(y_pred, axis=-1)

        model = linear(loss=Keeps(), run_eagerly=True)
        model.fit(X, np.arange(12), batch_size=4, shuffle=shuffle, verbose=0)
        return rows

    in_order, shuffled, in_runs = (seen(shuffle) for shuffle in (False, True, "batch"))
    assert in_order == list(range(12))
    assert sorted(shuffled) == in_order and shuffled != in_order
    runs = [in_runs[start : start + 4] for start in (0, 4, 8)]
    assert sorted(runs) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    batches = Batches()
    for _ in range(4):
        linear().fit(batches, shuffle=False, verbose=0, workers=0)
    assert batches.read == [0, 1, 2] * 4
    batches.read.clear()
    linear().fit(batches, epochs=4, verbose=0, workers=0)
    assert sorted(batches.read) == sorted([0, 1, 2] * 4) and batches.read != [0, 1, 2] * 4


# --- validation


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"validation_split": 0.25}, Y[9:].mean()),
        ({"validation_data": (X[:3], Y[:3])}, Y[:3].mean()),
        ({"validation_data": [X[:3], Y[:3]]}, Y[:3].mean()),
        ({"validation_data": (X[:2], Y[:2], np.array([0.0, 2.0]))}, Y[1]),
        ({"validation_data": (X[:3], Y[:3]), "validation_split": 0.5}, Y[:3].mean()),
        ({"validation_data": Batches()}, Y.mean()),
        ({"validation_data": Batches(), "validation_steps": 2}, Y[:8].mean()),
        ({"validation_data": endless(), "validation_steps": 2}, Y[:8].mean()),
        ({"validation_data": (X, Y), "validation_steps": 1, "batch_size": 4}, Y[:4].mean()),
        ({"validation_data": (tf.constant(X[:3]), tf.constant(Y[:3]))}, Y[:3].mean()),
    ],
)
def test_validation(options, expected):
    assert losses(linear(loss="mae"), X, Y, **options)["val_loss"] == pytest.approx(expected, rel=1e-6)


def test_nothing_is_trained_on_the_validation_split():
    whole, part = linear("sgd"), linear("sgd")
    whole.fit(X, Y, validation_split=0.5, shuffle=False, verbose=0)
    part.fit(X[:6], Y[:6], shuffle=False, verbose=0)
    np.testing.assert_array_equal(whole.get_weights()[0], part.get_weights()[0])


@pytest.mark.parametrize(("freq", "count"), [(1, 4), (3, 1), ([1, 4], 2), ((2,), 1), ({1, 2, 9}, 2)])
def test_validation_freq(freq, count):
    history = linear().fit(X, Y, epochs=4, validation_data=(X, Y), validation_freq=freq, verbose=0).history
    assert len(history["loss"]) == 4 and len(history["val_loss"]) == count


# --- weights


def test_sample_weights_by_position_and_by_name():
    weights = np.linspace(0.0, 2.0, 12)
    expected = np.mean(Y * weights)
    assert losses(linear(loss="mae"), X, Y, sample_weight=weights)["loss"] == pytest.approx(expected, rel=1e-6)
    for form in ([weights, None], {"left": weights}):
        found = losses(two(), X, [Y, Y], sample_weight=form)
        assert found["left_loss"] == pytest.approx(expected, rel=1e-6)
        assert found["right_loss"] == pytest.approx(Y.mean(), rel=1e-6)


def test_class_weights_of_one_output_and_of_several():
    by_class = {0: 0.0, 1: 1.0, 2: 5.0}
    expected = np.mean(CLASSES * np.array([0.0, 1.0, 5.0])[CLASSES])
    assert losses(linear(loss="mae"), X, CLASSES, class_weight=by_class)["loss"] == pytest.approx(expected)
    for form in ({"left": by_class}, [by_class, None]):
        found = losses(two(), X, [CLASSES, CLASSES], class_weight=form)
        assert found["left_loss"] == pytest.approx(expected)
        assert found["right_loss"] == pytest.approx(CLASSES.mean())


def test_class_weights_of_one_hot_targets():
    model = keras.Sequential(
        [keras.layers.Dense(3, activation="softmax", kernel_initializer="zeros", input_shape=(2,))]
    )
    model.compile(keras.optimizers.SGD(0.0), "categorical_crossentropy")
    one_hot = keras.utils.to_categorical(CLASSES)
    loss = losses(model, X, one_hot, class_weight={0: 1.0, 1: 2.0, 2: 3.0})["loss"]
    assert loss == pytest.approx(2 * np.log(3), rel=1e-5)


# --- reading ahead


@pytest.mark.parametrize("options", [{"workers": 0}, {"workers": 1}, {"workers": 3, "max_queue_size": 1}])
@pytest.mark.parametrize("kind", [Batches, endless])
def test_workers_change_who_reads_and_not_what_is_learnt(kind, options):
    expected = linear("sgd")
    expected.fit(X, Y, batch_size=4, shuffle=False, epochs=2, verbose=0)
    model = linear("sgd")
    model.fit(kind(), steps_per_epoch=3, shuffle=False, epochs=2, verbose=0, **options)
    np.testing.assert_allclose(model.get_weights()[0], expected.get_weights()[0], rtol=1e-6)


# --- fit_generator


def test_fit_generator_with_all_its_arguments():
    class Counts(keras.callbacks.Callback):
        batches = 0

        def on_batch_end(self, batch, logs=None):
            self.batches += 1

    counts = Counts()
    history = linear(loss="mae").fit_generator(
        Batches(),
        steps_per_epoch=3,
        epochs=5,
        verbose=0,
        callbacks=[counts],
        validation_data=endless(),
        validation_steps=3,
        validation_freq=2,
        class_weight=None,
        max_queue_size=3,
        workers=2,
        use_multiprocessing=False,
        shuffle=False,
        initial_epoch=1,
    )
    assert history.epoch == [1, 2, 3, 4] and counts.batches == 12
    assert history.history["loss"] == pytest.approx([Y.mean()] * 4)
    assert history.history["val_loss"] == pytest.approx([Y.mean()] * 2)


def test_a_sequence_goes_on_where_the_last_epoch_ended():
    batches = Batches()
    linear().fit(batches, steps_per_epoch=2, epochs=3, shuffle=False, verbose=0, workers=0)
    assert batches.read == [0, 1, 2, 0, 1, 2]


def test_fit_generator_by_position():
    history = linear(loss="mae").fit_generator(endless(), 3, 2, 0, None, (X[:3], Y[:3]))
    assert history.history["val_loss"] == pytest.approx([Y[:3].mean()] * 2)


def test_class_weights_of_a_generator():
    def classes():
        while True:
            yield X, CLASSES

    history = linear(loss="mae").fit_generator(classes(), 1, verbose=0, class_weight={0: 1.0, 1: 0.0, 2: 0.0})
    assert history.history["loss"] == [0.0]


def test_weights_that_come_with_batches():
    def weighted():
        while True:
            yield {"x": X}, {"left": Y, "right": Y}, {"left": np.zeros(12)}

    found = losses(two(), weighted(), steps_per_epoch=2)
    assert (found["left_loss"], found["right_loss"]) == pytest.approx((0.0, Y.mean()))
