"""Has TensorFlow run SavedModels that distkeras has written, both as TensorFlow 2 and as servers load them.

    python -m tests.formats.write_served FOLDER                 where distkeras is
    python tests/formats/check_served.py FOLDER [RECORD]        where TensorFlow is

Prints what differs, and ends with an error then. RECORD, tests/formats/data/served.json, gets the digests of the graphs
that were found to be right: test_served.py asks for these very graphs.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf


def as_loaded(folder, given):
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    results = signature(**{name: tf.constant(value) for name, value in given.items()})
    return {name: value.numpy() for name, value in results.items()}


def as_served(folder, given):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        signature = graph.signature_def["serving_default"]
        wanted = {name: info.name for name, info in signature.outputs.items()}
        return session.run(wanted, {signature.inputs[name].name: value for name, value in given.items()})


def check(path):
    with np.load(path) as arrays:
        given = {name[3:]: arrays[name] for name in arrays if name.startswith("in_")}
        expected = {name[4:]: arrays[name] for name in arrays if name.startswith("out_")}
        name, digest = str(arrays["name"]), str(arrays["digest"])
    for run in (as_loaded, as_served):
        results = run(path.with_suffix(""), given)
        assert set(results) == set(expected), f"{sorted(results)} for {sorted(expected)}"
        for key, value in expected.items():
            assert results[key].dtype == value.dtype, f"{key} is {results[key].dtype}, not {value.dtype}"
            np.testing.assert_allclose(results[key], value, rtol=1e-4, atol=1e-5)
    return name, digest


def main(folder, record=None):
    right, wrong = {}, 0
    for path in sorted(Path(folder).glob("*.npz")):
        try:
            name, digest = check(path)
            right[name] = digest
        except Exception as error:
            wrong += 1
            print(f"{path.stem}: {type(error).__name__}: {error}")
    if record is not None:
        Path(record).write_text(json.dumps(right, indent=1, sort_keys=True) + "\n")
    print(f"{len(right)} are right, {wrong} are not")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(*sys.argv[1:])
