"""`workers`, `use_multiprocessing` and `max_queue_size` of fit, evaluate and predict: who reads changes no number."""

import os
import pickle

import numpy as np
import pytest

import distkeras as tf
from distkeras._errors import DataWorkerError
from distkeras.data import pool as pools
from tests.data.worker_cases import Batches, Countdown, FailingRows, Unpicklable

pytestmark = pytest.mark.timeout(60)
READERS = [(0, False), (3, False), (0, True), (2, True)]


def model_of():
    tf.random.set_seed(1)
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,), kernel_initializer="zeros")])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def train(workers, processes):
    np.random.seed(0)
    model = model_of()
    reading = {"workers": workers, "use_multiprocessing": processes, "max_queue_size": 3}
    history = model.fit(Batches(5), epochs=3, verbose=0, validation_data=Batches(2), **reading)
    results = [*history.history.values(), model.evaluate(Batches(3), verbose=0, **reading)]
    predictions = model.predict(Batches(3), **reading)
    return [np.ravel(result) for result in (*results, predictions, *model.get_weights())]


def test_results_do_not_depend_on_who_reads():
    expected = train(0, False)
    for reader in READERS[1:]:
        for one, other in zip(expected, train(*reader), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=str(reader))


def test_the_older_names_take_processes_too():
    model = model_of()
    reading = {"workers": 2, "use_multiprocessing": True, "max_queue_size": 2}
    model.fit_generator(Batches(3), epochs=1, verbose=0, **reading)
    assert len(model.evaluate_generator(Batches(3), **reading)) == 2
    assert len(model.predict_generator(Batches(3), **reading)) == 3 + 4 + 5


def test_processes_start_once_for_a_training(monkeypatch):
    started = []

    class Counted(pools._Worker):
        def __init__(self, number, tasks):
            started.append(number)
            super().__init__(number, tasks)

    monkeypatch.setattr(pools, "_Worker", Counted)
    model_of().fit(Batches(3), epochs=3, validation_data=Batches(2), verbose=0, workers=2, use_multiprocessing=True)
    assert started == [0, 1, 0, 1]


def test_more_or_fewer_steps_than_a_pass():
    seen = []
    watch = tf.keras.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: seen.append(logs["size"]))
    sequence = Batches(3)
    model_of().fit(
        sequence, epochs=2, steps_per_epoch=5, verbose=0, workers=2, use_multiprocessing=True, callbacks=[watch]
    )
    assert len(seen) == 10 and sequence.passes == 3
    assert sorted(seen[:3]) == sorted(seen[3:6]) == sorted(seen[6:9]) == [3, 4, 5]


def test_an_iterable_is_read_by_a_process():
    class Watching(tf.keras.Sequential):
        readers = set()

        def train_step(self, data):
            self.readers.add(int(np.ravel(data[1])[0]))
            return super().train_step(data)

    model = Watching([tf.keras.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(Countdown(), epochs=2, verbose=0, workers=1, use_multiprocessing=True)
    assert len(model.readers) == 1 and os.getpid() not in model.readers


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_faults_arrive(method):
    model = model_of()
    call = getattr(model, method)
    for what, error, message in (("raises", OSError, "disk on fire"), ("is_killed", DataWorkerError, "SIGKILL")):
        with pytest.raises(error, match=message):
            call(FailingRows(what), verbose=0, workers=2, use_multiprocessing=True)
    with pytest.raises(pickle.PicklingError, match="cannot be sent to another process"):
        call(Unpicklable(), verbose=0, workers=2, use_multiprocessing=True)
