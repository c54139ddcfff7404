"""Checks in TensorFlow with tf_keras the checkpoints and SavedModels that distkeras has written.

    python -m tests.formats.write_checkpoints FOLDER                                   where distkeras is
    TF_USE_LEGACY_KERAS=1 python tests/formats/check_checkpoints_in_keras.py FOLDER    where TensorFlow and tf-keras are

A checkpoint has to be taken over wholly: by a model and optimizer that have variables, and by ones that make them
later; predictions are equal before and after one more step. A SavedModel has to become the same model; tf_keras does
not restore the state of optimizers with slots from any SavedModel. Prints a line for each file; ends with an error if
something differs.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import checkpoint_models
import numpy as np
import tensorflow as tf

X, Y = checkpoint_models.data()


def close(model, expected, tolerance=1e-6):
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=tolerance, atol=tolerance)


def check_checkpoint(prefix, name, optimizer, arrays, has_variables):
    model = checkpoint_models.MODELS[name](tf)
    model.compile(checkpoint_models.optimizers(tf, tf.keras.optimizers.legacy)[optimizer](), "mse")
    if has_variables:
        model.train_on_batch(X, Y)
    status = model.load_weights(prefix)
    close(model, arrays["p"])
    model.train_on_batch(X, Y)
    status.assert_existing_objects_matched()
    status.assert_consumed()
    assert int(model.optimizer.iterations) == 3
    # RMSprop adds epsilon inside of the square root in later versions, outside in TF 2.0.
    close(model, arrays["q"], 1e-4 if optimizer == "rmsprop" else 1e-5)


def check_saved_model(folder, arrays):
    model = tf.keras.models.load_model(folder)
    close(model, arrays["p"])
    assert model.optimizer is not None and tf.keras.losses.get(model.loss) is tf.keras.losses.get("mse")
    tf.saved_model.load(str(folder))


def check_objects(prefix):
    found = checkpoint_models.objects(tf, 0)
    found.restore(prefix).assert_consumed()
    assert all((variable.numpy() == 1).all() for variable in found.listed) and float(found.metric.result()) == 3.0
    assert tf.train.latest_checkpoint(os.path.dirname(prefix)) == prefix


def main(folder):
    checks = [("objects", check_objects, (str(folder / "objects-1"),))]
    for path in sorted(folder.glob("*-*.npz")):
        name, optimizer = path.stem.split("-")
        arrays = dict(np.load(path))
        for has_variables in (True, False):
            arguments = (str(path.with_suffix("")), name, optimizer, arrays, has_variables)
            checks.append((f"{path.stem} {has_variables}", check_checkpoint, arguments))
        if path.with_suffix(".sm").exists():
            checks.append((f"{path.stem}.sm", check_saved_model, (path.with_suffix(".sm"), arrays)))
    if len(checks) == 1:
        raise SystemExit(f"there are no files in {folder}")
    failed = 0
    for title, check, arguments in checks:
        try:
            check(*arguments)
            print("ok    ", title)
        except Exception as error:
            failed += 1
            print("FAILED", title, type(error).__name__, str(error)[:2000])
    raise SystemExit(f"{failed} of {len(checks)} failed" if failed else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
