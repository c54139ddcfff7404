"""Lines about ragged tensors that give the same in TensorFlow and here; `record_ragged.py` writes what they give.

They are evaluated with `tf`, `np`, `R` (tf.RaggedTensor), `r` (tf.ragged.constant) and the tensors of `names`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

CASES = {
    # --- making
    "constant": "r([[1, 2], [], [3]])",
    "constant_flat": "r([1, 2, 3])",
    "constant_scalar": "r(5)",
    "constant_empty": "r([[], []])",
    "constant_deep": "r([[[1.5, 2], []], [], [[3]]])",
    "constant_inner": "r([[[1, 2], [3, 4]], []], ragged_rank=1)",
    "constant_inner_shape": "r([[[1, 2], [3, 4]], [[5, 6]]], inner_shape=(2,))",
    "constant_inner_empty": "r([[], []], ragged_rank=1, inner_shape=(3,))",
    "constant_type": "r([[1, 2], [3]], dtype=tf.float64)",
    "constant_arrays": "r([np.arange(3), np.arange(0), np.arange(1)])",
    "constant_text": "r([['a', 'é'], []])",
    "row_splits": "R.from_row_splits([3, 1, 4, 1, 5], [0, 2, 2, 5])",
    "row_splits_32": "R.from_row_splits([3, 1], np.array([0, 2], 'int32')).row_splits",
    "row_lengths": "R.from_row_lengths([[3, 1], [4, 1], [5, 9]], [2, 0, 1])",
    "row_starts": "R.from_row_starts([3, 1, 4, 1], [0, 1, 1])",
    "row_limits": "R.from_row_limits([3, 1, 4, 1], [0, 1, 4])",
    "value_rowids": "R.from_value_rowids([3, 1, 4, 1], [0, 0, 2, 2])",
    "value_rowids_rows": "R.from_value_rowids([3, 1, 4, 1], [0, 0, 2, 2], nrows=5)",
    "nested_splits": "R.from_nested_row_splits([3, 1, 4, 1], [[0, 1, 1, 3], [0, 2, 2, 4]])",
    "nested_lengths": "R.from_nested_row_lengths([3, 1, 4, 1], [[1, 0, 2], [2, 0, 2]])",
    "nested_rowids": "R.from_nested_value_rowids([3, 1, 4, 1], [[0, 2, 2], [0, 0, 2, 2]])",
    "from_tensor": "R.from_tensor([[1, 2, 0], [0, 0, 0], [3, 0, 4]])",
    "from_tensor_lengths": "R.from_tensor([[1, 2, 0], [0, 0, 0], [3, 0, 4]], lengths=[1, 0, 5])",
    "from_tensor_padding": "R.from_tensor([[1, 2, 0], [0, 0, 0], [3, 0, 4]], padding=0)",
    "from_tensor_texts": "R.from_tensor([['a', ''], ['', '']], padding='')",
    "from_tensor_rank": "R.from_tensor([[[1, 0], [2, 3]], [[0, 0], [4, 0]]], padding=0, ragged_rank=2)",
    "from_tensor_rows": "R.from_tensor([[[1, 0], [2, 3]], [[5, 0], [0, 0]]], padding=[0, 0])",
    "from_tensor_nested": "R.from_tensor([[[1, 0], [2, 3]], [[5, 0], [0, 0]]], lengths=([2, 1], [1, 2, 1]))",
    "from_sparse": "R.from_sparse(tf.sparse.from_dense([[1, 2, 0], [0, 0, 0], [3, 0, 0]]))",
    "range": "tf.ragged.range([3, 0, 2])",
    "range_rows": "tf.ragged.range([0, 5, 8], [3, 3, 12], [1, -1, 2])",
    "range_float": "tf.ragged.range([0.0, 1.0], 2.0, 0.5)",
    "stack_vectors": "tf.ragged.stack([[1, 2, 3], [4]])",
    "stack_columns": "tf.ragged.stack([[1, 2, 3], [4, 5, 6]], axis=1)",
    "stack_ragged": "tf.ragged.stack([A, r([[9]])])",
    "stack_ragged_1": "tf.ragged.stack([A, A], axis=1)",
    "stack_ragged_2": "tf.ragged.stack([A, A], axis=2)",
    "partitions": "[tf.ragged.stack_dynamic_partitions(['a', 'b', 'c', 'd', 'e'], [3, 0, 2, 2, 3], 5), "
    "tf.ragged.stack_dynamic_partitions([[1, 2], [3, 4], [5, 6]], [1, 0, 1], 2), "
    "tf.ragged.stack_dynamic_partitions([[1, 2], [3, 4]], [[1, 0], [1, 1]], 2), "
    "tf.ragged.stack_dynamic_partitions(A, [1, 0, 1, 1], 2), "
    "tf.ragged.stack_dynamic_partitions(A, r([[1, 0], [], [0, 1, 1], [0]]), 3)]",
    "segment_ids": "tf.ragged.row_splits_to_segment_ids([0, 3, 3, 5])",
    "segment_splits": "tf.ragged.segment_ids_to_row_splits([0, 0, 2, 4], num_segments=6)",
    "map_flat": "tf.ragged.map_flat_values(lambda x, y: x * y + 1, A, A)",
    "map_flat_inner": "tf.ragged.map_flat_values(tf.one_hot, A, 3)",
    # --- what they are
    "values": "[C.values, C.flat_values, *C.nested_row_splits]",
    "lengths": "[A.row_lengths(), C.row_lengths(axis=2), I.row_lengths(axis=2), *C.nested_row_lengths()]",
    "starts": "[A.row_starts(), A.row_limits(), A.value_rowids(), A.nrows(), A.nrows(out_type=tf.int32)]",
    "bounding": "[C.bounding_shape(), C.bounding_shape(axis=1), C.bounding_shape(axis=[0, 2]), I.bounding_shape()]",
    "with_values": "[A.with_values(A.values * 2), C.with_flat_values(C.flat_values + 1)]",
    "splits_type": "C.with_row_splits_dtype(tf.int32).row_splits",
    "to_tensor": "[A.to_tensor(), A.to_tensor(-1), C.to_tensor(), I.to_tensor(), T.to_tensor('?'), T.to_tensor()]",
    "to_tensor_rows": "I.to_tensor(default_value=[7, 8])",
    "to_sparse": "[(lambda s: [s.indices, s.values, s.dense_shape])(x.to_sparse()) for x in (A, C, I)]",
    "sizes": "[tf.size(C), tf.rank(C), tf.rank(I)]",
    # --- parts
    "row": "[A[0], A[1], A[-1], C[0], C[0, 1], I[2], T[0]]",
    "rows": "[A[1:], A[:2], A[::2], A[::-1], A[5:], C[1:3], C[-1:]]",
    "columns": "[A[:, :1], A[:, 1:], A[:, -1:], A[:, ::-1], A[:, ::2], C[:, :1], C[:, 1:], T[:, 1:]]",
    "inner_columns": "[C[:, :, :1], C[..., 1:], I[:, :, 0], I[..., 1], I[:, 1:, :1], C[0, :, 1:]]",
    "new_axes": "[A[tf.newaxis], A[:, tf.newaxis], A[:, :, tf.newaxis], A[..., tf.newaxis], C[0, tf.newaxis]]",
    # --- element by element
    "operators": "[A + A, A - 1, 2 * A, F / 2.0, A // 2, A % 2, A ** 2, -A, abs(-A), 10 - A, 1.0 / F]",
    "comparisons": "[A > 1, A >= A, A < 2, A <= 2, A == A, A != 2, ~(A > 1), (A > 1) & (A < 4), (A > 3) | (A < 2), "
    "(A > 1) ^ (A > 2)]",
    "broadcast": "[A + tf.constant([[10], [20], [30], [40]]), F * tf.ones([1, 1]), I + tf.constant([100, 200]), "
    "I + tf.constant([[[5]]]), C + tf.constant([[[1.0]], [[2.0]], [[3.0]]])]",
    "broadcast_rows": "I * tf.constant([[[1, 2]], [[3, 4]], [[5, 6]]])",
    "broadcast_equal": "r([[1, 2], [3, 4]]) + tf.constant([[10, 20], [30, 40]])",
    "unary": "[tf.sqrt(F), tf.exp(C), tf.math.log(F), tf.tanh(F), tf.sigmoid(F), tf.math.erf(F), tf.round(F), "
    "tf.floor(F), tf.math.is_nan(F), tf.sign(F), tf.square(A), tf.math.rsqrt(F), tf.math.lgamma(F), tf.identity(A)]",
    "cast": "[tf.cast(A, tf.float64), tf.cast(F, tf.int32), tf.saturate_cast(A, tf.uint8), tf.cast(A, tf.bool)]",
    "binary": "[tf.maximum(A, 2), tf.minimum(A, 2), tf.math.squared_difference(F, 1.0), tf.math.divide_no_nan(F, F), "
    "tf.math.floormod(A, 2), tf.pow(F, 2.0), tf.math.atan2(F, F), tf.equal(A, 2), tf.logical_and(A > 1, A < 4)]",
    "lists": "[tf.add_n([A, A, A]), tf.strings.join([T, T], '-')]",
    "likes": "[tf.ones_like(A), tf.zeros_like(F)]",
    "where": "[tf.where(A > 1), tf.where(C > 1), tf.where(A > 1, A, -A), tf.where(F > 1, F, tf.zeros_like(F))]",
    # --- along dimensions
    "sums": "[tf.reduce_sum(A), tf.reduce_sum(A, 0), tf.reduce_sum(A, 1), tf.reduce_sum(A, axis=-1), "
    "tf.reduce_sum(A, [0, 1])]",
    "sums_deep": "[tf.reduce_sum(C), tf.reduce_sum(C, 0), tf.reduce_sum(C, 1), tf.reduce_sum(C, 2), "
    "tf.reduce_sum(C, [0, 1]), tf.reduce_sum(C, [1, 2])]",
    "sums_inner": "[tf.reduce_sum(I, 0), tf.reduce_sum(I, 1), tf.reduce_sum(I, 2), tf.reduce_sum(I, [0, 2])]",
    "extremes": "[tf.reduce_max(C, 0), tf.reduce_max(A, 1), tf.reduce_min(C, 2), tf.reduce_min(A, 0)]",
    "means": "[tf.reduce_mean(F), tf.reduce_mean(F, 0), tf.reduce_mean(F, 1), tf.reduce_mean(C, 2)]",
    "products": "[tf.reduce_prod(A, 1), tf.reduce_prod(C, 0)]",
    "truths": "[tf.reduce_any(A > 2, 1), tf.reduce_all(A > 0, 0), tf.reduce_all(A > 1), tf.reduce_any(C > 2, 2)]",
    "keepdims": "[tf.reduce_sum(A, 1, keepdims=True), tf.reduce_sum(A, 0, keepdims=True)]",
    "segments": "[tf.math.unsorted_segment_sum(A, [0, 2, 0, 2], 3), tf.math.unsorted_segment_max(C, [1, 1, 0], 2), "
    "tf.math.unsorted_segment_sum(A, r([[0, 1], [], [1, 0, 1], [0]]), 2)]",
    # --- put together, and picked from
    "concat": "[tf.concat([A, A], 0), tf.concat([A, A[:, :1]], 1), tf.concat([C, C], 0), tf.concat([C, C], 1), "
    "tf.concat([C, C], 2), tf.concat([I, I], 2)]",
    "concat_dense": "[tf.concat([A, [[7, 8]]], 0), tf.concat([[[1], [2], [3], [4]], A], 1), tf.concat([T, T], -1)]",
    "stack": "[tf.stack([A, A]), tf.stack([A, A], 1), tf.stack([A, A], -1), tf.stack([C, C], 1)]",
    "expand": "[tf.expand_dims(A, 0), tf.expand_dims(A, 1), tf.expand_dims(A, 2), tf.expand_dims(A, -1), "
    "tf.expand_dims(I, 2)]",
    "tile": "[tf.tile(A, [2, 1]), tf.tile(A, [1, 3]), tf.tile(C, [2, 2, 2]), tf.tile(I, [1, 2, 2]), "
    "tf.tile(A, [0, 1])]",
    "gather": "[tf.gather(A, [2, 0, 2]), tf.gather(A, 2), tf.gather(A, [[0, 1], [2, 3]]), "
    "tf.gather([5, 6, 7, 8, 9, 10, 11], A), tf.gather(A, r([[1], [2, 3]])), tf.gather(C, [1, 0]), "
    "tf.gather(T, [1, 0])]",
    "gather_batch": "[tf.gather(A, r([[1], [], [0, 0], [0]]), batch_dims=1), "
    "tf.gather([[1, 2], [3, 4]], r([[0, 1, 0], [1]]), batch_dims=1)]",
    "gather_nd": "[tf.gather_nd(A, [[0], [2]]), tf.gather_nd(A, [[0, 1], [2, 2]]), tf.gather_nd(C, [[0, 0], [2, 0]]), "
    "tf.gather_nd(I, [[0, 0, 1], [2, 1, 0]])]",
    "masked": "[tf.ragged.boolean_mask([[1, 2, 3], [4, 5, 6]], [[True, False, True], [False, False, True]]), "
    "tf.ragged.boolean_mask(A, A > 1), tf.ragged.boolean_mask(A, [True, False, True, True]), "
    "tf.ragged.boolean_mask(C, C > 2), tf.ragged.boolean_mask(C, r([[True, False], [], [True]]))]",
    "embedding": "tf.nn.embedding_lookup(tf.constant(np.arange(14.0).reshape(7, 2)), A)",
    # --- texts
    "texts": "[tf.strings.length(T), tf.strings.upper(T), tf.strings.substr(T, 0, 1), "
    "tf.strings.regex_replace(T, 'b', 'x'), tf.strings.to_number(tf.strings.as_string(A)), "
    "tf.strings.to_hash_bucket_fast(T, 10)]",
    "split": "[tf.strings.split(x) for x in ('a  b ', '', ['a b', '', 'c'], [['a b', '']], T)]",
    "split_by": "[tf.strings.split(['a,b,,c', ',', ''], ','), tf.strings.split(['a,b,,c'], ',', maxsplit=1), "
    "tf.strings.split(['a b'], '').to_tensor()]",
    "bytes": "[tf.strings.bytes_split(x) for x in (['ab', ''], [['ab', 'c']], T)]",
    "characters": "[tf.strings.unicode_decode(x, 'UTF-8') for x in ('né', ['né', ''], [['né', 'a']], T)]",
    "characters_offsets": "[*tf.strings.unicode_decode_with_offsets(['né€', 'a'], 'UTF-8'), "
    "*tf.strings.unicode_split_with_offsets('né€x', 'UTF-8'), *tf.strings.unicode_split_with_offsets(T, 'UTF-8'), "
    "*tf.strings.unicode_decode_with_offsets([b'a\\xffb', b'\\xe2\\x82'], 'UTF-8'), "
    "*tf.strings.unicode_decode_with_offsets(b'a\\xffb', 'UTF-8', errors='ignore')]",
    "characters_split": "[tf.strings.unicode_split(['né', 'a'], 'UTF-8'), tf.strings.unicode_split(T, 'UTF-8')]",
    "characters_joined": "[tf.strings.unicode_encode(r([[110, 233], []]), 'UTF-8'), "
    "tf.strings.unicode_encode(r([[[110, 233], []], [[97]]]), 'UTF-8')]",
    "ngrams": "[tf.strings.ngrams([['a', 'b', 'c'], ['d', 'e', 'f']], 2), tf.strings.ngrams(T, 2), "
    "tf.strings.ngrams(r([[['a', 'b'], ['c']], []]), 2), tf.strings.ngrams(T, 2, pad_values='_'), "
    "tf.strings.ngrams(T, 3, preserve_short_sequences=True), tf.strings.ngrams(T, [1, 2])]",
    "texts_joined": "[tf.strings.reduce_join(T, axis=1, separator='-'), tf.strings.reduce_join(T, axis=-1), "
    "tf.strings.reduce_join(T), tf.strings.reduce_join(T, axis=0)]",
    # --- derivatives
    "gradients": "gradients(tf, np)",
}


def gradients(tf: Any, np: Any) -> list:
    """Of values, through all that is done with rows."""
    flat = tf.constant([1.0, -2.0, 3.0, 4.0, 0.5])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(flat)
        rows = tf.RaggedTensor.from_row_lengths(flat, [2, 0, 3])
        weights = tf.constant([[1.0, 2.0, 3.0]])
        losses = [
            tf.reduce_sum(rows.to_tensor(1.0) * weights),
            tf.reduce_sum(tf.reduce_max(rows, 1)[::2]),
            tf.reduce_sum(tf.reduce_mean(rows * rows, 0)),
            tf.reduce_sum((rows[:, 1:] * rows[:, :-1]).flat_values),
            tf.reduce_sum(tf.concat([rows, rows[::-1]], 1).to_tensor()),
            tf.reduce_sum(tf.gather(rows, [0, 0, 2]).values * 3.0),
        ]
    return [tape.gradient(loss, flat) for loss in losses]


def names(tf: Any) -> dict[str, Any]:
    """What the cases are evaluated with."""
    r = tf.ragged.constant
    return {
        "tf": tf,
        "np": np,
        "R": tf.RaggedTensor,
        "r": r,
        "gradients": gradients,
        "A": r([[1, 2], [], [3, 4, 5], [6]]),
        "C": r([[[1.0, 2.0], [3.0]], [], [[4.0, 5.0, 6.0]]]),
        "F": r([[0.5, 1.25], [], [3.75]]),
        "I": r([[[1, 2], [3, 4]], [], [[5, 6], [7, 8], [9, 10]]], ragged_rank=1),
        "T": r([["ab", "c"], ["bb"], []]),
    }


def stored(tf: Any, result: Any) -> Any:
    """A result as JSON can hold it: ragged rank, type and nested lists."""
    if isinstance(result, (list, tuple)):
        return [stored(tf, part) for part in result]
    if isinstance(result, tf.RaggedTensor):
        return [result.ragged_rank, result.dtype.name, _texts(result.to_list())]
    tensor = tf.convert_to_tensor(result)
    return [0, tensor.dtype.name, _texts(np.asarray(tensor.numpy()).tolist())]


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_texts, value))
    return value.decode() if isinstance(value, bytes) else value
