"""`tf.keras.preprocessing.text`: texts as numbers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_MODES = ("binary", "count", "tfidf", "freq")


def text_to_word_sequence(text: str, filters: str = _FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """The words of a text.

    Args:
        text: Any text.
        filters: Characters that separate words as `split` does.
        lower: Whether to convert to lower case.
        split: What separates words.

    >>> text_to_word_sequence("Some text, some more.")
    ['some', 'text', 'some', 'more']
    """
    if lower:
        text = text.lower()
    text = text.translate({ord(character): split for character in filters})
    return [word for word in text.split(split) if word]


def one_hot(text: str, n: int, filters: str = _FILTERS, lower: bool = True, split: str = " ") -> list[int]:
    """Each word's hash in [1, n): Python's own, which differs from run to run unless PYTHONHASHSEED is set.

    `hashing_trick` with 'md5' gives the same numbers in every run, and on all ranks.
    """
    return hashing_trick(text, n, hash, filters, lower, split)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = _FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """Each word's hash in [1, n); different words may get the same number.

    Args:
        text: Any text.
        n: Size of the space of hashes, with the 0 that no word gets.
        hash_function: A function from str to int, 'md5', or None for Python's own `hash`.
        filters, lower, split: As for `text_to_word_sequence`.

    >>> hashing_trick("one two one", 10, "md5")
    [3, 6, 3]
    """
    if hash_function is None:
        hash_function = hash
    elif hash_function == "md5":
        hash_function = _md5
    elif not callable(hash_function):
        raise ValueError(f"hashing_trick: expected a function, 'md5' or None, received {hash_function!r}.")
    return [hash_function(word) % (n - 1) + 1 for word in text_to_word_sequence(text, filters, lower, split)]


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode()).hexdigest(), 16)


class Tokenizer:
    """Numbers the words (or characters) of texts by how often they occur, the most frequent first; 0 is no word's.

    Args:
        num_words: Only words with numbers below this are put out; None for all.
        filters: Characters that are removed.
        lower: Whether to convert to lower case.
        split: What separates words.
        char_level: Whether every character is a word.
        oov_token: If given, stands, with the number 1, for words that are not known.
        document_count: How many texts the counts stand for already.

    Attributes:
        word_index, index_word: Numbers by word and words by number, after `fit_on_texts`.
        word_counts, word_docs, index_docs: How often words occur, in how many texts, and the same by number.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["a cat", "a dog, a cow"])
    >>> tokenizer.texts_to_sequences(["a dog", "the cat"])
    [[1, 3], [2]]
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        document_count: int = 0,
        **kwargs: Any,
    ) -> None:
        if "nb_words" in kwargs:  # Keras 1's name, which Keras 2 still takes
            num_words = kwargs.pop("nb_words")
        kwargs.pop("analyzer", None)
        if kwargs:
            raise TypeError(f"Tokenizer: unrecognized keyword arguments: {sorted(kwargs)}.")
        self.word_counts: dict[str, int] = {}
        self.word_docs: dict[str, int] = defaultdict(int)
        self.filters = filters
        self.split = split
        self.lower = lower
        self.num_words = num_words
        self.document_count = document_count
        self.char_level = char_level
        self.oov_token = oov_token
        self.index_docs: dict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    # --- counting

    def fit_on_texts(self, texts: Iterable[str | list[str]]) -> None:
        """Count the words of `texts` (strings, or lists of words) and number them."""
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] += 1
        by_count = sorted(self.word_counts, key=self.word_counts.get, reverse=True)  # stable: first seen first
        vocabulary = ([] if self.oov_token is None else [self.oov_token]) + by_count
        self.word_index = {word: number for number, word in enumerate(vocabulary, 1)}
        self.index_word = {number: word for word, number in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Iterable[Iterable[int]]) -> None:
        """Count in how many of the `sequences` of word numbers each occurs, as `sequences_to_matrix` needs it."""
        for sequence in sequences:
            self.document_count += 1
            for number in set(sequence):
                self.index_docs[number] += 1

    def _words(self, text: Any) -> list[str]:
        if isinstance(text, list):
            return [part.lower() for part in text] if self.lower else text
        if self.char_level:
            return list(text.lower() if self.lower else text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    # --- converting

    def texts_to_sequences(self, texts: Iterable[str | list[str]]) -> list[list[int]]:
        """For each text the numbers of its words; those of unknown and too rare words are left out, or oov_token's."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[str | list[str]]) -> Iterator[list[int]]:
        """`texts_to_sequences`, one at a time."""
        unknown = self.word_index.get(self.oov_token)
        for text in texts:
            numbers = (self._kept(self.word_index.get(word), unknown) for word in self._words(text))
            yield [number for number in numbers if number is not None]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """For each sequence its words, joined by spaces."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """`sequences_to_texts`, one at a time."""
        unknown = self.word_index.get(self.oov_token)
        for sequence in sequences:
            numbers = (self._kept(number if number in self.index_word else None, unknown) for number in sequence)
            yield " ".join(self.index_word[number] for number in numbers if number is not None)

    def _kept(self, number: int | None, unknown: int | None) -> int | None:
        is_rare = number is not None and self.num_words and number >= self.num_words
        return unknown if number is None or is_rare else number

    def texts_to_matrix(self, texts: Iterable[str | list[str]], mode: str = "binary") -> np.ndarray:
        """`sequences_to_matrix` of `texts_to_sequences`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: list[list[int]], mode: str = "binary") -> np.ndarray:
        """A row for each sequence and a column for each word.

        Args:
            sequences: Word numbers.
            mode: 'binary': 1 where the word occurs; 'count': how often; 'freq': the share of the sequence; 'tfidf':
                (1 + log count) log(1 + documents / (1 + documents with the word)).

        Returns:
            float64 of shape (sequences, num_words).

        Raises:
            ValueError: The number of words is not known, or 'tfidf' is asked for before any text was counted.
        """
        if mode not in _MODES:
            raise ValueError(f"Unknown vectorization mode: {mode!r}, expected one of {', '.join(_MODES)}.")
        if not self.num_words and not self.word_index:
            raise ValueError("Specify a dimension (`num_words` argument), or fit on some text data first.")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Fit the Tokenizer on some data before using tfidf mode.")
        columns = self.num_words or len(self.word_index) + 1
        matrix = np.zeros((len(sequences), columns))
        for row, sequence in zip(matrix, sequences, strict=True):
            for number, count in Counter(sequence).items():
                if number < columns:
                    row[number] = self._entry(mode, number, count, len(sequence))
        return matrix

    def _entry(self, mode: str, number: int, count: int, length: int) -> float:
        if mode == "tfidf":
            return (1 + np.log(count)) * np.log(1 + self.document_count / (1 + self.index_docs.get(number, 0)))
        return {"binary": 1.0, "count": count, "freq": count / length}[mode]

    # --- keeping

    def get_config(self) -> dict[str, Any]:
        """The arguments, and the counts as JSON text."""
        return {
            "num_words": self.num_words,
            "filters": self.filters,
            "lower": self.lower,
            "split": self.split,
            "char_level": self.char_level,
            "oov_token": self.oov_token,
            "document_count": self.document_count,
            **{name: json.dumps(getattr(self, name)) for name in _TABLES},
        }

    def to_json(self, **kwargs: Any) -> str:
        """The tokenizer as JSON, for `tokenizer_from_json`; `kwargs` go to `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


_TABLES = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The Tokenizer that `Tokenizer.to_json` wrote.

    >>> tokenizer = Tokenizer()
    >>> tokenizer.fit_on_texts(["a cat"])
    >>> tokenizer_from_json(tokenizer.to_json()).word_index
    {'a': 1, 'cat': 2}
    """
    config = json.loads(json_string).get("config")
    if not isinstance(config, dict) or not set(_TABLES) <= set(config):
        raise ValueError(f"tokenizer_from_json: this is not what Tokenizer.to_json gives: {json_string[:80]!r}.")
    tables = {name: json.loads(config.pop(name)) for name in _TABLES}
    tokenizer = Tokenizer(**config)
    for name, table in tables.items():
        if name.startswith("index_"):  # JSON knows text keys only
            table = {int(number): entry for number, entry in table.items()}
        setattr(tokenizer, name, defaultdict(int, table) if name.endswith("_docs") else table)
    return tokenizer
