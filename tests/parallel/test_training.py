"""Whole trainings on several ranks give the recorded numbers of one process, on every rank, with identical logs."""

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from tests.keras.training.cases import CASES

RECORDED = np.load(Path(__file__).parents[1] / "keras" / "training" / "data" / "training.npz")


@pytest.fixture(scope="module")
def strategy():
    return tf.distribute.MirroredStrategy()


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_one_process(case, strategy):
    with strategy.scope():
        results = CASES[case](tf.keras)
    for key, value in results.items():
        expected = RECORDED[f"{case}/{key}"]
        np.testing.assert_allclose(np.asarray(value, "float64"), expected, rtol=5e-5, atol=5e-6, err_msg=key)
    strategy.check_alike({key: np.asarray(value).tolist() for key, value in results.items()}, "the results")


def test_callbacks_see_the_same_everywhere_and_write_once(strategy, tmp_path, capsys):
    path = strategy.agree(str(tmp_path))
    seen = []
    record = tf.keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: seen.append((batch, dict(logs))),
        on_epoch_end=lambda epoch, logs: seen.append((epoch, dict(logs))),
    )
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
        model.compile("sgd", "mse", metrics=["mae"])
    x = np.random.RandomState(0).randn(11, 2)
    log = tf.keras.callbacks.CSVLogger(f"{path}/log.csv")
    board = tf.keras.callbacks.TensorBoard(f"{path}/logs", histogram_freq=1)
    model.fit(x, x.sum(1), batch_size=4, epochs=2, verbose=2, callbacks=[record, log, board])
    strategy.check_alike({"seen": seen, "batches": len(seen)}, "what the callbacks saw")
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == (5 if strategy.rank == 0 else 0)
    strategy.communicator.barrier()
    assert len(Path(f"{path}/log.csv").read_text().splitlines()) == 3
    assert len(list(Path(f"{path}/logs/train").iterdir())) == 1


def test_one_rank_that_wants_to_stop_does_not_leave_the_others_waiting(strategy):
    """Rank 0 decides for all."""
    for stopping_rank, epochs in ((0, 1), (strategy.num_replicas_in_sync - 1, 3)):
        with strategy.scope():
            model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
            model.compile("sgd", "mse")

        def stop(epoch, logs, model=model, rank=stopping_rank):
            model.stop_training = strategy.rank == rank

        callback = tf.keras.callbacks.LambdaCallback(on_epoch_end=stop)
        x = np.ones((8, 2))
        history = model.fit(x, x[:, 0], epochs=3, verbose=0, callbacks=[callback])
        assert len(history.epoch) == (1 if strategy.num_replicas_in_sync == 1 else epochs)


def test_generators_are_read_by_rank_zero_alone(strategy):
    read = []

    def batches():
        while True:
            read.append(1)
            yield np.ones((3, 2)), np.ones(3)

    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
        model.compile("sgd", "mse")
    model.fit(batches(), steps_per_epoch=4, verbose=0, workers=0)
    assert len(read) == (4 if strategy.rank == 0 else 0)
