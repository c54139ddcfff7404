"""Timelines: what is kept, on one clock; who waits for whom; and nothing at all when none is wanted."""

import json
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.distribute import timeline
from distkeras.distribute.communicator import SerialCommunicator
from distkeras.distribute.preemption import EXIT_CODE
from distkeras.distribute.spans import RankSpans, Span
from distkeras.distribute.timeline import OFF, Timeline
from distkeras.distribute.timeline_report import Report, segments
from distkeras.testing import run_ranks


def fit(**kwargs):
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    model.compile("sgd", "mse")
    return model.fit(np.ones((8, 3)), np.ones((8, 2)), batch_size=4, verbose=0, **kwargs)


@pytest.fixture
def recorder(monkeypatch, tmp_path):
    made = Timeline(str(tmp_path / "trace.json"))
    monkeypatch.setattr(timeline, "current", lambda: made)
    return made


# --- off


def test_nothing_is_recorded_when_no_timeline_is_wanted(monkeypatch):
    def record(*args):
        raise AssertionError("recorded")

    monkeypatch.setattr(Timeline, "add", record)
    assert timeline.current() is OFF
    fit()


def test_functions_are_handed_back_as_they_are():
    assert OFF.timed("update", fit) is fit
    assert OFF.span("update") is OFF.span("step")


def test_there_is_nothing_to_write():
    with pytest.raises(ValueError, match="distkeras run --timeline FILE"):
        tf.distribute.MirroredStrategy().write_timeline()


# --- what is recorded


def test_a_process_alone_records_steps_data_updates_and_callbacks(recorder, capsys):
    fit(callbacks=[tf.keras.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: None)])
    counts = {}
    for span in recorder.spans:
        counts[span.name] = counts.get(span.name, 0) + 1
    assert counts["train step"] == counts["update"] == counts["wait for data"] == counts["on_train_batch_end"] == 2
    events = json.loads(Path(recorder.path).read_text())["traceEvents"]
    assert {"step", "data", "update", "callbacks", "compute"} <= {event.get("cat") for event in events}
    assert "where the time of 1 steps after the first went" in capsys.readouterr().err


def test_backups_are_recorded(recorder, tmp_path):
    fit(callbacks=[tf.keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))])
    assert "checkpoint" in {span.kind for span in recorder.spans}


def test_memory_is_bounded_by_the_newest_spans(tmp_path):
    made = Timeline(str(tmp_path / "trace.json"), most=10)
    for number in range(1000):
        made.add("update", str(number), number, number + 0.5)
    assert [span.name for span in made.spans] == [str(number) for number in range(990, 1000)]
    made.write(SerialCommunicator())
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sum(event["ph"] == "X" for event in events) == 10


def test_a_training_that_is_asked_to_stop_writes_its_timeline_and_one_that_fails_does_not(recorder, tmp_path):
    path = tmp_path / "trace.json"
    with pytest.raises(KeyError), timeline.written(SerialCommunicator()):
        raise KeyError
    assert not path.read_text()
    with pytest.raises(SystemExit), timeline.written(SerialCommunicator()):
        raise SystemExit(EXIT_CODE)
    assert json.loads(path.read_text())


def test_a_file_that_cannot_be_written_is_an_error_before_training(monkeypatch, tmp_path):
    made = Timeline(str(tmp_path / "missing" / "trace.json"))
    monkeypatch.setattr(timeline, "current", lambda: made)
    steps = []
    with pytest.raises(OSError, match="The timeline cannot be written to .*missing.*Name another file"):
        fit(callbacks=[tf.keras.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: steps.append(batch))])
    assert not steps


# --- the report


def main(kind, begin, end, *collective):
    return Span(kind, kind, "MainThread", begin, end, *collective)


def test_time_belongs_to_the_innermost_span():
    spans = [main("step", 0, 10), main("wait", 4, 8), main("collective", 5, 6), main("data", 10, 12)]
    found = [(part.span.kind, part.begin, part.end) for part in segments(spans)]
    assert found == [
        ("step", 0, 4),
        ("wait", 4, 5),
        ("collective", 5, 6),
        ("wait", 6, 8),
        ("step", 8, 10),
        ("data", 10, 12),
    ]


