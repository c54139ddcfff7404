"""Where the time of an epoch goes, and what is said about it."""

import re
import time
import warnings

import numpy as np
import pytest

import distkeras as tf
from distkeras.data import handler as handlers
from distkeras.data.adapter import DataOptions
from distkeras.data.handler import EpochTimes, open_data
from distkeras.distribute import waiting
from distkeras.keras.callbacks import progbar_logger
from tests.data.worker_cases import Countdown, Numbers


class Slow(Numbers):
    def __getitem__(self, index):
        time.sleep(0.01)
        return super().__getitem__(index)


def test_waiting_and_computing_are_told_apart():
    handler = open_data(Slow(), options=DataOptions(workers=0))
    computed = 0.0
    for _ in handler.epoch():
        begun = time.perf_counter()
        time.sleep(0.03)
        computed += time.perf_counter() - begun
    steps = handler.steps
    assert handler.times.waited >= 0.01 * steps and handler.times.seconds >= 0.04 * steps
    assert handler.times.waited <= handler.times.seconds - computed
    for _ in handler.epoch(1):
        break
    assert handler.times.epoch == 1


def test_waiting_for_ranks_is_told_apart_from_waiting_for_data():
    handler = open_data(Slow(), options=DataOptions(workers=0))
    waiting.add(100.0)  # before
    for _ in handler.epoch():
        waiting.add(0.001)
        time.sleep(0.002)
    times = handler.times
    assert times.communicated == pytest.approx(0.001 * handler.steps)
    assert times.data_share + times.communication_share + times.compute_share == pytest.approx(1.0)

    class Collective(Slow):
        def __getitem__(self, index):
            waiting.add(0.01)
            return super().__getitem__(index)

    handler = open_data(Collective(), options=DataOptions(workers=0))
    for _ in handler.epoch():
        pass
    assert handler.times.communicated == 0


@pytest.mark.parametrize("verbose", [1, 2])
def test_the_progress_bar_ends_with_the_shares(verbose, capsys, monkeypatch):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    x = np.ones((3, 1))
    monkeypatch.setattr(progbar_logger, "_WORTH_TELLING", 1000.0)
    model.fit(x, x, epochs=2, verbose=verbose)
    assert "compute" not in capsys.readouterr().out
    monkeypatch.setattr(progbar_logger, "_WORTH_TELLING", 0.0)
    model.fit(x, x, epochs=2, verbose=verbose)
    assert len(re.findall(r"loss: [\d.e-]+ - data \d+%, compute \d+%\n", capsys.readouterr().out)) == 2


def test_fit_reports_each_epoch():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    x = np.ones((3, 1))
    history = model.fit(x, x, epochs=2, verbose=0, validation_data=(x, x))
    assert [times.epoch for times in history.report] == [0, 1]
    assert all(0 < times.waited < times.seconds and 0 < times.data_share < 1 for times in history.report)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (Numbers, {"workers": 1}, "waited for data 90% of its 6.0 s. Let processes read: workers=2"),
        (Numbers, {"workers": 3, "use_multiprocessing": True}, "more processes read: workers=6"),
        (Countdown, {}, "keras.utils.Sequence"),
        (lambda: np.ones(3), {}, "shuffle='batch'"),
    ],
)
def test_the_warning_says_what_helps_and_comes_once(make, options, message):
    handler = open_data(make(), options=DataOptions(**options))
    handler.times = EpochTimes(0, 6.0, 5.4)
    with pytest.warns(UserWarning, match=message):
        handler.warn_if_waiting()
    handler.warn_if_waiting()


@pytest.mark.parametrize("times", [EpochTimes(0, 4.0, 3.9), EpochTimes(0, 60.0, 20.0)])
def test_no_warning_for_short_epochs_or_busy_ones(times):
    handler = open_data(np.ones(3))
    handler.times = times
    handler.warn_if_waiting()
    handler = open_data(np.ones(3), rank=1, num_replicas=2)
    handler.times = EpochTimes(0, 60.0, 59.0)
    handler.warn_if_waiting()


def test_fit_warns(monkeypatch):
    monkeypatch.setattr(handlers, "_LONG_EPOCH", 0.0)
    monkeypatch.setattr(handlers, "_MOST_WAITING", 0.0)
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(np.ones((3, 1)), np.ones(3), epochs=3, verbose=0)
    assert len([warning for warning in caught if "waited for data" in str(warning.message)]) == 1
    assert caught[0].filename == __file__
