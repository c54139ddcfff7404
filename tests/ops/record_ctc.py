"""Writes data/ctc.npz: losses, gradients and decoded labels. Needs TensorFlow and tf_keras.

Usage, in the project's folder: TF_USE_LEGACY_KERAS=1 python -m tests.ops.record_ctc
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tf_keras import backend as K

STEPS, SAMPLES, CLASSES, LABELS = 9, 5, 6, 4
random = np.random.default_rng(3)
known = {
    "probabilities": random.dirichlet(np.full(CLASSES, 0.5), size=(SAMPLES, STEPS)).astype(np.float32),
    "logits": random.standard_normal((STEPS, SAMPLES, CLASSES)).astype(np.float32),
    "labels": random.integers(0, CLASSES - 1, (SAMPLES, LABELS)),
    "label_lengths": np.array([4, 3, 2, 1, 2]),
    "lengths": np.array([9, 8, 9, 5, 7]),
}
known["labels"][0] = [2, 2, 1, 1]
probabilities, lengths = tf.constant(known["probabilities"]), known["lengths"]
label_lengths = known["label_lengths"]
with tf.GradientTape() as tape:
    tape.watch(probabilities)
    cost = K.ctc_batch_cost(
        tf.constant(known["labels"], tf.float32),
        probabilities,
        tf.constant(lengths[:, None]),
        tf.constant(label_lengths[:, None]),
    )
known["cost"], known["gradient"] = cost.numpy(), tape.gradient(cost, probabilities).numpy()
(greedy,), scores = K.ctc_decode(probabilities, lengths)
known["greedy"], known["greedy_scores"] = greedy.numpy(), scores.numpy()
paths, scores = K.ctc_decode(probabilities, lengths, greedy=False, beam_width=4000, top_paths=3)
known.update({f"path_{number}": path.numpy() for number, path in enumerate(paths)}, path_scores=scores.numpy())
known["loss"] = tf.nn.ctc_loss(known["labels"] + 1, known["logits"], label_lengths, lengths).numpy()
(repeated,), scores = tf.nn.ctc_greedy_decoder(known["logits"], lengths, merge_repeated=False)
known["repeated"], known["repeated_scores"] = tf.sparse.to_dense(repeated, -1).numpy(), scores.numpy()
beams, scores = tf.nn.ctc_beam_search_decoder(known["logits"], lengths, beam_width=4000, top_paths=2)
known.update({f"beam_{number}": tf.sparse.to_dense(beam, -1).numpy() for number, beam in enumerate(beams)})
np.savez_compressed(Path(__file__).parent / "data" / "ctc.npz", **known, beam_scores=scores.numpy())
