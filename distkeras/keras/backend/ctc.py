"""`tf.keras.backend`: connectionist temporal classification on the outputs of a softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras import _config, ops
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.tensor import Tensor, to_tensor


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Tensor:
    """The CTC loss of each sample; the last class is no label.

    Args:
        y_true: [samples, labels]: classes; only the first `label_length` of a row count.
        y_pred: [samples, steps, classes]: probabilities.
        input_length: [samples, 1]: how many steps count.
        label_length: [samples, 1]: how many labels count.

    Returns:
        [samples, 1].

    >>> import distkeras as tf
    >>> tf.keras.backend.ctc_batch_cost([[0]], tf.constant([[[0.5, 0.5]]]), [[1]], [[1]]).numpy().round(3)
    array([[0.693]], dtype=float32)
    """
    label_length, input_length = (ops.squeeze(ops.cast(part, "int32"), -1) for part in (label_length, input_length))
    logits = ops.log(ops.transpose(y_pred, (1, 0, 2)) + _config.epsilon())
    losses = ops.ctc_loss(ops.cast(y_true, "int32"), logits, label_length, input_length, blank_index=-1)
    return ops.expand_dims(losses, 1)


def ctc_label_dense_to_sparse(labels: Any, label_lengths: Any) -> SparseTensor:
    """Rows of labels, of which the first `label_lengths` count, as a SparseTensor. Not inside of traced functions.

    >>> import distkeras as tf
    >>> tf.keras.backend.ctc_label_dense_to_sparse([[1, 2], [3, 0]], [2, 1]).values.numpy().tolist()
    [1, 2, 3]
    """
    rows, lengths = (to_tensor(part)._value("labels") for part in (labels, label_lengths))
    if rows.ndim != 2 or lengths.shape != rows.shape[:1]:
        raise ValueError(
            f"ctc_label_dense_to_sparse: expected labels [samples, labels] and label_lengths [samples], received "
            f"{rows.shape} and {lengths.shape}."
        )
    counts = np.arange(rows.shape[1]) < lengths[:, np.newaxis]
    return SparseTensor(np.argwhere(counts), rows[counts], np.array(rows.shape, np.int64))


def ctc_decode(
    y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[Tensor], Tensor]:
    """The likeliest labels of each sample; the last class is no label. Not inside of traced functions.

    Args:
        y_pred: [samples, steps, classes]: probabilities.
        input_length: [samples]: how many steps count.
        greedy: Whether the likeliest class of each step is taken; otherwise a beam search is made. As in TensorFlow
            2.0, of labels that its results repeat, one is kept.
        beam_width: How many beginnings the search follows.
        top_paths: How many results it gives.

    Returns:
        A list of [samples, longest] with -1 after the last label, one for each of `top_paths`, and scores: the
        negative sum of the largest logarithms [samples, 1], or logarithmic probabilities [samples, top_paths].

    >>> import distkeras as tf
    >>> (labels,), _ = tf.keras.backend.ctc_decode(tf.constant([[[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]]), [3])
    >>> labels.numpy().tolist()
    [[0]]
    """
    logits = ops.log(ops.transpose(to_tensor(y_pred), (1, 0, 2)) + _config.epsilon())
    if greedy:
        decoded, scores = ops.ctc_greedy_decoder(logits, input_length)
    else:
        decoded, scores = ops.ctc_beam_search_decoder(logits, input_length, beam_width, top_paths)
        decoded = [_without_repeats(path) for path in decoded]
    return [ops.sparse_to_dense(path, default_value=-1) for path in decoded], scores


def _without_repeats(labels: SparseTensor) -> SparseTensor:
    rows = [[] for _ in range(labels.shape[0])]
    for (row, _), label in zip(labels.indices.numpy(), labels.values.numpy(), strict=True):
        if not rows[row] or rows[row][-1] != label:
            rows[row].append(label)
    lengths = [len(row) for row in rows]
    dense = np.array([row + [0] * (max(lengths) - len(row)) for row in rows], np.int64)
    return ctc_label_dense_to_sparse(dense, lengths)