def test_ranks_wait_until_the_last_one_comes_and_what_follows_is_transfer():
    fast = RankSpans("a", [main("step", 0, 10), main("collective", 2, 10, 0, 1)])
    slow = RankSpans("b", [main("step", 0, 10), main("collective", 7, 10, 0, 1)])
    report = Report([fast, slow])
    waiting = [(spent["computing"], spent["waiting"], spent["transfer"]) for spent in report.seconds]
    assert waiting == [(2, 5, 3), (7, 0, 3)]
    assert report.waited_for == [0, 5] and report.slowest == 1
    assert "slowest: rank 1 (b); the others waited 5.00 s for it" in str(report)


def test_a_wait_for_the_lane_counts_only_as_far_as_it_lasts():
    def lane(*times):
        return [
            Span("collective", "", "distkeras-lane", begin, end, 1, index) for index, (begin, end) in enumerate(times)
        ]

    report = Report(
        [
            RankSpans("a", [main("step", 0, 10), main("wait", 4, 9), *lane((1, 6), (6, 9))]),
            RankSpans("b", [main("step", 0, 10), main("wait", 8, 9), *lane((5, 6), (8, 9))]),
        ]
    )
    assert (report.seconds[0]["waiting"], report.seconds[0]["transfer"]) == (3, 2)
    assert (report.seconds[1]["waiting"], report.seconds[1]["transfer"]) == (0, 1)


def test_the_first_step_in_which_ranks_compile_is_left_out():
    first = [main("step", 0, 100), main("collective", 1, 100, 0, 1)]
    late = [main("step", 0, 100), main("collective", 99, 100, 0, 1)]
    spans = [[*begun, main("step", 100, 110), main("collective", 109, 110, 0, 2)] for begun in (first, late)]
    report = Report([RankSpans("a", spans[0]), RankSpans("b", spans[1])])
    assert report.seconds[0]["computing"] == 9 and report.seconds[0]["waiting"] == 0 and report.slowest is None


def test_nobody_is_named_where_nobody_is_waited_for():
    alike = RankSpans("a", [main("step", 0, 10), main("collective", 9, 10, 0, 1)])
    assert "no rank waits for another" in str(Report([alike, alike]))


# --- several ranks

TRAINING = """
import time
import numpy as np
import distkeras as tf

strategy = tf.distribute.MirroredStrategy()

class Slow(tf.keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        time.sleep(0.05 * (strategy.rank == 1))

with strategy.scope():
    layers = [tf.keras.layers.Dense(64, input_shape=(32,)), tf.keras.layers.Dense(64), tf.keras.layers.Dense(10)]
    model = tf.keras.Sequential(layers)
    model.compile("adam", "mse")
model.fit(np.ones((120, 32)), np.ones((120, 10)), batch_size=12, verbose=0, callbacks=[Slow()])
"""


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_are_on_one_clock_and_the_slowest_is_named(ranks, tmp_path):
    path = tmp_path / "trace.json"
    variables = {"DISTKERAS_TIMELINE": str(path), "DISTKERAS_BUCKET_CAP_MB": "0.01", "DISTKERAS_SHARED_ARENAS": "0"}
    result = run_ranks(ranks, TRAINING, timeout=120, variables=variables).check()
    assert "slowest: rank 1 (" in result.stderr, result.stderr
    trace = json.loads(path.read_text())
    events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    kinds = {"step", "data", "wait", "update", "callbacks", "collective", "compute"}
    for rank in range(ranks):
        assert kinds <= {event["cat"] for event in events if event["pid"] == rank}
    doubt = 2 * max(trace["otherData"]["clocks of ranks are known to microseconds"]) + 1
    reductions = {}
    for event in events:
        if event["name"] == "allreduce of gradients":
            key = event["args"]["communicator"], event["args"]["collective"]
            reductions.setdefault(key, []).append(event)
    assert len(reductions) == 30  # three buckets of ten steps
    for members in reductions.values():
        assert len(members) == ranks and len({event["args"]["bytes"] for event in members}) == 1
        last = max(event["ts"] for event in members)
        assert all(event["ts"] + event["dur"] >= last - doubt for event in members)
