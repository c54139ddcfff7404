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
from tests.bad_model_calls import CALLBACKS, COMPILE, CONFIGS, DATA, MODELS, SINGLE_BATCHES, UTILS, WEIGHTS
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

LAYERS = [
    ("layers.Dense(-1)", ValueError, "units must be a positive integer, received -1"),
    ("layers.Dense(0)", ValueError, "units must be a positive integer, received 0"),
    ("layers.Dense(2.5)", ValueError, "units must be a positive integer, received 2.5"),
    ("layers.Dense('many')", ValueError, "units must be a positive integer, received 'many'"),
    ("layers.Dense(None)", ValueError, "units must be a positive integer, received None"),
    ("layers.Dense(2, unit=3)", TypeError, "Keyword argument not understood: 'unit' (for Dense)"),
    ("layers.Dense(2, dtype='float31')", TypeError, "received 'float31'"),
    ("layers.Dense(2, activation='relux')", ValueError, "Unknown activation function: 'relux'"),
    ("layers.Dense(2, activation=3)", TypeError, "activation function identifier 3"),
    ("layers.Dense(2, kernel_initializer='glorot_unifrom')", ValueError, "Did you mean 'GlorotUniform'"),
    ("layers.Dense(2, kernel_regularizer='l3')", ValueError, "Unknown regularizer: 'l3'"),
    ("layers.Dense(2, kernel_constraint='max_nrom')", ValueError, "Unknown constraint: 'max_nrom'"),
    ("layers.Dense(2)(Input(()))", ValueError, "expected min_ndim=2, found ndim=1"),
    ("layers.Dense(2)(Input((None,)))", ValueError, "The last dimension of the inputs to `Dense` should be defined"),
    ("layers.Dense(2)('text')", ValueError, "expects tensors or arrays as inputs, received 'text'"),
    ("layers.Dense(2)(None)", ValueError, "expects tensors or arrays as inputs, received None"),
    ("layers.Dense(2)([X, X])", ValueError, "expects 1 inputs, but it received 2 input tensors"),
    ("layers.Dense(2)(X.astype(str))", ValueError, "received string and float32"),
    ("layers.Dropout(1.5)", ValueError, "must be in the range [0, 1), received 1.5"),
    ("layers.Dropout(-0.1)", ValueError, "must be in the range [0, 1), received -0.1"),
    ("layers.Dropout('half')", ValueError, "must be in the range [0, 1), received 'half'"),
    ("layers.Conv2D(0, 3)", ValueError, "`filters`"),
    ("layers.Conv2D(4, 0)", ValueError, "`kernel_size` argument must be a positive integer or 2 of them, received 0"),
    ("layers.Conv2D(4, (3, 3, 3))", ValueError, "`kernel_size`"),
    ("layers.Conv2D(4, 'big')", ValueError, "`kernel_size`"),
    (
        "layers.Conv2D(4, 3, padding='sane')",
        ValueError,
        "`padding` argument must be 'valid' or 'same', received 'sane'",
    ),
    ("layers.Conv2D(4, 3, strides=0)", ValueError, "`strides`"),
    ("layers.Conv2D(4, 3, strides=2, dilation_rate=2)", ValueError, "only one of them may exceed 1"),
    ("layers.Conv2D(4, 3, data_format='channels_mid')", ValueError, "received 'channels_mid'"),
    ("layers.Conv2D(4, 3)(Input((8, 8)))", ValueError, "expected ndim=4, found ndim=3"),
    (
        "layers.Conv2D(4, 9)(Input((8, 8, 1)))",
        ValueError,
        "a window of (9, 9) (dilated (9, 9)) does not fit into (8, 8)",
    ),
    ("layers.Conv2D(4, 3)(Input((8, 8, None)))", ValueError, "The channel dimension of the inputs should be defined"),
    ("layers.MaxPooling2D(0)", ValueError, "`pool_size`"),
    ("layers.MaxPooling2D(2, padding='sane')", ValueError, "received 'sane'"),
    ("layers.MaxPooling2D(9)(Input((8, 8, 1)))", ValueError, "does not fit into (8, 8)"),
    ("layers.GlobalAveragePooling2D()(Input((8,)))", ValueError, "expected ndim=4, found ndim=2"),
    ("layers.BatchNormalization(axis=5)(Input((8,)))", ValueError, "Invalid axis: 5"),
    ("layers.BatchNormalization(axis=0.5)", TypeError, "Expected an int or a list of ints for the argument 'axis'"),
    ("layers.BatchNormalization(axis=[1, 'a'])", TypeError, "received [1, 'a']"),
    ("layers.LayerNormalization(axis='last')", TypeError, "Expected an int or a list of ints for the argument 'axis'"),
    ("layers.LayerNormalization(axis=3)(tf.ones((2, 3)))", ValueError, "Invalid axis: 3 of layer"),
    ("layers.LeakyReLU(None)", ValueError, "alpha of a LeakyReLU layer must be a number, received None"),
    ("layers.ELU('steep')", ValueError, "alpha of an ELU layer must be a number, received 'steep'"),
    ("layers.ThresholdedReLU(-1)", ValueError, "theta of a ThresholdedReLU layer must be a number of at least 0"),
    ("layers.ReLU(negative_slope=None)", ValueError, "negative_slope of a ReLU layer must be a number of at least 0"),
    ("layers.PReLU(shared_axes=[3])(tf.ones((2, 3, 4)))", ValueError, "must be axes from 1 to 2 of the input"),
    ("layers.PReLU(shared_axes=0)(tf.ones((2, 3, 4)))", ValueError, "received [0]"),
    ("layers.GaussianNoise(-1.0)", ValueError, "stddev must be a number that is not negative, received -1.0"),
    ("layers.AlphaDropout(1.5)", ValueError, "must be in the range [0, 1), received 1.5"),
    ("layers.Dot((1, 2, 3))", ValueError, "should contain two elements, received (1, 2, 3)"),
    ("layers.Dot(0)([tf.ones((2, 3))] * 2)", ValueError, "cannot multiply along axis 0 of an input of shape (2, 3)"),
    ("layers.Dot(5)([tf.ones((2, 3))] * 2)", ValueError, "axes=5 must be from 1 to 1"),
    (
        "layers.Embedding(4, 3, input_length=5).compute_output_shape((None, 4))",
        ValueError,
        '"input_length" is 5, but received input has shape (None, 4)',
    ),
    ("layers.Embedding(4, 3)(np.array([[1, -1]]))", ValueError, "indices[0,1] = -1 is not in [0, 4)"),
    ("layers.Dense(2).compute_output_signature((None, 2))", TypeError, "Only TensorSpec signature types are supported"),
    ("setattr(layers.Dense(2), 'input_spec', 3)", TypeError, "must be an instance of InputSpec. Got: 3"),
    ("type('Bare', (layers.Layer,), {'__init__': lambda self: None})()(X)", RuntimeError, "call `super().__init__()`"),
    ("layers.Add().compute_mask([X, X], [None])", ValueError, "received 2 inputs and 1 masks"),
    ("layers.Add().compute_mask([X, X], X)", ValueError, "`mask` should be a list"),
    ("layers.Attention()(tf.ones((2, 3, 4)))", ValueError, "must be called on a list of inputs, namely [query, value]"),
    ("layers.Attention()([tf.ones((2, 3, 4))])", ValueError, "accepts inputs list of length 2 or 3"),
    ("layers.Attention()([tf.ones((2, 3, 4))] * 2, mask=tf.ones((2, 3)))", ValueError, "layer mask must be a list"),
    ("layers.AdditiveAttention()([tf.ones((2, 3, 4))] * 2, mask=[None])", ValueError, "Given length: 1"),
    ("layers.AdditiveAttention(dropout=1)", ValueError, "dropout must be in the range [0, 1), received 1"),
    ("layers.TimeDistributed(3)", ValueError, "with a `tf.keras.layers.Layer` instance, received 3"),
    ("layers.TimeDistributed(layers.Dense(2))(tf.ones((2, 3)))", ValueError, "at least 3 dimensions, received: (2, 3)"),
    ("layers.LSTM(0)", ValueError, "units must be a positive integer, received 0"),
    ("layers.LSTM(2, dropout=1.5)", ValueError, "must be in the range [0, 1), received 1.5"),
    ("layers.GRU(2, recurrent_dropout=-1)", ValueError, "must be in the range [0, 1), received -1"),
    ("layers.GRU(2, implementation=3)", ValueError, "implementation must be 1 (gate by gate) or 2"),
    ("layers.LSTM(2, seed=3)", TypeError, "Keyword argument not understood: 'seed' (for LSTM)"),
    ("layers.LSTM(2)(Input((3,)))", ValueError, "expected ndim=3, found ndim=2"),
    ("layers.LSTM(2)(Input((3, None)))", ValueError, "The last dimension of the inputs to `LSTMCell`"),
    ("layers.LSTM(2, stateful=True)(Input((3, 4)))", ValueError, "it needs to know its batch size"),
    ("layers.LSTM(2, unroll=True)(Input((None, 4)))", ValueError, "Cannot unroll a RNN if the time dimension is"),
    ("layers.LSTM(2).reset_states()", AttributeError, "Layer must be stateful"),
    ("layers.LSTM(2)(np.ones((3, 0, 4), 'float32'))", ValueError, "at least one time step"),
    (
        "layers.LSTM(2)(np.ones((3, 5, 4)), initial_state=[np.ones((3, 2))])",
        ValueError,
        "has 2 states but was passed 1",
    ),
    ("layers.GRU(2)(np.ones((3, 5, 4)), initial_state=np.ones((2, 2)))", ValueError, "expected shape (3, 2), received"),
    ("layers.GRU(2)(np.ones((3, 5, 4)), constants=[X])", ValueError, "RNN cell does not support constants"),
    ("layers.GRU(2)([X], initial_state=[X])", ValueError, "A list of inputs holds the initial states and constants"),
    (
        "layers.GRU(2)(np.ones((3, 5, 4)), mask=np.ones((5, 3), bool))",
        ValueError,
        "mask of a recurrence must be of shape (3, 5), received (5, 3)",
    ),
    ("layers.RNN(layers.Dense(2))", ValueError, "must have a `state_size` attribute"),
    ("layers.RNN(3)", ValueError, "`cell` must have a `call` method"),
    ("layers.RNN([])", ValueError, "expects a list of at least one cell, received []"),
    ("layers.RNN([layers.GRUCell(2), 3])", ValueError, "All cells must have a `call` method"),
    ("layers.Bidirectional(3)", ValueError, "Please initialize `Bidirectional` layer with a `Layer` instance"),
    ("layers.Bidirectional(layers.Dense(3))", ValueError, "needs a recurrent layer, one with `go_backwards`"),
    ("layers.Bidirectional(layers.GRU(3), merge_mode='max')", ValueError, "received 'max'"),
    ("layers.Bidirectional(layers.GRU(3), backward_layer=3)", ValueError, "`backward_layer` need to be a `Layer`"),
    (
        "layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3))",
        ValueError,
        "should have different `go_backwards` value: both have False",
    ),
    (
        "layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3, go_backwards=True, return_state=True))",
        ValueError,
        "same value for attribute return_state, got False and True",
    ),
    (
        "layers.Bidirectional(layers.GRU(2))(np.ones((3, 5, 4)), initial_state=[np.ones((3, 2))])",
        ValueError,
        "received 1 states",
    ),
    ("layers.ConvLSTM2D(2, 3, strides=2, dilation_rate=2)", ValueError, "only one of them may exceed 1"),
    ("layers.ConvLSTM2D(2, 3)(Input((4, 8, 8)))", ValueError, "expected ndim=5, found ndim=4"),
    ("layers.CuDNNLSTM", AttributeError, "TF 2.0 has it under tf.compat.v1 only"),
    ("backend.rnn(lambda x, s: (x, s), X[:, :0], [])", ValueError, "at least one time step"),
    ("layers.Add()(Input((2,)))", ValueError, "should be called on a list of inputs"),
    ("layers.Add()([Input((2,))])", ValueError, "a list of at least 2 inputs. Got 1 inputs"),
    ("layers.Add()([Input((2,)), Input((3,))])", ValueError, "could not be broadcast together"),
    ("layers.Subtract()([Input((2,))] * 3)", ValueError, "exactly 2 inputs, received 3"),
    ("layers.Concatenate()([Input((2, 2)), Input((3,))])", ValueError, "matching shapes except for the concat axis"),
    ("layers.Concatenate(axis=1)([Input((2, 2)), Input((2, 3))])", ValueError, "the concat axis 1"),
    ("layers.Concatenate(axis=5)([Input((2,)), Input((2,))])", ValueError, "Axis 5 is out of range"),
    ("layers.Dot(axes=1)([Input((2,)), Input((3,))])", ValueError, "Dimension incompatibility 2 != 3"),
    ("layers.Dot(axes=1.5)", TypeError, "Invalid type for `axes`"),
    ("layers.Reshape((3, 5))(Input((8,)))", ValueError, "cannot give samples of shape (8,) the target_shape (3, 5)"),
    ("layers.Reshape((-1, -1))(Input((8,)))", ValueError, "may have one -1"),
    ("layers.Permute((0, 1))", ValueError, "start from 1"),
    ("layers.RepeatVector(-2)", ValueError, "n must be a positive integer, received -2"),
    ("layers.UpSampling2D(2, interpolation='cubist')", ValueError, "received 'cubist'"),
    ("layers.ZeroPadding2D(-1)", ValueError, "a non-negative integer or 2 of them, received -1"),
    ("layers.Cropping2D(5)(Input((8, 8, 1)))", ValueError, "inputs of shape (8, 8, 1): nothing is left"),
    ("layers.Embedding(0, 3)", ValueError, "must be positive, received 0 and 3"),
    ("layers.Embedding(4, 3)(np.array([[7]]))", ValueError, "indices[0,0] = 7 is not in [0, 4)"),
    ("layers.Activation('relux')", ValueError, "Did you mean 'relu'"),
    ("layers.Lambda(3)", TypeError, "function must be callable, received 3"),
    ("layers.deserialize({'class_name': 'Dnse', 'config': {}})", ValueError, "Unknown layer: 'Dnse'"),
    ("layers.deserialize({'config': {}})", ValueError, "expected the keys 'class_name' and 'config'"),
    ("layers.LSTMM(3)", AttributeError, "LSTMM"),
    ("Input()", ValueError, "Please provide to Input a `shape` argument"),
    ("Input((-2,))", ValueError, "must hold positive integers, or None"),
    ("Input((2.5,))", ValueError, "must hold positive integers, or None"),
    ("Input(('a',))", ValueError, "must hold positive integers, or None"),
    ("Input((2,), batch_size=0)", ValueError, "must hold positive integers, or None"),
    ("Input(batch_shape=3.5)", ValueError, "must hold positive integers, or None"),
    ("Input((2,), batch_shape=(None, 2))", ValueError, "not both at the same time"),
    ("Input((2,), dtype='floaty')", TypeError, "received 'floaty'"),
    ("Input((2,), tensor=X)", ValueError, "input_tensor is not supported"),
]

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
    ("simple().save('m', signatures=3)", ValueError, "`signatures` and `options`"),
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
    ("simple().save('m.h5', signatures=3)", ValueError, "`signatures` and `options`"),
    ("simple().save_weights('m.h5', save_format='zork')", ValueError, 'Unknown format "zork"'),
]

