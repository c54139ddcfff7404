"""N ranks are one process: each test trains the same model over all ranks and in this process alone, and compares.

The file passes at any number of ranks; run it with `distkeras run -n 3 -m pytest tests/parallel`.
"""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

RNG = np.random.default_rng(0)
ROWS = 43  # ragged for every batch size and number of ranks used here
X = RNG.standard_normal((ROWS, 6)).astype("float32")
IMAGES = RNG.standard_normal((ROWS, 9, 8, 2)).astype("float32")
CLASSES = RNG.integers(0, 4, ROWS)
VALUES = RNG.standard_normal((ROWS, 2)).astype("float32")
SEQUENCES = RNG.standard_normal((ROWS, 5, 3)).astype("float32")
SEQUENCES[np.arange(5) >= RNG.integers(0, 6, ROWS)[:, None]] = 0  # padded at the end; some rows hold nothing
WEIGHTS = RNG.uniform(0.1, 2, ROWS).astype("float32")
NO_WEIGHTS_AT_FIRST = np.where(np.arange(ROWS) < 20, 0, 1).astype("float32")

layers = tf.keras.layers


def mlp(**options):
    regularizer = options.get("regularizer")
    return tf.keras.Sequential(
        [
            layers.Dense(16, activation="relu", input_shape=(6,), kernel_regularizer=regularizer),
            layers.Dropout(0.4),
            layers.Dense(4, activation="softmax"),
        ]
    )


def cnn():
    inputs = tf.keras.Input((9, 8, 2))
    x = layers.Conv2D(5, 3, padding="same", activation="relu")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(4, (3, 2), strides=2)(x)
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    return tf.keras.Model(inputs, layers.Dense(4)(x))


def two_outputs():
    inputs = tf.keras.Input((6,))
    x = layers.Dense(8, activation="tanh")(inputs)
    return tf.keras.Model(inputs, [layers.Dense(4, name="a")(x), layers.Dense(2, name="b")(x)])


class Subclassed(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(8, activation="relu", activity_regularizer=tf.keras.regularizers.l2(0.01))
        self.norm = layers.BatchNormalization()
        self.out = layers.Dense(4)

    def call(self, inputs, training=False):
        x = self.hidden(inputs)
        self.add_loss(tf.reduce_mean(tf.square(x)) * 0.1)
        return self.out(self.norm(x, training=training))


def recurrent():
    cells = [layers.GRUCell(3, recurrent_dropout=0.3, implementation=1), layers.LSTMCell(4)]
    return tf.keras.Sequential(
        [
            layers.Masking(input_shape=(5, 3)),
            layers.Bidirectional(layers.LSTM(4, dropout=0.3, return_sequences=True)),
            layers.RNN(cells, return_sequences=True),
            layers.GRU(4, dropout=0.2),
            layers.Dense(4, activation="softmax"),
        ]
    )


FROM_LOGITS = {"loss": tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), "metrics": ["accuracy"]}
SPARSE = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}


def strategies():
    return tf.distribute.MirroredStrategy(), tf.distribute.OneDeviceStrategy()


def train(strategy, make, compile_with, x, y, fit_with, eager=None, seed=3):
    """History, weights, evaluation and prediction of one run."""
    tf.keras.backend.clear_session()
    tf.random.set_seed(seed)
    with strategy.scope():
        model = make()
        optimizer = compile_with.get("optimizer", lambda: tf.keras.optimizers.Adam(0.01))()
        model.compile(**{**compile_with, "optimizer": optimizer}, run_eagerly=eager)
    history = model.fit(x, y, epochs=2, verbose=0, **fit_with)
    evaluation = model.evaluate(x, y, batch_size=10, verbose=0)
    prediction = model.predict(x, batch_size=16)
    return {
        "history": history.history,
        "weights": model.get_weights(),
        "evaluation": evaluation,
        "prediction": prediction,
        "iterations": int(optimizer.iterations.numpy()),
    }


