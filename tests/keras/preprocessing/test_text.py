"""Texts as numbers; the expected values are those of TensorFlow 2."""

from __future__ import annotations

import json

import numpy as np
import pytest

from distkeras.keras.preprocessing.text import (
    Tokenizer,
    hashing_trick,
    one_hot,
    text_to_word_sequence,
    tokenizer_from_json,
)

TEXTS = ["The cat sat on the mat.", "The dog sat on the log!", "Dogs and cats living together."]


def fitted(**options):
    tokenizer = Tokenizer(**options)
    tokenizer.fit_on_texts(TEXTS)
    return tokenizer


def test_words():
    assert text_to_word_sequence("Hello, a-b\tC") == ["hello", "a", "b", "c"]
    assert text_to_word_sequence("A!!B??", filters="!?", lower=False, split="??") == ["A", "B"]
    assert hashing_trick("The cat", 5, "md5") == hashing_trick("the CAT!", 5, "md5")
    assert hashing_trick("a b", 3, lambda word: ord(word[0])) == [2, 1]
    assert all(0 < number < 4 for number in one_hot("a b c d e f", 4))


def test_numbers_by_count():
    tokenizer = fitted()
    assert tokenizer.word_index == {
        "the": 1, "sat": 2, "on": 3, "cat": 4, "mat": 5, "dog": 6, "log": 7, "dogs": 8, "and": 9, "cats": 10,
        "living": 11, "together": 12,
    }  # fmt: skip
    assert tokenizer.document_count == 3 and tokenizer.word_docs["the"] == 2 and tokenizer.index_docs[1] == 2
    assert tokenizer.texts_to_sequences(["the unknown cat"]) == [[1, 4]]
    assert tokenizer.sequences_to_texts([[1, 99, 4]]) == ["the cat"]
    rare = fitted(num_words=4, oov_token="<?>")
    assert rare.texts_to_sequences(["the cat sat on unknown", ["The", "ON"]]) == [[2, 1, 3, 1, 1], [2, 1]]
    assert rare.sequences_to_texts([[2, 7, 3]]) == ["the <?> sat"]
    characters = Tokenizer(char_level=True)
    characters.fit_on_texts(["aab"])
    assert characters.texts_to_sequences(["ba"]) == [[2, 1]]


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("binary", [[0, 1, 1, 0], [0, 0, 0, 0]]),
        ("count", [[0, 2, 1, 0], [0, 0, 0, 0]]),
        ("freq", [[0, 0.5, 0.25, 0], [0, 0, 0, 0]]),
        ("tfidf", [[0, (1 + np.log(2)) * np.log(2), np.log(2), 0], [0, 0, 0, 0]]),
    ],
)
def test_matrices(mode, expected):
    matrix = fitted(num_words=4).sequences_to_matrix([[1, 1, 2, 9], []], mode)
    np.testing.assert_allclose(matrix, expected)
    assert fitted().texts_to_matrix(["the"], mode).shape == (1, 13)


def test_tfidf_needs_documents():
    with pytest.raises(ValueError, match="before using tfidf"):
        Tokenizer(num_words=3).sequences_to_matrix([[1]], "tfidf")
    counted = Tokenizer(num_words=3)
    counted.fit_on_sequences([[1, 1, 2]])
    assert counted.sequences_to_matrix([[1]], "tfidf")[0, 1] == pytest.approx(np.log(1 + 1 / 2))


def test_json_round_trip():
    tokenizer = fitted(num_words=5, oov_token="<?>")
    again = tokenizer_from_json(tokenizer.to_json())
    assert json.loads(tokenizer.to_json())["class_name"] == "Tokenizer"
    for name in ("word_index", "index_word", "word_counts", "word_docs", "index_docs", "document_count", "num_words"):
        assert getattr(again, name) == getattr(tokenizer, name), name
    assert again.texts_to_sequences(TEXTS) == tokenizer.texts_to_sequences(TEXTS)
    with pytest.raises(ValueError, match="not what Tokenizer.to_json gives"):
        tokenizer_from_json("{}")
