"""SparseTensor and what is done with it."""

import numpy as np
import pytest

import distkeras as tf

ROWS = np.array([[0, 3, 0], [1, 0, 2]])


def test_from_dense_and_back():
    sparse = tf.sparse.from_dense(ROWS)
    assert sparse.indices.numpy().tolist() == [[0, 1], [1, 0], [1, 2]]
    assert sparse.values.numpy().tolist() == [3, 1, 2] and sparse.dense_shape.numpy().tolist() == [2, 3]
    np.testing.assert_array_equal(tf.sparse.to_dense(sparse), ROWS)
    assert tf.keras.backend.is_sparse(sparse) and tf.keras.backend.to_dense(sparse).numpy().tolist() == ROWS.tolist()
    assert tf.sparse.to_dense(sparse, default_value=-1).numpy().tolist() == [[-1, 3, -1], [1, -1, 2]]
    texts = tf.sparse.from_dense([["a", ""], ["", "b"]])
    assert texts.values.numpy().tolist() == [b"a", b"b"]
    assert tf.sparse.to_dense(texts).numpy().tolist() == [[b"a", b""], [b"", b"b"]]
    assert tf.sparse.to_dense(tf.constant([1, 2])).numpy().tolist() == [1, 2]
    flags = tf.sparse.from_dense([True, False])
    assert tf.sparse.to_dense(flags).numpy().tolist() == [True, False]


def test_values_have_gradients():
    with tf.GradientTape() as tape:
        values = tf.constant([2.0, 3.0])
        tape.watch(values)
        dense = tf.sparse.to_dense(tf.SparseTensor([[0, 1], [1, 0]], values, [2, 2]))
        y = tf.reduce_sum(dense * [[1.0, 10.0], [100.0, 1000.0]])
    assert tape.gradient(y, values).numpy().tolist() == [10.0, 100.0]


def test_order_shape_and_products():
    mixed = tf.SparseTensor([[1, 0], [0, 1]], [1.0, 3.0], [2, 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="out of order"):
        tf.sparse.to_dense(mixed)
    assert tf.sparse.reorder(mixed).values.numpy().tolist() == [3.0, 1.0]
    assert tf.sparse.to_dense(tf.sparse.reshape(tf.sparse.reorder(mixed), [1, -1])).numpy().tolist() == [[0, 3, 1, 0]]
    assert tf.sparse.sparse_dense_matmul(mixed, [[1.0], [2.0]]).numpy().tolist() == [[6.0], [1.0]]
    assert tf.sparse.sparse_dense_matmul(mixed, [[1.0], [2.0]], adjoint_a=True).numpy().tolist() == [[2.0], [3.0]]


def test_specs():
    sparse = tf.sparse.from_dense(ROWS)
    spec = tf.SparseTensorSpec.from_value(sparse)
    assert spec == tf.SparseTensorSpec([2, 3], tf.int64) and spec.is_compatible_with(sparse)
    assert not tf.SparseTensorSpec([2, 4], tf.int64).is_compatible_with(sparse)
    assert tf.SparseTensorSpec.value_type is tf.SparseTensor is tf.sparse.SparseTensor


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([[0, 0]], [1, 2], [2, 2]), "one value for each of 1 indices"),
        (([[0]], [1], [2, 2]), r"expected integer indices of shape \[elements, 2\]"),
        (([[0.5, 0.5]], [1], [2, 2]), "expected integer indices"),
        (([[0, 2]], [1], [2, 2]), r"must lie in dense_shape \[2, 2\]"),
        (([[0, 0]], [1], 4), "dense_shape must be a list of integers"),
    ],
)
def test_bad_parts(arguments, message):
    with pytest.raises(ValueError, match=message):
        tf.SparseTensor(*arguments)


def test_bad_calls():
    with pytest.raises(TypeError, match="expected a SparseTensor"):
        tf.sparse.to_dense([1, 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="cannot become"):
        tf.sparse.reshape(tf.sparse.from_dense(ROWS), [5])
    with pytest.raises(AttributeError, match="tf.sparse.to_dense"):
        tf.sparse.cross()


def test_models_are_fed_with_sparse_tensors():
    features = tf.keras.backend.placeholder((None, 3), sparse=True)
    assert tf.keras.backend.is_sparse(features) and features._keras_history.layer.get_config()["sparse"]
    model = tf.keras.Model(features, tf.keras.layers.Dense(2)(tf.keras.backend.to_dense(features)))
    model.compile("sgd", "mse")
    rows = ROWS.astype(np.float32)
    dense, sparse = model.predict(rows), model.predict(tf.sparse.from_dense(rows))
    np.testing.assert_array_equal(sparse, dense)
    losses = [model.evaluate(x, dense + 1, verbose=0) for x in (rows, tf.sparse.from_dense(rows))]
    assert losses[0] == losses[1] == pytest.approx(1.0)
    again = tf.keras.models.model_from_json(model.to_json())
    assert tf.keras.backend.is_sparse(again.input)
