"""The labels that are likeliest given the probabilities of classes at each step. Not inside of traced functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import integer
from distkeras.ops.softmax import log_softmax


def ctc_greedy_decoder(
    inputs: Any, sequence_length: Any, merge_repeated: bool = True, blank_index: int | None = None
) -> tuple[list[SparseTensor], Tensor]:
    """The labels of the likeliest class at each step.

    Args:
        inputs: [steps, batch, classes] logits.
        sequence_length: [batch]: how many steps of each sample count.
        merge_repeated: Whether a class that is the likeliest in steps one after the other is one label.
        blank_index: The class that is no label, by default the last; negative numbers count from the end.

    Returns:
        A list of one SparseTensor [batch, longest], and [batch, 1]: the negative sum of the largest logits.

    >>> import distkeras as tf
    >>> logits = tf.one_hot([[0], [0], [2], [1]], 3)
    >>> (labels,), _ = tf.nn.ctc_greedy_decoder(logits, [4])
    >>> labels.values.numpy().tolist()
    [0, 1]
    """
    logits, lengths, blank = _checked("ctc_greedy_decoder", inputs, sequence_length, blank_index)
    rows, sums = [], np.zeros((len(lengths), 1), logits.dtype)
    for sample, length in enumerate(lengths):
        own = logits[:length, sample]
        classes = own.argmax(1)
        sums[sample] = -own.max(1).sum() if length else 0
        rows.append(_labels(classes, blank, merge_repeated))
    return [_sparse_rows(rows)], to_tensor(sums)


def ctc_beam_search_decoder(
    inputs: Any, sequence_length: Any, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[SparseTensor], Tensor]:
    """The likeliest labels, each summed over all its alignments, as far as a search of limited width finds them.

    Args:
        inputs: [steps, batch, classes] logits; the last class is no label.
        sequence_length: [batch]: how many steps of each sample count.
        beam_width: How many beginnings are followed. Where one more would make a difference, results may be others
            than TensorFlow's, whose order of dropping is another.
        top_paths: How many results there are for each sample.

    Returns:
        A list of `top_paths` SparseTensors [batch, longest], and [batch, top_paths]: their logarithmic probabilities.

    Raises:
        InvalidArgumentError: Shapes do not fit, or fewer than `top_paths` results are found.

    Source: Graves 2012, "Sequence transduction with recurrent neural networks"; Hannun et al. 2014, "First-pass large
        vocabulary continuous speech recognition using bi-directional recurrent DNNs", for the prefixes.

    >>> import distkeras as tf
    >>> labels, scores = tf.nn.ctc_beam_search_decoder(tf.math.log([[[0.4, 0.6]], [[0.4, 0.6]]]), [2], top_paths=2)
    >>> [path.values.numpy().tolist() for path in labels], tf.exp(scores).numpy().round(2)
    ([[0], []], array([[0.64, 0.36]], dtype=float32))
    """
    logits, lengths, blank = _checked("ctc_beam_search_decoder", inputs, sequence_length, None)
    width, top = integer(beam_width, "beam_width"), integer(top_paths, "top_paths")
    if not 1 <= top <= width:
        raise InvalidArgumentError(f"ctc_beam_search_decoder: top_paths must be in [1, {width}], received {top}.")
    normalized = log_softmax(logits).numpy() if logits.size else logits
    found = [_search(normalized[:length, sample], blank, width) for sample, length in enumerate(lengths)]
    for beams in found:
        if len(beams) < top:
            raise InvalidArgumentError(
                f"ctc_beam_search_decoder: {top} paths were wanted, only {len(beams)} are there."
            )
    paths = [_sparse_rows([beams[number][0] for beams in found]) for number in range(top)]
    scores = np.array([[score for _, score in beams[:top]] for beams in found], logits.dtype).reshape(-1, top)
    return paths, to_tensor(scores)


def _checked(function: str, inputs: Any, sequence_length: Any, blank: int | None) -> tuple[np.ndarray, list, int]:
    logits = to_tensor(inputs)._value("logits to decode")
    lengths = np.asarray(to_tensor(sequence_length)._value("lengths"))
    if logits.ndim != 3 or logits.dtype.kind != "f" or not logits.shape[2]:
        raise InvalidArgumentError(
            f"{function}: expected logits [steps, batch, classes], received {logits.dtype} {logits.shape}."
        )
    if lengths.shape != logits.shape[1:2] or (lengths < 0).any() or (lengths > logits.shape[0]).any():
        raise InvalidArgumentError(
            f"{function}: expected for each of {logits.shape[1]} samples a length in [0, {logits.shape[0]}], received "
            f"{lengths.tolist()}."
        )
    classes = logits.shape[2]
    blank = classes - 1 if blank is None else blank + classes * (blank < 0)
    if not 0 <= blank < classes:
        raise InvalidArgumentError(f"{function}: blank_index must be one of {classes} classes.")
    return logits, lengths.astype(int).tolist(), blank


def _labels(classes: np.ndarray, blank: int, merge_repeated: bool) -> np.ndarray:
    if merge_repeated and classes.size:
        classes = classes[np.concatenate([[True], classes[1:] != classes[:-1]])]
    return classes[classes != blank]


def _sparse_rows(rows: Sequence[Any]) -> SparseTensor:
    """Rows of different lengths as one sparse matrix."""
    indices = [(number, place) for number, row in enumerate(rows) for place in range(len(row))]
    values = np.array([label for row in rows for label in row], np.int64)
    longest = max((len(row) for row in rows), default=0)
    return SparseTensor(np.array(indices, np.int64).reshape(-1, 2), values, [len(rows), longest])


def _search(rows: np.ndarray, blank: int, width: int) -> list[tuple[tuple[int, ...], float]]:
    """The likeliest labels with their logarithmic probabilities, the likeliest first."""
    prefixes: list[tuple[int, ...]] = [()]
    ends_in_blank, ends_in_label = np.zeros(1), np.full(1, -np.inf)
    for row in rows.astype(np.float64):
        total = np.logaddexp(ends_in_blank, ends_in_label)
        longer = total[:, np.newaxis] + row  # each prefix with each class appended
        longer[:, blank] = -np.inf
        place = {prefix: number for number, prefix in enumerate(prefixes)}
        stay_label = np.full(len(prefixes), -np.inf)
        for number, prefix in enumerate(prefixes):
            if prefix:
                last = prefix[-1]
                stay_label[number] = ends_in_label[number] + row[last]
                longer[number, last] = ends_in_blank[number] + row[last]  # a label twice needs a blank between
        for number, prefix in enumerate(prefixes):
            parent = place.get(prefix[:-1]) if prefix else None
            if parent is not None:
                stay_label[number] = np.logaddexp(stay_label[number], longer[parent, prefix[-1]])
                longer[parent, prefix[-1]] = -np.inf
        stay_blank = total + row[blank]
        scores = np.concatenate([np.logaddexp(stay_blank, stay_label), longer.reshape(-1)])
        best = np.argsort(-scores, kind="stable")[:width]
        best = best[scores[best] > -np.inf]
        count, classes = len(prefixes), rows.shape[1]
        stays = best < count
        parents = np.where(stays, best, (best - count) // classes)
        prefixes = [
            prefixes[parent] if stay else (*prefixes[parent], int((index - count) % classes))
            for index, parent, stay in zip(best, parents, stays, strict=True)
        ]
        ends_in_blank = np.where(stays, stay_blank[parents], -np.inf)
        ends_in_label = np.where(stays, stay_label[parents], scores[best])
    total = np.logaddexp(ends_in_blank, ends_in_label)
    order = np.argsort(-total, kind="stable")
    return [(prefixes[number], float(total[number])) for number in order]
