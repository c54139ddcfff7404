"""Functions in SavedModels: what is written of them, and that they can be called after reading."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import _wire as wire
from distkeras.core.spec import TensorSpec
from distkeras.graph.function import Function
from distkeras.keras.saving.exporting.tensorflow.decoding import decode_graph
from distkeras.keras.saving.exporting.tensorflow.functions import Library
from distkeras.keras.saving.exporting.tensorflow.operators import OPERATORS
from distkeras.keras.saving.exporting.tensorflow.readers import run
from tests.ops.examples import EXAMPLES, Example

# --- every operation that is written


def written_and_read(function, *arrays):
    """A function as it is read from what was written of it for the arrays' types and shapes."""
    library = Library({})
    added = library.add("f", function, [TensorSpec(array.shape, array.dtype) for array in arrays], {})
    messages = b"".join(wire.field(1, message) for message in library.messages.values())
    _, functions = decode_graph(wire.field(2, messages))
    return lambda *tensors: run(functions[added.name], tensors, functions)[0]


def _cases():
    written = {key: example for key, example in EXAMPLES.items() if example.name in OPERATORS}
    return [pytest.param(example, id=key) for key, example in written.items()]


@pytest.mark.parametrize("example", _cases())
def test_what_is_written_is_read(example: Example):
    def first(*tensors):
        results = example(*tensors)
        return results[0] if isinstance(results, (tuple, list)) else results

    arrays = [np.asarray(array) for array in example.arguments("float32")]
    tensors = list(map(tf.constant, arrays))
    expected = first(*tensors)
    try:
        read = written_and_read(first, *arrays)
    except ValueError as error:
        assert "cannot be exported" in str(error)  # with these parameters, which is said
        return
    for value in (read(*tensors), Function(read)(*tensors)):
        assert value.dtype == expected.dtype
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)


def test_every_primitive_that_is_written_has_an_example():
    assert {example.name for example in EXAMPLES.values()} >= set(OPERATORS)


# --- modules


class Custom(tf.Module):
    """The module of TensorFlow's guide to SavedModels."""

    def __init__(self):
        super().__init__()
        self.v = tf.Variable(1.0)

    @tf.function
    def __call__(self, x):
        return x * self.v

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def mutate(self, new_v):
        self.v.assign(new_v)


def saved(module, folder, signatures=None):
    tf.saved_model.save(module, folder, signatures)
    return tf.saved_model.load(folder)


def test_what_a_module_was_called_with(tmp_path):
    module = Custom()
    module(tf.constant(0.0))
    loaded = saved(module, tmp_path)
    assert loaded(tf.constant(3.0)).numpy() == 3.0
    loaded.mutate(2.0)
    assert loaded(3.0).numpy() == 6.0 and module.v.numpy() == 1.0 and loaded.signatures == {}
    with pytest.raises(ValueError, match=r"matching function to call [\s\S]*: __call__ was saved for\n .*shape=\(\)"):
        loaded(tf.constant([3.0]))
    assert saved(loaded, tmp_path / "again")(3.0).numpy() == 6.0


def test_signatures_of_modules(tmp_path):
    module = Custom()
    call = module.__call__.get_concrete_function(tf.TensorSpec([None], tf.float32))
    rows = module.__call__.get_concrete_function(tf.TensorSpec([None, None], tf.float32))
    loaded = saved(module, tmp_path, {"serving_default": call, "rows": rows})
    loaded.v.assign(3.0)
    assert loaded.signatures["serving_default"](tf.constant([2.0, 1.0]))["output_0"].numpy().tolist() == [6.0, 3.0]
    assert loaded.signatures["rows"](x=[[2.0]])["output_0"].numpy().tolist() == [[6.0]]
    assert loaded.signatures["rows"].structured_outputs == {"output_0": tf.TensorSpec([None, None])}
    with tf.GradientTape() as tape:
        y = loaded(tf.constant([2.0, 4.0]))
    assert tape.gradient(y, loaded.v).numpy() == 6.0
    with pytest.raises(ValueError, match=r"expects TensorSpec.*received a tensor of shape \(1, 1\)"):
        loaded.signatures["serving_default"](x=[[1.0]])


