"""ONNX files compute what the model does, as ONNX' own reference implementation understands them."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.saving.exporting.onnx.export import model_proto
from tests.formats.exported_models import MODELS, build, normal

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")
layers = tf.keras.layers


def run(proto, *inputs: np.ndarray) -> list[np.ndarray]:
    onnx.checker.check_model(proto, full_check=True)
    names = [value.name for value in proto.graph.input]
    return reference.ReferenceEvaluator(proto).run(None, dict(zip(names, inputs, strict=True)))


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")  # in the reference implementation
@pytest.mark.parametrize("name", MODELS)
def test_results_are_the_models(name: str):
    """For another batch size than any it was traced with."""
    model, inputs, expected = build(name)
    for result, value in zip(run(model_proto(model), *inputs), expected.values(), strict=True):
        assert result.dtype == value.dtype
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-5)


def test_names_and_open_sizes():
    proto = model_proto(build("two inputs")[0])
    described = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    assert described["first"] == ["batch", 4] and described["second"] == ["batch", "size_1", 4]
    assert set(described) == {"first", "second", "head", "dot"} and described["head"][::2] == ["batch", 2]
    assert {tensor.name for tensor in proto.graph.initializer} > {"head/kernel", "head/bias"}


def test_open_sizes_may_be_any():
    model, _, _ = build("images of open sizes")
    (result,) = run(model_proto(model), normal(1, 5, 8, 2))
    np.testing.assert_allclose(result, model.predict(normal(1, 5, 8, 2)), rtol=1e-4)


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
