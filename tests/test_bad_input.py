"""Calls that cannot work, through the public API: each is refused with an error that names what is wrong.

A row is what a user would write, the type of the exception and a part of its message.
"""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import distkeras as tf
from tests.bad_convolution import CONVOLUTION
from tests.bad_images import IMAGES
from tests.bad_layers import LAYERS
from tests.bad_model_calls import CALLBACKS, COMPILE, CONFIGS, DATA, MODELS, SINGLE_BATCHES, UTILS, WEIGHTS
from tests.bad_parts import PARTS
from tests.data.bad_datasets import DATASETS

X, Y = np.ones((10, 2), "float32"), np.ones((10, 1), "float32")


class Unbuilt(tf.keras.Model):
    def call(self, inputs):
        return inputs


class WithoutSuper(tf.keras.Model):
    def __init__(self):
        self.dense = tf.keras.layers.Dense(1)


class WithoutCall(tf.keras.Model):
    pass


class Batches(tf.keras.utils.Sequence):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X, Y


class Own(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = tf.keras.layers.Dense(1)

    def call(self, inputs):
        return self.dense(inputs)


class Wordless(tf.keras.Sequential):
    def train_step(self, data):
        return None


def own():
    model = Own()
    model.compile("sgd", "mse")
    return model


def fixed():
    inputs = tf.keras.Input(batch_shape=(4, 2))
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    return model


def one_hot():
    model = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="softmax", input_shape=(2,), name="classes")])
    model.compile("sgd", "categorical_crossentropy")
    return model


def simple():
    inputs = tf.keras.Input((2,), name="one")
    return tf.keras.Model(inputs, tf.keras.layers.Dense(1, name="left")(inputs))


def compiled(**options):
    model = simple()
    model.compile("sgd", "mse", **options)
    return model


def two(loss="mse"):
    inputs = [tf.keras.Input((2,), name=name) for name in ("one", "two")]
    outputs = [tf.keras.layers.Dense(1, name="left")(inputs[0]), tf.keras.layers.Dense(3, name="right")(inputs[1])]
    model = tf.keras.Model(inputs, outputs)
    model.compile("sgd", loss)
    return model


def in_scope(call):
    with tf.distribute.MirroredStrategy().scope():
        return call()


def apply_rows(values, indices):
    pairs = [(tf.IndexedSlices(values, indices), tf.Variable(Y[:3]))]
    tf.keras.optimizers.SGD().apply_gradients(pairs)


def classifier():
    model = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="softmax", input_shape=(2,), name="classes")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


NAMES = {
    "np": np,
    "tf": tf,
    "X": X,
    "Y": Y,
    "data": tf.data.Dataset,
    "experimental": tf.data.experimental,
    "Input": tf.keras.Input,
    "Model": tf.keras.Model,
    "Sequential": tf.keras.Sequential,
    **{
        function.__name__: function
        for function in (simple, compiled, two, classifier, own, fixed, one_hot, in_scope, apply_rows)
    },
    **{kind.__name__: kind for kind in (Unbuilt, WithoutSuper, WithoutCall, Batches, Wordless)},
    **{
        family: getattr(tf.keras, family)
        for family in """activations backend callbacks constraints initializers layers losses metrics models optimizers
        preprocessing regularizers utils""".split()
    },
}

