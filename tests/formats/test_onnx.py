"""ONNX files compute what the model does, as ONNX' own reference implementation understands them."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.saving.onnx_export.export import model_proto
from tests.keras.layers.cases import CASES, Case, arguments_of

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")
layers = tf.keras.layers

FIRST_CASES = {case.layer: case for case in reversed(CASES)}


def run(proto, *inputs: np.ndarray) -> list[np.ndarray]:
    onnx.checker.check_model(proto, full_check=True)
    names = [value.name for value in proto.graph.input]
    return reference.ReferenceEvaluator(proto).run(None, dict(zip(names, inputs, strict=True)))


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype("float32")


def check(model, *inputs: np.ndarray, signature=None) -> None:
    """The file's results are the model's, for another batch size than any it was traced with."""
    expected = model(list(inputs) if len(inputs) > 1 else inputs[0], training=False)
    results = run(model_proto(model, signature), *inputs)
    for result, tensor in zip(results, tf.nest.flatten(expected), strict=True):
        assert result.dtype == tensor.dtype.numpy
        np.testing.assert_allclose(result, tensor.numpy(), rtol=1e-4, atol=1e-5)


def data_of(case: Case) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    if case.integers:
        return [random.integers(0, case.integers, shape).astype("int32") for shape in case.shapes]
    return [random.standard_normal(shape).astype("float32") for shape in case.shapes]


@pytest.mark.parametrize("case", FIRST_CASES.values(), ids=FIRST_CASES)
def test_every_layer(case: Case):
    data = data_of(case)
    inputs = [tf.keras.Input(array.shape[1:], dtype=array.dtype) for array in data]
    outputs = LAYERS[case.layer].from_config(case.arguments)(*arguments_of(case, inputs))
    check(tf.keras.Model(inputs, outputs), *data)


def test_names_and_open_sizes():
    first, second = tf.keras.Input((4,), name="first"), tf.keras.Input((None, 4), name="second")
    x = layers.Concatenate(axis=1)([layers.Reshape((1, 4))(first), second])
    model = tf.keras.Model([first, second], [layers.Dense(2, name="head")(x), layers.Dot(2, name="dot")([x, x])])
    proto = model_proto(model)
    check(model, normal(3, 4), normal(3, 5, 4))
    described = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert described["first"] == ["batch", 4] and described["second"] == ["batch", "size_1", 4]
    assert set(described) == {"first", "second", "head", "dot"} and described["head"][::2] == ["batch", 2]
    assert {tensor.name for tensor in proto.graph.initializer} > {"head/kernel", "head/bias"}


def test_images_of_open_sizes():
    model = tf.keras.Sequential(
        [
            layers.Conv2D(3, 3, padding="same", activation="relu", input_shape=(None, None, 2)),
            layers.ZeroPadding2D(((1, 2), (0, 3))),
            layers.BatchNormalization(),
            layers.Conv2D(2, 3),
            layers.GlobalMaxPooling2D(),
        ]
    )
    check(model, normal(2, 9, 7, 2))
    check(model, normal(1, 5, 8, 2))


def test_masked_sequences():
    model = tf.keras.Sequential(
        [
            layers.Embedding(10, 4, mask_zero=True, input_length=None),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
            layers.GRU(3, return_sequences=True),
            layers.SimpleRNN(3),
        ]
    )
    words = np.array([[1, 2, 3, 0, 0, 0], [4, 0, 5, 6, 7, 0]], "float32")
    model(words)
    check(model, words, signature=tf.TensorSpec((None, None)))


def test_subclassed_models_need_a_signature():
    class Nested(tf.keras.Model):
        def __init__(self):
            super().__init__(name="nested")
            self.dense = layers.Dense(3)

        def call(self, inputs, training=False):
            x = tf.transpose(inputs["rows"], [0, 2, 1])
            return {"a": tf.nn.softmax(self.dense(x)), "b": tf.argmax(x, -1) + inputs["shift"]}

    model = Nested()
    with pytest.raises(ValueError, match="'nested' has no weights yet"):
        model.export("model.onnx", input_signature=tf.TensorSpec((None, 4, 5)))
    data = {"rows": normal(2, 4, 5), "shift": np.array([[1], [2]], np.int64)}
    expected = model(data)
    with pytest.raises(ValueError, match="pass input_signature"):
        model.export("model.onnx")
    signature = {"rows": tf.TensorSpec((None, 4, 5)), "shift": tf.TensorSpec((None, 1), "int64")}
    results = run(model_proto(model, signature), data["rows"], data["shift"])
    np.testing.assert_allclose(results[0], expected["a"].numpy(), rtol=1e-5)
    np.testing.assert_array_equal(results[1], expected["b"].numpy())


FUNCTIONS = {
    "parts of numbers": lambda x: tf.math.floordiv(x, 0.7) + tf.math.floormod(x, 0.7) + tf.math.log1p(tf.abs(x)),
    "whole numbers": lambda x: tf.cast(tf.cast(x * 9, "int32") // 4 + tf.cast(x * 9, "int32") % 4, "float32"),
    "nothing over nothing": lambda x: tf.math.divide_no_nan(x, tf.nn.relu(x)) + tf.math.xlogy(tf.nn.relu(x), 2 + x * x),
    "comparing": lambda x: tf.where(tf.math.is_finite(x / 0.0) | (x > 0.3), x, tf.sign(x)),
    "sorting": lambda x: tf.cast(tf.argsort(x, direction="DESCENDING"), "float32") + tf.sort(x),
    "slicing": lambda x: tf.concat([x[:, ::-2], x[:, 1:2], tf.reverse(x, [1])], 1),
    "folding": lambda x: tf.cumsum(x, 1) + tf.reduce_prod(x, 1, keepdims=True) + tf.reduce_logsumexp(x),
    "joining": lambda x: tf.stack(tf.unstack(x, axis=1), 2 - 1) + tf.tile(x, [1, 2])[:, :6],
    "every or any": lambda x: tf.cast(tf.reduce_any(x > 1, 1) | tf.reduce_all(x < 1, 1), "float32"),
    "positions": lambda x: x + tf.cast(tf.range(x.shape[0]), "float32")[:, None] * [[1, 2, 0, 4, 5, 6]],
    "of the batch": lambda x: x - tf.reduce_mean(x, 0) + tf.reshape(tf.ones_like(x) * 2, (-1, 6)),
    "errors": lambda x: tf.math.erf(x) + tf.math.erfc(x) + tf.math.expm1(x) + tf.math.rsqrt(x * x + 1),
}


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")  # in the reference implementation
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions_on_tensors(function):
    inputs = tf.keras.Input((6,))
    check(tf.keras.Model(inputs, layers.Lambda(function)(inputs)), normal(5, 6))


def test_resized_images():
    inputs = tf.keras.Input((5, 6, 2))
    check(tf.keras.Model(inputs, tf.image.resize(inputs, (9, 4), "bicubic")), normal(2, 5, 6, 2))


def noisy(x):
    return x + tf.random.normal((6,))


def counted(x):
    return tf.while_loop(lambda y: tf.reduce_sum(y) < 9, lambda y: [y + 1], [x])[0]


def roots(x):
    return x + tf.sqrt(tf.range(x.shape[1], dtype="float32"))[:, None]


def own_cell():
    return tf.keras.experimental.PeepholeLSTMCell(2)


REFUSED = {
    "draws": (lambda: layers.Lambda(noisy), (6,), "no ONNX operator for 'random'"),
    "loops": (lambda: layers.Lambda(counted), (6,), "no ONNX operator for 'while'"),
    "open loops": (lambda: layers.RNN(own_cell()), (None, 3), "Give the size that is None a number"),
    "divided sizes": (lambda: layers.MaxPool1D(2), (None, 3), "Give the size that is None a number"),
    "constants": (lambda: layers.Lambda(roots), (None, 3), "a constant depends on open sizes"),
}  # fmt: skip


@pytest.mark.parametrize(("layer", "shape", "message"), REFUSED.values(), ids=REFUSED)
def test_what_onnx_cannot_say_is_refused(layer, shape, message, tmp_path):
    model = tf.keras.Sequential([tf.keras.Input(shape), layer()])
    with pytest.raises(ValueError, match=message):
        model.export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_files(tmp_path, monkeypatch):
    model = tf.keras.Sequential([layers.Dense(2, input_shape=(3,), activation="relu")], name="small")
    with pytest.raises(ValueError, match="format must be 'onnx', received 'tflite'"):
        model.export(tmp_path / "model.onnx", format="tflite")
    with pytest.raises(FileNotFoundError, match="its folder does not exist"):
        model.export(tmp_path / "missing" / "model.onnx")
    model.export(tmp_path / "model.onnx")
    model.export(str(tmp_path / "again.onnx"), format="onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    assert content == (tmp_path / "again.onnx").read_bytes()
    (result,) = run(onnx.load(tmp_path / "model.onnx"), normal(4, 3))
    np.testing.assert_allclose(result, model.predict(normal(4, 3)), rtol=1e-5)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'distkeras\[onnx\]'"):
        model.export(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == content
