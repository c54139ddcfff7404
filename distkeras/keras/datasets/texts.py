"""Texts as lists of word numbers: what IMDB and Reuters share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import FileFormatError
from distkeras.keras.datasets.idx import Split
from distkeras.keras.utils.data_utils import get_file

BASE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def shuffled(x: np.ndarray, y: np.ndarray, random: np.random.RandomState) -> Split:
    """Both in one new order."""
    order = np.arange(len(x))
    random.shuffle(order)
    return x[order], y[order]


def number_words(
    texts: Sequence[Sequence[int]],
    labels: np.ndarray,
    num_words: int | None,
    skip_top: int,
    maxlen: int | None,
    start_char: int | None,
    oov_char: int | None,
    index_from: int,
) -> Split:
    """Texts with their words renumbered, and their labels; the arguments are those of `imdb.load_data`."""
    begin = [] if start_char is None else [start_char]
    shift = index_from or 0
    numbered = [begin + [word + shift for word in text] for text in texts]
    if maxlen:
        kept = [i for i, text in enumerate(numbered) if len(text) < maxlen]
        numbered, labels = [numbered[i] for i in kept], labels[kept]
        if not kept:
            raise ValueError(f"After filtering for texts shorter than maxlen={maxlen}, no text was kept. Increase it.")
    # Without num_words the greatest number is the limit, so that this one word is replaced: as in Keras.
    limit = num_words or max(max(text, default=0) for text in numbered)
    if oov_char is not None:
        numbered = [[word if skip_top <= word < limit else oov_char for word in text] for text in numbered]
    else:
        numbered = [[word for word in text if skip_top <= word < limit] for text in numbered]
    texts_array = np.empty(len(numbered), object)
    texts_array[:] = numbered
    return texts_array, labels


def word_count(num_words: int | None, others: dict[str, Any]) -> int | None:
    """`num_words`, which Keras 1 called nb_words."""
    if "nb_words" in others:
        num_words = others.pop("nb_words")
    if others:
        raise TypeError(f"Unrecognized keyword arguments: {sorted(others)}.")
    return num_words


def read_word_index(path: str, name: str, file_hash: str | None) -> dict[str, int]:
    """The numbers of words, from a JSON file that is downloaded if need be."""
    path = get_file(path, BASE + name, file_hash=file_hash)
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except ValueError as error:
        raise FileFormatError(f"{path} is no JSON file: {error}.") from error