FILES = [
    ("models.load_model('missing.h5')", OSError, "There is no such file"),
    ("models.load_model('empty.h5')", OSError, "empty.h5 is neither HDF5 nor a Keras archive: it has 0 bytes"),
    ("models.load_model('half.h5')", OSError, "half.h5 is a damaged HDF5 file"),
    ("models.load_model('text.h5')", OSError, "text.h5 is neither HDF5 nor a Keras archive"),
    ("models.load_model('foreign.h5')", OSError, "foreign.h5: entry /model_config is missing"),
    ("models.load_model('weights.h5')", OSError, "The file holds only weights"),
    ("models.load_model('folder')", OSError, "folder is a folder without the file saved_model.pb"),
    ("models.load_model('checkpoint/c')", OSError, "c is a TensorFlow checkpoint, which holds only weights"),
    ("simple().load_weights('checkpoint/c.index')", OSError, "load 'checkpoint/c', what their names begin with"),
    ("models.load_model(None)", ValueError, "The path to load from is None"),
    ("simple().load_weights('checkpoint/d')", OSError, "There is no such file"),
    ("simple().load_weights('checkpoint/c', by_name=True)", NotImplementedError, "got by_name=True"),
    ("simple().load_weights('checkpoint/half')", OSError, "half.index: it is no index of a checkpoint"),
    ("simple().load_weights('checkpoint/alone')", OSError, "alone.data-00000-of-00001 is missing"),
    ("two().load_weights('checkpoint/c').assert_consumed()", AssertionError, "'layer_with_weights-1/kernel"),
    ("Sequential([layers.Dense(3, input_shape=(2,))]).load_weights('checkpoint/c')", ValueError, "shape (2, 1) for"),
    ("simple().save('m', signatures=3)", ValueError, "to generate a signature for, but got 3"),
    ("simple().save('good.h5/m')", OSError, "good.h5"),
    ("simple().save('checkpoint', overwrite=False)", OSError, "pass overwrite=True to replace it"),
    ("simple().save_weights('checkpoint/c', overwrite=False)", OSError, "pass overwrite=True to replace it"),
    ("tf.train.Checkpoint(step=3)", ValueError, "For a number, use a tf.Variable"),
    ("tf.train.Checkpoint().restore('checkpoint/d')", OSError, "There is no such checkpoint"),
    ("tf.train.Checkpoint().restore(None).assert_consumed()", AssertionError, "No checkpoint specified"),
    ("tf.train.Checkpoint(kernel=tf.Variable(1)).restore('checkpoint/o')", ValueError, "shape (2,) for"),
    ("tf.train.CheckpointManager(tf.train.Checkpoint(), 'folder', 0)", ValueError, "Expected a positive integer"),
    ("tf.train.load_checkpoint('folder')", ValueError, "Couldn't find 'checkpoint' file"),
    ("tf.train.load_variable('checkpoint/o', 'x')", KeyError, "holds nothing called 'x'"),
    ("tf.saved_model.save(3, 'm')", ValueError, "Expected a Trackable object for export, got 3"),
    ("tf.saved_model.load('folder')", OSError, "is no folder with a file saved_model.pb"),
    ("models.load_model(3)", TypeError, "not int"),
    ("models.load_model('good.h5', custom_objects=[3])", TypeError, "`custom_objects` must be a dict"),
    ("simple().load_weights('missing.h5')", OSError, "There is no such file"),
    ("simple().load_weights('half.h5')", OSError, "half.h5 is a damaged HDF5 file"),
    ("simple().load_weights('foreign.h5')", OSError, "entry /layer_names is missing"),
    ("two().load_weights('weights.h5')", ValueError, "containing 1 layers into a model with 2 layers"),
    ("Sequential([layers.Dense(3, input_shape=(2,))]).load_weights('weights.h5')", ValueError, "has shape (2, 3)"),
    ("Sequential([layers.Dense(1)]).load_weights('weights.h5')", ValueError, "Call the Model first"),
    ("simple().save('m.h5', save_format='zork')", ValueError, 'Unknown format "zork"'),
    ("simple().save('m.h5', save_format='tf')", ValueError, "contradicts the path 'm.h5'"),
    ("simple().save('no/such/folder/m.h5')", OSError, "its folder does not exist"),
    ("simple().save('good.h5', overwrite=False)", OSError, "pass overwrite=True to replace it"),
    ("simple().save(None)", TypeError, "NoneType"),
    ("simple().save('m.h5', signatures=3)", ValueError, "`signatures` are functions of a SavedModel"),
    ("simple().save_weights('m.h5', save_format='zork')", ValueError, 'Unknown format "zork"'),
]

