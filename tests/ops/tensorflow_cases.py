"""What the same lines give in TensorFlow and here: `tf` stands for either. `record_tensorflow.py` writes the values."""

from __future__ import annotations

from typing import Any

import numpy as np

_rng = np.random.default_rng(11)
X = _rng.standard_normal((3, 4)).astype("float32")
Y = _rng.standard_normal((3, 4)).astype("float32")
CUBE = _rng.standard_normal((2, 3, 4)).astype("float32")
POSITIVE = _rng.uniform(0.2, 6.0, (3, 4)).astype("float32")
WIDE = np.float64([-7.3, -2.5, -0.5, 0.1, 0.7, 1.0, 1.5, 3.0, 12.0, 150.0])
INSIDE = np.float64([-0.9, -0.1, 0.0, 0.3, 0.99])
WITH_ZEROS = np.float32([0.0, 1.0, 0.0, -2.0, 3.0])
BY_ZEROS = np.float32([0.0, 0.0, 2.0, 4.0, np.inf])
SQUARE = (_rng.standard_normal((2, 3, 3)) + 3 * np.eye(3)).astype("float64")
DEFINITE = SQUARE @ SQUARE.swapaxes(1, 2)
TALL = _rng.standard_normal((2, 4, 3))
IMAGES = _rng.standard_normal((2, 4, 4, 4)).astype("float32")
REPEATED = np.int32([3, 1, 3, 2, 1, 3])
SEGMENTS = np.int32([0, 0, 1, 3, 3])
ROWS = _rng.standard_normal((5, 2)).astype("float32")
TIES = np.float32([[1, 3, 3, 0], [2, 2, 2, 2], [5, np.inf, 1, 5]])


def stored(result: Any) -> np.ndarray:
    """A result as files hold it: texts as bytes of one width."""
    array = np.asarray(result)
    return array.astype("S") if array.dtype == object else array


def _gradient(tf: Any, function: Any, *arguments: Any) -> Any:
    tensors = [tf.constant(argument) for argument in arguments]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors)
    return tape.gradient(y, tensors)


def _second(tf: Any, function: Any, argument: Any) -> Any:
    x = tf.constant(argument)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = function(x)
        slope = inner.gradient(y, x)
    return [slope, outer.gradient(slope, x)]


def _array(tf: Any) -> Any:
    array = tf.TensorArray(tf.float32, size=2, dynamic_size=True, clear_after_read=False)
    for i in range(3):
        array = array.write(i, X[i])
    return [array.stack(), array.read(1), array.gather([2, 0]), array.concat(), array.size(),
            array.unstack(Y).stack(), array.scatter([0, 1, 2], X).stack()]  # fmt: skip


def _variable(tf: Any) -> Any:
    results = []
    for name in ("add", "sub", "update", "max", "min", "mul", "div"):
        v = tf.Variable(POSITIVE)
        getattr(v, f"scatter_{name}")(tf.IndexedSlices(tf.constant(Y[:2]), tf.constant([2, 0])))
        results.append(v.read_value())
    for name in ("add", "sub", "update"):
        v = tf.Variable(POSITIVE)
        getattr(v, f"scatter_nd_{name}")([[2, 0], [0, 3]], [5.0, 6.0])
        results.append(v.read_value())
    return [*results, v.sparse_read([2, 2]), v.gather_nd([[2, 0]])]


TEXTS = [["a", "b"], ["c", "d"], ["", "f"]]


LARGE = _rng.uniform(0, 1, (2, 70, 67, 2)).astype("float32")


def _averages(tf: Any) -> Any:
    v, steps = tf.Variable(POSITIVE), tf.Variable(3)
    plain, counted = tf.train.ExponentialMovingAverage(0.9), tf.train.ExponentialMovingAverage(0.9, steps)
    for _ in range(3):
        for averages in (plain, counted):
            averages.apply([v])
        v.assign_add(Y)
        steps.assign_add(1)
    return [plain.average(v), counted.average(v)]


