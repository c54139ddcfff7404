"""Older forms of saving, and names that say what takes their place."""

import numpy as np
import pytest

import distkeras as tf
from distkeras.data.pool import WorkerPool

experimental = tf.keras.experimental


def test_saved_models(tmp_path):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    model.compile("adam", "mse")
    x = np.ones((4, 2))
    model.fit(x, x[:, :1], verbose=0)
    for name, serving_only in (("whole", False), ("serving", True)):
        experimental.export_saved_model(model, tmp_path / name, serving_only=serving_only)
        again = experimental.load_from_saved_model(tmp_path / name)
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
        with pytest.raises(RuntimeError, match="compile"):
            again.evaluate(x, x[:, :1])
    assert tf.keras.models.load_model(tmp_path / "whole").optimizer is not None
    with pytest.raises(ValueError, match="leave as_text and input_signature out"):
        experimental.export_saved_model(model, tmp_path / "text", as_text=True)


def test_processes_are_ended():
    pool = WorkerPool("abc", workers=1, depth=1)
    processes = [worker._process for worker in pool._workers]
    assert list(pool.map([1])) == ["b"]
    experimental.terminate_keras_multiprocessing_pools()
    assert all(process.poll() is not None for process in processes)
    experimental.terminate_keras_multiprocessing_pools()


def test_what_there_is_not():
    with pytest.raises(NotImplementedError, match=r"model\.fit\(dataset\)"):
        tf.keras.estimator.model_to_estimator(keras_model=None)
