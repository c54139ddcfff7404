"""Models' weights and optimizers in TensorFlow's checkpoints; see record_checkpoints.py for TensorFlow's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.core import deferred
from distkeras.errors import FileFormatError
from distkeras.keras.saving import tf_graph
from distkeras.keras.saving.tf_bundle import Bundle, write_bundle
from tests.formats.checkpoint_models import MODELS, data, optimizers

DATA = Path(__file__).parent / "data"
RECORDED = sorted(path.stem.removeprefix("tfk_ck_") for path in DATA.glob("tfk_ck_*.index"))
OPTIMIZERS = optimizers(tf, tf.keras.optimizers)
# The newer optimizers of tf_keras, by what they are called in the names of files.
OPTIMIZERS["newer_adam"] = OPTIMIZERS["adam"]
OPTIMIZERS["newer_momentum"] = lambda: tf.keras.optimizers.SGD(0.9, momentum=0.9)  # the rate is in the checkpoint
layers = tf.keras.layers


def compiled(name: str, optimizer: str = "adam") -> tf.keras.Model:
    model = MODELS[name](tf)
    model.compile(OPTIMIZERS[optimizer](), "mse")
    return model


def trained(name: str, optimizer: str = "adam", steps: int = 2) -> tf.keras.Model:
    model = compiled(name, optimizer)
    for _ in range(steps):
        model.train_on_batch(*data())
    return model


def assert_same_state(model, expected):
    for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(model.optimizer.weights, expected.optimizer.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.name)


# --- what TensorFlow has written


def test_there_are_files_of_each_kind():
    assert {name.split("_")[0] for name in RECORDED} == set(MODELS)
    assert {name.split("_", 1)[1] for name in RECORDED} == set(OPTIMIZERS)


@pytest.mark.parametrize("name", RECORDED)
def test_predictions_and_training_go_on_as_in_tensorflow(name):
    model = compiled(*name.split("_", 1))
    status = model.load_weights(DATA / f"tfk_ck_{name}")
    with np.load(DATA / f"tfk_ck_{name}.npz") as arrays:
        np.testing.assert_allclose(model.predict(arrays["x"]), arrays["p"], rtol=1e-6, atol=1e-6)
        model.train_on_batch(arrays["x"], arrays["y"])
        status.assert_consumed()
        # RMSprop adds epsilon inside of the square root in later versions, outside in TF 2.0.
        tolerance = 1e-4 if "rmsprop" in name else 1e-5
        np.testing.assert_allclose(model.predict(arrays["x"]), arrays["q"], rtol=tolerance, atol=tolerance)
    assert int(model.optimizer.iterations) == 3


def test_newer_optimizers_give_their_learning_rate():
    model = compiled("functional", "newer_momentum")
    model.load_weights(DATA / "tfk_ck_functional_newer_momentum").assert_consumed()
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)


def test_what_tensorflow_2_0_has_written():
    inputs = layers.Input((5, 2), name="b")
    x = layers.BatchNormalization(name="bn")(layers.LSTM(3, name="ls")(inputs))
    model = tf.keras.Model(inputs, layers.Dense(2, name="o")(x))
    model.compile(tf.keras.optimizers.Adam(0.5), "mse")
    model.load_weights(DATA / "tf20_ck").assert_consumed()
    with np.load(DATA / "tf20_ckw.npz") as expected:
        for value, array in zip(model.get_weights(), expected.values(), strict=True):
            np.testing.assert_array_equal(value, array)
    assert int(model.optimizer.iterations) == 1 and float(model.optimizer.learning_rate) == pytest.approx(0.01)
    kernel = model.get_layer("ls").cell.kernel
    key = "layer_with_weights-0/cell/kernel/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE"
    np.testing.assert_array_equal(
        model.optimizer.get_slot(kernel, "m").numpy(), tf.train.load_variable(DATA / "tf20_ck", key)
    )


# --- written here


@pytest.mark.parametrize("optimizer", ["adam", "schedule", "rmsprop"])
@pytest.mark.parametrize("name", MODELS)
def test_round_trip(tmp_path, name, optimizer):
    expected = trained(name, optimizer)
    expected.save_weights(tmp_path / "weights")
    model = trained(name, optimizer, steps=1)
    model.load_weights(tmp_path / "weights").assert_consumed()
    assert_same_state(model, expected)


@pytest.mark.parametrize("name", MODELS)
def test_models_without_weights_or_slots_take_theirs_when_they_are_made(tmp_path, name):
    expected = trained(name)
    expected.save_weights(tmp_path / "weights")
    model = compiled(name)
    status = model.load_weights(tmp_path / "weights")
    np.testing.assert_array_equal(model.predict(data()[0]), expected.predict(data()[0]))
    status.assert_consumed()
    for one in (model, expected):
        one.train_on_batch(*data())
    assert_same_state(model, expected)


@pytest.mark.parametrize("name", MODELS)
def test_names_are_those_of_tensorflow(tmp_path, name):
    model = trained(name)
    model.save_weights(tmp_path / "weights")
    expected = Bundle(str(DATA / f"tfk_ck_{name}_adam"))
    found = Bundle(str(tmp_path / "weights"))
    assert {key: (entry.shape, entry.type_name) for key, entry in found.entries.items()} == {
        key: (entry.shape, entry.type_name) for key, entry in expected.entries.items()
    }


def test_weights_alone(tmp_path):
    """A model that is not compiled."""
    model = MODELS["sequential"](tf)
    model.save_weights(tmp_path / "weights", save_format="tf")
    assert not any("optimizer" in name for name in Bundle(str(tmp_path / "weights")).entries)
    other = MODELS["sequential"](tf)
    other.load_weights(tmp_path / "weights").assert_consumed()
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    with pytest.raises(AssertionError, match="Some Python objects were not bound.*15 variables, such as .'optimizer/"):
        trained("sequential").load_weights(tmp_path / "weights").assert_existing_objects_matched()


def test_an_optimizer_that_comes_later_takes_its_state(tmp_path):
    expected = trained("functional")
    expected.save_weights(tmp_path / "weights")
    model = MODELS["functional"](tf)
    status = model.load_weights(tmp_path / "weights").assert_existing_objects_matched()
    with pytest.raises(AssertionError, match="Unresolved object in checkpoint .* values have no place"):
        status.assert_consumed()
    model.compile(OPTIMIZERS["adam"](), "mse")
    status.assert_consumed()
    assert_same_state(model, expected)


def test_a_stack_without_an_input_shape(tmp_path):
    """Places are kept although a layer without weights was put before."""
    stack = [layers.Dense(4, input_shape=(4,)), layers.Dense(2)]
    expected = tf.keras.Sequential(stack)
    expected.save_weights(tmp_path / "weights")
    model = tf.keras.Sequential([layers.Dropout(0.5), layers.Dense(4), layers.Dense(2)])
    status = model.load_weights(tmp_path / "weights")
    model.build((None, 4))
    status.assert_consumed()
    np.testing.assert_array_equal(model.get_weights()[2], expected.get_weights()[2])


def test_a_functional_model_and_a_stack(tmp_path):
    """The first has its input among its layers, the second has not."""
    inputs = layers.Input((4,))
    functional = tf.keras.Model(inputs, layers.Dense(2)(layers.Dropout(0.5)(layers.Dense(3)(inputs))))
    stack = tf.keras.Sequential([layers.Dense(3, input_shape=(4,)), layers.Dropout(0.5), layers.Dense(2)])
    for one, other in ((functional, stack), (stack, functional)):
        one.set_weights([weight + 1 for weight in one.get_weights()])
        one.save_weights(tmp_path / "weights")
        other.load_weights(tmp_path / "weights").assert_consumed()
        for weight, expected in zip(other.get_weights(), one.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, expected)


def test_layers_that_are_added_later(tmp_path):
    class Growing(tf.keras.Model):
        def __init__(self, count):
            super().__init__()
            self.steps = [layers.Dense(2) for _ in range(count)]

        def call(self, x):
            for step in self.steps:
                x = step(x)
            return x

    expected = Growing(2)
    expected(data()[1])
    expected.save_weights(tmp_path / "weights")
    model = Growing(1)
    status = model.load_weights(tmp_path / "weights")
    model(data()[1])
    model.steps.append(layers.Dense(2))
    np.testing.assert_array_equal(model(data()[1]), expected(data()[1]))
    status.assert_consumed()


def test_layers_that_are_built_by_hand(tmp_path):
    expected = trained("subclassed")
    expected.save_weights(tmp_path / "weights")
    model = compiled("subclassed")
    model.load_weights(tmp_path / "weights")
    model.inner.layers[0].build((None, 4))
    np.testing.assert_array_equal(model.inner.layers[0].get_weights()[0], expected.inner.get_weights()[0])


def test_a_later_checkpoint_replaces_an_earlier_one(tmp_path):
    for value in (1.0, 2.0):
        model = tf.keras.Sequential([layers.Dense(1, kernel_initializer=tf.initializers.Constant(value))])
        model.build((None, 1))
        model.save_weights(tmp_path / f"w{value:.0f}")
    model = tf.keras.Sequential([layers.Dense(1)])
    model.load_weights(tmp_path / "w1")
    status = model.load_weights(tmp_path / "w2")
    model.build((None, 1))
    status.assert_consumed()
    assert model.get_weights()[0].item() == 2.0


def test_values_are_given_once(tmp_path):
    """What was trained since is not set back when something new comes up."""
    trained("subclassed").save_weights(tmp_path / "weights")
    model = MODELS["subclassed"](tf)
    model.load_weights(tmp_path / "weights")
    model(data()[0])
    model.shift.assign([7.0, 7.0])
    model.compile(OPTIMIZERS["adam"](), "mse")
    model.another = layers.Dense(1)
    model.another.build((None, 1))
    assert model.shift.numpy().tolist() == [7.0, 7.0]


def test_models_that_wait_do_not_stay_alive(tmp_path):
    import gc
    import weakref

    trained("subclassed").save_weights(tmp_path / "weights")
    model = compiled("subclassed")
    model.load_weights(tmp_path / "weights")
    assert model in deferred._waiting
    model = weakref.ref(model)
    gc.collect()
    assert model() is None


# --- what does not fit


def test_other_shapes(tmp_path):
    trained("sequential").save_weights(tmp_path / "weights")
    model = tf.keras.Sequential([layers.Dense(4, input_shape=(4,)), layers.Dropout(0.0), layers.Dense(3)])
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"the shape \(4,\) for .layer_with_weights-1/|has the shape"):
        trained("sequential").save_weights(tmp_path / "weights")
        other = tf.keras.Sequential([layers.Dense(5, input_shape=(4,))])
        other.load_weights(tmp_path / "weights")
    status = model.load_weights(tmp_path / "weights")  # a BatchNormalization's place is a Dense layer's: no equal names
    with pytest.raises(AssertionError, match="Some Python objects were not bound"):
        status.assert_existing_objects_matched()
    assert len(before) == len(model.get_weights())


def test_nothing_is_changed_unless_everything_fits(tmp_path):
    tf.train.Checkpoint(a=tf.Variable([1.0]), b=tf.Variable([1.0, 2.0])).write(tmp_path / "c")
    for wrong, message in (
        (tf.Variable([0.0]), r"has the shape \(2,\) for 'b/.ATTRIBUTES/VARIABLE_VALUE', but the variable 'Variable:0'"),
        (tf.Variable([0, 0]), "has float32 for 'b/.ATTRIBUTES.*is int32: make it with dtype='float32'"),
    ):
        checkpoint = tf.train.Checkpoint(a=tf.Variable([0.0]), b=wrong)
        with pytest.raises(ValueError, match=message):
            checkpoint.restore(tmp_path / "c")
        assert checkpoint.a.numpy().tolist() == [0.0]


def test_other_objects(tmp_path):
    trained("sequential").save_weights(tmp_path / "weights")
    status = tf.train.Checkpoint(model=MODELS["sequential"](tf)).restore(tmp_path / "weights")
    with pytest.raises(AssertionError, match=r"Nothing in the program matches .*holds \['layer_with_weights-0'"):
        status.assert_nontrivial_match()
    with pytest.raises(AssertionError, match="not bound to checkpointed values"):
        status.assert_consumed()
    assert status.expect_partial() is status and status.initialize_or_restore() is None


def test_names_of_layers_are_not_known(tmp_path):
    trained("sequential").save_weights(tmp_path / "weights")
    with pytest.raises(NotImplementedError, match="Weights may only be loaded based on topology.*by_name=True"):
        MODELS["sequential"](tf).load_weights(tmp_path / "weights", by_name=True)


def test_no_path():
    with pytest.raises(ValueError, match="The path to load from is None, which tf.train.latest_checkpoint gives"):
        MODELS["sequential"](tf).load_weights(None)


def test_models_without_weights_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match="have not yet been created"):
        MODELS["subclassed"](tf).save_weights(tmp_path / "weights")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["", ".h5"])
def test_a_model_that_is_never_called_itself_has_the_weights_of_its_parts(tmp_path, ending):
    class Autoencoder(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
            self.decoder = tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(2,))])

    model, other = Autoencoder(), Autoencoder()
    model.save_weights(tmp_path / f"weights{ending}")
    other.load_weights(tmp_path / f"weights{ending}")
    for value, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_checkpoints_without_objects(tmp_path):
    with pytest.raises(FileFormatError, match=r"holds arrays, \['a', 'b'\]..., but no objects"):
        MODELS["sequential"](tf).load_weights(DATA / "tfk_sharded")


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (b"\x0a\xff", "end within a number"),
        (b"", "refers to an object that is not among its 0"),
        (tf_graph.encode([tf_graph.Node({"a": 7})]), "refers to an object that is not among its 1"),
        (tf_graph.encode([tf_graph.Node({"layer-0": 1}), tf_graph.Node({"kernel": 2}), tf_graph.Node(key="x")]), ""),
    ],
)
def test_graphs_that_make_no_sense(tmp_path, graph, message):
    encoded = np.empty((), object)
    encoded[()] = graph
    write_bundle(str(tmp_path / "c"), {tf_graph.GRAPH_KEY: encoded})
    message = message or "'x' is missing, though its object graph refers to it"
    with pytest.raises(FileFormatError, match=message):
        MODELS["sequential"](tf).load_weights(tmp_path / "c")
