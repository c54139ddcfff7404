"""IMDB: 50,000 reviews of films, half of them positive.

Source: Maas et al. 2011, "Learning Word Vectors for Sentiment Analysis".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.keras.datasets.idx import Split
from distkeras.keras.datasets.pickles import read_npz
from distkeras.keras.datasets.texts import BASE, number_words, read_word_index, shuffled, word_count
from distkeras.keras.utils.data_utils import get_file

_ORIGIN = BASE + "imdb.npz"
_HASH = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_WORDS_HASH = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **kwargs: Any,
) -> tuple[Split, Split]:
    """The reviews, as lists of word numbers by frequency, and 1 for the positive ones.

    The file is looked for in $KERAS_HOME (or ~/.keras) under datasets, then downloaded.

    Args:
        path: The name of the file in the cache, or an absolute path.
        num_words: Words with numbers from this on are replaced by `oov_char`; by default only the last word is.
        skip_top: And so are those with numbers below this.
        maxlen: Only reviews shorter than this are kept. The first 25,000 of what is left are then for training, as
            TensorFlow has it.
        seed: Of the order.
        start_char: The number that begins each review; None for none.
        oov_char: The number that replaces words; None leaves them out.
        index_from: What is added to the words' numbers.

    Returns:
        (x_train, y_train), (x_test, y_test): arrays of lists, and of int64.

    Raises:
        ValueError: No review is that short.
        OSError: It is nowhere and cannot be downloaded, or the file is damaged.
    """
    num_words = word_count(num_words, kwargs)
    arrays = read_npz(get_file(path, _ORIGIN, file_hash=_HASH), ("x_train", "y_train", "x_test", "y_test"))
    random = np.random.RandomState(seed)
    x_train, y_train = shuffled(*arrays[:2], random)
    x_test, y_test = shuffled(*arrays[2:], random)
    texts, labels = number_words(
        [*x_train, *x_test], np.concatenate([y_train, y_test]), num_words, skip_top, maxlen, start_char, oov_char,
        index_from,
    )  # fmt: skip
    count = len(x_train)
    return (texts[:count], labels[:count]), (texts[count:], labels[count:])


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The words' numbers, to which `load_data` adds `index_from`."""
    return read_word_index(path, "imdb_word_index.json", _WORDS_HASH)
