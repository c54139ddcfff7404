"""Functions in SavedModels: what is written of them, and that they can be called after reading."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import _wire as wire
from distkeras.core.spec import TensorSpec
from distkeras.graph.function import Function
from distkeras.keras.saving import restored_functions  # noqa: F401  (its modules enter what reads operations)
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
        ([2, 2], lambda x: tf.linalg.qr(x)[0], "no TensorFlow operator for 'qr'"),
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


# --- models by subclassing


class Block(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = tf.keras.layers.Dense(4, kernel_regularizer="l2")
        self.normal = tf.keras.layers.BatchNormalization()

    def call(self, x, training=None):
        return self.normal(self.dense(x), training=training)


class Net(tf.keras.Model):
    """Losses of weights and of values; what it does depends on `training`."""

    def __init__(self, rate=0.0):
        super().__init__()
        self.block = Block()
        self.drop = tf.keras.layers.Dropout(rate)
        self.head = tf.keras.layers.Dense(2)

    def call(self, x, training=None):
        y = self.drop(self.block(x, training=training), training=training)
        self.add_loss(0.1 * tf.reduce_mean(y * y))
        return self.head(y)


def of_net(rate=0.0):
    tf.random.set_seed(1)
    random = np.random.default_rng(2)
    x, y = random.standard_normal((16, 3)).astype("f"), random.standard_normal((16, 2)).astype("f")
    model = Net(rate)
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(x, y, verbose=0)
    return model, x, y


def test_a_model_by_subclassing_goes_on_without_its_class(tmp_path):
    model, x, y = of_net()
    model.save(tmp_path / "model")
    loaded = tf.keras.models.load_model(tmp_path / "model")
    np.testing.assert_allclose(loaded.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(loaded.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0), rtol=1e-5)
    assert [len(loaded.weights), len(loaded.trainable_weights)] == [8, 6] and int(loaded.optimizer.iterations) == 1
    histories = [one.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"] for one in (loaded, model)]
    np.testing.assert_allclose(*histories, rtol=1e-4)
    np.testing.assert_allclose(loaded.predict(x), model.predict(x), rtol=1e-3, atol=1e-4)
    loaded.save(tmp_path / "again")
    served = tf.saved_model.load(tmp_path / "again").signatures["serving_default"]
    np.testing.assert_allclose(served(x)["output_1"], loaded.predict(x), rtol=1e-5, atol=1e-6)


def test_dropout_is_drawn_anew_where_a_model_is_trained(tmp_path):
    model, x, _ = of_net(0.5)
    model.save(tmp_path)
    loaded = tf.keras.models.load_model(tmp_path, compile=False)
    one, other = loaded(x, training=True).numpy(), loaded(x, training=True).numpy()
    assert (one != other).any() and (loaded(x).numpy() == loaded(x).numpy()).all()


def test_a_model_whose_inputs_are_not_known(tmp_path):
    model = Net()
    with pytest.raises(ValueError, match="cannot be saved because the input shapes have not been set"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    model._set_inputs(tf.TensorSpec([None, 3]))
    with pytest.raises(ValueError, match="has no weights yet"):
        model.save(tmp_path / "model")
    expected = model(np.ones((2, 3), "f"))
    tf.saved_model.save(model, tmp_path / "model")
    np.testing.assert_allclose(tf.saved_model.load(tmp_path / "model")(np.ones((2, 3), "f")), expected, rtol=1e-5)


def test_inputs_by_name(tmp_path):
    class Sum(tf.keras.Model):
        def call(self, inputs):
            return {"sum": inputs["a"] + inputs["b"], "more": [inputs["a"]]}

    model, pair = Sum(), {"a": tf.ones((2, 3)), "b": tf.ones((2, 3))}
    model(pair)
    model.save(tmp_path)
    loaded = tf.keras.models.load_model(tmp_path, compile=False)
    results = loaded(pair)
    assert results["sum"].numpy().max() == 2.0 and results["more"][0].numpy().max() == 1.0
