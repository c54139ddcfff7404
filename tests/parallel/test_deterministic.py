"""`deterministic=True`: all ranks together and this process alone give the same bits.

The file passes at any number of ranks, so that all numbers give the bits of one.
"""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras import _settings
from distkeras.distribute import timeline

layers = tf.keras.layers
RNG = np.random.default_rng(1)
ROWS = 43
X = RNG.standard_normal((ROWS, 6)).astype("float32")
IMAGES = RNG.standard_normal((ROWS, 9, 8, 2)).astype("float32")
WORDS = RNG.integers(0, 12, (ROWS, 5)).astype("float32")
CLASSES = RNG.integers(0, 4, ROWS)
WEIGHTS = RNG.uniform(0.1, 2, ROWS).astype("float32")


def mlp(**options):
    return tf.keras.Sequential(
        [
            layers.Dense(16, activation="relu", input_shape=(6,), **options),
            layers.Dropout(0.4),
            layers.Dense(4, activation="softmax"),
        ]
    )


def cnn():
    inputs = tf.keras.Input((9, 8, 2))
    x = layers.Conv2D(5, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    return tf.keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


def embedding():
    words = tf.keras.Input((5,))
    x = layers.GlobalAveragePooling1D()(layers.Embedding(12, 6)(words))
    return tf.keras.Model(words, layers.Dense(4, activation="softmax")(x))


def normalized(make=layers.BatchNormalization, **options):
    inputs = tf.keras.Input((9, 8, 2))
    x = layers.Conv2D(5, 3, padding="same", use_bias=False)(inputs)
    x = layers.AveragePooling2D(2)(layers.ReLU()(make(**options)(x)))
    x = make(**options)(layers.Dense(6)(layers.Flatten()(x)))
    return tf.keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


def recurrent():
    words = tf.keras.Input((5,))
    x = layers.Bidirectional(layers.LSTM(4))(layers.Embedding(12, 6, mask_zero=True)(words))
    return tf.keras.Model(words, layers.Dense(4, activation="softmax")(layers.LayerNormalization()(x)))


def attending():
    """Samples are told apart by more than their rows: transposed, sorted, drawn for, multiplied with each other."""
    inputs = tf.keras.Input((6,))
    x = layers.Reshape((3, 8))(layers.Dense(24, activation="tanh")(inputs))
    x = layers.Attention()([x, layers.Dense(8)(x)])
    x = layers.GaussianNoise(0.1)(layers.LayerNormalization()(x))
    x = layers.Lambda(lambda y: y + tf.sort(tf.transpose(tf.transpose(y, (1, 0, 2)), (1, 0, 2)), axis=0))(x)
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Lambda(lambda y: y + 0.1 * tf.matmul(tf.nn.softmax(tf.matmul(y, y, transpose_b=True)), y))(x)
    return tf.keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


class OwnStep(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.out = layers.Dense(4, activation="softmax")

    def call(self, inputs):
        return self.out(inputs)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compiled_loss(y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        total = tf.distribute.get_strategy().reduce("SUM", loss, axis=None)
        return {"size": tf.reduce_sum(gradients[0] ** 2), "share": loss, "rows": tf.shape(x)[0], "total": total}


class Twice(OwnStep):
    def train_step(self, data):
        super().train_step(data)
        return super().train_step(data)


class Counting(layers.Layer):
    def build(self, shape):
        self.seen = self.add_weight("seen", (), initializer="zeros", trainable=False)
        self.largest = self.add_weight("largest", (6,), initializer="zeros", trainable=False)

    def call(self, inputs):
        self.seen.assign_add(tf.reduce_sum(inputs))
        self.largest.assign(tf.reduce_max(inputs, axis=0))
        return inputs


def counting():
    return tf.keras.Sequential([Counting(input_shape=(6,)), layers.Dense(4, "softmax")])


class Plain(tf.keras.optimizers.Optimizer):
    """Updates variable by variable."""

    def __init__(self, name="Plain"):
        super().__init__(name)

    def _resource_apply_dense(self, grad, var, apply_state=None):
        return var.assign_sub(0.1 * grad)

    def get_config(self):
        return super().get_config()


class Halves(tf.keras.optimizers.Optimizer):
    """Does not say that it may be given parts of variables."""

    def __init__(self, name="Halves"):
        super().__init__(name)

    def update(self, group, part):
        parameters, gradients = group.arrays(part)
        parameters -= 0.1 * gradients / (1 + np.float32(np.linalg.norm(gradients)))

    def get_config(self):
        return super().get_config()


def scaled():
    return tf.keras.mixed_precision.experimental.LossScaleOptimizer(sgd(0.1), 64.0)


adam = tf.keras.optimizers.Adam
sgd = tf.keras.optimizers.SGD
l2 = tf.keras.regularizers.l2
CASES = {
    "adam, dropout, ragged last batch": (mlp, lambda: adam(0.01), X, {"batch_size": 10}),
    "fewer rows than micro-shards, or than ranks": (mlp, lambda: adam(0.01), X, {"batch_size": 3}),
    "one batch": (mlp, lambda: adam(0.01), X, {"batch_size": 64}),
    "clipnorm": (mlp, lambda: adam(0.01, clipnorm=0.05), X, {"batch_size": 20}),
    "global clipnorm": (mlp, lambda: sgd(0.1, global_clipnorm=0.05), X, {"batch_size": 20}),
    "sample weights": (mlp, lambda: adam(0.01), X, {"batch_size": 20, "sample_weight": WEIGHTS}),
    "regularisation": (lambda: mlp(kernel_regularizer=l2(0.01)), lambda: sgd(0.1, momentum=0.9), X, {"batch_size": 20}),
    "convolution": (cnn, lambda: tf.keras.optimizers.RMSprop(0.005), IMAGES, {"batch_size": 20}),
    "an embedding, all rows updated": (embedding, lambda: adam(0.01), WORDS, {"batch_size": 20}),
    "an embedding, some rows updated": (embedding, lambda: sgd(0.1), WORDS, {"batch_size": 20}),
    "a step of one's own": (OwnStep, lambda: adam(0.01), X, {"batch_size": 20}),
    "batch normalisation": (normalized, lambda: adam(0.01), IMAGES, {"batch_size": 20}),
    "synchronised by name": (
        lambda: normalized(tf.keras.layers.experimental.SyncBatchNormalization),
        lambda: sgd(0.1),
        IMAGES,
        {"batch_size": 14},
    ),
    "batch renormalisation": (lambda: normalized(renorm=True), lambda: sgd(0.1), IMAGES, {"batch_size": 20}),
    "recurrence and masks": (recurrent, lambda: adam(0.01), WORDS, {"batch_size": 20}),
    "samples that see each other": (attending, lambda: adam(0.01), X, {"batch_size": 20}),
    "two updates in a step": (Twice, lambda: adam(0.01), X, {"batch_size": 20}),
    "layers that assign": (counting, lambda: adam(0.01), X, {"batch_size": 20}),
    "an optimizer that updates by variable": (mlp, Plain, X, {"batch_size": 20}),
    "gradients accumulated": (mlp, lambda: adam(0.01, gradient_accumulation_steps=2), X, {"batch_size": 10}),
    "cut off and decayed": (
        mlp,
        lambda: tf.keras.optimizers.AdamW(0.01, clipvalue=0.01, exclude_from_weight_decay=["bias"]),
        X,
        {"batch_size": 20},
    ),
    "steps as long as the weights": (
        mlp,
        lambda: tf.keras.optimizers.LAMB(0.01, weight_decay=0.1),
        X,
        {"batch_size": 20},
    ),
    "variables updated as a whole": (mlp, Halves, X, {"batch_size": 20}),
    "a loss that is scaled": (mlp, scaled, X, {"batch_size": 20}),
    "constraints": (
        lambda: mlp(kernel_constraint=tf.keras.constraints.MaxNorm(0.6)),
        lambda: sgd(0.1),
        X,
        {"batch_size": 20},
    ),
    "validation": (mlp, lambda: adam(0.01), X, {"batch_size": 20, "validation_split": 0.3}),
}


def strategies():
    return tf.distribute.MirroredStrategy(deterministic=True), tf.distribute.OneDeviceStrategy(deterministic=True)


def train(strategy, make, optimizer, x, fit_with, **compile_with):
    tf.keras.backend.clear_session()
    tf.random.set_seed(3)
    with strategy.scope():
        model = make()
        model.compile(optimizer(), "sparse_categorical_crossentropy", ["accuracy"], **compile_with)
    history = model.fit(x, CLASSES, epochs=2, verbose=0, **fit_with).history
    evaluation = model.evaluate(x, CLASSES, batch_size=10, verbose=0)
    on_batch = model.train_on_batch(x[:11], CLASSES[:11], reset_metrics=False)
    read = [float(metric.result()) for metric in model.metrics]
    return (
        history,
        evaluation,
        [*on_batch, *read] if isinstance(on_batch, list) else [on_batch, *read],
        [*model.get_weights(), model.predict(x, batch_size=16)],
    )


def assert_same_bits(mine, theirs):
    assert mine[:3] == theirs[:3]
    assert_same_weights(mine[3], theirs[3])


@pytest.mark.parametrize("case", CASES)
def test_n_ranks_give_the_bits_of_one(case):
    everyone, alone = strategies()
    assert_same_bits(train(everyone, *CASES[case]), train(alone, *CASES[case]))


@pytest.mark.parametrize("case", ["adam, dropout, ragged last batch", "an embedding, some rows updated", "validation"])
def test_the_numbers_are_those_of_the_usual_mode(case):
    usual = train(tf.distribute.OneDeviceStrategy(), *CASES[case])
    history, evaluation, on_batch, arrays = train(strategies()[0], *CASES[case])
    assert history.keys() == usual[0].keys()
    for name in history:
        np.testing.assert_allclose(history[name], usual[0][name], 2e-4, 2e-5)
    np.testing.assert_allclose(evaluation, usual[1], 2e-4, 2e-5)
    np.testing.assert_allclose(on_batch, usual[2], 2e-4, 2e-5)
    for mine, theirs in zip(arrays, usual[3], strict=True):
        np.testing.assert_allclose(mine, theirs, 2e-3, 2e-4)


def wide():
    return tf.keras.Sequential([layers.Dense(50, "tanh", input_shape=(6,)), layers.Dense(4, "softmax")])


def group_of(model):
    (group,) = model.optimizer.groups
    return group


def on_one_node(communicator):
    return communicator.size > 1 and communicator.num_nodes == 1 and _settings.current().shared_arenas


def test_gradients_are_added_up_as_one_copy_is_updated():
    def train_with(model):
        model.train_on_batch(X, CLASSES)
        strategy, group = model.distribute_strategy, group_of(model)
        assert group.parameters.is_shared == on_one_node(strategy.communicator)
        if timeline.current() is timeline.OFF:  # block by block, and used up: never written to the arena
            assert np.any(group.gradients.flat) != group.parameters.is_shared

    together, alone = strategies()
    assert_same_weights(train_on(together, wide, train_with), train_on(alone, wide, train_with))


@pytest.mark.parametrize("rate", [0.01, lambda: 0.01])
def test_a_rank_that_leaves_has_the_others_add_up_the_rest(rate):
    """It alone knows, before they next meet. With a rate that Python is asked for, not only kernels do the update."""

    def train_with(model):
        model.compile(adam(rate), "sparse_categorical_crossentropy")
        model.fit(X, CLASSES, batch_size=20, verbose=0)
        communicator = model.distribute_strategy.communicator
        for sets in (communicator.rank == 0, True):
            if sets:
                model.set_weights(model.get_weights())
            for _ in range(2):
                model.train_on_batch(X, CLASSES)
                assert not group_of(model).parameters.is_shared
        model.fit(X, CLASSES, batch_size=20, verbose=0)
        assert group_of(model).parameters.is_shared == on_one_node(communicator)

    together, alone = strategies()
    assert_same_weights(train_on(together, wide, train_with), train_on(alone, wide, train_with))


def test_models_and_batches_in_turn():
    """Exchanges of one function, and of several, lie apart."""

    def train_with(model):
        other = mlp()
        other.compile("sgd", "sparse_categorical_crossentropy")
        for size in (20, 7, 43, 20):
            model.train_on_batch(X[:size], CLASSES[:size])
            other.train_on_batch(X[:size], CLASSES[:size])
            model.test_on_batch(X[:size], CLASSES[:size])
        losses.append(other.get_weights())

    losses = []
    together, alone = strategies()
    assert_same_weights(train_on(together, wide, train_with), train_on(alone, wide, train_with))
    assert_same_weights(*losses)


def test_op_by_op():
    everyone, alone = strategies()
    case = (normalized, lambda: adam(0.01), IMAGES, {"batch_size": 20})
    mine, theirs = (train(strategy, *case, run_eagerly=True) for strategy in (everyone, alone))
    assert_same_bits(mine, theirs)
    np.testing.assert_allclose(mine[0]["loss"], train(alone, *case)[0]["loss"], 2e-4)


@pytest.mark.parametrize("batch", [19, 32])
def test_datasets_are_cut_to_fit(batch):
    def data():
        return tf.data.Dataset.from_tensor_slices((X, CLASSES)).shuffle(64, seed=1).batch(batch)

    results = [
        train_on(strategy, mlp, lambda model: model.fit(data(), epochs=2, verbose=0)) for strategy in strategies()
    ]
    assert_same_weights(*results)


class Batches(tf.keras.utils.Sequence):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(11 * index, 11 * index + 11)
        return X[rows], CLASSES[rows]


def generated():
    while True:
        yield from (Batches()[index] for index in range(4))


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("make", [Batches, generated])
def test_workers_that_read_ahead(make, workers):
    def train_with(model):
        model.fit(
            make(),
            steps_per_epoch=4,
            epochs=2,
            workers=workers if model.distribute_strategy is together else 0,
            verbose=0,
        )

    together, alone = strategies()
    assert_same_weights(train_on(together, mlp, train_with), train_on(alone, mlp, train_with))


def test_loops_of_ones_own():
    def loop(model):
        strategy, optimizer = model.distribute_strategy, adam(0.01)
        data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices((X, CLASSES)).batch(16))

        @tf.function
        def step(x, y):
            with tf.GradientTape() as tape:
                losses = tf.keras.losses.sparse_categorical_crossentropy(y, model(x, training=True))
                loss = tf.nn.compute_average_loss(losses, global_batch_size=16)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            return loss

        for x, y in data:
            loss = strategy.experimental_run_v2(step, args=(x, y))
            total = strategy.reduce("SUM", loss, axis=None)
            np.testing.assert_array_equal(total.numpy(), loss.numpy())

    assert_same_weights(*(train_on(strategy, normalized_mlp, loop) for strategy in strategies()))


def normalized_mlp():
    return tf.keras.Sequential(
        [layers.Dense(16, input_shape=(6,)), layers.BatchNormalization(), layers.Dense(4, "softmax")]
    )


def test_there_is_one_replica():
    strategy, _ = strategies()
    assert strategy.num_replicas_in_sync == 1
    assert strategy.run(lambda: tf.distribute.get_replica_context().num_replicas_in_sync) == 1


def train_on(strategy, make, train_with):
    tf.keras.backend.clear_session()
    tf.random.set_seed(3)
    with strategy.scope():
        model = make()
        model.compile("adam", "sparse_categorical_crossentropy")
        train_with(model)
    return model.get_weights()


def assert_same_weights(mine, theirs):
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(one.view(np.int32), other.view(np.int32))
