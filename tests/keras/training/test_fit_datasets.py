"""`fit`, `evaluate` and `predict` with datasets: what an epoch is, where one pass ends, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

X = np.arange(20.0, dtype="float32").reshape(10, 2) / 10
Y = X.sum(1)
WEIGHTS = np.linspace(0.1, 2, 10).astype("float32")
D = tf.data.Dataset
PAIRS = D.from_tensor_slices((X, Y))


def linear(metrics=(), **options):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, kernel_initializer="zeros", **options)])
    model.compile("sgd", "mse", metrics=list(metrics))
    return model


def history(dataset, built=True, **options):
    model = linear(metrics=["mae"], **({"input_shape": (2,)} if built else {}))
    return model.fit(dataset, verbose=0, **options).history


def assert_alike(mine, theirs):
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-5, err_msg=name)


# --- the same as arrays


@pytest.mark.parametrize("built", [True, False], ids=["built", "unbuilt"])
@pytest.mark.parametrize(
    "dataset",
    [
        PAIRS.batch(4),
        PAIRS.batch(4).prefetch(1),
        PAIRS.map(lambda x, y: (tf.cast(x, "float64"), y)).batch(4),
        PAIRS.batch(4).cache(),
        D.zip((D.from_tensor_slices(X), D.from_tensor_slices(Y))).batch(4),
        D.from_generator(lambda: zip(X, Y, strict=True), (tf.float32, tf.float32)).batch(4),
        PAIRS.batch(5).unbatch().batch(4),
    ],
)
def test_a_dataset_trains_as_its_arrays_do(dataset, built):
    expected = history(X, y=Y, batch_size=4, epochs=3, shuffle=False)
    for _ in range(2):  # it can be gone through again
        assert_alike(history(dataset, built, epochs=3), expected)


def test_weights_come_with_the_batches():
    expected = history(X, y=Y, sample_weight=WEIGHTS, batch_size=4, shuffle=False)
    assert_alike(history(D.from_tensor_slices((X, Y, WEIGHTS)).batch(4)), expected)
    by_class = {0: 1.0, 1: 3.0}
    labels = (Y > 2).astype("int64")
    expected = history(X, y=labels, class_weight=by_class, batch_size=4, shuffle=False)
    assert_alike(history(D.from_tensor_slices((X, labels)).batch(4), class_weight=by_class), expected)


def test_inputs_and_targets_by_name():
    inputs = {name: tf.keras.Input((1,), name=name) for name in ("left", "right")}
    merged = tf.keras.layers.concatenate([inputs["left"], inputs["right"]])
    outputs = [tf.keras.layers.Dense(1, name=name, kernel_initializer="zeros")(merged) for name in ("sum", "double")]
    model = tf.keras.Model(list(inputs.values()), outputs)
    model.compile("sgd", "mse")
    batches = D.from_tensor_slices(({"right": X[:, 1:], "left": X[:, :1]}, {"double": 2 * Y, "sum": Y})).batch(5)
    model.fit(batches, epochs=2, verbose=0)
    by_array = model.evaluate([X[:, :1], X[:, 1:]], [Y, 2 * Y], batch_size=5, verbose=0)
    np.testing.assert_allclose(model.evaluate(batches, verbose=0), by_array, rtol=1e-6)
    found = model.predict(batches.map(lambda x, y: x))
    for one, other in zip(found, model.predict([X[:, :1], X[:, 1:]]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_evaluation_and_prediction():
    model = linear(metrics=["mae"], input_shape=(2,))
    model.fit(PAIRS.batch(4), verbose=0)
    np.testing.assert_allclose(model.evaluate(PAIRS.batch(3), verbose=0), model.evaluate(X, Y, verbose=0), rtol=1e-5)
    expected = model.predict(X)
    for dataset in (PAIRS.batch(4), D.from_tensor_slices(X).batch(3), D.from_tensors(X)):
        np.testing.assert_allclose(model.predict(dataset), expected, rtol=1e-6)
    np.testing.assert_allclose(model.predict(PAIRS.batch(4).repeat(), steps=3), expected[[*range(10)]], rtol=1e-6)
    assert model.evaluate(PAIRS.batch(4), steps=1, verbose=0) == model.evaluate(X[:4], Y[:4], verbose=0)


# --- epochs


class Seen(tf.keras.callbacks.Callback):
    """Counts batches by epoch."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.append(0)

    def on_train_batch_end(self, batch, logs=None):
        self.batches[-1] += 1


def counted(dataset, **options):
    seen = Seen()
    found = history(dataset, callbacks=[seen], **options)
    return seen.batches, len(found["loss"])


def test_without_steps_an_epoch_is_a_pass():
    assert counted(PAIRS.batch(4), epochs=3) == ([3, 3, 3], 3)
    assert counted(PAIRS.batch(4).filter(lambda x, y: y[0] > 1), epochs=2) == ([2, 2], 2)


def test_with_steps_epochs_are_parts_of_one_pass():
    numbers = D.from_tensor_slices((X, Y)).batch(2).repeat()
    assert counted(numbers, epochs=3, steps_per_epoch=2) == ([2, 2, 2], 3)
    expected = history(np.concatenate([X, X[:2]]), y=np.concatenate([Y, Y[:2]]), batch_size=2, shuffle=False)
    found = history(numbers, epochs=3, steps_per_epoch=2)
    np.testing.assert_allclose(np.mean(found["loss"]), expected["loss"], rtol=1e-5)


