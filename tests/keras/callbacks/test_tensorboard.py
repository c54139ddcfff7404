"""Event files, read back by a reader of our own."""

import io
import json
import struct
import zlib

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.callbacks import event_file
from tests.keras.callbacks.event_reader import values_of
from tests.keras.callbacks.fakes import Strategy

X = np.arange(20.0, dtype="float32").reshape(10, 2) / 10
Y = X.sum(1)


def linear(**options):
    model = tf.keras.Sequential(
        [tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="ones", name="out")], **options
    )
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def fit(folder, model=None, epochs=2, **options):
    """Train; the values of each run, and the history."""
    model = model or linear()
    history = model.fit(
        X,
        Y,
        batch_size=4,
        epochs=epochs,
        verbose=0,
        validation_split=0.2,
        callbacks=[tf.keras.callbacks.TensorBoard(folder, **options)],
    )
    return {run.name: values_of(next(run.iterdir())) for run in sorted(folder.iterdir())}, history.history


def test_logs_of_epochs_go_into_two_runs(tmp_path):
    runs, history = fit(tmp_path, write_graph=False)
    assert list(runs) == ["train", "validation"]
    for run, prefix in (("train", ""), ("validation", "val_")):
        assert [(value.step, value.tag) for value in runs[run]] == [
            (epoch, tag) for epoch in range(2) for tag in ("epoch_loss", "epoch_mae")
        ]
        assert all(value.plugin == "scalars" and value.data_class == 1 for value in runs[run])
        for name in ("loss", "mae"):
            written = [float(value.tensor) for value in runs[run] if value.tag == f"epoch_{name}"]
            assert written == pytest.approx(history[prefix + name], rel=1e-6)


@pytest.mark.parametrize(("update_freq", "steps"), [("batch", [0, 1, 2, 3]), (5, [1, 3]), ("epoch", []), (100, [])])
def test_logs_of_batches(tmp_path, update_freq, steps):
    runs, _ = fit(tmp_path, write_graph=False, update_freq=update_freq)
    batches = [value for value in runs["train"] if value.tag.startswith("batch_")]
    assert [value.step for value in batches if value.tag == "batch_loss"] == steps
    assert {value.tag for value in batches} == ({"batch_loss", "batch_mae"} if steps else set())


def test_each_training_has_a_file_of_its_own_and_batches_are_counted_on(tmp_path):
    callback, model = tf.keras.callbacks.TensorBoard(tmp_path, write_graph=False, update_freq="batch"), linear()
    for _ in range(2):
        model.fit(X, Y, batch_size=5, verbose=0, callbacks=[callback])
    files = (tmp_path / "train").iterdir()
    steps = [[value.step for value in values_of(path) if value.tag == "batch_loss"] for path in files]
    assert sorted(steps) == [[0, 1], [2, 3]]


def test_histograms_and_images_of_weights(tmp_path):
    model = linear()
    model.set_weights([np.array([[0.25], [0.75]]), np.zeros(1)])
    runs, _ = fit(tmp_path, model, epochs=3, write_graph=False, histogram_freq=2, write_images=True)
    histograms = [value for value in runs["train"] if value.plugin == "histograms"]
    assert [(value.step, value.tag) for value in histograms] == [
        (epoch, tag) for epoch in (0, 2) for tag in ("out/kernel_0", "out/bias_0")
    ]
    assert all(value.tensor[:, 2].sum() == (2 if "kernel" in value.tag else 1) for value in histograms)
    last = histograms[-2].tensor
    assert [last[0, 0], last[-1, 1]] == pytest.approx(sorted(model.get_weights()[0].ravel()), rel=1e-6)
    images = [value for value in runs["train"] if value.plugin == "images"]
    assert [value.tag for value in images] == ["out/kernel_0", "out/bias_0"] * 2
    assert images[0].tensor[:2] == [b"2", b"1"] and images[0].tensor[2].startswith(b"\x89PNG")


