"""Record what Keras 2 makes of the models: outputs, the order of layers and weights, configs.

Run where tensorflow and tf_keras are installed:
    TF_USE_LEGACY_KERAS=1 python -m tests.keras.models.record_models
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.keras.models.cases import MODELS, inputs_for, structured, weights_for

DATA = Path(__file__).parent / "data"
# Entries that Keras added to configs after 2.0, by class; None: to all.
ADDED = {
    None: {"module", "registered_name", "build_config"},
    "InputLayer": {"ragged", "optional"},
    "Conv2D": {"groups"},
}


def plain(value, kind=None):
    """A config as 2.0 writes it."""
    if isinstance(value, dict):
        kind = value.get("class_name", kind)
        value = {
            key: plain(item, kind) for key, item in value.items() if key not in ADDED[None] | ADDED.get(kind, set())
        }
        if value.get("class_name") == "Functional":
            value["class_name"] = "Model"
        if "layers" in value:
            value.pop("trainable", None)
            if "input_layers" not in value:  # stacks: the first layer has the input's shape
                value["layers"] = [entry for entry in value["layers"] if entry["class_name"] != "InputLayer"]
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item, kind) for item in value]
    return value


def main():
    DATA.mkdir(exist_ok=True)
    arrays, facts = {}, {}
    for build in MODELS:
        tf.keras.backend.clear_session()
        model = build(tf.keras)
        model.set_weights(weights_for(model))
        outputs = tf.nest.flatten(model(structured(model, inputs_for(model)), training=False))
        arrays.update({f"{model.name}/{index}": output.numpy() for index, output in enumerate(outputs)})
        facts[model.name] = {
            "layers": [layer.name for layer in model.layers],
            "weights": [weight.name for weight in model.weights],
            "trainable": [weight.name for weight in model.trainable_weights],
            "inputs": model.input_names,
            "outputs": model.output_names,
            "config": plain(json.loads(json.dumps(model.get_config(), default=str))),
        }
    np.savez_compressed(DATA / "models.npz", **arrays)
    (DATA / "models.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
