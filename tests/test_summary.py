"""tf.summary, read back by a reader of our own."""

import numpy as np
import pytest

import distkeras as tf
from distkeras.testing import run_ranks
from tests.keras.callbacks.event_reader import values_of


def written(folder):
    (path,) = folder.iterdir()
    return values_of(path)


def test_numbers_distributions_images_and_texts(tmp_path):
    writer = tf.summary.create_file_writer(tmp_path / "run")
    with writer.as_default():
        assert tf.summary.scalar("loss", tf.constant(0.5), step=3).numpy()
        with tf.name_scope("layer"):
            tf.summary.histogram("weights", [0.0, 1.0, 1.0], step=1, buckets=2)
        tf.summary.image("pictures", np.full((4, 2, 3, 1), 255, np.uint8), step=2, max_outputs=2)
        tf.summary.text("notes", ["*good*", "bad"], step=tf.Variable(4, dtype=tf.int64))
    assert not tf.summary.scalar("after", 1.0, step=0).numpy()
    loss, weights, pictures, notes = written(tmp_path / "run")
    assert (loss.tag, loss.step, loss.plugin, float(loss.tensor)) == ("loss", 3, "scalars", 0.5)
    assert (weights.tag, weights.plugin) == ("layer/weights", "histograms")
    assert weights.tensor.tolist() == [[0.0, 0.5, 1.0], [0.5, 1.0, 2.0]]
    assert pictures.plugin == "images" and pictures.tensor[:2] == [b"3", b"2"] and len(pictures.tensor) == 4
    assert (notes.plugin, notes.step, notes.tensor) == ("text", 4, [b"*good*", b"bad"])


def test_traced_functions_write_whenever_they_run(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))

    @tf.function
    def train(x, step):
        with writer.as_default():
            tf.summary.scalar("double", 2.0 * x, step=step)
        return x + 1.0

    for step in range(3):
        train(tf.constant(float(step)), tf.constant(step, tf.int64))
    assert train.get_concrete_function(tf.constant(0.0), tf.constant(0, tf.int64)) is not None
    writer.flush()
    assert [(value.step, float(value.tensor)) for value in written(tmp_path)] == [(0, 0.0), (1, 2.0), (2, 4.0)]


def test_default_steps_and_conditions(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path), max_queue=0)
    step = tf.Variable(1, dtype=tf.int64)
    writer.set_as_default()
    try:
        with pytest.raises(ValueError, match="No step set"):
            tf.summary.scalar("x", 1.0)
        tf.summary.experimental.set_step(step)
        with tf.summary.record_if(lambda: step % 2 == 0):
            for _ in range(4):
                tf.summary.scalar("x", step * 10)
                step.assign_add(1)
        with tf.summary.record_if(False):
            assert not tf.summary.scalar("x", 1.0).numpy()
        assert tf.summary.experimental.get_step() is step
    finally:
        tf.summary.experimental.set_step(None)
        tf.summary.create_noop_writer().set_as_default()
    assert [(value.step, float(value.tensor)) for value in written(tmp_path)] == [(2, 20.0), (4, 40.0)]
    writer.close()
    with pytest.raises(RuntimeError, match="already closed"):
        writer.flush()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: tf.summary.scalar("x", [1.0], 0), ValueError, "expected a scalar"),
        (lambda: tf.summary.image("x", np.ones((2, 2)), 0), ValueError, "expected images"),
        (lambda: tf.summary.text("x", 1.0, 0), ValueError, "expected texts"),
        (lambda: tf.summary.create_file_writer(None), ValueError, "must be a folder"),
        (lambda: tf.summary.create_file_writer("x", filename_suffix=".x"), ValueError, "leave it out"),
        (lambda: tf.summary.trace_on(), AttributeError, "--timeline"),
    ],
)
def test_bad_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_first_rank_alone_writes(tmp_path):
    program = f"""
import distkeras as tf
with tf.summary.create_file_writer({str(tmp_path / "run")!r}).as_default():
    tf.summary.scalar("x", 1.0, step=0)
"""
    run_ranks(2, program, timeout=200).check()
    assert [value.tag for value in written(tmp_path / "run")] == ["x"]