def test_the_graph_is_the_config(tmp_path):
    model = linear(name="small")
    runs, _ = fit(tmp_path, model)
    graph = runs["train"][0]
    assert (graph.tag, graph.plugin, graph.step) == ("keras", "graph_keras_model", 0)
    assert json.loads(graph.tensor)["config"]["name"] == "small"


def test_models_without_a_config_have_no_graph(tmp_path):
    class Own(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = tf.keras.layers.Dense(1)

        def call(self, inputs):
            return self.dense(inputs)

    model = Own()
    model.compile("sgd", "mse")
    runs, _ = fit(tmp_path, model)
    assert {value.plugin for value in runs["train"]} == {"scalars"}


def test_rank_zero_alone_writes(tmp_path):
    callback = tf.keras.callbacks.TensorBoard(tmp_path / "logs", histogram_freq=1)
    model = type("Model", (), {"distribute_strategy": Strategy(rank=1), "layers": []})()
    callback.set_model(model)
    callback.on_train_begin({})
    callback.on_train_batch_end(0, {"size": 4, "loss": 1.0})
    callback.on_epoch_end(0, {"loss": 1.0})
    callback.on_train_end({})
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"update_freq": "epcoh"},
            "`update_freq` must be 'batch', 'epoch' or a positive number of samples, .* 'epcoh'",
        ),
        ({"update_freq": 0}, "received 0"),
        ({"profile_batch": 7}, "profile_batch=7: steps cannot be profiled"),
        ({"embeddings_freq": 1}, "Embeddings are not written"),
        ({"write_gradients": True}, r"Unrecognized arguments in `TensorBoard` Callback: \['write_gradients'\]"),
    ],
)
def test_what_cannot_be_written_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        tf.keras.callbacks.TensorBoard("logs", **arguments)


def test_the_older_argument():
    with pytest.warns(UserWarning, match="`batch_size` is ignored"):
        tf.keras.callbacks.TensorBoard("logs", batch_size=32)


# --- the parts of a file


def test_buckets():
    found = event_file.buckets(np.array([0.0, 1.0, 30.0, np.nan, np.inf]))
    assert found.shape == (30, 3) and found[:, 2].sum() == 3
    assert found[0].tolist() == [0.0, 1.0, 1.0] and found[1, 2] == 1 and found[-1].tolist() == [29.0, 30.0, 1.0]
    assert event_file.buckets(np.zeros(0)).shape == (0, 3)


@pytest.mark.parametrize(
    ("shape", "images"),
    [
        ((), (1, 1, 1, 1)),
        ((3,), (1, 1, 3, 1)),
        ((2, 3), (1, 2, 3, 1)),
        ((3, 2), (1, 2, 3, 1)),
        ((3, 4, 5), (5, 3, 4, 1)),
        ((2, 3, 4, 3), (2, 3, 4, 3)),
        ((2, 3, 4, 5), None),
        ((3, 3, 1, 5), (5, 3, 3, 1)),
    ],
)
def test_weights_as_images(shape, images):
    from distkeras.keras.callbacks.tensorboard import as_images

    found = as_images(np.zeros(shape))
    assert found is images is None or found.shape == images


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png(channels):
    image = np.linspace(-0.2, 1.2, 4 * 3 * channels).reshape(4, 3, channels)
    stream = io.BytesIO(event_file.png(image))
    assert stream.read(8) == b"\x89PNG\r\n\x1a\n"
    parts = {}
    while head := stream.read(8):
        length, kind = struct.unpack(">I4s", head)
        parts[kind] = stream.read(length)
        assert struct.unpack(">I", stream.read(4))[0] == zlib.crc32(kind + parts[kind])
    assert struct.unpack(">IIBBBBB", parts[b"IHDR"])[:4] == (3, 4, 8, {1: 0, 3: 2, 4: 6}[channels])
    rows = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(4, 1 + 3 * channels)
    assert (rows[:, 0] == 0).all()
    np.testing.assert_array_equal(rows[:, 1:].reshape(4, 3, channels), np.round(image.clip(0, 1) * 255))
