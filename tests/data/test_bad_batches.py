"""Batches that do not fit, through `fit`: what is said, and that nothing is left behind."""

import os

import numpy as np
import pytest

import distkeras as tf
from tests.data import worker_cases as cases
from tests.data.leftovers import nothing_is_left

pytestmark = pytest.mark.timeout(90)

GOOD = (np.ones((2, 3), "float32"), np.ones(2, "float32"))


@pytest.fixture(scope="module")
def model():
    made = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))])
    made.compile("sgd", "mse")
    made.fit(*GOOD, verbose=0)
    return made


BAD = {
    "ragged rows": (([[1.0, 2.0, 3.0], [4.0]], GOOD[1]), ValueError, "inhomogeneous|ragged|same length|shape"),
    "fewer targets": ((GOOD[0], GOOD[1][:1]), ValueError, "Found 2 input samples and 1 target samples"),
    "another width": ((np.ones((2, 4)), GOOD[1]), ValueError, r"\(3,\).*\(2, 4\)|expected.*3.*4"),
    "four parts": ((*GOOD, GOOD[1], GOOD[1]), ValueError, "received a tuple of 4 parts"),
    "no parts": ((), ValueError, "received a tuple of 0 parts"),
    "no targets": (GOOD[0], ValueError, "target"),
    "no rows": ((GOOD[0][:0], GOOD[1][:0]), ValueError, "0 samples"),
}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", BAD)
def test_a_batch_that_does_not_fit(model, name, workers):
    batch, error, message = BAD[name]
    with nothing_is_left(), pytest.raises(error, match=message):
        model.fit(iter([GOOD, batch]), steps_per_epoch=2, verbose=0, workers=workers)


def test_a_generator_that_ends_early(model):
    with nothing_is_left(), pytest.raises(RuntimeError, match="ran out in epoch 2 after 1 of 2 steps"):
        model.fit(iter([GOOD] * 3), steps_per_epoch=2, epochs=2, verbose=0)


@pytest.mark.alone
def test_faults_in_processes_leave_nothing(model):
    for what, error in (("is_killed", "was killed by SIGKILL"), ("raises", "disk on fire")):
        with nothing_is_left(), pytest.raises((RuntimeError, OSError), match=error):
            model.fit(cases.FailingRows(what), workers=1, use_multiprocessing=True, verbose=0)


@pytest.mark.alone
def test_shared_memory_does_not_depend_on_its_folder(model):
    """Slots have no names, so that /dev/shm may be full: nothing of ours is ever in it."""
    before = set(os.listdir("/dev/shm"))

    class Watching(tf.keras.callbacks.Callback):
        def on_batch_end(self, batch, logs=None):
            assert set(os.listdir("/dev/shm")) <= before

    model.fit(cases.Batches(), workers=1, use_multiprocessing=True, verbose=0, callbacks=[Watching()])
