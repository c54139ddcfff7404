"""Writes data/architectures.json and .npz: what Keras' architectures are made of. Needs TensorFlow and tf_keras.

Usage, in the project's folder: TF_USE_LEGACY_KERAS=1 python -m tests.keras.applications.record_architectures
"""

import json
from pathlib import Path

import numpy as np
from tf_keras import applications, backend

from tests.keras.applications.architectures import ARCHITECTURES, LARGER, digest_of, features, weights_of

FOLDER = Path(__file__).parent / "data"
shapes, values = {}, {}
for name, side in {**ARCHITECTURES, **LARGER}.items():
    print(name, flush=True)
    build = getattr(applications, name)
    if name in ARCHITECTURES:
        backend.clear_session()
        shapes[name] = weights_of(build(weights=None))
    backend.clear_session()
    model = build(weights=None, include_top=False, pooling="avg", input_shape=(side, side, 3))
    if name in LARGER:
        shapes[name] = digest_of(model)
    values[name] = features(model, side)
(FOLDER / "architectures.json").write_text(json.dumps(shapes, separators=(",", ":")) + "\n")
np.savez_compressed(FOLDER / "architectures.npz", **values)
