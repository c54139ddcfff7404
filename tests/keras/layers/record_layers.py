"""Record what Keras 2 makes of the cases: outputs, gradients, weights afterwards, shapes, configs.

Run where tensorflow and tf_keras are installed:
    TF_USE_LEGACY_KERAS=1 python -m tests.keras.layers.record_layers
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.keras.layers.cases import CASES, inputs_of, new_weights

DATA = Path(__file__).parent / "data"
EXTRA = {"module", "registered_name", "build_config"}


def plain(config):
    """A config without what Keras added to it after 2.0."""
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items() if key not in EXTRA}
    if isinstance(config, (list, tuple)):
        return [plain(item) for item in config]
    return config.tolist() if isinstance(config, (np.generic, np.ndarray)) else config


def record(case):
    layer = getattr(tf.keras.layers, case.layer)(name="layer", **case.arguments)
    arrays = inputs_of(case)
    tensors = [tf.constant(array) for array in arrays]
    given = tensors if len(tensors) > 1 else tensors[0]
    symbolic = [
        tf.keras.Input(shape[1:], dtype=tensor.dtype) for shape, tensor in zip(case.shapes, tensors, strict=True)
    ]
    shape = layer(symbolic if len(symbolic) > 1 else symbolic[0]).shape.as_list()
    layer.set_weights(new_weights([tuple(w.shape) for w in layer.weights], case))
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        output = layer(given, **case.call)
        loss = tf.reduce_sum(output * tf.cos(tf.reshape(tf.range(tf.size(output), dtype=output.dtype), output.shape)))
        loss += tf.add_n(layer.losses) if layer.losses else 0.0
    gradients = tape.gradient(loss, [*tensors, *layer.trainable_weights])
    arrays = {"output": output.numpy(), "loss": loss.numpy()}
    for index, gradient in enumerate(gradients):
        if gradient is not None:
            arrays[f"gradient{index}"] = tf.convert_to_tensor(gradient).numpy()
    for index, weight in enumerate(layer.get_weights()):
        arrays[f"weight{index}"] = weight
    mask = layer.compute_mask(given) if case.layer in ("Masking", "Embedding") else None
    if mask is not None:
        arrays["mask"] = mask.numpy()
    facts = {
        "config": plain(layer.get_config()),
        "shape": shape,
        "weights": [weight.name for weight in layer.weights],
        "trainable": len(layer.trainable_weights),
    }
    return arrays, facts


def main():
    DATA.mkdir(exist_ok=True)
    arrays, facts = {}, {}
    for case in CASES:
        recorded, facts[case.name] = record(case)
        arrays.update({f"{case.name}/{key}": value for key, value in recorded.items()})
    np.savez_compressed(DATA / "layers.npz", **arrays)
    (DATA / "layers.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
