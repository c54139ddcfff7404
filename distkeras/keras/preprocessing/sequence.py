"""`tf.keras.preprocessing.sequence`: sequences of different lengths, pairs of words, and windows of time series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from distkeras.core.random_state import next_numpy_generator
from distkeras.keras.preprocessing.timeseries import TimeseriesGenerator

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]


def pad_sequences(
    sequences: Iterable[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences as the rows of one array: short ones padded, long ones cut.

    Args:
        sequences: Lists of numbers, or of arrays of one shape.
        maxlen: The rows' length; by default that of the longest sequence.
        dtype: The array's element type; `object` for text.
        padding: 'pre' or 'post': on which side values are added.
        truncating: 'pre' or 'post': from which side values are removed.
        value: What is added.

    Returns:
        An array of shape (sequences, maxlen, ...).

    Raises:
        ValueError: `sequences` has no length, holds something else than sequences, or arrays of different shapes.

    >>> pad_sequences([[1], [2, 3, 4]], maxlen=2).tolist()
    [[0, 1], [3, 4]]
    """
    for argument, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {argument} must be 'pre' or 'post', received {side!r}.")
    _check_lengths(sequences)
    kind = np.dtype(getattr(dtype, "as_numpy_dtype", dtype))
    if isinstance(value, str) and kind.kind not in "OUS":
        raise ValueError(
            f"pad_sequences: `dtype` {dtype} cannot hold the value {value!r}: set `dtype=object` to pad text."
        )
    lengths = [len(sequence) for sequence in sequences]
    length = max(lengths, default=0) if maxlen is None else int(maxlen)
    element = next((np.shape(sequence)[1:] for sequence in sequences if len(sequence)), ())
    padded = np.full((len(lengths), length, *element), value, kind)
    for row, sequence in zip(padded, sequences, strict=True):
        kept = sequence[max(len(sequence) - length, 0) :] if truncating == "pre" else sequence[:length]
        kept = np.asarray(kept, kind)
        if len(kept) and kept.shape[1:] != element:
            raise ValueError(
                f"pad_sequences: one sequence holds elements of shape {kept.shape[1:]}, others of shape {element}."
            )
        if len(kept):
            row[slice(length - len(kept), None) if padding == "pre" else slice(len(kept))] = kept
    return padded


def _check_lengths(sequences: Any) -> None:
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"`sequences` must be a list of sequences, received {sequences!r}.")
    for sequence in sequences:
        if not hasattr(sequence, "__len__"):
            raise ValueError(f"`sequences` must be a list of sequences, found the non-sequence {sequence!r} in it.")


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """With which probability the i-th most frequent word is kept when word pairs are drawn.

    Frequencies are taken to follow Zipf's law: that of rank i is 1 / (i (log i + gamma) + 1/2 - 1/(12 i)).

    Args:
        size: How many words there are.
        sampling_factor: Words more frequent than this are kept with probability sqrt(factor / frequency).

    Returns:
        float64 of shape (size,).

    Source: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality".

    >>> make_sampling_table(3).round(4).tolist()
    [0.0032, 0.0032, 0.0055]
    """
    gamma = 0.577
    rank = np.arange(size, dtype=np.float64)
    rank[:1] = 1
    inverse_frequency = rank * (np.log(rank) + gamma) + 0.5 - 1.0 / (12.0 * rank)
    factor = sampling_factor * inverse_frequency
    return np.minimum(1.0, factor / np.sqrt(factor))


def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: np.ndarray | None = None,
    seed: int | None = None,
) -> tuple[list, list]:
    """Pairs (word, word near it), labelled 1, and pairs (word, any word), labelled 0.

    Args:
        sequence: Word indices; 0 stands for no word and is left out.
        vocabulary_size: Number of words, with the 0.
        window_size: Words up to this distance count as near.
        negative_samples: How many pairs with label 0 for each with label 1.
        shuffle: Whether to mix the pairs.
        categorical: Whether labels are [0, 1] and [1, 0] instead of 1 and 0.
        sampling_table: For each word the probability of keeping it, as `make_sampling_table` gives it.
        seed: Of the draws; the global seed by default.

    Returns:
        couples, labels: two lists of one length.

    Source: Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space".
    """
    generator = next_numpy_generator(seed)
    couples = _near_pairs(sequence, window_size, sampling_table, generator)
    labels: list[Any] = [[0, 1] if categorical else 1] * len(couples)
    if negative_samples > 0:
        count = int(len(labels) * negative_samples)
        words = generator.permutation([word for word, _ in couples]).tolist()
        others = generator.integers(1, max(vocabulary_size, 2), count).tolist()
        couples += [[words[i % len(words)], other] for i, other in enumerate(others)]
        labels += [[1, 0] if categorical else 0] * count
    if shuffle:
        order = generator.permutation(len(couples))
        couples, labels = [couples[i] for i in order], [labels[i] for i in order]
    return couples, labels


def _near_pairs(
    sequence: Sequence[int], window_size: int, table: np.ndarray | None, generator: np.random.Generator
) -> list[list[int]]:
    couples = []
    for i, word in enumerate(sequence):
        if not word or (table is not None and table[word] < generator.random()):
            continue
        for j in range(max(0, i - window_size), min(len(sequence), i + window_size + 1)):
            if j != i and sequence[j]:
                couples.append([word, sequence[j]])
    return couples