@pytest.mark.parametrize(
    ("steps", "epochs", "batches", "message"),
    [
        (2, 4, [2, 2, 1], "ran out in epoch 3 after 1 of 2 steps"),
        (5, 3, [5], "ran out in epoch 2 after 0 of 5 steps"),
        (9, 1, [5], "ran out in epoch 1 after 5 of 9 steps"),
    ],
)
def test_a_dataset_that_ends_ends_the_training_with_a_warning(steps, epochs, batches, message):
    with pytest.warns(UserWarning, match=message):
        assert counted(PAIRS.batch(2), epochs=epochs, steps_per_epoch=steps) == (batches, len(batches))
    assert counted(PAIRS.batch(2), epochs=2, steps_per_epoch=2) == ([2, 2], 2)


def test_validation_begins_anew_each_time():
    validation = PAIRS.batch(2)
    found = history(PAIRS.batch(4), epochs=2, validation_data=validation.repeat(), validation_steps=2)
    model = linear(metrics=["mae"], input_shape=(2,))
    for epoch in range(2):
        model.fit(PAIRS.batch(4), verbose=0)
        assert found["val_loss"][epoch] == pytest.approx(model.evaluate(X[:4], Y[:4], verbose=0)[0], rel=1e-5)
    whole = history(PAIRS.batch(4), epochs=1, validation_data=validation)
    assert whole["val_loss"][0] == pytest.approx(
        history(X, y=Y, batch_size=4, shuffle=False, validation_data=(X, Y))["val_loss"][0], rel=1e-5
    )
    with pytest.warns(UserWarning, match="after 5 of 7 steps"):
        history(PAIRS.batch(4), validation_data=validation, validation_steps=7)


def test_a_shuffled_dataset_has_an_order_for_each_epoch_that_resuming_repeats():
    def orders(*epochs):
        seen = []

        def note(x, y):
            seen.extend(y.numpy().tolist())
            return x, y

        dataset = PAIRS.shuffle(10, seed=4).batch(5).map(note)
        model = linear(input_shape=(2,))
        for first, last in epochs:
            model.fit(dataset, initial_epoch=first, epochs=last, verbose=0)
        return [seen[start : start + 10] for start in range(0, len(seen), 10)]

    whole = orders((0, 3))
    assert whole == orders((0, 1), (1, 3)) and orders((2, 3)) == whole[2:]
    assert whole[0] != whole[1] != whole[2] and sorted(whole[0]) == sorted(whole[1])


def test_progress_counts_steps_which_may_be_unknown(capsys):
    model = linear(input_shape=(2,))
    model.fit(PAIRS.batch(4), epochs=1)
    assert "Train for 3 steps" in (known := capsys.readouterr().out) and "3/3 [====" in known
    model.fit(PAIRS.batch(4).filter(lambda x, y: True), epochs=2)
    unknown = capsys.readouterr().out
    first, second = unknown.split("Epoch 2/2")
    assert "3/Unknown" in first and "3/3 [====" in second
    model.fit(PAIRS.batch(4), validation_data=PAIRS.batch(5), verbose=2)
    assert "Train for 3 steps, validate for 2 steps" in capsys.readouterr().out


# --- refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("model.fit(batches, Y)", "`y` argument is not supported when using a tf.data dataset"),
        ("model.fit(batches, sample_weight=WEIGHTS)", "`sample_weight` argument is not supported"),
        ("model.fit(batches, batch_size=4)", "`batch_size` argument must not be specified"),
        ("model.fit(batches, validation_split=0.5)", "`validation_split` argument is not supported"),
        ("model.fit(batches.repeat())", "you must specify the number of steps"),
        ("model.fit(batches, validation_data=batches.repeat())", "you must specify the number of steps"),
        ("model.evaluate(batches.repeat())", "you must specify the number of steps"),
        ("model.predict(batches.repeat())", "you must specify the number of steps"),
        ("model.fit(batches.take(0))", "the dataset has no element"),
        ("model.fit(batches.unbatch())", "to have shape (2,) but got array with shape (1,)"),
        ("model.fit(tf.data.Dataset.range(3))", "call `.batch(batch_size)` on the dataset"),
        ("model.fit(tf.data.Dataset.from_tensor_slices(X).batch(2))", "no targets were given"),
        ("model.fit(tf.data.Dataset.from_tensors((X, Y[:3])))", "10 input samples and 3 target"),
    ],
)
def test_what_a_dataset_cannot_be_used_for(call, message):
    model = linear(input_shape=(2,))
    before = model.get_weights()
    names = {"model": model, "batches": PAIRS.batch(4), "tf": tf, "X": X, "Y": Y, "WEIGHTS": WEIGHTS}
    with pytest.raises(ValueError) as caught:
        eval(call, names)
    assert message in str(caught.value)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_a_filter_that_leaves_nothing():
    with pytest.raises(RuntimeError, match="The data is empty"):
        history(PAIRS.filter(lambda x, y: y < -1).batch(4))
