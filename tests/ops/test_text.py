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


def test_tensors_of_texts_hold_their_bytes():
    assert values(tf.constant(["três", b"a"])) == ["três".encode(), b"a"] and tf.constant("a").numpy() == b"a"
    assert repr(tf.constant("a")) == "<tf.Tensor: shape=(), dtype=string, numpy=b'a'>"
    assert tf.zeros((2,), tf.string).numpy().tolist() == [b"", b""]
    with pytest.raises(TypeError, match="see tf.strings.to_number"):
        tf.constant("1", tf.int32)
    with pytest.raises(TypeError, match="see tf.strings.as_string"):
        tf.constant(1, tf.string)
    with pytest.raises(InvalidArgumentError, match="cast: string to int32 is not supported"):
        tf.cast("1", tf.int32)


@pytest.mark.parametrize("kind", [str, bytes])
def test_texts_become_bytes(kind):
    words = np.array([word if kind is str else word.encode() for word in WORDS], object)
    expected = {
        "lower": ["  one ", "two-2", "três"], "upper": ["  ONE ", "TWO-2", "TRêS"], "strip": ["One", "tWo-2", "três"],
    }  # fmt: skip
    for name, texts in expected.items():
        assert values(getattr(tf.strings, name)(words)) == [text.encode() for text in texts]
    assert values(tf.strings.length(words)) == [6, 5, 5] and values(tf.strings.length(words, "UTF8_CHAR")) == [6, 5, 4]


def test_parts():
    assert values(tf.strings.substr(["hello", "world"], 1, 3)) == [b"ell", b"orl"]
    assert values(tf.strings.substr("hello", [-2, 0], [9, 1])) == [b"lo", b"h"]
    assert values(tf.strings.substr("três", 2, 1, "UTF8_CHAR")) == "ê".encode()
    assert values(tf.strings.split("  a  b c ")) == [b"a", b"b", b"c"]
    assert values(tf.strings.split(tf.constant(b"a,b,,c"), ",", maxsplit=2)) == [b"a", b"b", b",c"]
    assert values(tf.strings.join([["a", "b"], "-", ["1", "2"]], separator="_")) == [b"a_-_1", b"b_-_2"]


def test_patterns():
    assert values(tf.strings.regex_replace("a1b22", r"(\d)", r"<\1>")) == b"a<1>b<2><2>"
    assert values(tf.strings.regex_replace("a1b22", r"\d+", r"[\0]", replace_global=False)) == b"a[1]b22"
    assert values(tf.strings.regex_full_match(["ab", "abc"], "a.")) == [True, False]
    assert values(tf.strings.upper("três", encoding="utf-8")) == "TRÊS".encode()


def test_strings_equal_their_bytes():
    assert values(tf.constant([b"cats", "dogs"]) == "dogs") == [False, True]
    assert values(tf.not_equal(tf.constant(b"tr\xc3\xaas"), "três")) == np.False_
    assert values(tf.constant([1, 2]) == 2) == [False, True]


def test_a_sum_and_a_list_of_texts_are_tensors_of_texts():
    both = tf.constant("a") + "b"
    assert both.dtype == tf.string and type(both.numpy()) is bytes and both.numpy() == b"ab"
    assert values(tf.constant([both, tf.constant("c")])) == [b"ab", b"c"]


def test_numbers():
    numbers = tf.strings.to_number(["1.5", "-2e3"])
    assert numbers.dtype == tf.float32 and values(numbers) == [1.5, -2000]
    assert tf.strings.to_number(b"12", tf.int64).numpy() == 12
    assert values(tf.strings.as_string([1, -2])) == [b"1", b"-2"] and values(tf.strings.as_string(True)) == b"true"
    assert values(tf.strings.as_string([1.5])) == [b"1.500000"]
    assert values(tf.strings.as_string([1.5], scientific=True, precision=1)) == [b"1.5e+00"]
    assert values(tf.strings.as_string([7, 12], width=4, fill="0")) == [b"0007", b"0012"]
    assert values(tf.strings.as_string([1.5, 1e10], shortest=True)) == [b"1.5", b"1e+10"]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: tf.strings.split([1, 2]), "tf.strings.as_string converts numbers"),
        (lambda: tf.strings.length([1, 2]), "tf.strings.as_string converts numbers"),
        (lambda: tf.strings.length("a", "UTF16"), "unit must be 'BYTE' or 'UTF8_CHAR', received 'UTF16'"),
        (lambda: tf.strings.substr("abc", 4, 1), "pos 4 out of range for the string b'abc'"),
        (lambda: tf.strings.to_number("one"), "could not correctly convert string: b'one'"),
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


def test_names_that_are_not_there():
    with pytest.raises(AttributeError, match="tf.strings has no 'unheard_of'; there are "):
        tf.strings.unheard_of  # noqa: B018
