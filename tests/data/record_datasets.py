"""Records what TensorFlow's datasets give: `python record_datasets.py` in an environment that has TensorFlow."""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.path.insert(0, str(Path(__file__).parent))

import dataset_cases as cases
import tensorflow as tf


def main() -> None:
    folder = tempfile.mkdtemp()
    names = cases.names(tf, folder)
    recorded = {"datasets": {}, "reductions": {}}
    for name, code in cases.CASES.items():
        dataset = eval(code, names)
        recorded["datasets"][name] = {
            "elements": [cases.described(element, folder) for element in dataset],
            "spec": cases.spec_of(dataset.element_spec),
            "cardinality": int(tf.data.experimental.cardinality(dataset)),
        }
    for name, code in cases.REDUCTIONS.items():
        recorded["reductions"][name] = cases.described(eval(code, names), folder)
    lines = [
        f'"{part}": {{\n' + ",\n".join(f'"{name}": {json.dumps(value)}' for name, value in entries.items()) + "\n}"
        for part, entries in recorded.items()
    ]
    (Path(__file__).parent / "data" / "datasets.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
