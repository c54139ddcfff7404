"""Connectionist temporal classification against TensorFlow's, a sum over all alignments, and in models."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.testing import check_compiled, check_grads

K = tf.keras.backend
KNOWN = dict(np.load(Path(__file__).parent / "data" / "ctc.npz"))
LENGTHS, LABEL_LENGTHS = KNOWN["lengths"], KNOWN["label_lengths"]


def test_the_cost_of_a_batch_and_its_gradient():
    probabilities = tf.constant(KNOWN["probabilities"])
    labels = tf.constant(KNOWN["labels"], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(probabilities)
        cost = K.ctc_batch_cost(labels, probabilities, LENGTHS[:, np.newaxis], LABEL_LENGTHS[:, np.newaxis])
    np.testing.assert_allclose(cost, KNOWN["cost"], rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(cost, probabilities), KNOWN["gradient"], rtol=1e-3, atol=1e-4)


def test_losses_of_dense_and_of_sparse_labels():
    labels, logits = KNOWN["labels"] + 1, KNOWN["logits"]
    dense = tf.nn.ctc_loss(labels, logits, LABEL_LENGTHS, LENGTHS)
    np.testing.assert_allclose(dense, KNOWN["loss"], rtol=1e-5)
    sparse = K.ctc_label_dense_to_sparse(labels, LABEL_LENGTHS)
    turned = logits.transpose(1, 0, 2)
    np.testing.assert_array_equal(tf.nn.ctc_loss(sparse, turned, None, LENGTHS, False, blank_index=0), dense)
    with pytest.raises(ValueError, match="blank_index must be given"):
        tf.nn.ctc_loss(sparse, logits, None, LENGTHS)


def naive_probability(probabilities: np.ndarray, labels: list[int], blank: int) -> float:
    """The sum over all sequences of classes that stand for the labels."""
    total = 0.0
    for path in itertools.product(range(probabilities.shape[1]), repeat=len(probabilities)):
        merged = [label for label, _ in itertools.groupby(path) if label != blank]
        total += np.prod(probabilities[np.arange(len(path)), path]) if merged == labels else 0.0
    return total


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("labels", [[], [0], [0, 0], [1, 2], [2, 1, 2], [1, 1, 1], [0, 1, 0, 1]])
def test_all_alignments_are_counted(labels, dtype):
    """Four of three steps cannot hold some of these labels: probability 0."""
    random = np.random.default_rng(len(labels))
    logits = random.standard_normal((4, 1, 4)).astype(dtype)
    padded = np.array([labels + [0] * (5 - len(labels))])
    loss = tf.nn.ctc_loss(padded, logits, [len(labels)], [4], blank_index=3).numpy()
    expected = naive_probability(tf.nn.softmax(logits[:, 0]).numpy(), labels, 3)
    np.testing.assert_allclose(np.exp(-loss), [expected], rtol=1e-5, atol=1e-9)
    assert loss.dtype == dtype


def test_no_alignment_and_no_steps():
    logits = tf.zeros((2, 2, 3))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.nn.ctc_loss([[1, 1], [1, 1]], logits, [2, 0], [2, 0])
    assert loss.numpy().tolist() == [np.inf, 0.0]
    assert not tape.gradient(loss, logits).numpy().any()


def weighted(logits, labels, label_lengths, lengths):
    return tf.nn.ctc_loss(labels, logits, label_lengths, lengths, blank_index=-1)


def test_derivatives_and_plans():
    labels = np.array([[1, 1, 0], [0, 2, 0]], np.int32)
    arguments = KNOWN["logits"][:4, :2, 2:], labels, np.int32([2, 1]), np.int32([4, 3])
    check_grads(weighted, *arguments)
    check_compiled(weighted, *arguments, batched=())


def same_labels(labels, expected):
    """Later versions of Keras fill the rows up to the number of steps."""
    np.testing.assert_array_equal(labels, expected[:, : labels.shape[1]])
    assert (expected[:, labels.shape[1] :] == -1).all()


def test_decoding():
    (greedy,), scores = K.ctc_decode(KNOWN["probabilities"], LENGTHS)
    same_labels(greedy, KNOWN["greedy"])
    np.testing.assert_allclose(scores, KNOWN["greedy_scores"], rtol=1e-5)
    paths, scores = K.ctc_decode(KNOWN["probabilities"], LENGTHS, greedy=False, beam_width=4000, top_paths=3)
    for number, path in enumerate(paths):
        same_labels(path, KNOWN[f"path_{number}"])
    np.testing.assert_allclose(scores, KNOWN["path_scores"], rtol=1e-5)


def test_decoding_of_logits():
    (repeated,), scores = tf.nn.ctc_greedy_decoder(KNOWN["logits"], LENGTHS, merge_repeated=False)
    np.testing.assert_array_equal(tf.sparse.to_dense(repeated, -1), KNOWN["repeated"])
    np.testing.assert_allclose(scores, KNOWN["repeated_scores"], rtol=1e-5)
    beams, scores = tf.nn.ctc_beam_search_decoder(KNOWN["logits"], LENGTHS, beam_width=4000, top_paths=2)
    for number, beam in enumerate(beams):
        np.testing.assert_array_equal(tf.sparse.to_dense(beam, -1), KNOWN[f"beam_{number}"])
    np.testing.assert_allclose(scores, KNOWN["beam_scores"], rtol=1e-5)


def test_a_wide_search_finds_the_likeliest():
    random = np.random.default_rng(5)
    probabilities = random.dirichlet(np.ones(3), size=4)
    beams, scores = tf.nn.ctc_beam_search_decoder(np.log(probabilities)[:, np.newaxis], [4], beam_width=60, top_paths=5)
    found = [beam.values.numpy().tolist() for beam in beams]
    expected = [naive_probability(probabilities, labels, 2) for labels in found]
    np.testing.assert_allclose(np.exp(scores.numpy()[0]), expected, rtol=1e-6)
    others = [list(labels) for count in range(4) for labels in itertools.product((0, 1), repeat=count)]
    assert max(naive_probability(probabilities, labels, 2) for labels in others) == pytest.approx(expected[0])


def test_a_model_learns_with_ctc():
    """The way of Keras' examples: the loss is a layer of the model."""
    random = np.random.default_rng(0)
    frames, labels = tf.keras.Input((8, 5)), tf.keras.Input((2,))
    steps, count = tf.keras.Input((1,), dtype="int32"), tf.keras.Input((1,), dtype="int32")
    hidden = tf.keras.layers.Dense(16, activation="relu")(frames)
    classes = tf.keras.layers.Dense(4, activation="softmax")(hidden)
    cost = tf.keras.layers.Lambda(lambda parts: K.ctc_batch_cost(*parts), name="ctc")([labels, classes, steps, count])
    model = tf.keras.Model([frames, labels, steps, count], cost)
    model.compile(tf.keras.optimizers.Adam(0.02), {"ctc": lambda y_true, y_pred: y_pred}, run_eagerly=False)
    target = random.integers(0, 3, (48, 2))
    target[:, 1] = (target[:, 0] + 1) % 3
    x = np.zeros((48, 8, 5), np.float32)
    x[np.arange(48), 2, target[:, 0]] = x[np.arange(48), 5, target[:, 1]] = 1
    data = [x, target, np.full((48, 1), 8), np.full((48, 1), 2)]
    history = model.fit(data, np.zeros(48), batch_size=16, epochs=20, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    (decoded,), _ = K.ctc_decode(tf.keras.Model(frames, classes).predict(x), np.full(48, 8))
    assert decoded.shape[0] == 48


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: tf.nn.ctc_loss([[3]], tf.zeros((2, 1, 3)), [1], [2]), tf.errors.InvalidArgumentError, "received 3"),
        (lambda: tf.nn.ctc_loss([[0]], tf.zeros((2, 1, 3)), [1], [2]), tf.errors.InvalidArgumentError, "the blank 0"),
        (lambda: tf.nn.ctc_loss([[1]], tf.zeros((2, 1, 3)), [2], [2]), tf.errors.InvalidArgumentError, "label lengths"),
        (lambda: tf.nn.ctc_loss([[1]], tf.zeros((2, 1, 3)), [1], [3]), tf.errors.InvalidArgumentError, "lengths must"),
        (lambda: tf.nn.ctc_loss([[1]], tf.zeros((2, 2, 3)), [1], [2]), tf.errors.InvalidArgumentError, "of shapes"),
        (lambda: tf.nn.ctc_loss([[1]], tf.zeros((2, 3)), [1], [2]), tf.errors.InvalidArgumentError, "received float32"),
        (
            lambda: tf.nn.ctc_loss([[1]], tf.zeros((2, 1, 3)), [1], [2], blank_index=3),
            tf.errors.InvalidArgumentError,
            "blank_index must be one of 3 classes, received 3",
        ),
        (
            lambda: tf.nn.ctc_greedy_decoder(tf.zeros((2, 1, 3)), [3]),
            tf.errors.InvalidArgumentError,
            r"a length in \[0, 2\]",
        ),
        (
            lambda: tf.nn.ctc_beam_search_decoder(tf.zeros((2, 1, 3)), [2], beam_width=2, top_paths=3),
            tf.errors.InvalidArgumentError,
            "top_paths must be in",
        ),
        (
            lambda: tf.nn.ctc_beam_search_decoder(tf.zeros((1, 1, 2)), [1], top_paths=3),
            tf.errors.InvalidArgumentError,
            "3 paths were wanted, only 2",
        ),
        (lambda: K.ctc_label_dense_to_sparse([1], [1]), ValueError, "expected labels"),
    ],
)
def test_bad_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()