def _candidates(tf: Any) -> Any:
    table, biases, inputs = (tf.constant(x) for x in (POSITIVE[:, :2].repeat(3, 0), X.reshape(-1)[:9], ROWS))
    labels = np.int64([[0, 8], [3, 3], [1, 2], [7, 0], [5, 4]])
    drawn = np.int64([3, 0, 6]), np.full((5, 2), 0.3, "float32"), np.float32([0.5, 0.2, 0.1])
    results = []
    for loss in (tf.nn.nce_loss, tf.nn.sampled_softmax_loss):
        for hits in (False, True):
            with tf.GradientTape() as tape:
                tape.watch([table, biases, inputs])
                y = loss(table, biases, labels, inputs, 3, 9, 2, sampled_values=drawn, remove_accidental_hits=hits)
            results += [y, *map(tf.convert_to_tensor, tape.gradient(y, [table, biases, inputs]))]
    counts = tf.random.log_uniform_candidate_sampler(labels, 2, 4, False, 9, seed=3)[1]
    return [*results, counts, tf.random.uniform_candidate_sampler(labels, 2, 4, False, 9)[1]]


def _tables(tf: Any) -> Any:
    words = tf.constant(["b", "a", "d"])
    by_word = tf.lookup.KeyValueTensorInitializer(words, tf.constant([5, 6, 7], tf.int64))
    by_number = tf.lookup.KeyValueTensorInitializer(tf.constant([3, 9], tf.int64), tf.constant([0.5, 0.25]))
    numbered = tf.lookup.KeyValueTensorInitializer(words, tf.range(3, dtype=tf.int64))
    hashed, floats = tf.lookup.StaticHashTable(by_word, -1), tf.lookup.StaticHashTable(by_number, 0.0)
    vocabulary = tf.lookup.StaticVocabularyTable(numbered, 4)
    keys = tf.constant([["a", "zebra"], ["d", ""]])
    return [hashed.lookup(keys), hashed.size(), floats.lookup(tf.constant([9, 1], tf.int64)), vocabulary.lookup(keys),
            vocabulary.size(), hashed.lookup(tf.sparse.from_dense(keys)).values]  # fmt: skip


