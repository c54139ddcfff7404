"""Sparse tensors in datasets on their way to ranks, files and models; what they are is compared in test_dataset.py."""

import pickle

import numpy as np
import pytest

import distkeras as tf
from distkeras.data import node
from distkeras.data.dataset.sparse import SparseArray, stacked_sparse
from tests.data.rank_threads import joined_rows, nodes_of, own_shards

pytestmark = pytest.mark.timeout(60)

D = tf.data.Dataset
DENSE = np.where(np.random.default_rng(0).random((11, 5)) < 0.3, np.arange(55).reshape(11, 5), 0).astype("float32")
SPARSE = tf.sparse.from_dense(DENSE)


def test_rows_of_sparse_arrays_are_those_of_dense_ones():
    array = SparseArray.of(tf.SparseTensor(SPARSE.indices.numpy()[::-1], SPARSE.values.numpy()[::-1], SPARSE.shape))
    np.testing.assert_array_equal(array.to_dense(), DENSE)
    for rows in (slice(2, 7), slice(0, 0), slice(9, 99), slice(-3, None)):
        np.testing.assert_array_equal(array[rows].to_dense(), DENSE[rows])
    numbers = np.array([3, 3, 10, 0])
    np.testing.assert_array_equal(array.take(numbers).to_dense(), DENSE[numbers])
    np.testing.assert_array_equal(array[4, ...].to_dense(), DENSE[4])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array)).copy().to_dense(), DENSE)
    np.testing.assert_array_equal(stacked_sparse([array[:2], array[2:4]]).to_dense(), DENSE[:4].reshape(2, 2, 5))
    with pytest.raises(tf.errors.InvalidArgumentError, match="different ranks"):
        stacked_sparse([array, array[0]])


def datasets():
    sliced = D.from_tensor_slices((SPARSE, np.arange(11)))
    return {
        "slices": sliced.shuffle(11, seed=2).batch(4),
        "python": sliced.map(lambda x, y: (tf.sparse.from_dense(tf.sparse.to_dense(x) * 2.0), y)).batch(4),
        "picked": sliced.filter(lambda x, y: x.values.shape[0] > 0).batch(4),
        "own": own_shards(sliced.batch(4)),
    }


@pytest.mark.parametrize("name", datasets())
@pytest.mark.parametrize(("ranks", "on_each"), [(2, 2), (3, 2)])
def test_ranks_take_their_rows(name, ranks, on_each, monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(on_each))
    together = joined_rows(lambda: datasets()[name], ranks)
    if name == "own":
        assert sorted(y for _, ys in together for y in ys) == sorted([*range(11)] * ranks)
    else:
        assert together == joined_rows(lambda: datasets()[name], 1)


def test_kept_in_a_file_and_in_memory(tmp_path):
    texts = tf.SparseTensor([[0, 1], [2, 0]], ["a", "b"], [3, 2])
    sliced = D.from_tensor_slices((texts, tf.sparse.from_dense([[1], [0], [2]]), [1, 2, 3]))
    expected = [[x.tolist() for x in element] for element in sliced.as_numpy_iterator()]
    for name in ("", str(tmp_path / "kept")):
        dataset = sliced.filter(lambda *parts: True).cache(name)
        for _ in range(2):
            assert [[x.tolist() for x in element] for element in dataset.as_numpy_iterator()] == expected
    again = next(iter(sliced.cache(str(tmp_path / "kept"))))
    assert isinstance(again[0], tf.SparseTensor) and again[0].shape == (2,)


def test_models_take_them():
    inputs = tf.keras.Input((5,), sparse=True)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(1, kernel_initializer="ones")(inputs))
    np.testing.assert_allclose(model.predict(D.from_tensor_slices(SPARSE).batch(4)), DENSE.sum(1, keepdims=True))
    model.compile("sgd", "mse")
    labels = np.ones((11, 1), "float32")
    losses = model.fit(D.from_tensor_slices((SPARSE, labels)).batch(4), epochs=2, verbose=0).history["loss"]
    other = tf.keras.models.clone_model(model)
    other.compile("sgd", "mse")
    expected = other.fit(D.from_tensor_slices((DENSE, labels)).batch(4), epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)


def test_what_cannot_be_done_is_said():
    sliced = D.from_tensor_slices(SPARSE)
    with pytest.raises(TypeError, match="`padded_batch` is only supported .* SparseTensorSpec"):
        sliced.padded_batch(2)
    with pytest.raises(TypeError, match="Incompatible dataset elements"):
        sliced.concatenate(D.from_tensor_slices(DENSE))
    spec = tf.compat.v1.data
    assert spec.get_output_classes(sliced) is tf.SparseTensor and spec.get_output_shapes(sliced) == (5,)