TENSORS = [
    ("tf.constant([1, 2], shape=(3,))", TypeError, "2 values do not fill the shape (3,)"),
    ("tf.constant('x', dtype='float32')", TypeError, "'x'"),
    ("tf.constant([[1], [1, 2]])", ValueError, "non-rectangular"),
    ("tf.Variable(None)", ValueError, "initial_value must be specified"),
    ("tf.Variable([1.0]).assign([1.0, 2.0])", ValueError, "Shapes (1,) and (2,) are incompatible"),
    ("tf.Variable([1.0]) + tf.constant([1])", ValueError, "received float32 and int32: cast one of them"),
    ("tf.matmul(X, X)", ValueError, "Matrix size-incompatible: In[0]: (10, 2), In[1]: (10, 2)"),
    ("tf.add(X, np.ones((3, 2), 'float32'))", ValueError, "Incompatible shapes: (10, 2) and (3, 2)"),
    ("tf.reshape(X, (3, 7))", ValueError, "a tensor with 20 values (shape (10, 2)), but the requested shape (3, 7)"),
    ("tf.concat([X, np.ones((3, 3), 'float32')], axis=0)", ValueError, "concat along axis 0"),
    ("tf.cast(X, 'float31')", TypeError, "received 'float31'"),
    ("tf.reduce_sum(X, axis=0.5)", TypeError, "Expected an integer for an axis, received 0.5"),
    ("tf.transpose(X, [0, 3])", ValueError, "Axis 3 is out of range"),
    ("tf.tensordot(X, X, [[5], [0]])", ValueError, "Axis 5 is out of range"),
    ("tf.tensordot(X, X, 3)", ValueError, "have no 3 axes to sum over"),
    ("tf.unstack(1.0)", ValueError, "Axis 0 is out of range for a tensor of 0 dimensions"),
    ("tf.norm(X, axis=[0, 2])", ValueError, "Axis 2 is out of range"),
    ("tf.zeros((-1, 2))", ValueError, "Expected a shape of sizes >= 0"),
    ("tf.zeros('ab')", TypeError, "Expected an integer for each entry of a shape, received 'ab'"),
    (
        "tf.keras.optimizers.schedules.PolynomialDecay(0.1, 'a')",
        ValueError,
        "`decay_steps` must be positive, received 'a'",
    ),
    ("tf.slice(X, [0, 0], [11, 1])", ValueError, "slice: dimension 0 of (10, 2) has no 11 elements from 0 on"),
    ("tf.slice(X, [-1, 0], [1, 1])", ValueError, "slice: dimension 0 of (10, 2) has no 1 elements from -1 on"),
    ("tf.random.uniform((2,), 3, 1, dtype=tf.int32)", ValueError, "Need minval < maxval, got 3 >= 1"),
    ("tf.random.shuffle(3)", ValueError, "A scalar has no rows to shuffle"),
    ("tf.one_hot([1], 'a')", TypeError, "Expected an integer for depth, received 'a'"),
    ("tf.eye('a')", TypeError, "Expected an integer for num_rows, received 'a'"),
    ("tf.linspace(0.0, 1.0, 2.5)", TypeError, "Expected an integer for num, received 2.5"),
    ("tf.nn.top_k(X, 1.5)", TypeError, "Expected an integer for k, received 1.5"),
    ("tf.TensorArray(tf.float32, 'a')", TypeError, "Expected an integer for size, received 'a'"),
    ("tf.einsum(3, X)", TypeError, "einsum: the equation must be a text such as 'ij,jk->ik', received 3"),
    ("tf.custom_gradient(3)", TypeError, "custom_gradient: expected a function, received 3"),
    ("tf.py_function(3, [X], tf.float32)", TypeError, "py_function: expected a function, received 3"),
    ("tf.function(lambda x: x, input_signature=3)", TypeError, "input_signature must be a list of TensorSpecs"),
    ("tf.random.set_seed('a')", TypeError, "set_seed: expected an integer, received 'a'"),
    ("tf.random.normal((2.5,))", TypeError, "Expected an integer for each entry of a shape, received 2.5"),
    ("tf.reduce_sum(X, axis=5)", ValueError, "Axis 5 is out of range for a tensor of 2 dimensions"),
    ("tf.one_hot([1], -1)", ValueError, "depth must not be negative, received -1"),
    ("tf.gather(X, [20])", ValueError, "indices[0] = 20 is not in [0, 10)"),
    ("tf.split(X, 3, axis=1)", ValueError, "not divisible into 3 parts"),
    ("tf.nn.dropout(X, rate=1.5)", ValueError, "received 1.5"),
    ("tf.function(3)", TypeError, "tf.function expects a function, received 3"),
    (
        "tf.function(lambda x: x, input_signature=[tf.TensorSpec((2,), 'float32')])(X)",
        ValueError,
        "incompatible with input_signature",
    ),
    ("tf.distribute.MirroredStrategy().reduce('MAX', 1.0)", ValueError, "must be 'SUM' or 'MEAN', received 'MAX'"),
    ("tf.no_such_name", AttributeError, "no attribute 'no_such_name'"),
    ("tf.keras.no_such_name", AttributeError, "no attribute 'no_such_name'"),
]

