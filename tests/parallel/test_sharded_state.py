"""`shard_optimizer_state=True`: an N-th of the slots on each rank, and the weights of one process all the same."""

import ctypes
import mmap

import numpy as np
import pytest

import distkeras as tf
from distkeras import _settings
from distkeras.distribute.communicator import SerialCommunicator
from distkeras.distribute.strategies import Strategy

RNG = np.random.default_rng(0)
ROWS = 43
X = RNG.standard_normal((ROWS, 6)).astype("float32")
WORDS = RNG.integers(0, 12, (ROWS, 5)).astype("float32")
CLASSES = RNG.integers(0, 4, ROWS)
layers, optimizers = tf.keras.layers, tf.keras.optimizers


def mlp():
    constraint = tf.keras.constraints.MaxNorm(1.0)
    return tf.keras.Sequential(
        [
            layers.Dense(37, activation="relu", input_shape=(6,), kernel_constraint=constraint),
            layers.Dropout(0.3),
            layers.Dense(4, activation="softmax"),
        ]
    )


def embedding():
    words = tf.keras.Input((5,))
    x = layers.GlobalAveragePooling1D()(layers.Embedding(12, 6)(words))
    return tf.keras.Model(words, layers.Dense(4, activation="softmax")(x))


CASES = {
    "adam": (mlp, X, lambda: optimizers.Adam(0.01)),
    "slots that do not begin at zero": (mlp, X, lambda: optimizers.Adagrad(0.1)),
    "clipnorm": (mlp, X, lambda: optimizers.SGD(0.1, momentum=0.9, clipnorm=0.05)),
    "global_clipnorm": (mlp, X, lambda: optimizers.Adam(0.01, global_clipnorm=0.1)),
    "clipvalue": (mlp, X, lambda: optimizers.SGD(0.1, momentum=0.9, clipvalue=0.01)),
    "rows": (embedding, WORDS, lambda: optimizers.Adam(0.02)),
    "several batches": (mlp, X, lambda: optimizers.SGD(0.1, momentum=0.9, gradient_accumulation_steps=2)),
}


def strategies():
    return tf.distribute.MirroredStrategy(shard_optimizer_state=True), tf.distribute.OneDeviceStrategy()


@pytest.fixture
def several_buckets(monkeypatch):
    settings = _settings.resolve({"bucket_cap_mb": 0.0005})
    monkeypatch.setattr(_settings, "current", lambda: settings)


def train(strategy, make, x, optimizer, eager=False, epochs=2, **fit_with):
    tf.keras.backend.clear_session()
    tf.random.set_seed(3)
    with strategy.scope():
        model = make()
        model.compile(optimizer(), "sparse_categorical_crossentropy", ["accuracy"], run_eagerly=eager)
    model.fit(x, CLASSES, batch_size=10, epochs=epochs, verbose=0, **fit_with)
    return model


def assert_alike(mine, theirs):
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


def assert_on_all_ranks(arrays, communicator):
    flat = np.concatenate([np.ravel(array) for array in arrays])
    assert all(np.array_equal(flat, other) for other in communicator.allgather(flat))


@pytest.mark.parametrize("case", CASES)
def test_weights_and_slots_are_those_of_one_process(case, several_buckets, communicator):
    everyone, alone = strategies()
    model, expected = train(everyone, *CASES[case]), train(alone, *CASES[case])
    assert_alike(model.get_weights(), expected.get_weights())
    slots = model.optimizer.get_weights()
    assert_alike(slots, expected.optimizer.get_weights())
    assert_on_all_ranks([*model.get_weights(), *slots[1:]], communicator)


def test_the_plan_equals_eager():
    everyone, _ = strategies()
    planned, eager = train(everyone, *CASES["global_clipnorm"]), train(everyone, *CASES["global_clipnorm"], eager=True)
    assert_alike(planned.get_weights(), eager.get_weights())


# --- memory


