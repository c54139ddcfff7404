"""Checks in tf_keras and in Keras 3 what distkeras has written: that it loads, predicts the same, and can be trained
on.

    python -m tests.formats.write_files FOLDER                                     where distkeras is
    TF_USE_LEGACY_KERAS=1 python tests/formats/check_in_keras.py FOLDER            where TensorFlow and tf-keras are
    python tests/formats/check_in_keras.py FOLDER                                  where TensorFlow and Keras 3 are

tf_keras has to go on training from the optimizer's state to the same predictions, and so has Keras 3 from archives,
which tf_keras does not read. From HDF5 Keras 3 restores the number of steps only, so there only the first predictions
are checked. Prints a line for each file; ends with an error if something differs.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

IS_LEGACY = "tf_keras" in tf.keras.Model.__module__


def check(path):
    with np.load(path.with_suffix(".npz")) as arrays:
        x = [arrays[name] for name in sorted(arrays) if name.startswith("x")]
        y, p, q = (arrays[name] if name in arrays else None for name in "ypq")
    x = x if len(x) > 1 else x[0]
    model = tf.keras.models.load_model(path)
    if path.stem.startswith("layer_"):
        np.testing.assert_allclose(model.predict(x, verbose=0), p, rtol=1e-4, atol=1e-5)
        return
    np.testing.assert_allclose(model.predict(x, verbose=0), p, rtol=1e-6, atol=1e-6)
    assert int(model.optimizer.iterations) == 2
    # Keras 3 has another formula for RMSprop.
    if IS_LEGACY or (path.suffix == ".keras" and "rmsprop" not in path.stem):
        model.train_on_batch(x, y)
        np.testing.assert_allclose(model.predict(x, verbose=0), q, rtol=2e-5, atol=2e-5)
    if path.suffix == ".keras":
        return
    for weight in model.weights:
        weight.assign(tf.zeros_like(weight))
    model.load_weights(path.with_name(f"{path.stem}_w.h5"))
    np.testing.assert_allclose(model.predict(x, verbose=0), p, rtol=1e-6, atol=1e-6)


def main(folder):
    failed = 0
    paths = sorted(path for path in folder.glob("*.h5") if not path.name.endswith("_w.h5"))
    paths += [] if IS_LEGACY else sorted(folder.glob("*.keras"))
    if not paths:
        raise SystemExit(f"there are no files in {folder}")
    for path in paths:
        try:
            check(path)
            print("ok    ", path.name)
        except Exception as error:
            failed += 1
            print("FAILED", path.name, type(error).__name__, str(error)[:2000])
    raise SystemExit(f"{failed} of {len(paths)} failed" if failed else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
