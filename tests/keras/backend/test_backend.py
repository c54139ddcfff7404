"""`tf.keras.backend`: tensor functions under Keras' names, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf

K = tf.keras.backend
RANDOM = np.random.default_rng(0)
A = RANDOM.normal(size=(3, 4)).astype("float32")
B = RANDOM.normal(size=(4, 5)).astype("float32")
CUBE = RANDOM.normal(size=(2, 3, 4)).astype("float32")
BITS = A > 0
P = np.exp(A) / np.exp(A).sum(axis=1, keepdims=True)
ONE_HOT = np.eye(4, dtype="float32")[[1, 3, 0]]


def cross(target, p):
    return -(target * np.log(p) + (1 - target) * np.log(1 - p))


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (lambda: K.mean(A), A.mean()),
        (lambda: K.mean(A, axis=1, keepdims=True), A.mean(axis=1, keepdims=True)),
        (lambda: K.mean(BITS), BITS.mean()),
        (lambda: K.sum(A, axis=-1), A.sum(axis=-1)),
        (lambda: K.std(A, axis=0), A.std(axis=0)),
        (lambda: K.var(BITS, axis=0), BITS.astype("float32").var(axis=0)),
        (lambda: K.max(A, axis=[0, 1]), A.max()),
        (lambda: K.min(A), A.min()),
        (lambda: K.prod(A, 1), A.prod(axis=1)),
        (lambda: K.logsumexp(A, axis=1), np.log(np.exp(A).sum(axis=1))),
        (lambda: K.argmax(A), A.argmax(axis=-1)),
        (lambda: K.argmin(A, axis=0), A.argmin(axis=0)),
        (lambda: K.cumsum(A, axis=1), A.cumsum(axis=1)),
        (lambda: K.any(BITS, axis=0), BITS.any(axis=0)),
        (lambda: K.all(BITS), BITS.all()),
        (lambda: K.sqrt(A), np.sqrt(np.maximum(A, 0))),
        (lambda: K.square(A), A**2),
        (lambda: K.pow(A, 3), A**3),
        (lambda: K.clip(A, -0.5, 0.5), A.clip(-0.5, 0.5)),
        (lambda: K.clip(A, None, 0.0), np.minimum(A, 0)),
        (lambda: K.clip(A, 0.5, None), np.maximum(A, 0.5)),
        (lambda: K.clip(A, 2.0, 1.0), np.full_like(A, 2.0)),
        (lambda: K.switch(tf.constant(True), A, lambda: -A), A),
        (lambda: K.switch(BITS[:, 0], A, lambda: -A), np.where(BITS[:, :1], A, -A)),
        (lambda: K.relu(A, alpha=0.1, max_value=0.5), np.where(A > 0, A.clip(0, 0.5), 0.1 * A)),
        (lambda: K.softmax(A, axis=0), np.exp(A) / np.exp(A).sum(axis=0)),
        (lambda: K.dot(A, B), A @ B),
        (lambda: K.dot(CUBE, B), CUBE @ B),
        (lambda: K.l2_normalize(A, axis=1), A / np.linalg.norm(A, axis=1, keepdims=True)),
        (lambda: K.bias_add(A, B[0, :4]), A + B[0, :4]),
        (lambda: K.bias_add(CUBE, A[0, :3], "channels_first"), CUBE + A[0, :3, None]),
        (lambda: K.binary_crossentropy(ONE_HOT, P), cross(ONE_HOT, P)),
        (lambda: K.binary_crossentropy(ONE_HOT, np.log(P / (1 - P)), from_logits=True), cross(ONE_HOT, P)),
        (lambda: K.categorical_crossentropy(ONE_HOT, P), -np.log(P[ONE_HOT > 0])),
        (lambda: K.categorical_crossentropy(ONE_HOT.T, P.T, axis=0), -np.log(P[ONE_HOT > 0])),
        (lambda: K.categorical_crossentropy(ONE_HOT, A, from_logits=True), -np.log(P[ONE_HOT > 0])),
        (lambda: K.sparse_categorical_crossentropy([1, 3, 0], P), -np.log(P[ONE_HOT > 0])),
        (lambda: K.expand_dims(A), A[..., None]),
        (lambda: K.concatenate([A, A]), np.concatenate([A, A], axis=-1)),
        (lambda: K.stack([A, A], axis=1), np.stack([A, A], axis=1)),
        (lambda: K.permute_dimensions(CUBE, (2, 0, 1)), CUBE.transpose(2, 0, 1)),
        (lambda: K.transpose(A), A.T),
        (lambda: K.reverse(A, [1]), A[:, ::-1]),
        (lambda: K.flatten(CUBE), CUBE.ravel()),
        (lambda: K.batch_flatten(CUBE), CUBE.reshape(2, 12)),
        (lambda: K.repeat(A, 2), np.stack([A, A], axis=1)),
        (lambda: K.repeat_elements(A, 2, axis=1), A.repeat(2, axis=1)),
        (lambda: K.tile(A, (1, 2)), np.tile(A, (1, 2))),
        (lambda: K.gather(A, [2, 0]), A[[2, 0]]),
        (lambda: K.one_hot([1, 3, 0], 4), ONE_HOT),
        (lambda: K.arange(4), np.arange(4)),
        (lambda: K.arange(-4), np.arange(0)),
        (lambda: K.arange(1, 7, 2), np.array([1, 3, 5])),
        (lambda: K.cast(A, "int32"), A.astype("int32")),
        (lambda: K.cast_to_floatx(np.arange(3)), np.arange(3, dtype="float32")),
        (lambda: K.zeros_like(A), np.zeros_like(A)),
        (lambda: K.shape(CUBE), np.array([2, 3, 4])),
    ],
)
def test_values(got, expected):
    value = np.asarray(got())
    assert value.shape == np.shape(expected)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_properties_of_tensors():
    x, symbol = tf.constant(CUBE), tf.keras.Input((3, 4))
    assert K.int_shape(x) == (2, 3, 4) and K.int_shape(symbol) == (None, 3, 4)
    assert K.ndim(symbol) == 3 and K.dtype(x) == "float32" and K.count_params(x) == 24
    assert K.is_keras_tensor(symbol) and not K.is_keras_tensor(x) and K.is_tensor(x) and not K.is_tensor(CUBE)


def test_variables():
    v = K.variable([1.0, 2.0], name="v")
    K.update(v, [3.0, 4.0])
    K.update_add(v, 1.0 * K.ones((2,)))
    K.update_sub(v, [0.5, 0.5])
    assert K.eval(v).tolist() == [3.5, 4.5]
    K.moving_average_update(v, tf.constant([0.0, 0.0]), 0.5)
    assert K.get_value(v).tolist() == [1.75, 2.25]
    assert K.eye(2).numpy().tolist() == [[1, 0], [0, 1]] and K.zeros((2, 1)).shape == (2, 1)
    K.batch_set_value([(v, [0, 1])])
    assert K.batch_get_value([v])[0].tolist() == [0, 1]


def test_random_numbers():
    assert 0.2 < float(K.mean(K.random_binomial((1000,), p=0.3))) < 0.4
    assert abs(float(K.mean(K.random_normal((1000,), 5.0, 1.0))) - 5) < 0.2
    assert float(K.max(K.abs(K.truncated_normal((1000,))))) <= 2
    uniform = K.random_uniform((1000,), 2.0, 3.0).numpy()
    assert uniform.min() >= 2 and uniform.max() < 3
    assert 300 < (K.dropout(tf.ones((1000,)), 0.5).numpy() == 0).sum() < 700


def test_the_learning_phase():
    assert K.in_train_phase(lambda: "train", "test") == "test"
    assert K.in_train_phase("train", lambda: "test", training=True) == "train"
    assert K.in_test_phase("test", "train") == "test"
    with K.learning_phase_scope(1):
        assert K.learning_phase() == 1 and K.in_train_phase("train", "test") == "train"
    K.set_learning_phase(1)
    K.clear_session()
    assert K.learning_phase() == 0


@pytest.mark.parametrize("eagerly", [False, True])
def test_losses_and_metrics_of_ones_own_are_written_with_it(eagerly):
    def r_square(y, p):
        return 1 - K.sum(K.square(y - p)) / (K.sum(K.square(y - K.mean(y))) + K.epsilon())

    inputs = tf.keras.Input((4,))
    scaled = tf.keras.layers.Lambda(lambda t: t / (1 + K.std(t, axis=1, keepdims=True)))(inputs)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(1)(scaled))
    model.compile("sgd", lambda y, p: K.mean(K.abs(y - p), axis=-1), metrics=[r_square], run_eagerly=eagerly)
    targets = A.sum(axis=1, keepdims=True)
    model.fit(A, targets, verbose=0)
    loss, fit = model.evaluate(A, targets, verbose=0)
    error = targets - model.predict(A)
    assert loss == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert fit == pytest.approx(1 - (error**2).sum() / ((targets - targets.mean()) ** 2).sum(), rel=1e-4)


def test_a_function_gives_what_is_inside_of_a_model():
    model = tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(4,)), tf.keras.layers.Dense(2)])
    both = K.function([model.input], [model.layers[0].output, model.output])([A])
    np.testing.assert_allclose(both[0], A @ model.get_weights()[0], rtol=1e-5)
    np.testing.assert_allclose(both[1], model.predict(A), rtol=1e-5)
    np.testing.assert_allclose(K.function(model.input, model.output)(A), model.predict(A), rtol=1e-5)


def test_every_public_name_is_there():
    assert all(hasattr(K, name) for name in K.__all__)
    assert K.__all__ == sorted(K.__all__)


@pytest.mark.parametrize(
    "call, expected",
    [
        (lambda: K.sum(x=[[1.0, 2.0]], axis=1, keepdims=True), [[3.0]]),
        (lambda: K.reverse(x=[[1.0, 2.0]], axes=1), [[2.0, 1.0]]),
        (lambda: K.tile(x=[1.0, 2.0], n=2), [1.0, 2.0, 1.0, 2.0]),
        (lambda: K.pow(x=[2.0], a=3.0), [8.0]),
        (lambda: K.softmax(x=[[1.0, 1.0]], axis=-1), [[0.5, 0.5]]),
        (lambda: K.any([[0.0, 2.0], [0.0, 0.0]], axis=1), [True, False]),
        (lambda: K.all(x=[[1, 2], [0, 1]], axis=1, keepdims=True), [[True], [False]]),
        (lambda: K.stop_gradient(variables=[K.ones((1,)), K.zeros((1,))])[0], [1.0]),
    ],
    ids=["sum", "reverse", "tile", "pow", "softmax", "any", "all", "stop_gradient"],
)
def test_arguments_have_the_names_keras_gives_them(call, expected):
    assert call().numpy().tolist() == expected


def test_what_is_no_tensor_cannot_be_asked_whether_it_is_symbolic():
    with pytest.raises(ValueError, match="ndarray"):
        K.is_keras_tensor(np.ones(2))
    assert not K.is_keras_tensor(tf.ones(2)) and K.is_keras_tensor(tf.keras.Input((2,)))
