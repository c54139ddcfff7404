"""Ragged tensors in datasets on their way to ranks and files; what they are is compared in test_dataset.py."""

import pickle

import numpy as np
import pytest

import distkeras as tf
from distkeras.data import node
from distkeras.data.ragged import RaggedArray, stacked_ragged
from tests.data.rank_threads import joined_rows, nodes_of, own_shards

pytestmark = pytest.mark.timeout(60)

D = tf.data.Dataset
LISTS = [[[float(10 * i + j + k) for k in range((i + j) % 3)] for j in range(i % 4)] for i in range(11)]
ROWS = tf.ragged.constant(LISTS, dtype="float32", ragged_rank=2)


def lists_of(array):
    found = array.tensor() if isinstance(array, RaggedArray) else array
    return found.to_list() if isinstance(found, tf.RaggedTensor) else np.asarray(found).tolist()


def test_rows_of_ragged_arrays_are_those_of_lists():
    array = RaggedArray.of(ROWS)
    assert lists_of(array) == LISTS and array.shape == (11, None, None) and array.dtype == "float32"
    for rows in (slice(2, 7), slice(0, 0), slice(9, 99), slice(-3, None)):
        assert lists_of(array[rows]) == LISTS[rows]
    numbers = np.array([3, 3, 10, 0])
    assert lists_of(array.take(numbers)) == lists_of(array[numbers]) == [LISTS[i] for i in numbers]
    assert lists_of(array[7, ...]) == LISTS[7] and lists_of(array[7][2]) == LISTS[7][2]
    assert lists_of(array[7][1][1]) == LISTS[7][1][1]
    assert lists_of(pickle.loads(pickle.dumps(array)).copy()) == LISTS
    assert lists_of(stacked_ragged([array[:2], array[2:4]])) == [LISTS[:2], LISTS[2:4]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="different forms"):
        stacked_ragged([array, array[0]])


def datasets():
    sliced = D.from_tensor_slices((ROWS, np.arange(11)))
    return {
        "slices": sliced.shuffle(11, seed=2).batch(4),
        "python": sliced.map(lambda x, y: (x * 2.0, y)).batch(4),
        "picked": sliced.filter(lambda x, y: y.numpy() != 3).batch(4),
        "own": own_shards(sliced.batch(4)),
    }


@pytest.mark.parametrize("name", datasets())
@pytest.mark.parametrize(("ranks", "on_each"), [(3, 2)])
def test_ranks_take_their_rows(name, ranks, on_each, monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(on_each))
    together = joined_rows(lambda: datasets()[name], ranks, lists_of)
    if name == "own":
        assert sorted(y for _, ys in together for y in ys) == sorted([*range(11)] * ranks)
    else:
        assert together == joined_rows(lambda: datasets()[name], 1, lists_of)


def test_kept_in_a_file_and_in_memory(tmp_path):
    texts = tf.strings.split(["a b", "", "c"])
    narrow = tf.ragged.constant([[1], [], [2, 3]], row_splits_dtype=tf.int32)
    sliced = D.from_tensor_slices((texts, narrow, ROWS[:3]))
    expected = [[lists_of(x) for x in element] for element in sliced]
    for name in ("", str(tmp_path / "kept")):
        dataset = sliced.filter(lambda *parts: True).cache(name)
        for _ in range(2):
            assert [[lists_of(x) for x in element] for element in dataset] == expected
    again = next(iter(sliced.cache(str(tmp_path / "kept")).batch(3)))
    assert again[1].to_list() == narrow.to_list() and again[1].row_splits.dtype == tf.int32


def test_what_cannot_be_done_is_said():
    sliced = D.from_tensor_slices(ROWS)
    with pytest.raises(TypeError, match="`padded_batch` is only supported .* RaggedTensorSpec"):
        sliced.padded_batch(2)
    with pytest.raises(TypeError, match="Incompatible dataset elements"):
        sliced.concatenate(D.from_tensor_slices(ROWS.to_tensor()))
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))])
    with pytest.raises(ValueError, match=r"where arrays are taken.*to_tensor.*ragged=True"):
        model.predict(tf.ragged.constant([[1.0, 2.0, 3.0]]))
    with pytest.raises(ValueError, match=r"where arrays are taken.*to_tensor"):
        model.predict(D.from_tensor_slices(tf.ragged.constant([[1.0, 2.0, 3.0]])).batch(1))
