"""A training that is interrupted and taken up again ends with the weights and the history of one that is not."""

import contextlib
import os
import signal

import numpy as np
import pytest

import distkeras as tf
from distkeras.distribute.agreement import digest

RANDOM = np.random.default_rng(0)
X = RANDOM.random((40, 3), dtype="float32")
Y = X.sum(1, keepdims=True)


class Batches(tf.keras.utils.Sequence):
    """Five batches, other ones after each pass."""

    passes = 0

    def __len__(self):
        return 5

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return X[rows] + self.passes, Y[rows]

    def on_epoch_end(self):
        self.passes += 1


def generate():
    while True:
        for start in range(0, 40, 8):
            yield X[start : start + 8], Y[start : start + 8]


def dataset():
    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(40).batch(8)


DATA = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": 7},
    "runs of rows": lambda: {"x": X, "y": Y, "batch_size": 7, "shuffle": "batch"},
    "Sequence": lambda: {"x": Batches()},
    "Sequence read in parts": lambda: {"x": Batches(), "steps_per_epoch": 3},
    "generator": lambda: {"x": generate(), "steps_per_epoch": 5},
    "dataset": lambda: {"x": dataset()},
    "dataset read in parts": lambda: {"x": dataset().repeat(), "steps_per_epoch": 4},
    "generator without threads": lambda: {"x": generate(), "steps_per_epoch": 5, "workers": 0},
}


class Interruption(Exception):
    pass


class Interrupt(tf.keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise Interruption


@pytest.fixture
def strategy():
    return tf.distribute.MirroredStrategy()


@pytest.fixture
def folder(strategy, tmp_path):
    return strategy.agree(str(tmp_path / "backups"))


def train(strategy, data, backup=None, interrupt_in=0, is_built=True):
    """Weights, history and steps of a training; None for one that is interrupted."""
    layers = tf.keras.layers
    tf.keras.backend.clear_session()
    with strategy.scope():
        first = layers.Dense(4, activation="relu", **({"input_shape": (3,)} if is_built else {}))
        model = tf.keras.Sequential([first, layers.BatchNormalization(), layers.Dropout(0.4), layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
    plateau = tf.keras.callbacks.ReduceLROnPlateau("val_mae", patience=1, min_delta=1.0)
    callbacks = [plateau, *([backup] if backup else []), *([Interrupt(interrupt_in)] if interrupt_in else [])]
    given = {**DATA[data](), "validation_data": (X[:9], Y[:9])}
    try:
        history = model.fit(**given, epochs=3, verbose=0, callbacks=callbacks)
    except Interruption:
        return None
    return digest(model.get_weights()), history.history, history.epoch, int(model.optimizer.iterations)


# Step of the interruption and frequency of backups: the middle of an epoch, after its last step, and its end.
MIDDLE, LAST, END = (3, 2), (6, 5), (8, "epoch")


@pytest.mark.parametrize(
    ("data", "is_built", "interruptions"),
    [
        ("arrays", True, [MIDDLE, (7, 6), END]),
        ("runs of rows", True, [MIDDLE]),
        ("Sequence", True, [LAST]),
        ("Sequence", False, [MIDDLE, LAST, END]),
        ("Sequence read in parts", True, [(5, 4)]),
        ("generator", False, [MIDDLE, LAST]),
        ("dataset", False, [MIDDLE, LAST]),
        ("dataset read in parts", True, [MIDDLE, (7, 6), END]),
        ("generator without threads", True, [END]),
    ],
)
def test_bits_are_those_of_an_uninterrupted_training(strategy, folder, data, is_built, interruptions, capsys):
    tf.random.set_seed(5)
    expected = train(strategy, data, is_built=is_built)
    for step, save_freq in interruptions:
        tf.random.set_seed(5)
        assert train(strategy, data, tf.keras.callbacks.BackupAndRestore(folder, save_freq), step, is_built) is None
        tf.random.set_seed(6)  # the seed is that of the run that goes on
        assert train(strategy, data, tf.keras.callbacks.BackupAndRestore(folder), is_built=is_built) == expected
    said = capsys.readouterr().err
    assert said.count("going on after step") == (len(interruptions) if strategy.rank == 0 else 0)


def stateful(strategy, *callbacks):
    tf.keras.backend.clear_session()
    tf.random.set_seed(5)
    with strategy.scope():
        recurrent = tf.keras.layers.GRU(3, stateful=True, batch_input_shape=(8, 3, 1))
        model = tf.keras.Sequential([recurrent, tf.keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    with contextlib.suppress(Interruption):
        model.fit(X[..., None], Y, 8, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
    return digest(model.get_weights())


def test_stateful_layers_go_on_with_their_states(strategy, folder):
    expected = stateful(strategy)
    stateful(strategy, tf.keras.callbacks.BackupAndRestore(folder, 3), Interrupt(4))
    assert stateful(strategy, tf.keras.callbacks.BackupAndRestore(folder)) == expected


def test_every_rank_hears_of_a_request_that_one_gets(strategy, folder):
    """The one asked is the last rank; all of them end together, and a backup, if it is wanted, is that of one step."""

    class Ask(tf.keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1 and strategy.rank == strategy.num_replicas_in_sync - 1:
                os.kill(os.getpid(), signal.SIGUSR1)

    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))])
        model.compile("sgd", "mse")
    backup = tf.keras.callbacks.BackupAndRestore(folder, save_freq=False)
    for expected, others in ((143, []), (85, [backup])):
        model.optimizer.iterations.assign(0)
        with pytest.raises(SystemExit) as exit_info:
            model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[Ask(), *others])
        assert exit_info.value.code == expected and int(model.optimizer.iterations) == 2
    assert backup.folder.read(1)[0]["place"] == (0, 2, 2)
    strategy.communicator.barrier()


def test_a_damaged_backup_is_passed_over_on_all_ranks(strategy, folder):
    tf.random.set_seed(5)
    expected = train(strategy, "arrays")
    tf.random.set_seed(5)
    backup = tf.keras.callbacks.BackupAndRestore(folder, save_freq=2)
    assert train(strategy, "arrays", backup, 7) is None
    strategy.communicator.barrier()
    tf.random.set_seed(6)
    expects_warning = contextlib.nullcontext()
    if strategy.rank == 0:
        os.truncate(backup.folder.file(3), 1000)
        expects_warning = pytest.warns(UserWarning, match="damaged backup of 1000 bytes")
    with expects_warning:
        assert train(strategy, "arrays", tf.keras.callbacks.BackupAndRestore(folder)) == expected