def assert_alike(left, right, rtol=2e-5, atol=2e-6):
    assert left["iterations"] == right["iterations"]
    assert left["history"].keys() == right["history"].keys()
    for name in left["history"]:
        assert len(left["history"][name]) == len(right["history"][name])
        np.testing.assert_allclose(left["history"][name], right["history"][name], rtol, atol, err_msg=name)
    for mine, theirs in zip(left["weights"], right["weights"], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(left["evaluation"], right["evaluation"], rtol, atol)
    for mine, theirs in zip(as_list(left["prediction"]), as_list(right["prediction"]), strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=2e-4, atol=2e-5)


def as_list(value):
    return value if isinstance(value, list) else [value]


def sgd(**options):
    return lambda: tf.keras.optimizers.SGD(0.1, **options)


def rmsprop():
    return tf.keras.optimizers.RMSprop(0.005)


CASES = {
    "dropout and a ragged last batch": (mlp, SPARSE, X, CLASSES, {"batch_size": 10}),
    "batches smaller than the number of ranks": (mlp, SPARSE, X, CLASSES, {"batch_size": 2}),
    "one batch": (mlp, SPARSE, X, CLASSES, {"batch_size": 64}),
    "no shuffling": (mlp, SPARSE, X, CLASSES, {"batch_size": 10, "shuffle": False}),
    "shuffling of batches": (mlp, SPARSE, X, CLASSES, {"batch_size": 10, "shuffle": "batch"}),
    "convolution and batch normalisation": (cnn, FROM_LOGITS, IMAGES, CLASSES, {"batch_size": 12}),
    "recurrent layers, masks and their dropout": (recurrent, SPARSE, SEQUENCES, CLASSES, {"batch_size": 10}),
    "sample weights": (mlp, SPARSE, X, CLASSES, {"batch_size": 10, "sample_weight": WEIGHTS}),
    "weights that are zero on some ranks": (
        mlp, SPARSE, X, CLASSES, {"batch_size": 10, "sample_weight": NO_WEIGHTS_AT_FIRST, "shuffle": False},
    ),
    "class weights": (mlp, SPARSE, X, CLASSES, {"batch_size": 10, "class_weight": {0: 1, 1: 2, 2: 0.5, 3: 0}}),
    "weighted metrics": (
        mlp, {**SPARSE, "weighted_metrics": ["accuracy"]}, X, CLASSES, {"batch_size": 10, "sample_weight": WEIGHTS},
    ),
    "regularisation": (
        lambda: mlp(regularizer=tf.keras.regularizers.l1_l2(0.01, 0.02)), SPARSE, X, CLASSES, {"batch_size": 10},
    ),
    "subclass, activity regularisation, add_loss": (Subclassed, FROM_LOGITS, X, CLASSES, {"batch_size": 8}),
    "two outputs": (
        two_outputs,
        {"loss": {"a": FROM_LOGITS["loss"], "b": "mse"}, "loss_weights": [1.0, 0.3], "metrics": {"b": ["mae"]}},
        X, [CLASSES, VALUES], {"batch_size": 9},
    ),
    "a loss that is a sum": (
        mlp,
        {"loss": tf.keras.losses.SparseCategoricalCrossentropy(reduction="sum"), "optimizer": sgd()},
        X, CLASSES, {"batch_size": 10},
    ),
    "validation split": (mlp, SPARSE, X, CLASSES, {"batch_size": 10, "validation_split": 0.3}),
    "momentum": (mlp, {**SPARSE, "optimizer": sgd(momentum=0.9)}, X, CLASSES, {"batch_size": 10}),
    "nesterov": (mlp, {**SPARSE, "optimizer": sgd(momentum=0.9, nesterov=True)}, X, CLASSES, {"batch_size": 10}),
    "rmsprop": (mlp, {**SPARSE, "optimizer": rmsprop}, X, CLASSES, {"batch_size": 10}),
    "clipnorm": (mlp, {**SPARSE, "optimizer": sgd(clipnorm=0.05)}, X, CLASSES, {"batch_size": 10}),
    "clipvalue": (mlp, {**SPARSE, "optimizer": sgd(clipvalue=0.01)}, X, CLASSES, {"batch_size": 10}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_n_ranks_equal_one(case):
    everyone, alone = strategies()
    assert_alike(train(everyone, *CASES[case]), train(alone, *CASES[case]))


@pytest.mark.parametrize("case", CASES)
def test_the_plan_equals_eager(case):
    everyone, _ = strategies()
    assert_alike(train(everyone, *CASES[case]), train(everyone, *CASES[case], eager=True))


def test_replicas_stay_bit_identical():
    everyone, _ = strategies()
    weights = train(everyone, *CASES["convolution and batch normalisation"])["weights"]
    flat = np.concatenate([weight.ravel() for weight in weights])
    for other in everyone.communicator.allgather(flat):
        assert np.array_equal(flat, other)


def test_ranks_with_different_seeds_start_from_the_weights_of_rank_0():
    everyone, _ = strategies()
    tf.random.set_seed(10 + everyone.rank)
    with everyone.scope():
        model = mlp()
        model.compile("sgd", **{key: SPARSE[key] for key in ("loss",)})
    model.train_on_batch(X[:8], CLASSES[:8])
    flat = np.concatenate([weight.ravel() for weight in model.get_weights()])
    for other in everyone.communicator.allgather(flat):
        assert np.array_equal(flat, other)


def test_batch_calls_take_the_global_batch():
    results = []
    for strategy in strategies():
        tf.keras.backend.clear_session()
        tf.random.set_seed(5)
        with strategy.scope():
            model = mlp()
            model.compile("adam", **SPARSE)
        trained = [model.train_on_batch(X[:11], CLASSES[:11]) for _ in range(3)]
        tested = model.test_on_batch(X[:7], CLASSES[:7])
        results.append((trained, tested, np.asarray(model.predict_on_batch(X[:5]))))
    (trained, tested, predicted), (trained_alone, tested_alone, predicted_alone) = results
    np.testing.assert_allclose(trained, trained_alone, rtol=2e-5)
    np.testing.assert_allclose(tested, tested_alone, rtol=2e-5)
    np.testing.assert_allclose(predicted, predicted_alone, rtol=2e-5, atol=1e-6)


def test_files_are_the_same_bytes_whatever_the_number_of_ranks(tmp_path):
    everyone, alone = strategies()
    folder = everyone.agree(str(tmp_path))
    contents = []
    for name, strategy in (("together", everyone), ("alone", alone)):
        tf.keras.backend.clear_session()
        tf.random.set_seed(5)
        with strategy.scope():
            model = mlp()
        path = f"{folder}/{name}.h5"
        if strategy is everyone or everyone.rank == 0:
            model.save_weights(path)
        everyone.communicator.barrier()
        with open(path, "rb") as file:
            contents.append(file.read())
    assert contents[0] == contents[1]
