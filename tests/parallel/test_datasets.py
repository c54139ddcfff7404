"""Datasets of several ranks: History, weights and predictions are those of one process, however the data is made."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

RANDOM = np.random.default_rng(7)
ROWS = 23
X = RANDOM.normal(size=(ROWS, 3)).astype("float32")
Y = RANDOM.integers(0, 3, ROWS)
WEIGHTS = RANDOM.uniform(0.1, 2, ROWS).astype("float32")
D = tf.data.Dataset


def generate():
    yield from zip(X, Y, strict=True)


def at_random():
    for x, y in zip(X, Y, strict=True):
        yield x + np.random.default_rng().normal(scale=1e-9), y  # no two processes yield the same


def looked_at(x, y):
    return (x if x.numpy().sum() > 0 else -x), y


TYPES = (tf.float32, tf.int64)
SOURCES = {
    "slices": lambda: D.from_tensor_slices((X, Y)).batch(5),
    "shuffled": lambda: D.from_tensor_slices((X, Y)).shuffle(30).batch(5),
    "small_buffer": lambda: D.from_tensor_slices((X, Y)).shuffle(4, seed=1).batch(5, drop_remainder=True),
    "mapped": lambda: D.from_tensor_slices((X, Y)).map(lambda x, y: (x * 2, y)).batch(5).prefetch(2),
    "mapped_batches": lambda: D.from_tensor_slices((X, Y)).batch(5).map(lambda x, y: (x * 2, y)),
    "random": lambda: D.from_tensor_slices((X, Y)).map(lambda x, y: (x + tf.random.uniform((3,)), y)).batch(5),
    "batches_of_one": lambda: D.from_tensor_slices((X, Y)).take(4).batch(1),
    "weights": lambda: D.from_tensor_slices((X, Y, WEIGHTS)).batch(7),
    "generator": lambda: D.from_generator(generate, TYPES, ((3,), ())).batch(5),
    "random_generator": lambda: D.from_generator(at_random, TYPES).batch(5),
    "python": lambda: D.from_tensor_slices((X, Y)).map(looked_at, num_parallel_calls=2).batch(5).prefetch(1),
    "cached": lambda: D.from_tensor_slices((X, Y)).map(lambda x, y: (x * 2, y)).cache().shuffle(30).batch(5),
    "endless": lambda: D.from_tensor_slices((X, Y)).shuffle(30, seed=3).repeat().batch(5),
    "interleaved": lambda: D.range(3).interleave(lambda i: D.from_tensor_slices((X, Y)), 2).shuffle(5).batch(5),
}


def model_of(strategy):
    tf.keras.backend.clear_session()
    tf.random.set_seed(3)
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(3,)), tf.keras.layers.Dropout(0.3)])
        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(tf.keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model


def train(strategy, make, **options):
    model = model_of(strategy)
    dataset = make()
    history = model.fit(dataset, verbose=0, epochs=3, **options).history
    return {**history, "evaluation": model.evaluate(make().take(3), verbose=0)}, model


def assert_alike(mine, theirs):
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", SOURCES)
def test_history_does_not_depend_on_the_ranks(name):
    options = {"steps_per_epoch": 4} if name == "endless" else {}
    alone, _ = train(tf.distribute.OneDeviceStrategy(), SOURCES[name], **options)
    together, model = train(tf.distribute.MirroredStrategy(), SOURCES[name], **options)
    assert_alike(together, alone)
    assert len(alone["loss"]) == 3 and model.optimizer.iterations.numpy() == 3 * model.history.params["steps"]


def test_predictions_are_those_of_one_process_in_order():
    strategy = tf.distribute.MirroredStrategy()
    model = model_of(strategy)
    for dataset in (D.from_tensor_slices(X).batch(5), D.from_generator(lambda: iter(X), tf.float32).batch(4)):
        np.testing.assert_allclose(model.predict(dataset), model.predict(X), rtol=1e-5)


def with_policy(dataset, policy):
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = policy
    return dataset.with_options(options)


def test_off_leaves_the_sharding_to_the_script():
    """Each rank reads its own dataset; a global batch has the size of one of its batches."""
    strategy = tf.distribute.MirroredStrategy()
    ranks, rank = strategy.num_replicas_in_sync, strategy.rank
    mine = D.from_tensor_slices((X, Y)).shard(ranks, rank).batch(2 * ranks)
    dataset = with_policy(mine, tf.data.experimental.AutoShardPolicy.OFF)
    steps = [(x.numpy(), y.numpy()) for x, y in strategy.experimental_distribute_dataset(dataset)]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in steps]), X[rank::ranks])
    assert max(len(x) for x, _ in steps) == 2
    history = model_of(strategy).fit(dataset, verbose=0).history

    together = [
        [np.concatenate(parts) for parts in zip(*step, strict=True)]
        for step in zip(*strategy.collect(steps), strict=True)
    ]
    alone = model_of(tf.distribute.OneDeviceStrategy())
    expected = alone.fit(map(tuple, together), steps_per_epoch=len(together), verbose=0).history
    assert_alike(history, expected)


def test_each_rank_reads_its_files(tmp_path_factory):
    strategy = tf.distribute.MirroredStrategy()
    folder = strategy.agree(str(tmp_path_factory.mktemp("files")))
    lengths = [3, 1, 4, 2, 0]
    for number, length in enumerate(lengths):
        with open(f"{folder}/{number}.{strategy.rank}", "w") as file:  # each rank writes its own, all alike
            file.writelines(f"{number}{line}\n" for line in range(length))
    files = D.list_files(f"{folder}/*.{strategy.rank}", shuffle=False)
    lines = tf.data.TextLineDataset(files).batch(2)
    shared = strategy.experimental_distribute_dataset(with_policy(lines, tf.data.experimental.AutoShardPolicy.FILE))
    found = [line.decode() for batch in shared for line in batch.numpy()]
    ranks = strategy.num_replicas_in_sync
    mine = [f"{number}{line}" for number in range(strategy.rank, 5, ranks) for line in range(lengths[number])]
    assert found == mine
    counts = strategy.collect(sum(1 for _ in shared))
    assert len(set(counts)) == 1  # the same number of steps on every rank


def test_sharing_files_needs_files():
    strategy = tf.distribute.MirroredStrategy()
    dataset = with_policy(D.range(4).batch(2), tf.data.experimental.AutoShardPolicy.FILE)
    if strategy.num_replicas_in_sync > 1:
        with pytest.raises(ValueError, match="FILE needs a dataset that is read from files"):
            next(iter(strategy.experimental_distribute_dataset(dataset)))


@pytest.mark.parametrize("name", ["shuffled", "random_generator", "mapped_batches"])
def test_a_loop_of_ones_own_gets_slices_of_the_global_batches(name):
    strategy = tf.distribute.MirroredStrategy()
    tf.random.set_seed(4)
    slices = [(x.numpy(), y.numpy()) for x, y in strategy.experimental_distribute_dataset(SOURCES[name]())]
    assert len(slices) == 5
    parts = strategy.collect(slices)
    whole = [np.concatenate([rank[step][1] for rank in parts]) for step in range(5)]
    assert [len(labels) for labels in whole] == [5, 5, 5, 5, 3]
    assert sorted(np.concatenate(whole)) == sorted(Y)
    tf.random.set_seed(4)
    if name != "random_generator":
        for labels, (_, expected) in zip(whole, SOURCES[name](), strict=True):
            np.testing.assert_array_equal(labels, expected.numpy())


def test_a_distributed_dataset_says_what_it_gives():
    shared = tf.distribute.MirroredStrategy().experimental_distribute_dataset(SOURCES["slices"]())
    assert len(shared) == 5
    assert shared.element_spec == (tf.TensorSpec([None, 3], tf.float32), tf.TensorSpec([None], tf.int64))
