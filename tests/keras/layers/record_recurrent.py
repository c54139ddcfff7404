"""Record what Keras 2 makes of the recurrent cases: outputs, gradients, trained weights, names, configs.

Run where tensorflow and tf_keras are installed:
    TF_USE_LEGACY_KERAS=1 python -m tests.keras.layers.record_recurrent
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.keras.layers.cases_recurrent import CASES, new_weights, problem, slopes

DATA = Path(__file__).parent / "data"
EXTRA = {"module", "registered_name", "build_config"}
LEARNING_RATE, TRAINING_STEPS = 0.05, 3


def plain(config):
    """A config without what Keras added to it after 2.0."""
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items() if key not in EXTRA}
    if isinstance(config, (list, tuple)):
        return [plain(item) for item in config]
    return config.tolist() if isinstance(config, (np.generic, np.ndarray)) else config


def run(layer, given):
    """The outputs, flat, and the gradients for inputs, states and weights."""
    x, states = tf.constant(given.x), [tf.constant(state) for state in given.states]
    mask = None if given.mask is None else tf.constant(given.mask)
    with tf.GradientTape() as tape:
        tape.watch([x, states])
        outputs = tf.nest.flatten(layer(x, mask=mask, **({"initial_state": states} if states else {})))
        loss = tf.add_n(
            [tf.reduce_sum(out * ramp) for out, ramp in zip(outputs, slopes([o.shape for o in outputs]), strict=True)]
        )
        loss += tf.add_n(layer.losses) if layer.losses else 0.0
    return outputs, tape.gradient(loss, [x, *states, *layer.trainable_weights])


def record(case):
    layer, given = case.make(tf.keras.layers), problem(case)
    run(layer, given)
    layer.set_weights(new_weights([tuple(w.shape) for w in layer.weights], case))
    outputs, gradients = run(layer, given)
    kept = [*outputs, *gradients[: 1 + case.states]]
    optimizer = tf.keras.optimizers.legacy.SGD(LEARNING_RATE)
    for _ in range(TRAINING_STEPS):
        optimizer.apply_gradients(zip(run(layer, given)[1][1 + case.states :], layer.trainable_weights, strict=True))
    kept += layer.trainable_weights
    facts = {
        "config": None if case.name[-4:].strip("01") == "" and case.name[-4:] != "0000" else plain(layer.get_config()),
        "shapes": [list(array.shape) for array in kept],
        "weights": [weight.name for weight in layer.weights],
    }
    return np.concatenate([np.asarray(array).ravel() for array in kept]), facts


def main():
    arrays, facts = {}, {}
    for case in CASES:
        arrays[case.name], facts[case.name] = record(case)
    np.savez_compressed(DATA / "recurrent.npz", **arrays)
    (DATA / "recurrent.json").write_text(json.dumps(facts, sort_keys=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
