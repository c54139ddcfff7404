"""Record what Keras 2 makes of the cases: outputs, gradients, weights afterwards, shapes, configs.

Run where tensorflow and tf_keras are installed:
    TF_USE_LEGACY_KERAS=1 python -m tests.keras.layers.record_layers [FAMILY ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.keras.layers.cases import FAMILIES, arguments_of, inputs_of, masks_of, new_weights

DATA = Path(__file__).parent / "data"
EXTRA = {"module", "registered_name", "build_config"}


def plain(config):
    """A config without what Keras added to it after 2.0."""
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items() if key not in EXTRA}
    if isinstance(config, (list, tuple, tf.TensorShape)):
        return [plain(item) for item in config]
    return config.tolist() if isinstance(config, (np.generic, np.ndarray)) else config


class Transposed:
    """A layer for 'channels_first', which TensorFlow's convolutions have on GPUs only, by one for 'channels_last'."""

    def __init__(self, layer):
        config = {**layer.get_config(), "data_format": "channels_last"}
        self.layer = type(layer).from_config(config)

    def __call__(self, x, **options):
        rank = len(x.shape)
        y = self.layer(tf.transpose(x, (0, *range(2, rank), 1)), **options)
        return tf.transpose(y, (0, rank - 1, *range(1, rank - 1)))

    def __getattr__(self, name):
        return getattr(self.layer, name)


def make(case):
    """The layer; version 1 of Keras knows more of batch normalisation."""
    module = tf.compat.v1.keras.layers if "renorm" in case.arguments else tf.keras.layers
    module = tf.keras.layers.experimental if case.layer.startswith("Sync") else module
    kind, arguments = getattr(module, case.layer), {"name": "layer", **case.arguments}
    return kind.from_config(arguments) if "layer" in arguments else kind(**arguments)


def record(case):
    layer = make(case)
    arrays = inputs_of(case)
    tensors = [tf.constant(array) for array in arrays]
    for index, mask in masks_of(case).items():
        tensors[index]._keras_mask = tf.constant(mask)
    given = arguments_of(case, tensors)
    symbolic = [
        tf.keras.Input(shape[1:], dtype=tensor.dtype) for shape, tensor in zip(case.shapes, tensors, strict=True)
    ]
    shape = layer(*arguments_of(case, symbolic)).shape.as_list()
    config, names = layer.get_config(), [weight.name for weight in layer.weights]
    windows = {"kernel_size", "pool_size"} & set(config)
    if case.arguments.get("data_format") == "channels_first" and windows and "implementation" not in config:
        layer = Transposed(layer)
        layer(*given)
    weights = new_weights([tuple(w.shape) for w in layer.weights], case)
    layer.set_weights(weights)
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        output = layer(*given, **case.call)
        loss = tf.reduce_sum(output * tf.cos(tf.reshape(tf.range(tf.size(output), dtype=output.dtype), output.shape)))
        loss += tf.add_n(layer.losses) if layer.losses else 0.0
    gradients = tape.gradient(loss, [*tensors, *layer.trainable_weights])
    arrays = {"output": output.numpy(), "loss": loss.numpy()}
    for index, gradient in enumerate(gradients):
        if gradient is not None:
            arrays[f"gradient{index}"] = tf.convert_to_tensor(gradient).numpy()
    for index, (weight, old) in enumerate(zip(layer.get_weights(), weights, strict=True)):
        if not np.array_equal(weight, old):
            arrays[f"weight{index}"] = weight
    mask = getattr(output, "_keras_mask", None)
    if mask is not None:
        arrays["mask"] = mask.numpy()
    facts = {
        "config": plain(config),
        "shape": shape,
        "weights": names,
        "trainable": len(layer.trainable_weights),
    }
    return arrays, facts


def main():
    DATA.mkdir(exist_ok=True)
    for family in sys.argv[1:] or FAMILIES:
        arrays, facts = {}, {}
        for case in FAMILIES[family]:
            recorded, facts[case.name] = record(case)
            arrays.update({f"{case.name}/{key}": value for key, value in recorded.items()})
        np.savez_compressed(DATA / f"{family}.npz", **arrays)
        (DATA / f"{family}.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
