"""Writes data/images.npz: what TensorFlow makes of the calls in image_cases.py. Needs TensorFlow.

Usage, in the project's folder: python -m tests.ops.record_images
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.ops.image_cases import BATCH, CALLS, GRADIENTS, NAMES

TENSORS = {name: tf.constant(array) for name, array in NAMES.items()}


def gradient(call: str) -> np.ndarray:
    x = tf.constant(BATCH)
    with tf.GradientTape() as tape:
        tape.watch(x)
        target = tf.reduce_sum(eval(call, {"tf": tf, "x": x, **TENSORS}) ** 2)
    return tape.gradient(target, x).numpy()


arrays = {f"call{i}": eval(call, {"tf": tf, **TENSORS}).numpy() for i, call in enumerate(CALLS)}
arrays |= {f"gradient{i}": gradient(call) for i, call in enumerate(GRADIENTS)}
np.savez_compressed(Path(__file__).parent / "data" / "images.npz", **arrays)
