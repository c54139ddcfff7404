"""`tf.strings`; the values are those of TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras.errors import InvalidArgumentError

WORDS = ["  One ", "tWo-2", "três"]


def values(tensor):
    found = tensor.numpy()
    return found.tolist() if tensor.shape else found


@pytest.mark.parametrize("kind", [str, bytes])
def test_texts_stay_what_they_are(kind):
    words = np.array([word if kind is str else word.encode() for word in WORDS], object)
    expected = {
        "lower": ["  one ", "two-2", "três"], "upper": ["  ONE ", "TWO-2", "TRêS"], "strip": ["One", "tWo-2", "três"],
    }  # fmt: skip
    for name, texts in expected.items():
        wanted = [text if kind is str else text.encode() for text in texts]
        assert values(getattr(tf.strings, name)(words)) == wanted
    assert values(tf.strings.length(words)) == [6, 5, 5] and values(tf.strings.length(words, "UTF8_CHAR")) == [6, 5, 4]
    assert all(isinstance(text, kind) for text in values(tf.strings.regex_replace(words, "o", "0")))


def test_parts():
    assert values(tf.strings.substr(["hello", "world"], 1, 3)) == ["ell", "orl"]
    assert values(tf.strings.substr("hello", [-2, 0], [9, 1])) == ["lo", "h"]
    assert values(tf.strings.substr("três", 2, 1, "UTF8_CHAR")) == "ê"
    assert values(tf.strings.split("  a  b c ")) == ["a", "b", "c"]
    assert values(tf.strings.split(tf.constant(b"a,b,,c"), ",", maxsplit=2)) == [b"a", b"b", b",c"]
    assert values(tf.strings.join([["a", "b"], "-", ["1", "2"]], separator="_")) == ["a_-_1", "b_-_2"]


def test_patterns():
    assert values(tf.strings.regex_replace("a1b22", r"(\d)", r"<\1>")) == "a<1>b<2><2>"
    assert values(tf.strings.regex_replace("a1b22", r"\d+", r"[\0]", replace_global=False)) == "a[1]b22"
    assert values(tf.strings.regex_full_match(["ab", "abc"], "a.")) == [True, False]
    assert values(tf.strings.upper("três", encoding="utf-8")) == "TRÊS"


def test_strings_equal_their_bytes():
    assert values(tf.constant([b"cats", "dogs"]) == "dogs") == [False, True]
    assert values(tf.not_equal(tf.constant(b"tr\xc3\xaas"), "três")) == np.False_
    assert values(tf.constant([1, 2]) == 2) == [False, True]


def test_numbers():
    numbers = tf.strings.to_number(["1.5", "-2e3"])
    assert numbers.dtype == tf.float32 and values(numbers) == [1.5, -2000]
    assert tf.strings.to_number(b"12", tf.int64).numpy() == 12
    assert values(tf.strings.as_string([1, -2])) == ["1", "-2"] and values(tf.strings.as_string(True)) == "true"
    assert values(tf.strings.as_string([1.5])) == ["1.500000"]
    assert values(tf.strings.as_string([1.5], scientific=True, precision=1)) == ["1.5e+00"]
    assert values(tf.strings.as_string([7, 12], width=4, fill="0")) == ["0007", "0012"]
    assert values(tf.strings.as_string([1.5, 1e10], shortest=True)) == ["1.5", "1e+10"]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: tf.strings.split(["a b", "c"]), "split each by itself"),
        (lambda: tf.strings.length([1, 2]), "tf.strings.as_string converts numbers"),
        (lambda: tf.strings.length("a", "UTF16"), "unit must be 'BYTE' or 'UTF8_CHAR', received 'UTF16'"),
        (lambda: tf.strings.substr("abc", 4, 1), "pos 4 out of range for the string 'abc'"),
        (lambda: tf.strings.to_number("one"), "could not correctly convert string: 'one'"),
        (lambda: tf.strings.to_number("1", tf.uint8), "received uint8"),
        (lambda: tf.strings.join([["a", "b"], ["c"]]), "tensors of one shape"),
        (lambda: tf.strings.lower("a", encoding="latin1"), "received 'latin1'"),
        (lambda: tf.strings.as_string(1.0, scientific=True, shortest=True), "both scientific and shortest"),
        (lambda: tf.strings.as_string(1.0, fill="x"), "received 'x'"),
        (lambda: tf.strings.as_string("a"), "expected numbers or booleans"),
    ],
)
def test_what_cannot_be_done(call, message):
    with pytest.raises(InvalidArgumentError, match=message):
        call()
    with pytest.raises(AttributeError, match="tf.strings has no 'ngrams'; there are as_string"):
        tf.strings.ngrams  # noqa: B018
