"""Where Keras versions differ: what TensorFlow 2.0.0 does, or where that is a fault of it, what its page promises.

Each test is named after a difference that concerns models.
"""

import json
import re
import threading

import numpy as np
import pytest

import distkeras as tf

keras = tf.keras
X = np.arange(20.0, dtype="float32").reshape(10, 2) / 10
Y = X.sum(1)
CLASSES = np.arange(10) % 2


def linear(optimizer="sgd", loss="mse", **options):
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,), kernel_initializer="zeros", name="out")])
    model.compile(optimizer, loss, **options)
    return model


class Batches(keras.utils.Sequence):
    """Six rows, then four."""

    threads = set()

    def __len__(self):
        return 2

    def __getitem__(self, index):
        self.threads.add(threading.get_ident())
        rows = slice(0, 6) if index == 0 else slice(6, 10)
        return X[rows], Y[rows]


def test_metrics_names_are_known_before_fit():
    assert linear(metrics=["mae"]).metrics_names == ["loss", "mae"]


def test_a_metric_among_metrics_and_weighted_metrics_has_a_number():
    assert linear(metrics=["mae"], weighted_metrics=["mae"]).metrics_names == ["loss", "mae", "mae_1"]


def test_sample_weight_mode_is_checked():
    with pytest.raises(ValueError, match="received 'weekly'"):
        linear(sample_weight_mode="weekly")
    with pytest.raises(ValueError, match='specify sample_weight_mode="temporal"'):
        linear().fit(X, Y, sample_weight=np.ones((10, 1)), verbose=0)


def test_target_tensors_are_accepted():
    assert linear(target_tensors=[tf.constant(Y)]).evaluate(X, verbose=0) == pytest.approx((Y**2).mean())


def test_yaml_is_written_and_read():
    model = linear()
    assert model.to_yaml().startswith("class_name: Sequential\nconfig:\n")
    assert keras.models.model_from_yaml(model.to_yaml()).get_config() == model.get_config()


def test_without_workers_the_main_thread_reads():
    Batches.threads.clear()
    linear().fit(Batches(), workers=0, verbose=0)
    assert Batches.threads == {threading.get_ident()}
    linear().fit(Batches(), workers=1, verbose=0)
    assert len(Batches.threads) > 1


def test_class_weight_times_sample_weight():
    weights, by_class = np.linspace(0, 1, 10), {0: 1.0, 1: 3.0}
    both = linear(loss="mae").train_on_batch(X, CLASSES, sample_weight=weights, class_weight=by_class)
    assert both == pytest.approx(np.mean(CLASSES * weights * np.where(CLASSES, 3.0, 1.0)))


def test_class_weight_is_for_training_only():
    history = linear("sgd", "mae").fit(
        X, CLASSES, class_weight={0: 0.0, 1: 0.0}, validation_data=(X, CLASSES), verbose=0
    )
    assert history.history["loss"] == [0.0] and history.history["val_loss"] == pytest.approx([0.5])


@pytest.mark.parametrize("clip", [{"clipnorm": 0.1}, {"clipvalue": 0.05}])
def test_fit_clips_gradients(clip):
    model = linear(keras.optimizers.SGD(1.0, **clip))
    model.fit(X, Y, verbose=0)
    kernel = model.get_weights()[0]
    if "clipnorm" in clip:
        assert np.linalg.norm(kernel) == pytest.approx(0.1, rel=1e-5)
    else:
        assert abs(kernel).max() == pytest.approx(0.05, rel=1e-5)


def test_a_masked_loss_is_divided_by_all_steps():
    steps = keras.Input((4, 1))
    model = keras.Model(steps, keras.layers.Masking()(steps))
    model.compile("sgd", "mae")
    x = np.array([[[3.0], [5.0], [0.0], [0.0]]])
    assert model.evaluate(x, np.zeros((1, 4, 1)), verbose=0) == pytest.approx((3 + 5) / 4)


def test_losses_of_arrays_are_weighted_by_batch_size():
    model = linear(keras.optimizers.SGD(0.0))
    history = model.fit(X, Y, batch_size=4, validation_data=(X, Y), verbose=0).history
    assert history["loss"] + history["val_loss"] == pytest.approx([(Y**2).mean()] * 2)
    assert model.evaluate(X, Y, batch_size=4, verbose=0) == pytest.approx((Y**2).mean())


def test_losses_of_batches_are_weighted_by_their_size():
    assert linear().evaluate(Batches(), verbose=0) == pytest.approx((Y**2).mean())
    history = linear(keras.optimizers.SGD(0.0)).fit(Batches(), validation_data=Batches(), verbose=0).history
    assert history["val_loss"] == pytest.approx([(Y**2).mean()])


def test_train_on_batch_returns_the_batch_loss_and_running_metrics():
    model = linear(keras.optimizers.SGD(0.0), metrics=["mse"])
    model.train_on_batch(X[:5], Y[:5], reset_metrics=False)
    loss, mse = model.train_on_batch(X[5:], Y[5:], reset_metrics=False)
    assert (loss, mse) == pytest.approx(((Y[5:] ** 2).mean(), (Y**2).mean()))