PARTS = [
    ("losses.get('msee')", ValueError, "Unknown loss function: 'msee'"),
    ("losses.MeanSquaredError(reduction='men')", ValueError, "Invalid Reduction Key 'men'"),
    ("losses.MeanSquaredError(foo=3)", TypeError, "foo"),
    ("losses.MeanSquaredError()(X, np.ones((10, 3)))", ValueError, "Incompatible shapes: (10, 3) and (10, 2)"),
    ("losses.SparseCategoricalCrossentropy()(np.zeros(3, int), np.full((2, 3), 0.3))", ValueError, "shape (3,)"),
    ("losses.CategoricalCrossentropy()(np.zeros(3), np.full((3, 3), 0.3))", ValueError, "use sparse_categorical_cross"),
    ("losses.BinaryCrossentropy(label_smoothing=1.5)", ValueError, "label_smoothing must be in [0, 1], received 1.5"),
    (
        "losses.CategoricalCrossentropy(label_smoothing=-1)",
        ValueError,
        "label_smoothing must be in [0, 1], received -1",
    ),
    (
        "losses.binary_crossentropy(X, X, label_smoothing=2)",
        ValueError,
        "label_smoothing must be in [0, 1], received 2",
    ),
    ("losses.sparse_categorical_crossentropy([0], [[0.5, 0.5]], axis=2)", ValueError, "Axis 2 is out of range"),
    ("losses.Huber(delta=0)", ValueError, "delta must be positive, received 0"),
    ("losses.Huber(delta='a')", ValueError, "'a'"),
    ("losses.MeanSquaredError()(X, X, np.ones((3, 2)))", ValueError, "weights can not be broadcast to values"),
    ("in_scope(lambda: losses.MeanSquaredError()(X, X))", ValueError, "use tf.keras.losses.Reduction.SUM"),
    ("metrics.get('acuracy')", ValueError, "Did you mean 'accuracy'"),
    ("metrics.Mean(nme='x')", TypeError, "nme"),
    ("metrics.Mean()([1.0], sample_weight=[1.0, 2.0, 3.0])", ValueError, "cannot be broadcast"),
    ("metrics.AUC(curve='RPC')", ValueError, "received 'RPC'"),
    ("metrics.AUC(num_thresholds=1)", ValueError, "`num_thresholds` must be > 1"),
    ("metrics.Precision(thresholds=[-1.0])", ValueError, "must be in [0, 1]"),
    ("metrics.Precision(top_k=4)(Y, Y)", ValueError, "top_k must be from 1 to the number of classes"),
    ("metrics.Recall(top_k=0)", ValueError, "top_k must be at least 1, received 0"),
    ("metrics.Recall(class_id=-1)", ValueError, "class_id must be at least 0, received -1"),
    ("metrics.Recall(class_id=2)(X, X)", ValueError, "class_id must be in [0, 2), the classes of y_pred; received 2"),
    ("metrics.TopKCategoricalAccuracy(k=0)", ValueError, "k, the number of guesses, must be at least 1, received 0"),
    ("metrics.sparse_top_k_categorical_accuracy([1], [[0.1, 0.2]], k=-1)", ValueError, "at least 1, received -1"),
    ("metrics.MeanIoU(num_classes=0)", ValueError, "num_classes must be an integer of at least 1, received 0"),
    ("metrics.MeanIoU(num_classes='a')", ValueError, "received 'a'"),
    ("metrics.MeanSquaredError()(X, np.ones((10, 3)))", ValueError, "Incompatible shapes: (10, 3) and (10, 2)"),
    ("metrics.CategoricalAccuracy()(X, X[:9])", ValueError, "Incompatible shapes: (10,) and (9,)"),
    ("metrics.MeanTensor()(X, np.ones((3, 3)))", ValueError, "(3, 3) cannot be broadcast to (10, 2)"),
    ("metrics.SensitivityAtSpecificity(-0.1)", ValueError, "`specificity` must be in the range [0, 1], received -0.1"),
    (
        "metrics.MeanIoU(num_classes=2)([0, 2], [0, 1])",
        ValueError,
        "labels must be in [0, 2), received values from 0 to",
    ),
    ("metrics.MeanIoU(num_classes=2)([0, 1, 1], [0, 1])", ValueError, "as many labels as predicted labels"),
    ("metrics.AUC(thresholds=[0.5, 1.5])", ValueError, "threshold values must be in [0, 1]"),
    ("metrics.PrecisionAtRecall(recall=2)", ValueError, "`recall` must be in the range [0, 1], received 2"),
    ("metrics.RecallAtPrecision(precision=0.5, num_thresholds=0)", ValueError, "`num_thresholds` must be > 0"),
    (
        "metrics.Mean().add_weight('n', aggregation='product')",
        ValueError,
        "or 'ONLY_FIRST_REPLICA', received 'product'",
    ),
    ("metrics.Accuracy()([1, 2], [1, 2, 3])", ValueError, "incompatible"),
    ("optimizers.get('adma')", ValueError, "Unknown optimizer: 'adma'"),
    ("optimizers.SGD(learning_rate='fast')", ValueError, "learning_rate must be a number"),
    ("optimizers.SGD(momentum=2.0)", ValueError, "`momentum` must be between [0, 1], received 2.0"),
    ("optimizers.SGD(clipnorm=-1.0)", ValueError, "clipnorm >= 0"),
    ("optimizers.SGD(clipnrom=1.0)", TypeError, "clipnrom"),
    ("optimizers.Adam(beta_3=0.5)", TypeError, "beta_3"),
    ("optimizers.SGD(learning_rate=-0.1)", ValueError, "Expected learning_rate >= 0, received: -0.1"),
    ("optimizers.Adam(lr=-0.1)", ValueError, "Expected lr >= 0, received: -0.1"),
    ("setattr(optimizers.Adam(), 'lr', -0.1)", ValueError, "Expected learning_rate >= 0, received: -0.1"),
    ("optimizers.SGD(clipvalue=-1.0)", ValueError, "Expected clipvalue >= 0"),
    ("optimizers.SGD(decay=-1.0)", ValueError, "Expected decay >= 0"),
    ("optimizers.Adam(beta_1=1.0)", ValueError, "`beta_1` must be between [0, 1), received 1.0"),
    ("optimizers.Nadam(beta_2=-0.1)", ValueError, "`beta_2` must be between [0, 1), received -0.1"),
    ("optimizers.RMSprop(rho=1.1)", ValueError, "`rho` must be between [0, 1], received 1.1"),
    ("optimizers.Adadelta(epsilon=-1e-7)", ValueError, "a number that is not negative, or None; received -1e-07"),
    ("optimizers.Adam(epsilon='a')", ValueError, "or None; received 'a'"),
    ("optimizers.SGD(clipnorm='a')", ValueError, "Expected clipnorm to be a number >= 0 or None, received: 'a'"),
    ("optimizers.SGD().apply_gradients(3)", ValueError, "expected (gradient, tf.Variable) pairs, received 3"),
    ("optimizers.SGD().apply_gradients([1.0])", ValueError, "expected (gradient, tf.Variable) pairs, received 1.0"),
    ("optimizers.SGD().minimize(1.0, [])", ValueError, "`tape` is required when a `Tensor` loss is passed"),
    ("optimizers.SGD().get_updates(1.0, [])", RuntimeError, "GradientTape"),
    ("optimizers.Adam(learning_rate=None)", ValueError, "learning_rate must be a number, a variable"),
    (
        "optimizers.Ftrl(l1_regularization_strength=-1.0)",
        ValueError,
        "l1_regularization_strength -1.0 needs to be posit",
    ),
    ("optimizers.AdamW(weight_decay=-1)", ValueError, "Expected weight_decay >= 0"),
    ("optimizers.AdamW(exclude_from_weight_decay='bias')", TypeError, "a list of regular expressions, received 'bias'"),
    ("optimizers.LAMB(exclude_from_layer_adaptation=['('])", ValueError, "'(' is no regular expression"),
    ("optimizers.LARS(trust_coefficient=-1)", ValueError, "`trust_coefficient` must not be negative, received -1"),
    ("optimizers.LARS(momentum=1.5)", ValueError, "`momentum` must be between [0, 1], received 1.5"),
    ("optimizers.SGD().apply_gradients([(None, tf.Variable(1.0))])", ValueError, "No gradients provided"),
    ("optimizers.SGD().apply_gradients([(X, tf.Variable(1.0))])", ValueError, "expected a tensor of shape ()"),
    ("optimizers.SGD().apply_gradients([(1.0, tf.constant(1.0))])", ValueError, "pairs, received <tf.Tensor"),
    ("tf.IndexedSlices(X, [1])", ValueError, "one index for each row, received shapes (10, 2) and (1,)"),
    ("tf.IndexedSlices(Y, np.ones(10))", ValueError, "indices must be integers, received dtype float64"),
    ("tf.convert_to_tensor(tf.IndexedSlices(Y, np.arange(10)))", ValueError, "without a shape cannot become a tensor"),
    ("apply_rows(X[:1], [3])", ValueError, "is IndexedSlices with values of shape (1, 2) and float32"),
    ("apply_rows(Y[:1], [3])", ValueError, "has 1 indices outside of [0, 3)"),
    ("optimizers.SGD().add_slot(tf.Variable(1.0), 'm', X)", ValueError, "a first value of shape ()"),
    ("optimizers.SGD().add_weight('w', (), trainable=True)", ValueError, "is not trainable itself ('w')"),
    ("optimizers.SGD().set_weights([1, 2, 3])", ValueError, "a weight list of length 3"),
    ("optimizers.SGD().get_slot(tf.Variable(1.0), 'momentm')", KeyError, "keeps no slot 'momentm'"),
    ("optimizers.schedules.PiecewiseConstantDecay([1, 2], [0.1])", ValueError, "2 boundaries and 1 values"),
    (
        "optimizers.schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3])",
        ValueError,
        "must increase, received [2, 1]",
    ),
    ("optimizers.schedules.ExponentialDecay(0.1, 0, 0.9)", ValueError, "`decay_steps` must be positive, received 0"),
    ("optimizers.schedules.PolynomialDecay(0.1, -1)", ValueError, "`decay_steps` must be positive, received -1"),
    ("tf.keras.experimental.CosineDecay(0.1, 0)", ValueError, "`decay_steps` must be positive, received 0"),
    ("tf.keras.experimental.LinearCosineDecay(0.1, 0)", ValueError, "`decay_steps` must be positive, received 0"),
    ("tf.keras.experimental.NoisyLinearCosineDecay(0.1, 9, -1)", ValueError, "`initial_variance` must not be negative"),
    ("tf.keras.experimental.CosineDecayRestarts(0.1, 0)", ValueError, "`first_decay_steps` must be positive"),
    ("tf.keras.experimental.CosineDecayRestarts(0.1, 9, t_mul=0.5)", ValueError, "`t_mul` must be at least 1"),
    ("optimizers.schedules.LinearWarmup(0.1, 0)", ValueError, "`warmup_steps` must be positive, received 0"),
    (
        "optimizers.schedules.deserialize({'class_name': 'CosinDecay', 'config': {}})",
        ValueError,
        "Did you mean 'Cosine",
    ),
    ("initializers.get('zeroes')", ValueError, "Did you mean 'Zeros'"),
    ("initializers.VarianceScaling(mode='fan')", ValueError, "received 'fan'"),
    ("initializers.Orthogonal()((3,))", ValueError, "at least two-dimensional, received (3,)"),
    ("initializers.Identity()((3, 3, 3))", ValueError, "only be used for 2D matrices"),
    ("initializers.RandomNormal(stddev=-1.0)", ValueError, "stddev must not be negative, received -1.0"),
    ("initializers.TruncatedNormal(stddev=-1.0)", ValueError, "TruncatedNormal: stddev must not be negative"),
    ("initializers.RandomUniform(1.0, 0.0)", ValueError, "expected minval <= maxval, received 1.0 and 0.0"),
    ("constraints.MaxNorm(foo=1)", TypeError, "foo"),
    ("constraints.UnitNorm(axis=4)(X)", ValueError, "Axis 4 is out of range"),
    ("regularizers.l1_l2(l3=1)", TypeError, "l3"),
    ("activations.softmax(X, axis=5)", ValueError, "Axis 5 is out of range"),
    ("activations.relu(X, slope=1)", TypeError, "slope"),
    ("constraints.MaxNorm(-1)", ValueError, "max_value must not be negative, received -1"),
    ("constraints.MinMaxNorm(2.0, 1.0)", ValueError, "expected 0 <= min_value <= max_value, received 2.0 and 1.0"),
    ("constraints.MinMaxNorm(rate=1.5)", ValueError, "rate must be in [0, 1], received 1.5"),
    ("constraints.RadialConstraint()(X)", ValueError, "expected the kernel of a Conv2D"),
    ("constraints.get('MaxNrm')", ValueError, "Did you mean 'MaxNorm'"),
    ("regularizers.l2('x')", ValueError, "must be a number, received 'x'"),
    ("activations.get('relux')", ValueError, "Unknown activation function: 'relux'"),
    ("callbacks.EarlyStopping(mode='mim')", ValueError, "received 'mim'"),
    ("callbacks.ModelCheckpoint('m.h5', save_freq='epcoh')", ValueError, "received 'epcoh'"),
    ("callbacks.ReduceLROnPlateau(factor=1.0)", ValueError, "received 1.0"),
    ("callbacks.LearningRateScheduler(3)", TypeError, "`schedule` must be a function of the epoch, received 3"),
    (
        "compiled().fit(X, Y, verbose=0, callbacks=[callbacks.LearningRateScheduler(lambda epoch: 'x')])",
        ValueError,
        "should be float, received 'x'",
    ),
    (
        "compiled().fit(X, Y, verbose=0, callbacks=[callbacks.ModelCheckpoint('m_{nothing}.h5')])",
        KeyError,
        "'nothing' is not among",
    ),
    ("backend.set_floatx('float31')", ValueError, "Unknown floatx type: 'float31'"),
    ("backend.set_image_data_format('x')", ValueError, "received 'x'"),
    ("backend.set_value(tf.Variable([1.0, 2.0]), [1.0])", ValueError, "Shapes (2,) and (1,) are incompatible"),
]

TENSORS = [
    ("tf.constant([1, 2], shape=(3,))", TypeError, "2 values do not fill the shape (3,)"),
    ("tf.constant('x', dtype='float32')", ValueError, "'x'"),
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
