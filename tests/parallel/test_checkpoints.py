"""Checkpoints of several ranks: one writes, all read, and what fails on one fails on all."""

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf


@pytest.fixture
def strategy():
    return tf.distribute.MirroredStrategy()


def trained(strategy, epochs=1):
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(2,)), tf.keras.layers.BatchNormalization()])
        model.compile(tf.keras.optimizers.Adam(0.1), "mse")
    x = np.random.RandomState(0).randn(12, 2).astype("float32")
    model.fit(x, x[:, ::-1], batch_size=6, epochs=epochs, shuffle=False, verbose=0)
    return model


def state(model) -> dict:
    return {variable.name: variable.numpy().tolist() for variable in [*model.weights, *model.optimizer.weights]}


def test_training_goes_on_where_it_was(strategy, tmp_path):
    path = strategy.agree(str(tmp_path / "new" / "weights"))
    expected = trained(strategy)
    expected.save_weights(path)
    assert sorted(Path(path).parent.iterdir()) == [
        Path(path).with_name(name) for name in ("checkpoint", "weights.data-00000-of-00001", "weights.index")
    ]
    model = trained(strategy, epochs=2)
    model.load_weights(tf.train.latest_checkpoint(Path(path).parent)).assert_consumed()
    assert list(state(model).values()) == list(state(expected).values())
    strategy.check_alike(state(model), "the model")


def test_a_manager_keeps_the_same_everywhere(strategy, tmp_path):
    folder = strategy.agree(str(tmp_path))
    model = trained(strategy)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, step=tf.Variable(7))
    manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=2)
    for _ in range(3):
        manager.save()
        strategy.communicator.barrier()
    names = [Path(path).name for path in manager.checkpoints]
    assert names == ["ckpt-2", "ckpt-3"] == sorted(path.stem for path in Path(folder).glob("*.index"))
    checkpoint.step.assign(0)
    checkpoint.restore(manager.latest_checkpoint).assert_consumed()
    assert int(checkpoint.step) == 7
    strategy.communicator.barrier()


def test_saved_models(strategy, tmp_path):
    folder = strategy.agree(str(tmp_path / "model"))
    expected = trained(strategy)
    expected.save(folder)
    with strategy.scope():
        model = tf.keras.models.load_model(folder)
    assert list(state(model).values()) == list(state(expected).values())


def test_what_one_rank_cannot_read_no_rank_reads(strategy, tmp_path):
    path = strategy.agree(str(tmp_path / "weights"))
    model = trained(strategy)
    model.save_weights(path)
    last = strategy.num_replicas_in_sync - 1
    mine = path if strategy.rank != last else f"{path}-elsewhere"
    with pytest.raises(OSError, match=r"There is no such|Rank \d could not read .*There is no such"):
        tf.train.Checkpoint(model=model).restore(mine)
    strategy.communicator.barrier()


def test_what_rank_0_cannot_write_fails_everywhere(strategy, tmp_path):
    path = strategy.agree(str(tmp_path))
    if strategy.rank == 0:
        (tmp_path / "file").touch()
    model = trained(strategy)
    for save in (model.save_weights, model.save, tf.train.Checkpoint(model=model).save):
        with pytest.raises(OSError, match="file"):
            save(f"{path}/file/weights")
    strategy.communicator.barrier()