CASES = {
    # element by element
    "inverse hyperbolic": lambda tf: [tf.asinh(WIDE), tf.acosh(POSITIVE + 1), tf.atanh(INSIDE)],
    "atan2": lambda tf: [tf.atan2(X, Y), *_gradient(tf, tf.math.atan2, X, Y)],
    "gamma": lambda tf: [tf.math.lgamma(WIDE), tf.math.digamma(WIDE), tf.math.erfc(WIDE), tf.math.erf(WIDE)],
    "polygamma": lambda tf: [tf.math.polygamma(np.full(7, float(n)), WIDE[3:]) if tf.__name__ == "tensorflow"
                             else tf.math.polygamma(n, WIDE[3:]) for n in (0, 1, 2, 3)],
    "lgamma, differentiated": lambda tf: _second(tf, tf.math.lgamma, WIDE[3:]),
    "lbeta": lambda tf: [tf.math.lbeta(POSITIVE), *_gradient(tf, tf.math.lbeta, POSITIVE)],
    "no nan": lambda tf: [tf.math.xlogy(WITH_ZEROS, BY_ZEROS), tf.math.xdivy(WITH_ZEROS, BY_ZEROS),
                          tf.math.multiply_no_nan(BY_ZEROS, WITH_ZEROS), tf.math.reciprocal_no_nan(WITH_ZEROS),
                          tf.math.divide_no_nan(WITH_ZEROS, BY_ZEROS)],
    "xlogy, differentiated": lambda tf: _gradient(tf, tf.math.xlogy, X, POSITIVE),
    "xdivy, differentiated": lambda tf: _gradient(tf, tf.math.xdivy, X, POSITIVE),
    "log_sigmoid": lambda tf: [tf.math.log_sigmoid(WIDE), *_gradient(tf, tf.math.log_sigmoid, WIDE)],
    "sums": lambda tf: [tf.math.accumulate_n([X, Y, X]), tf.math.scalar_mul(2.0, X), tf.math.polyval([1.0, 2.0, X], Y),
                        tf.math.zero_fraction(WITH_ZEROS), tf.math.rint(WIDE), tf.math.truediv(7, 2)],
    # reductions and order
    "euclidean": lambda tf: [tf.math.reduce_euclidean_norm(X), tf.math.reduce_euclidean_norm(X, 1, True),
                             tf.math.reduce_std(X, 0), tf.math.reduce_variance(X)],
    "cumprod": lambda tf: [tf.math.cumprod(X, axis=axis, exclusive=exclusive, reverse=reverse)
                           for axis in (0, -1) for exclusive in (False, True) for reverse in (False, True)],
    "cumprod, differentiated": lambda tf: _second(tf, lambda x: tf.math.cumprod(x, 1), POSITIVE),
    "sort": lambda tf: [tf.sort(X, axis=0), tf.sort(X, direction="DESCENDING"), tf.argsort(X, axis=0),
                        tf.argsort(TIES, direction="DESCENDING"), tf.argsort(TIES, stable=True)],
    "sort, differentiated": lambda tf: _gradient(tf, lambda x: tf.sort(x, axis=0) * Y, X),
    "top_k": lambda tf: [*tf.math.top_k(TIES, 3), *tf.nn.top_k(X, 2),
                         *_gradient(tf, lambda x: tf.nn.top_k(x, 2)[0], X)],
    "in_top_k": lambda tf: [tf.math.in_top_k(np.int32([2, 3, 1]), TIES, k) for k in (1, 2, 3)],
    "unique": lambda tf: [*tf.unique(REPEATED), *tf.unique_with_counts(REPEATED)],
    "bincount": lambda tf: [tf.math.bincount(REPEATED), tf.math.bincount(REPEATED, minlength=6),
                            tf.math.bincount(REPEATED, maxlength=3),
                            tf.math.bincount(REPEATED, weights=np.float32([1, 2, 3, 4, 5, 6]))],
    "confusion": lambda tf: [tf.math.confusion_matrix(REPEATED, REPEATED[::-1]),
                             tf.math.confusion_matrix([0, 1, 1], [1, 1, 1], 3, [0.5, 1.0, 2.0], tf.float32)],
    "searchsorted": lambda tf: [tf.searchsorted([[1, 3, 5], [2, 4, 6]], [[3, 6], [0, 4]], side)
                                for side in ("left", "right")],
    "permutation": lambda tf: [tf.math.invert_permutation([2, 0, 1]), tf.math.is_non_decreasing([1, 1, 2]),
                               tf.math.is_strictly_increasing([1, 1, 2])],
    "roll": lambda tf: [tf.roll(X, 1, 0), tf.roll(X, [1, -2], [0, 1]), tf.roll(X, 7, 1), *_gradient(
        tf, lambda x: tf.roll(x, 2, 1) * Y, X)],
    # places and segments
    "scatter": lambda tf: [tf.scatter_nd([[1], [3], [1]], X, [5, 4]), tf.scatter_nd([[1, 2], [0, 0]], [1, 2], [2, 3]),
                           tf.tensor_scatter_nd_add(X, [[0], [2]], Y[:2]),
                           tf.tensor_scatter_nd_sub(X, [[0], [0]], Y[:2]),
                           tf.tensor_scatter_nd_update(X, [[0, 1], [2, 3]], [9.0, 8.0])],
    "scatter, differentiated": lambda tf: [
        *_gradient(tf, lambda t, u: tf.tensor_scatter_nd_update(t, [[2], [0]], u) * X, Y, X[:2]),
        *_gradient(tf, lambda u: tf.scatter_nd([[1], [3], [1]], u, [5, 4]) ** 2, X)],
    "segments": lambda tf: [getattr(tf.math, f"segment_{kind}")(ROWS, SEGMENTS)
                            for kind in ("sum", "mean", "max", "min", "prod")],
    "unsorted segments": lambda tf: [getattr(tf.math, f"unsorted_segment_{kind}")(ROWS, SEGMENTS[::-1].copy(), 4)
                                     for kind in ("sum", "mean", "max", "min", "prod", "sqrt_n")],
    "negative segments": lambda tf: [tf.math.unsorted_segment_sum(X, [0, -1, 0], 2),
                                     tf.math.unsorted_segment_mean(X, [0, -1, 0], 1)],
    "segments, differentiated": lambda tf: [
        part for kind in ("sum", "mean", "max", "min", "prod")
        for part in _gradient(tf, lambda x, k=kind: getattr(tf.math, f"unsorted_segment_{k}")(x, SEGMENTS, 4), ROWS)],
    # matrices
    "einsum": lambda tf: [
        tf.einsum("ij,kj->ik", X, Y), tf.einsum("ij,ij->", X, Y), tf.einsum("ij->ji", X),
        tf.einsum("bij,bkj->bik", CUBE, CUBE),
        tf.einsum("...ij,kj->...ik", CUBE, X), tf.einsum("bii->bi", SQUARE), tf.einsum("ij,jk", X, Y.T.copy()),
        tf.einsum("bij,jk,lk->bil", CUBE, Y.T.copy(), X.T.copy()[:2, :]), tf.einsum("i,j->ij", X[0], Y[1]),
        tf.einsum("bij->j", CUBE), tf.linalg.einsum("abc,abd->acd", CUBE, CUBE),
        tf.einsum("...i,...i->...", CUBE, X)],
    "einsum, differentiated": lambda tf: _gradient(tf, lambda a, b: tf.einsum("bij,kj->bki", a, b) ** 2, CUBE, X),
    "parts": lambda tf: [
        tf.linalg.band_part(SQUARE, -1, 0), tf.linalg.band_part(TALL, 1, 1), tf.linalg.diag(X), tf.linalg.diag(X, k=1),
        tf.linalg.diag(X[0], k=-1, padding_value=7.0), tf.linalg.diag(X, num_rows=5, num_cols=4),
        tf.linalg.diag_part(TALL), tf.linalg.diag_part(TALL, k=-1), tf.linalg.set_diag(SQUARE, np.zeros((2, 3))),
        tf.linalg.set_diag(SQUARE, np.zeros((2, 2)), k=1), tf.linalg.trace(SQUARE), tf.linalg.tensor_diag([1, 2]),
        tf.linalg.tensor_diag_part(np.arange(16).reshape(2, 2, 2, 2)), tf.linalg.matvec(CUBE, X[0]),
        tf.linalg.matrix_transpose(CUBE), tf.linalg.adjoint(X), tf.linalg.cross(X[:, :3], Y[:, :3])],
    "parts, differentiated": lambda tf: [
        *_gradient(tf, lambda a, d: tf.linalg.set_diag(a, d, k=1) ** 2, SQUARE, np.ones((2, 2))),
        *_gradient(tf, lambda d: tf.linalg.diag(d, k=-1) ** 2, X), *_gradient(tf, tf.linalg.trace, SQUARE)],
    "solutions": lambda tf: [
        tf.linalg.inv(SQUARE), tf.linalg.inv(SQUARE, adjoint=True), tf.linalg.solve(SQUARE, np.ones((2, 3, 2))),
        tf.linalg.solve(SQUARE, np.ones((2, 3, 2)), adjoint=True), tf.linalg.cholesky(DEFINITE),
        tf.linalg.det(SQUARE), *tf.linalg.slogdet(-SQUARE), tf.linalg.logdet(DEFINITE),
        tf.linalg.triangular_solve(SQUARE, np.ones((2, 3, 1))), tf.linalg.lstsq(TALL, np.ones((2, 4, 1))),
        tf.linalg.triangular_solve(SQUARE, np.ones((2, 3, 1)), lower=False, adjoint=True),
        tf.linalg.cholesky_solve(tf.linalg.cholesky(DEFINITE), np.ones((2, 3, 1))),
        tf.linalg.lstsq(TALL.swapaxes(1, 2).copy(), np.ones((2, 3, 1)), l2_regularizer=0.5),
        tf.linalg.eigh(DEFINITE)[0], tf.linalg.eigvalsh(DEFINITE), tf.linalg.svd(TALL, compute_uv=False)],
    "solutions, differentiated": lambda tf: [
        *_gradient(tf, tf.linalg.inv, SQUARE), *_gradient(tf, tf.linalg.solve, SQUARE, np.ones((2, 3, 2))),
        *_gradient(tf, tf.linalg.cholesky, DEFINITE), *_gradient(tf, tf.linalg.det, SQUARE),
        *_gradient(tf, tf.linalg.logdet, DEFINITE), *_gradient(tf, lambda a: tf.linalg.eigh(a)[0] ** 2, DEFINITE),
        *_gradient(tf, lambda a: tf.linalg.solve(a, np.ones((2, 3, 1)), adjoint=True), SQUARE)],
    "norms": lambda tf: [
        *(tf.norm(X, ord, axis) for ord in (1, 2, 3, 1.5, np.inf, "euclidean") for axis in (None, 0, 1)),
        *(tf.norm(CUBE, ord, [-2, -1], True) for ord in (1, 2, np.inf, "fro", "euclidean"))],
    # neural networks
    "activations": lambda tf: [tf.nn.crelu(X), tf.nn.crelu(X, axis=0), tf.nn.swish(X), tf.nn.leaky_relu(X, 0.3),
                               tf.nn.elu(X), tf.nn.selu(X), tf.nn.relu6(X * 5)],
    "losses": lambda tf: [tf.nn.l2_loss(X), tf.nn.log_poisson_loss(POSITIVE, X),
                          tf.nn.log_poisson_loss(POSITIVE, X, True)],
    "batch_normalization": lambda tf: [tf.nn.batch_normalization(X, X[0], POSITIVE[0], Y[0], Y[1], 0.1),
                                       tf.nn.batch_normalization(X, X[0], POSITIVE[0], None, None, 0.1)],
    "local response": lambda tf: [tf.nn.local_response_normalization(IMAGES, 1, 1.5, 0.7, 0.6), tf.nn.lrn(IMAGES),
                                  *_gradient(tf, lambda x: tf.nn.lrn(x, 2), IMAGES)],
    "moments": lambda tf: [
        *tf.nn.moments(X, [0]), *tf.nn.weighted_moments(X, [0], POSITIVE),
        *tf.nn.weighted_moments(X, 1, POSITIVE, True),
        *tf.nn.sufficient_statistics(X, [0])[:3], *tf.nn.normalize_moments(3.0, X[0], POSITIVE[0] * 9, None)],
    "blocks": lambda tf: [tf.nn.space_to_depth(IMAGES, 2), tf.nn.depth_to_space(IMAGES, 2)],
    "cross-entropies": lambda tf: [
        tf.nn.weighted_cross_entropy_with_logits(POSITIVE / 6, X, 2.0),
        tf.nn.sigmoid_cross_entropy_with_logits(POSITIVE / 6, X)],
    # functions over the first dimension, loops, arrays
    "map_fn": lambda tf: [tf.map_fn(lambda row: row * 2, X), tf.vectorized_map(tf.reduce_sum, X),
                          *tf.map_fn(lambda pair: (pair[0] + pair[1], pair[0]), (X, Y))],
    "folds": lambda tf: [tf.foldl(lambda a, x: a * 2 + x, X), tf.foldr(lambda a, x: a * 2 + x, X),
                         tf.foldl(lambda a, x: a + tf.reduce_sum(x), X, 1.0), tf.scan(lambda a, x: a * 2 + x, X),
                         tf.scan(lambda a, x: a + tf.reduce_sum(x), X, 1.0),
                         tf.scan(lambda a, x: a * 2 + x, X, reverse=True)],
    "TensorArray": _array,
    "Variable": _variable,
    "jacobians": lambda tf: _jacobians(tf),
    "dtypes": lambda tf: [tf.dtypes.saturate_cast(WIDE * 40, tf.uint8), tf.dtypes.saturate_cast([300, -300], tf.int8),
                          tf.dtypes.saturate_cast(WIDE * 1e20, tf.int32)],
    "tables": _tables,
    # apart and together
    "strided_slice": lambda tf: [tf.strided_slice(CUBE, [0, 1, 0], [2, 3, 4], [1, 1, 2]),
                                 tf.strided_slice(CUBE, [1, -1], [0, -4], [-1, -1]),
                                 tf.strided_slice(CUBE, [0, 1, 0], [1, 2, 3], begin_mask=1, end_mask=4,
                                                  shrink_axis_mask=2),
                                 tf.strided_slice(CUBE, [0, 0, 1], [0, 0, 3], ellipsis_mask=1, new_axis_mask=2),
                                 *_gradient(tf, lambda x: tf.strided_slice(x, [0, 2], [9, 0], [2, -1]) ** 2, X)],
    "reverse_sequence": lambda tf: [tf.reverse_sequence(CUBE, [2, 0, 4], seq_axis=2, batch_axis=1),
                                    tf.reverse_sequence(CUBE, [3, 2], seq_axis=1),
                                    *_gradient(tf, lambda x: tf.reverse_sequence(x, [3, 1, 2], 1, 0) * Y, X)],
    "dynamic_partition": lambda tf: [*tf.dynamic_partition(ROWS, [0, 2, 0, 0, 2], 3),
                                     *tf.dynamic_partition(CUBE, [[0, 1, 1], [1, 0, 1]], 2),
                                     *_gradient(tf, lambda x: tf.dynamic_partition(x, [1, 0, 1], 2)[1] * Y[:2], X)],
    "dynamic_stitch": lambda tf: [tf.dynamic_stitch([[4], [[0, 2], [2, 1]]], [ROWS[:1], CUBE[:, :2, :2]]),
                                  *_gradient(tf, lambda x, y: tf.dynamic_stitch([[0, 2, 1], [2, 3, 3]], [x, y])
                                             * tf.constant(Y)[0], X, Y)],
    "max_pool_with_argmax": lambda tf: [
        *tf.nn.max_pool_with_argmax(IMAGES, 2, 2, "SAME"),
        *tf.nn.max_pool_with_argmax(IMAGES, [3, 2], [1, 2], "VALID", output_dtype=tf.int32,
                                    include_batch_in_index=True),
        *_gradient(tf, lambda x: tf.nn.max_pool_with_argmax(x, 2, 2, "SAME")[0] ** 2, IMAGES)],
    "normalize": lambda tf: [*tf.linalg.normalize(CUBE, axis=1), *tf.linalg.normalize(X, 1),
                             *_gradient(tf, lambda x: tf.linalg.normalize(x, axis=-1)[0] * Y, X)],
    "ssim_multiscale": lambda tf: [tf.image.ssim_multiscale(LARGE, LARGE * 0.9 + 0.05, 1.0, filter_size=4),
                                   tf.image.ssim_multiscale(LARGE[0], LARGE[1], 1.0, [0.4, 0.6]),
                                   *_gradient(tf, lambda x: tf.image.ssim_multiscale(
                                       x, LARGE[:1, :24, :23] * 0.7 + 0.1, 1.0, [0.4, 0.6], 4), LARGE[:1, :24, :23])],
    "moving averages": _averages,
    "losses over candidates": _candidates,
    # texts
    "reduce_join": lambda tf: [tf.strings.reduce_join(TEXTS), tf.strings.reduce_join(TEXTS, 0, separator="-"),
                               tf.strings.reduce_join(TEXTS, [1, 0], separator=" "),
                               tf.strings.reduce_join(TEXTS, [0, 1]),
                               tf.strings.reduce_join(TEXTS, -1, keepdims=True)],
    "characters": lambda tf: [tf.strings.unicode_decode("n\u00e9\u20ac", "UTF-8"),
                              tf.strings.unicode_split("n\u00e9\u20ac", "UTF-8"),
                              tf.strings.unicode_decode(b"a\xffb", "UTF-8", replacement_char=63),
                              tf.strings.unicode_decode(b"a\xffb", "UTF-8", errors="ignore"),
                              tf.strings.unicode_encode([[110, 233], [8364, 55555]], "UTF-8"),
                              tf.strings.unicode_transcode(["n\u00e9", ""], "UTF-8", "UTF-16-BE"),
                              tf.strings.bytes_split("n\u00e9")],
    "ngrams": lambda tf: [tf.strings.ngrams(["a", "b", "c"], 2), tf.strings.ngrams(["a", "b"], [1, 3], "-", ("<", ">")),
                          tf.strings.ngrams(["a", "b"], 3, pad_values="#", padding_width=1),
                          tf.strings.ngrams(["a", "b"], 4, preserve_short_sequences=True),
                          tf.strings.ngrams(["a", "b"], 4)],
    "format": lambda tf: [tf.strings.format("x {} y {}", (tf.constant([[1, 2], [3, 4]]), tf.constant(1.5))),
                          tf.strings.format("%t", tf.range(9), placeholder="%t", summarize=2)],
}  # fmt: skip


def _jacobians(tf: Any) -> Any:
    x = tf.constant(X)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.stack([tf.reduce_sum(x * x, 1), tf.reduce_sum(x, 1) ** 3], 1)
    return [tape.jacobian(y, x), tape.batch_jacobian(y, x), *tape.jacobian(y, [x, x])]
