"""CIFAR-100, IMDB, Reuters and Boston housing, from files made here; nothing is downloaded from outside."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

import distkeras as tf
from distkeras.errors import FileFormatError
from distkeras.keras.datasets import boston_housing, cifar100, imdb, reuters

MODULES = (boston_housing, cifar100, imdb, reuters)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A cache without files, no network, and no hashes to compare with."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for module in MODULES:
        monkeypatch.setattr(module, "_ORIGIN", (tmp_path / "nowhere").as_uri() + f"/{module.__name__}.npz")
        monkeypatch.setattr(module, "_HASH", None)
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


def lists(*rows):
    array = np.empty(len(rows), object)
    array[:] = [list(row) for row in rows]
    return array


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_without_network_one_is_told_where_the_file_belongs(module):
    with pytest.raises(OSError, match="Where there is no network, put the file here yourself"):
        module.load_data()


def test_cifar100(home):
    random = np.random.RandomState(1)
    (home / "cifar-100-python").mkdir()
    for name, rows in (("train", 4), ("test", 2)):
        content = {
            b"data": random.randint(0, 256, (rows, 3072)).astype(np.uint8),
            b"fine_labels": list(range(90, 90 + rows)),
            b"coarse_labels": list(range(rows)),
        }
        (home / "cifar-100-python" / name).write_bytes(pickle.dumps(content, protocol=2))
    (x_train, y_train), (x_test, y_test) = tf.keras.datasets.cifar100.load_data()
    assert x_train.shape == (4, 32, 32, 3) and x_test.shape == (2, 32, 32, 3) and x_train.dtype == np.uint8
    assert y_train.ravel().tolist() == [90, 91, 92, 93]
    assert cifar100.load_data("coarse")[1][1].tolist() == [[0], [1]]
    with pytest.raises(ValueError, match="must be one of 'fine', 'coarse', received 'all'"):
        cifar100.load_data("all")


def test_boston_housing(home):
    np.savez(home / "boston_housing.npz", x=np.arange(20.0).reshape(10, 2), y=np.arange(10.0))
    (x_train, y_train), (x_test, y_test) = boston_housing.load_data()
    assert len(x_train) == 8 and len(x_test) == 2
    np.testing.assert_array_equal(np.concatenate([x_train, x_test])[:, 0], 2 * np.concatenate([y_train, y_test]))
    order = np.arange(10)
    np.random.RandomState(113).shuffle(order)
    assert y_train.tolist() == order[:8].tolist()
    assert len(boston_housing.load_data(test_split=0.5, seed=1)[0][0]) == 5
    with pytest.raises(ValueError, match="must be in"):
        boston_housing.load_data(test_split=1.5)


@pytest.fixture
def reviews(home):
    np.savez(
        home / "imdb.npz",
        x_train=lists([1, 2], [3, 4, 5], [6]), y_train=np.array([0, 1, 0]),
        x_test=lists([7], [8, 9]), y_test=np.array([1, 0]),
    )  # fmt: skip


def _texts(splits):
    """Texts and labels of both splits, in an order that does not depend on the shuffle."""
    return [sorted(zip(x.tolist(), y.tolist(), strict=True)) for x, y in splits]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, [[([1, 4, 5], 0), ([1, 6, 7, 8], 1), ([1, 9], 0)], [([1, 10], 1), ([1, 11, 2], 0)]]),
        (
            {"num_words": 9, "skip_top": 5, "start_char": None},
            [[([2, 5], 0), ([2], 0), ([6, 7, 8], 1)], [([2], 1), ([2, 2], 0)]],
        ),
        (
            {"nb_words": 9, "oov_char": None, "index_from": 0},
            [[([1, 1, 2], 0), ([1, 3, 4, 5], 1), ([1, 6], 0)], [([1, 7], 1), ([1, 8], 0)]],
        ),
    ],
)
def test_imdb(reviews, options, expected):
    assert _texts(tf.keras.datasets.imdb.load_data(**options)) == [sorted(split) for split in expected]


def test_short_texts_only(reviews):
    (x_train, y_train), (x_test, _) = imdb.load_data(maxlen=3)
    assert len(x_train) == 2 and len(x_test) == 0 and len(y_train) == 2
    with pytest.raises(ValueError, match="no text was kept"):
        imdb.load_data(maxlen=1)
    with pytest.raises(TypeError, match="words"):
        imdb.load_data(words=3)


def test_the_order_is_that_of_keras(reviews):
    random, orders = np.random.RandomState(7), []
    for count in (3, 2):
        orders.append(np.arange(count))
        random.shuffle(orders[-1])
    (x_train, _), (x_test, _) = imdb.load_data(seed=7, index_from=0, start_char=None)
    assert [text[0] for text in x_train] == [[1, 3, 6][i] for i in orders[0]]
    assert [text[0] for text in x_test] == [[7, 8][i] for i in orders[1]]


def test_reuters(home):
    np.savez(home / "reuters.npz", x=lists(*([i] * (i + 1) for i in range(10))), y=np.arange(10))
    options = {"num_words": 10, "index_from": 0, "start_char": None, "oov_char": None}
    (x_train, y_train), (x_test, y_test) = reuters.load_data(test_split=0.3, **options)
    assert len(x_train) == 7 and len(x_test) == 3
    pairs = zip([*x_train, *x_test], [*y_train, *y_test], strict=True)
    assert all(text == [label] * (label + 1) for text, label in pairs)


def test_word_index(home):
    for module in (imdb, reuters):
        path = home / f"{module.__name__.rpartition('.')[2]}.json"
        path.write_text(json.dumps({"film": 1}))
        module._WORDS_HASH, before = None, module._WORDS_HASH
        try:
            assert module.get_word_index(str(path)) == {"film": 1}
            path.write_text("{")
            with pytest.raises(FileFormatError, match="is no JSON file"):
                module.get_word_index(str(path))
        finally:
            module._WORDS_HASH = before


class Harm:
    def __reduce__(self):
        return (print, ("harm",))


def test_a_pickle_that_names_functions_is_refused(home, capsys):
    harm = np.empty(1, object)
    harm[0] = Harm()
    np.savez(home / "reuters.npz", x=harm, y=np.zeros(1))
    with pytest.raises(FileFormatError, match="which is not needed for arrays"):
        reuters.load_data()
    (home / "reuters.npz").write_bytes(b"no archive")
    with pytest.raises(FileFormatError, match="does not hold the arrays x, y"):
        reuters.load_data()
    assert "harm" not in capsys.readouterr().out
