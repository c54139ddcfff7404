"""Tables from files, and what tables refuse; their values are compared with TensorFlow's in `test_tensorflow.py`."""

from __future__ import annotations

import pytest

import distkeras as tf

Index = tf.lookup.TextFileIndex
Pairs = tf.lookup.KeyValueTensorInitializer


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "words.tsv"
    file.write_text("the\t10\ncat\t20\nsat\t30\n")
    return str(file)


def test_tables_of_files(path):
    by_column = tf.lookup.TextFileInitializer(path, tf.string, 0, tf.int64, 1)
    assert tf.lookup.StaticHashTable(by_column, -1)[tf.constant(["cat", "x"])].numpy().tolist() == [20, -1]
    names = tf.lookup.TextFileInitializer(path, tf.int64, Index.LINE_NUMBER, tf.string, Index.WHOLE_LINE, vocab_size=2)
    table = tf.lookup.StaticHashTable(names, "?")
    assert table.lookup(tf.constant([1, 2], tf.int64)).numpy().tolist() == [b"cat\t20", b"?"] and int(table.size()) == 2


def test_lookups_in_functions_and_datasets():
    table = tf.lookup.StaticHashTable(Pairs(["a", "b"], [1, 2]), 0)
    assert tf.function(table.lookup)(tf.constant(["b", "c"])).numpy().tolist() == [2, 0]
    words = tf.data.Dataset.from_tensor_slices(["b", "c", "a"]).map(table.lookup)
    assert list(words.as_numpy_iterator()) == [2, 0, 1]
    buckets = tf.lookup.StaticVocabularyTable(None, 3, lookup_key_dtype=tf.int64)
    assert buckets.lookup(tf.constant([5, 5])).shape == (2,) and int(buckets.size()) == 3


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda path: Pairs(["a"], [1, 2]), ValueError, "vectors of one length"),
        (lambda path: tf.lookup.StaticHashTable(Pairs(["a", "a"], [1, 2]), 0), ValueError, "two values for the key"),
        (lambda path: tf.lookup.StaticHashTable(Pairs(["a"], [1]), [0]), ValueError, "must be a scalar"),
        (lambda path: tf.lookup.StaticHashTable(Pairs(["a"], [1]), 0).lookup([1]), TypeError, "Keys must be dtype str"),
        (lambda path: tf.lookup.StaticVocabularyTable(Pairs(["a"], [0]), 1), TypeError, "expected int64"),
        (lambda path: tf.lookup.StaticVocabularyTable(None, 0), ValueError, "oov_buckets must be > 0"),
        (lambda path: tf.lookup.TextFileInitializer("no", tf.string, 0, tf.int64, 1), tf.errors.NotFoundError, "'no'"),
        (lambda path: tf.lookup.TextFileInitializer(path, tf.string, 0, tf.int64, 5), ValueError, "column 5"),
        (lambda path: tf.lookup.TextFileInitializer(path, tf.string, 0, tf.int64, 0), ValueError, "no int64"),
        (lambda path: tf.lookup.TextFileInitializer(path, tf.string, 0, tf.int64, 1, 9), ValueError, "fewer than"),
    ],
)
def test_what_tables_refuse(make, error, match, path):
    with pytest.raises(error, match=match):
        make(path)