def resident_bytes(flat):
    """How much of an array has memory."""
    start = flat.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
    pages = -(-(flat.ctypes.data + flat.nbytes - start) // mmap.PAGESIZE)
    seen = (ctypes.c_ubyte * pages)()
    assert ctypes.CDLL(None, use_errno=True).mincore(ctypes.c_void_p(start), ctypes.c_size_t(flat.nbytes), seen) == 0
    return sum(page & 1 for page in seen) * mmap.PAGESIZE


def test_slots_take_an_nth_of_the_memory_also_after_a_checkpoint(communicator, tmp_path):
    everyone, _ = strategies()
    with everyone.scope():
        model = tf.keras.Sequential([layers.Dense(1024, input_shape=(512,)), layers.Dense(4)])
        model.compile(optimizers.Adam(), "mse")
    x, y = np.ones((8, 512), np.float32), np.ones((8, 4), np.float32)
    path = communicator.broadcast_object(str(tmp_path / "model.h5"))
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    (group,) = model.optimizer.groups
    for _ in range(2):
        for arena in group.slots.values():
            expected = arena.flat.nbytes / communicator.size
            assert abs(resident_bytes(arena.flat) - expected) <= 4 * mmap.PAGESIZE
        model.save(path)
        model.fit(x, y, batch_size=8, epochs=1, verbose=0)


# --- checkpoints


def test_a_model_that_ranks_save_is_loaded_by_one_process_and_the_other_way_round(communicator, tmp_path):
    def go_on(model):
        model.fit(X, CLASSES, batch_size=10, epochs=2, initial_epoch=1, shuffle=False, verbose=0)

    def plain():
        hidden = layers.Dense(37, activation="tanh", input_shape=(6,))
        return tf.keras.Sequential([hidden, layers.Dense(4, activation="softmax")])

    everyone, alone = strategies()
    folder = communicator.broadcast_object(str(tmp_path))
    model = train(everyone, plain, X, lambda: optimizers.Adam(0.01), epochs=1)
    model.save(f"{folder}/ranks.h5")
    with alone.scope():
        loaded = tf.keras.models.load_model(f"{folder}/ranks.h5")
    assert_alike(loaded.optimizer.get_weights(), model.optimizer.get_weights())
    go_on(model)
    go_on(loaded)
    assert_alike(model.get_weights(), loaded.get_weights())
    if communicator.rank == 0:
        loaded.save(f"{folder}/alone.h5")
    communicator.barrier()
    with everyone.scope():
        again = tf.keras.models.load_model(f"{folder}/alone.h5")
    assert_alike(again.optimizer.get_weights(), loaded.optimizer.get_weights())
    go_on(again)
    go_on(loaded)
    assert_alike(again.get_weights(), loaded.get_weights())


def test_a_stopped_training_goes_on_with_the_same_bits(communicator, tmp_path):
    class Stop(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 7:
                raise KeyboardInterrupt

    everyone, _ = strategies()
    folder = communicator.broadcast_object(str(tmp_path))
    whole = train(everyone, *CASES["adam"])

    def backup():
        return tf.keras.callbacks.BackupAndRestore(folder, save_freq=3)

    with pytest.raises(KeyboardInterrupt):
        train(everyone, *CASES["adam"], callbacks=[backup(), Stop()])
    resumed = train(everyone, *CASES["adam"], callbacks=[backup()])
    assert int(resumed.optimizer.iterations) == 10
    for mine, theirs in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_set_weights_sets_each_ranks_part():
    everyone, _ = strategies()
    model = train(everyone, *CASES["adam"], epochs=1)
    weights = model.optimizer.get_weights()
    model.optimizer.set_weights([weights[0], *(np.full_like(weight, 0.5) for weight in weights[1:])])
    assert all((weight == 0.5).all() for weight in model.optimizer.get_weights()[1:])


# --- what is refused


class Elastic(SerialCommunicator):
    is_elastic = True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard_optimizer_state": 1}, "shard_optimizer_state must be True or False, received 1"),
        ({"compression": "float16"}, "does not go with compression='float16'"),
        ({"local_steps": 2}, "does not go with local_steps=2"),
        ({"deterministic": True}, "does not go with deterministic=True"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tf.distribute.MirroredStrategy(**{"shard_optimizer_state": True, **options})


def test_elastic_ranks_are_refused():
    with pytest.raises(ValueError, match="does not go with elastic ranks"):
        Strategy(Elastic(), shard_optimizer_state=True)


@pytest.mark.mpi(min_size=2)
def test_optimizers_that_need_whole_variables_are_refused():
    everyone, _ = strategies()
    with everyone.scope():
        model = mlp()
        model.compile(optimizers.LAMB(), "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="needs an optimizer that updates element by element; LAMB does not"):
        model.fit(X, CLASSES, verbose=0)