def test_callbacks_get_the_logs_and_params_of_tf20():
    seen = []
    record = keras.callbacks.LambdaCallback(
        on_batch_begin=lambda batch, logs: seen.append(dict(logs)),
        on_batch_end=lambda batch, logs: seen.append(dict(logs)),
    )
    linear(metrics=["mae"]).fit(X, Y, batch_size=6, verbose=0, callbacks=[record], validation_data=(X, Y))
    assert [list(logs) for logs in seen] == [["batch", "size"], ["batch", "size", "loss", "mae"]] * 2
    assert [(logs["batch"], logs["size"]) for logs in seen] == [(0, 6)] * 2 + [(1, 4)] * 2
    assert record.params == {
        "batch_size": 6,
        "epochs": 1,
        "steps": 2,
        "samples": 10,
        "verbose": 0,
        "do_validation": True,
        "metrics": ["loss", "mae", "val_loss", "val_mae"],
    }


def test_lines_of_epochs_count_samples(capsys):
    linear(metrics=["mae"]).fit(X, Y, verbose=2, epochs=2, validation_split=0.2)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "Train on 8 samples, validate on 2 samples"
    number = r"\d+\.\d{4}(e[+-]\d\d)?"
    line = rf"8/8 - \d+s - loss: {number} - mae: {number} - val_loss: {number} - val_mae: {number}"
    assert lines[0] == "Epoch 1/2" and re.fullmatch(line, lines[1])
    assert lines[2] == "Epoch 2/2" and re.fullmatch(line, lines[3])


def test_the_summary_truncates_and_has_ruled_lines(capsys):
    x = keras.Input((2,), name="x")
    long_name = "a_name_that_is_longer_than_its_column"
    keras.Model(x, keras.layers.Add(name="sum")([keras.layers.Dense(2, name=long_name)(x), x]), name="m").summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ['Model: "m"', "_" * 98]
    assert lines[6] == "a_name_that_is_longer_than_its_ (None, 2)            6           x[0][0]".ljust(98)
    assert lines[8].split() == ["sum", "(Add)", "(None,", "2)", "0", f"{long_name}[0][0]"[:33]]
    assert not any("KB" in line or "Byte" in line for line in lines)


def test_json_names_the_class_model():
    entry = json.loads(keras.Model(*[keras.Input((2,))] * 2).to_json())
    assert list(entry) == ["class_name", "config", "keras_version", "backend"]
    assert (entry["class_name"], entry["keras_version"], entry["backend"]) == ("Model", "2.2.4-tf", "tensorflow")
    assert "registered_name" not in json.dumps(entry) and "module" not in json.dumps(entry)


def test_a_sequential_config_has_no_input_layer_but_a_shape():
    config = linear().get_config()
    assert [layer["class_name"] for layer in config["layers"]] == ["Dense"]
    assert config["layers"][0]["config"]["batch_input_shape"] == (None, 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: linear().fit(X[:, :, None], Y, verbose=0),  # rank
        lambda: linear(loss=["mse", "mse"]),
        lambda: linear(loss_weights=[1.0, 2.0]),
        lambda: linear().fit(X, [Y, Y], verbose=0),
        lambda: keras.layers.Add()([keras.Input((2,))]),
        lambda: linear().fit(X, CLASSES, class_weight={0: 1.0}, verbose=0),
    ],
)
def test_what_tf20_refuses_is_refused(call):
    with pytest.raises(ValueError):
        call()


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="0 samples"):
        linear().fit(X[:0], Y[:0], verbose=0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: linear().predict([X, X, X]),
        lambda: linear().fit(X, Y, validation_split=1.5, verbose=0),
        lambda: keras.layers.Dropout(1.5),
        lambda: linear().save("model.h5", save_format="zork"),
    ],
)
def test_what_tf20_accepts_in_silence_is_refused(call):
    with pytest.raises(ValueError):
        call()


def test_rates_are_those_at_the_nearest_threshold():
    """Later versions take the largest rate where the other one is high enough.

    Thresholds are 0, 1/4, ..., 1: of the positives 1, 1, 2/3, 1/3, 0 are found, of the negatives 0, 1/3, 1/3, 2/3, 1.
    """
    y_true, y_pred = [0, 0, 0, 1, 1, 1], [0.1, 0.6, 0.9, 0.3, 0.7, 0.8]
    sensitivity = keras.metrics.SensitivityAtSpecificity(0.4, num_thresholds=5)
    assert sensitivity(y_true, y_pred).numpy() == 1  # the largest with specificity >= 0.4 would be 1/3
    specificity = keras.metrics.SpecificityAtSensitivity(0.6, num_thresholds=5)
    assert specificity(y_true, y_pred).numpy() == pytest.approx(1 / 3)
    assert keras.metrics.SpecificityAtSensitivity(0.5, num_thresholds=1)(y_true, y_pred).numpy() == pytest.approx(1 / 3)
