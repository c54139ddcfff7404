"""Sequences that processes and threads read, on any number of ranks: the numbers of one process everywhere."""

import numpy as np
import pytest

import distkeras as tf
from distkeras.distribute import environment
from tests.data.worker_cases import Environment, Numbers

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore:Epoch .* waited for data")]


class Shuffled(Numbers):
    """Changes its order after each epoch with the global generator, which differs between ranks."""

    def __init__(self, length):
        super().__init__(length)
        self.order = np.arange(length)

    def __getitem__(self, index):
        x = np.random.RandomState(self.order[index]).randn(3 + self.order[index], 2)
        return x, x.sum(1)

    def on_epoch_end(self):
        np.random.shuffle(self.order)


def train(strategy, workers, processes):
    np.random.seed(environment.detect().rank)
    tf.random.set_seed(4)
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="zeros")])
        model.compile(tf.keras.optimizers.SGD(0.1), "mse")
    reading = {"workers": workers, "use_multiprocessing": processes}
    history = model.fit(Shuffled(4), epochs=3, verbose=0, validation_data=Shuffled(2), **reading)
    return [*history.history["loss"], *history.history["val_loss"], *model.get_weights()[0].ravel()]


@pytest.mark.parametrize(("workers", "processes"), [(0, False), (3, False), (1, True), (3, True)])
def test_results_depend_neither_on_ranks_nor_on_readers(workers, processes):
    strategy = tf.distribute.MirroredStrategy()
    results = train(strategy, workers, processes)
    np.testing.assert_allclose(results, EXPECTED, rtol=2e-4)
    strategy.check_alike({"results": results}, "the results")


def batches_of(numbers):
    for number in numbers:
        x = np.random.RandomState(number).randn(3 + number, 2)
        yield x, x.sum(1)


def test_whole_batches_are_dealt():
    """A step of N ranks is one on N batches put together."""
    strategy = tf.distribute.MirroredStrategy(shard="stride")
    ranks = strategy.num_replicas_in_sync
    sequence = Shuffled(5)
    together = [
        tuple(np.concatenate(parts) for parts in zip(*batches_of(range(first, min(first + ranks, 5))), strict=True))
        for first in range(0, 5, ranks)
    ]
    results = []
    for where, data in ((strategy, sequence), (tf.distribute.OneDeviceStrategy(), iter(together))):
        with where.scope():
            model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
            model.compile("adam", "mse", metrics=["mae"])
        history = model.fit(data, shuffle=False, verbose=0, steps_per_epoch=len(together)).history
        results.append([*history["loss"], *history["mae"], *model.get_weights()[0].ravel()])
    np.testing.assert_allclose(*results, rtol=1e-5)
    dealt, whole = model_of_ones(strategy), model_of_ones(tf.distribute.OneDeviceStrategy())
    np.testing.assert_allclose(dealt.evaluate(Shuffled(5), verbose=0), whole.evaluate(Shuffled(5), verbose=0), 1e-5)
    np.testing.assert_allclose(dealt.predict(Shuffled(5)), whole.predict(Shuffled(5)), rtol=1e-5)


def model_of_ones(strategy):
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
        model.compile("adam", "mse")
    return model


def test_dealing_does_not_go_with_steps_of_any_number_of_ranks():
    with pytest.raises(ValueError, match="use shard='slice'"):
        tf.distribute.MirroredStrategy(deterministic=True, shard="stride")
    with pytest.raises(ValueError, match="`shard` must be 'slice' or 'stride', received 'rows'"):
        tf.distribute.MirroredStrategy(shard="rows")


def test_the_time_that_ranks_wait_for_each_other_is_reported():
    strategy = tf.distribute.MirroredStrategy()
    history = model_of_ones(strategy).fit(Shuffled(4), epochs=2, verbose=0)
    assert all(0 <= times.communicated < times.seconds for times in history.report)
    assert (history.report[1].communicated > 0) == (strategy.num_replicas_in_sync > 1)


def test_workers_of_ranks_know_nothing_of_the_job():
    from distkeras.data.pool import WorkerPool

    pool = WorkerPool(Environment(), workers=1, depth=1)
    assert list(pool.map([0])) == [([], False, "1", "none")]
    pool.close()


EXPECTED = [1.313519, 0.06841138, 0.004076264, 0.1169562, 0.00623706, 0.0003534426, 0.9892928, 0.9887013]
