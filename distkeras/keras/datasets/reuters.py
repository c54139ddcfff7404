"""Reuters: 11,228 newswires on 46 topics.

Source: the Reuters-21578 collection; Lewis et al. 1997.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.keras.datasets.idx import Split
from distkeras.keras.datasets.pickles import read_npz
from distkeras.keras.datasets.texts import BASE, number_words, read_word_index, shuffled, word_count
from distkeras.keras.utils.data_utils import get_file

_ORIGIN = BASE + "reuters.npz"
_HASH = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_WORDS_HASH = "4d44cc38712099c9e383dc6e5f11a921"


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **kwargs: Any,
) -> tuple[Split, Split]:
    """The newswires, as lists of word numbers by frequency, and their topics.

    The file is looked for in $KERAS_HOME (or ~/.keras) under datasets, then downloaded.

    Args:
        test_split: The share that is for testing, in [0, 1).
        path, num_words, skip_top, maxlen, seed, start_char, oov_char, index_from: As for `imdb.load_data`.

    Returns:
        (x_train, y_train), (x_test, y_test): arrays of lists, and of int64.

    Raises:
        ValueError: No newswire is shorter than maxlen.
        OSError: It is nowhere and cannot be downloaded, or the file is damaged.
    """
    if not 0 <= test_split < 1:
        raise ValueError(f"`test_split` must be in [0, 1), received {test_split!r}.")
    num_words = word_count(num_words, kwargs)
    x, y = read_npz(get_file(path, _ORIGIN, file_hash=_HASH), ("x", "y"))
    x, y = shuffled(x, y, np.random.RandomState(seed))
    texts, labels = number_words(x, y, num_words, skip_top, maxlen, start_char, oov_char, index_from)
    count = int(len(texts) * (1 - test_split))
    return (texts[:count], labels[:count]), (texts[count:], labels[count:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The words' numbers, to which `load_data` adds `index_from`."""
    return read_word_index(path, "reuters_word_index.json", _WORDS_HASH)
