"""Slices, partitions, drawn classes and characters: compiled calls, draws, errors. Values: `test_tensorflow.py`."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras.testing import check_compiled, check_grads

X = np.random.default_rng(4).standard_normal((3, 4, 2))
LABELS = np.int64([[1], [4], [2]])


def test_traced_calls_and_derivatives():
    for call in (
        lambda x: tf.strided_slice(x, [0, 3, 0], [3, 0, 2], [1, -2, 1]),
        lambda x: tf.reverse_sequence(x, [4, 2, 0], seq_axis=1),
        lambda x: tf.dynamic_stitch([[0, 2], [1]], tf.dynamic_partition(x, [0, 1, 0], 2)),
    ):
        check_compiled(call, X.astype(np.float32), batched=[])
        check_grads(call, X)


@pytest.mark.parametrize("loss", [tf.nn.nce_loss, tf.nn.sampled_softmax_loss])
def test_losses_over_drawn_classes_are_compiled_and_differentiated(loss):
    rng = np.random.default_rng(1)
    drawn = np.int64([0, 5, 2]), np.full((3, 1), 0.4), np.float64([0.9, 0.2, 0.5])

    def call(weights, biases, inputs):
        return loss(weights, biases, LABELS, inputs, 3, 6, sampled_values=[tf.cast(x, weights.dtype) for x in drawn])

    arguments = [rng.standard_normal(shape) for shape in ((6, 2), (6,), (3, 2))]
    check_compiled(call, *(argument.astype(np.float32) for argument in arguments), batched=[])
    check_grads(call, *arguments)


def test_tables_get_gradients_of_the_rows_that_were_looked_at():
    weights, biases = tf.Variable(tf.ones((50, 2))), tf.Variable(tf.zeros(50))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.nn.nce_loss(weights, biases, LABELS, X[:, 0].astype("float32"), 5, 50))
    gradient, _ = tape.gradient(loss, [weights, biases])
    assert isinstance(gradient, tf.IndexedSlices) and gradient.values.shape == (8, 2)


@pytest.mark.parametrize("name", ["uniform_candidate_sampler", "log_uniform_candidate_sampler"])
def test_classes_are_drawn_as_often_as_expected(name):
    sampler = getattr(tf.random, name)
    counts = np.zeros(6)
    for seed in range(200):
        drawn, true, expected = sampler(LABELS, 1, 3, True, 6, seed=seed)
        assert len(set(drawn.numpy().tolist())) == 3 and true.shape == (3, 1) and (expected.numpy() > 0).all()
        counts[drawn.numpy()] += 1 / 200
    assert (counts[0] > 1.7 * counts[5]) == name.startswith("log")
    again = []
    for _ in range(2):
        tf.random.set_seed(3)
        again.append(sampler(LABELS, 1, 3, True, 6)[0].numpy().tolist())
    assert again[0] == again[1]
    many = sampler(LABELS, 1, 3000, False, 6)
    shares = np.bincount(many.sampled_candidates.numpy(), minlength=6) / 3000
    own = dict(zip(many.sampled_candidates.numpy().tolist(), many.sampled_expected_count.numpy() / 3000, strict=True))
    np.testing.assert_allclose(shares, [own[i] for i in range(6)], atol=0.04)
    step = tf.function(lambda: sampler(LABELS, 1, 3, True, 6)[0])
    assert len({tuple(step().numpy().tolist()) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: tf.strided_slice(X, [0], [1, 2]), "of one length"),
        (lambda: tf.strided_slice(X, [0], [1], [0]), "must not be 0"),
        (lambda: tf.strided_slice(X, [0], [1], var=1), "is not available"),
        (lambda: tf.reverse_sequence(X, [1, 1, 1]), "seq_axis"),
        (lambda: tf.reverse_sequence(X, [1, 1], seq_axis=1), "3 integer seq_lengths"),
        (lambda: tf.reverse_sequence(X, [1, 9, 1], seq_axis=1), "is not in"),
        (lambda: tf.dynamic_partition(X, [0, 1], 2), "integers for the first dimensions"),
        (lambda: tf.dynamic_partition(X, [0, 1, 2], 2), r"in \[0, 2\)"),
        (lambda: tf.dynamic_stitch([[0]], [X]), "expected data of shape"),
        (lambda: tf.dynamic_stitch([[0]], []), "as many data as indices"),
        (lambda: tf.random.uniform_candidate_sampler(LABELS, 1, 7, True, 6), "7 classes cannot be drawn from 6"),
        (lambda: tf.random.uniform_candidate_sampler([1], 1, 2, True, 6), "must be integers"),
        (lambda: tf.nn.nce_loss(X[0], X[0, :, 0], [1, 2], X[0], 1, 4), "tf.expand_dims"),
        (lambda: tf.nn.max_pool_with_argmax(X[None], 2, 2, "SAME", data_format="NCHW"), "must be 'NHWC'"),
        (lambda: tf.strings.unicode_split("a", "latin1"), "encoding must be"),
        (lambda: tf.strings.unicode_decode(b"\xff", "UTF-8", errors="strict"), "invalid formatting"),
        (lambda: tf.strings.unicode_encode([0xD800], "UTF-8", errors="strict"), "no code point"),
        (lambda: tf.strings.reduce_join(["a"], axis=1), "out of range"),
        (lambda: tf.strings.format("{} {}", tf.constant(1)), "2 placeholders in template does not match 1"),
        (lambda: tf.strings.ngrams("a", 2), "see strings.split"),
        (lambda: tf.strings.ngrams(["a"], 0), "must be >= 1"),
    ],
)
def test_what_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
