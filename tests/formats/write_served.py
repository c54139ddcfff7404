"""Writes SavedModels for check_served.py, with what they are to make of some inputs, and a digest of saved_model.pb.

Run with distkeras, from the repository's root:  python -m tests.formats.write_served FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.formats.exported_models import MODELS, build
from tests.formats.test_served import digest_of


def main(folder: Path) -> None:
    for name in MODELS:
        model, inputs, outputs = build(name)
        path = folder / name.replace(" ", "_")
        model.save(path, include_optimizer=False, save_format="tf")
        given = {f"in_{key}": value for key, value in zip(model.input_names, inputs, strict=True)}
        expected = {f"out_{key}": value for key, value in outputs.items()}
        np.savez(path.with_suffix(".npz"), name=name, digest=digest_of(path), **given, **expected)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
