"""The loop: which hooks are called with what, in which order data is seen, what is returned and printed."""

import re

import h5py
import numpy as np
import pytest

import distkeras as tf

X = np.arange(20.0, dtype="float32").reshape(10, 2) / 10
Y = X.sum(1)


def linear(optimizer="sgd", loss="mse", metrics=(), **options):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="zeros")])
    model.compile(optimizer, loss, metrics=list(metrics), **options)
    return model


class Batches(tf.keras.utils.Sequence):
    def __init__(self, sizes=(4, 4, 2)):
        self.bounds = np.cumsum([0, *sizes])

    def __len__(self):
        return len(self.bounds) - 1

    def __getitem__(self, index):
        rows = slice(self.bounds[index], self.bounds[index + 1])
        return X[rows], Y[rows]


def endless():
    while True:
        yield from Batches()


class Recorder(tf.keras.callbacks.Callback):
    """Every hook that was called, with its number and a copy of its logs."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.calls = []
        self.stop_at = stop_at

    def __getattribute__(self, name):
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        def hook(*args):
            self.calls.append((name, *args[:-1], dict(args[-1])))
            if (name, *args[:-1]) == self.stop_at:
                self.model.stop_training = True

        return hook

    @property
    def names(self):
        return [name for name, *_ in self.calls]

    def logs_of(self, name):
        return [call[-1] for call in self.calls if call[0] == name]


# --- hooks


def test_hooks_and_logs_of_fit():
    recorder = Recorder()
    history = linear(metrics=["mae"]).fit(
        X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[recorder], validation_data=(X[:5], Y[:5])
    )
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    test = ["on_test_begin", *["on_test_batch_begin", "on_test_batch_end"] * 2, "on_test_end"]
    epoch = ["on_epoch_begin", *batch * 3, *test, "on_epoch_end"]
    assert recorder.names == ["on_train_begin", *epoch * 2, "on_train_end"]
    assert recorder.logs_of("on_train_batch_begin")[:3] == [
        {"batch": 0, "size": 4},
        {"batch": 1, "size": 4},
        {"batch": 2, "size": 2},
    ]
    assert all(list(logs) == ["batch", "size", "loss", "mae"] for logs in recorder.logs_of("on_train_batch_end"))
    assert all(list(logs) == ["loss", "mae", "val_loss", "val_mae"] for logs in recorder.logs_of("on_epoch_end"))
    assert [logs["loss"] for logs in recorder.logs_of("on_epoch_end")] == history.history["loss"]
    assert recorder.params == {
        "batch_size": 4,
        "epochs": 2,
        "steps": 3,
        "samples": 10,
        "verbose": 0,
        "do_validation": True,
        "metrics": ["loss", "mae", "val_loss", "val_mae"],
    }


def test_batch_logs_hold_the_batch_loss_and_running_metrics():
    recorder = Recorder()
    model = linear(tf.keras.optimizers.SGD(0.0), metrics=["mse"])
    history = model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=recorder)
    losses = [np.mean(Y[start : start + 4] ** 2) for start in (0, 4, 8)]
    running = [np.mean(Y[:stop] ** 2) for stop in (4, 8, 10)]
    logs = recorder.logs_of("on_train_batch_end")
    np.testing.assert_allclose([entry["loss"] for entry in logs], losses, rtol=1e-6)
    np.testing.assert_allclose([entry["mse"] for entry in logs], running, rtol=1e-6)
    np.testing.assert_allclose(history.history["loss"], running[-1:], rtol=1e-6)


@pytest.mark.parametrize("kind", ["evaluate", "predict"])
def test_hooks_of_evaluate_and_predict(kind):
    recorder = Recorder()
    model = linear()
    targets = [Y] if kind == "evaluate" else []
    getattr(model, kind)(X, *targets, batch_size=6, verbose=0, callbacks=[recorder])
    short = "test" if kind == "evaluate" else kind
    batch = [f"on_{short}_batch_begin", f"on_{short}_batch_end"]
    assert recorder.names == [f"on_{short}_begin", *batch * 2, f"on_{short}_end"]
    last = recorder.logs_of(f"on_{short}_batch_end")[-1]
    assert last["batch"] == 1 and last["size"] == 4
    if kind == "predict":
        assert last["outputs"].shape == (4, 1)


@pytest.mark.parametrize(
    ("stop_at", "batches", "epochs"),
    [(("on_train_batch_end", 1), 2, 1), (("on_epoch_end", 1), 6, 2), (("on_train_begin",), 1, 1), (None, 9, 3)],
)
def test_stopping(stop_at, batches, epochs):
    recorder = Recorder(stop_at)
    model = linear()
    history = model.fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=[recorder], validation_data=(X, Y))
    assert recorder.names.count("on_train_batch_end") == batches
    assert history.epoch == list(range(epochs)) and recorder.names[-1] == "on_train_end"
    if stop_at and "epoch" not in stop_at[0]:
        assert "val_loss" not in history.history
    model.fit(X, Y, verbose=0)
    assert model.stop_training is False


def test_callbacks_may_add_to_the_logs():
    class Adds(tf.keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["answer"] = 42 + epoch

    assert linear().fit(X, Y, epochs=2, verbose=0, callbacks=[Adds()]).history["answer"] == [42, 43]


# --- epochs


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


# --- the order of samples


def orders(model, epochs=1, samples=10, **options):
    """The rows each epoch saw, read back from a loss that keeps its targets."""
    seen = []

    class Keeps(tf.keras.losses.Loss):
        def call(self, y_true, y_pred):
            seen.extend(y_true.numpy().ravel().astype(int).tolist())
            return tf.reduce_mean(y_pred * 0.0, axis=-1)

    model.compile("sgd", Keeps(), run_eagerly=True)
    rows = np.arange(samples)
    model.fit(np.zeros((samples, 2)), rows, batch_size=4, epochs=epochs, verbose=0, **options)
    return [seen[start : start + samples] for start in range(0, len(seen), samples)]


def test_epochs_are_shuffled_each_in_its_own_way():
    first, second = orders(linear(), epochs=2)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second and first != list(range(10))


def test_no_shuffling():
    assert orders(linear(), epochs=2, shuffle=False) == [list(range(10))] * 2


def test_a_resumed_training_sees_the_orders_of_an_uninterrupted_one():
    tf.random.set_seed(7)
    whole = orders(linear(), epochs=4)
    tf.random.set_seed(7)
    assert orders(linear(), epochs=2) + orders(linear(), epochs=4, initial_epoch=2) == whole
    tf.random.set_seed(8)
    assert orders(linear(), epochs=4) != whole


def test_fitting_again_for_one_epoch_takes_a_new_order():
    model = linear()
    assert orders(model) != orders(model)


def test_validation_split_takes_the_last_samples_before_shuffling():
    (order,) = orders(linear(), validation_split=0.3)
    assert sorted(order[:7]) == list(range(7)) and order[7:] == [7, 8, 9]


# --- forms of data


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


class Sized:
    """An iterable of batches that is neither an iterator nor a Sequence."""

    def __iter__(self):
        return iter(Batches())


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


# --- weights


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


# --- results


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


def test_single_steps_report_their_own_loss():
    model = linear(tf.keras.optimizers.SGD(0.0), metrics=["mse"])
    first = model.train_on_batch(X[:4], Y[:4], reset_metrics=False)
    second = model.train_on_batch(X[4:], Y[4:], reset_metrics=False)
    assert first == pytest.approx([np.mean(Y[:4] ** 2)] * 2)
    assert second == pytest.approx([np.mean(Y[4:] ** 2), np.mean(Y**2)])
    model.reset_metrics()
    assert model.test_on_batch(X[:4], Y[:4]) == first
    assert model.test_on_batch(X[:4], Y[:4], sample_weight=np.zeros(4)) == pytest.approx([0.0, first[1]])
    assert linear(loss="binary_crossentropy").train_on_batch(X[:4], [0, 1, 0, 1], class_weight={0: 0.0, 1: 0.0}) == 0.0
    assert model.predict_on_batch(X).shape == (10, 1)


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


def test_steps_of_ones_own():
    class Own(tf.keras.Sequential):
        def train_step(self, data):
            logs = super().train_step(data)
            return {**logs, "twice": 2.0 * logs["loss"]}

        def predict_step(self, data):
            return super().predict_step(data) + 1.0

    model = Own([tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    history = model.fit(X, Y, verbose=0, shuffle=False).history
    assert history["twice"] == pytest.approx([2 * history["loss"][0]], rel=1e-6)
    np.testing.assert_allclose(model.predict(X), model(X).numpy() + 1.0, rtol=1e-6)


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


# --- older names


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


# --- text

BAR = r"\[={30}\] - \d+s \d+(s|ms|us)/"


@pytest.mark.parametrize(
    ("verbose", "line"),
    [(1, rf"10/10 {BAR}sample - loss: \d\.\d{{4}}"), (2, r"10/10 - \d+s - loss: \d\.\d{4}")],
)
def test_text_of_fit(verbose, line, capsys):
    linear().fit(X, Y, epochs=2, verbose=verbose)
    headline, first, first_line, second, second_line = capsys.readouterr().out.splitlines()
    assert (headline, first, second) == ("Train on 10 samples", "Epoch 1/2", "Epoch 2/2")
    assert re.fullmatch(line, first_line) and re.fullmatch(line, second_line)


def test_text_of_validation_and_batches(capsys):
    linear().fit(X, Y, verbose=2, validation_split=0.2)
    first, last = capsys.readouterr().out.splitlines()
    assert first == "Train on 8 samples, validate on 2 samples"
    assert re.fullmatch(r"8/8 - \d+s - loss: \S+ - val_loss: \S+", last)
    linear().fit(Batches(), verbose=1, validation_data=endless(), validation_steps=2)
    first, last = capsys.readouterr().out.splitlines()
    assert first == "Train for 3 steps, validate for 2 steps"
    assert re.fullmatch(rf"3/3 {BAR}step - loss: \S+ - val_loss: \S+", last)


def test_text_of_data_of_unknown_length(capsys):
    linear().fit(Sized(), epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0].strip() for line in lines] == ["Epoch 1/2", "3/Unknown", "Epoch 2/2", "3/3"]


def test_text_of_evaluate_and_predict(capsys):
    model = linear(metrics=["mae"])
    model.evaluate(X, Y, verbose=1)
    assert re.fullmatch(rf"10/10 {BAR}sample - loss: \S+ - mae: \S+\n", capsys.readouterr().out)
    model.predict(X, verbose=1)
    assert re.fullmatch(rf"10/10 {BAR}sample\n", capsys.readouterr().out)
    model.fit(X, Y, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X)
    assert capsys.readouterr().out == ""