class Several(tf.Module):
    """Assignments in order, structures, defaults and arguments that are no tensors."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable([1.0, 2.0])
        self.inner = Custom()

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="rows"), tf.TensorSpec([2])])
    def grow(self, x, y, scale=2.0):
        self.w.assign_add(y * scale)
        before = self.w + 0.0
        self.w.assign(self.w * 2.0)
        return [tf.reduce_sum(x * self.w, 1), (before, self.inner.v)]

    @tf.function
    def choose(self, pair, training=False, *, offset=1.0):
        return {"sum": pair["a"] + pair["b"] + offset if training else pair["a"] - pair["b"]}


def test_order_structures_and_other_arguments(tmp_path):
    module, x, y = Several(), np.ones((3, 2), "f"), np.ones(2, "f")
    pair = {"a": tf.constant(3.0), "b": tf.constant(1.0)}
    module.choose(pair)
    module.choose(pair, training=True)
    module.inner(1.0)
    loaded = saved(module, tmp_path, module.grow)
    expected = module.grow(x, y)
    sums, (before, v) = loaded.grow(x, y)
    np.testing.assert_array_equal(sums, expected[0])
    assert before.numpy().tolist() == [3.0, 4.0] and v.numpy() == 1.0 and loaded.w.numpy().tolist() == [6.0, 8.0]
    by_name = loaded.signatures["serving_default"](rows=x, y=y)
    assert by_name["output_1"].numpy().tolist() == [8.0, 10.0] and list(by_name) == [f"output_{n}" for n in range(3)]
    assert loaded.choose(pair)["sum"].numpy() == 2.0 and loaded.choose(pair, True)["sum"].numpy() == 5.0
    assert loaded.choose.get_concrete_function(pair, training=True).outputs == [tf.TensorSpec(())]
    with pytest.raises(ValueError, match="choose was saved for"):
        loaded.choose(pair, offset=2.0)
    assert loaded.inner(1.0).numpy() == 1.0


def test_functions_as_attributes(tmp_path):
    holder = tf.train.Checkpoint(v=tf.Variable(3.0))
    holder.times = tf.function(lambda x: x * holder.v, input_signature=[tf.TensorSpec([2])])
    holder.fixed = tf.function(lambda x: x + 1.0).get_concrete_function(tf.TensorSpec([2]))
    holder.named = tf.function(lambda x: {"custom": x}, input_signature=[tf.TensorSpec([])])
    loaded = saved(holder, tmp_path, holder.named)
    assert loaded.times([1.0, 2.0]).numpy().tolist() == [3.0, 6.0]
    assert loaded.fixed([1.0, 2.0]).numpy().tolist() == [2.0, 3.0]
    assert loaded.signatures["serving_default"](x=2.0)["custom"].numpy() == 2.0


def test_what_is_not_written(tmp_path):
    other = tf.Variable(1.0)
    module = tf.train.Checkpoint()
    module.f = tf.function(lambda x: other.assign_add(x), input_signature=[tf.TensorSpec([])])
    with pytest.warns(UserWarning, match="not get the function 'f': .*assigns to 'Variable:0', which is no attribute"):
        tf.saved_model.save(module, tmp_path)
    with pytest.raises(ValueError, match="assigns to 'Variable:0', which is no attribute of what is saved"):
        tf.saved_model.save(tf.train.Checkpoint(), tmp_path, module.f)
    for spec, function, message in (
        (None, lambda x: x, r"give it a shape, in which sizes may be None"),
        ([], lambda x: {"a": "b"}, "gives 'b' under the name 'a': signatures give a tensor"),
        ([], lambda x: x + tf.random.uniform([]), "no TensorFlow operator for 'random'"),
    ):
        with pytest.raises(ValueError, match=message):
            tf.saved_model.save(tf.train.Checkpoint(), tmp_path, tf.function(function, [tf.TensorSpec(spec)]))


def test_signatures_of_a_model(tmp_path):
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="features")])
    def classes(x):
        return {"class": tf.argmax(model(x), 1)}

    model.save(tmp_path, signatures={"classes": classes})
    x = np.random.default_rng(0).standard_normal((4, 3)).astype("f")
    loaded = tf.saved_model.load(tmp_path)
    assert list(loaded.signatures) == ["classes"]
    given = loaded.signatures["classes"](features=x)["class"]
    np.testing.assert_array_equal(given, np.argmax(model.predict(x), 1))
    loaded.set_weights([-weight for weight in loaded.get_weights()])  # the signature's variables are the model's
    np.testing.assert_array_equal(loaded.signatures["classes"](x)["class"], np.argmin(model.predict(x), 1))