PAGE = [*MODELS, *CONFIGS, *COMPILE, *DATA, *WEIGHTS, *SINGLE_BATCHES, *CALLBACKS, *UTILS]
ROWS = [*DATASETS, *LAYERS, *CONVOLUTION, *IMAGES, *PAGE, *FILES, *PARTS, *TENSORS]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with model files, good and bad."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "empty.h5").touch()
    (folder / "text.h5").write_text("This is no model.")
    (folder / "folder").mkdir()
    checkpoints = folder / "checkpoint"
    for name in ("c", "half", "alone"):
        simple().save_weights(checkpoints / name)
    (checkpoints / "half.index").write_bytes((checkpoints / "half.index").read_bytes()[:100])
    (checkpoints / "alone.data-00000-of-00001").unlink()
    tf.train.Checkpoint(kernel=tf.Variable([1, 2])).write(checkpoints / "o")
    simple().save(folder / "good.h5")
    simple().save_weights(folder / "weights.h5")
    whole = (folder / "good.h5").read_bytes()
    (folder / "half.h5").write_bytes(whole[: len(whole) // 2])
    with h5py.File(folder / "foreign.h5", "w") as file:
        file["measurements"] = X
    return folder


@pytest.mark.parametrize(("call", "error", "fragment"), ROWS, ids=[row[0] for row in ROWS])
def test_a_bad_call_is_refused_and_the_message_names_what_is_wrong(call, error, fragment, files, monkeypatch):
    monkeypatch.chdir(files)
    with pytest.raises(error) as caught:
        eval(call, dict(NAMES))
    assert fragment in str(caught.value)


def test_a_refused_save_leaves_files_as_they_were(files, monkeypatch):
    monkeypatch.chdir(files)
    before = {path.name: path.read_bytes() for path in files.iterdir() if path.is_file()}
    for call in (
        "simple().save('good.h5', overwrite=False)",
        "Unbuilt().save('good.h5')",
        "simple().save('good.h5', 3, 4, 'x')",
    ):
        with pytest.raises(Exception):  # noqa: B017 - each has its row above
            eval(call, dict(NAMES))
    assert {path.name: path.read_bytes() for path in files.iterdir() if path.is_file()} == before


def test_a_refused_compile_leaves_the_model_as_it_was():
    model = compiled(metrics=["mae"])
    with pytest.raises(ValueError, match="msee"):
        model.compile("adam", "msee")
    assert model.metrics_names == ["loss", "mae"]
    assert isinstance(model.optimizer, tf.keras.optimizers.SGD)
    model.fit(X, Y, verbose=0)
