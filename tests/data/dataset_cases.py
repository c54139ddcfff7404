"""Datasets as one would write them, for both libraries: evaluated with `tf`, `np`, `D` (tf.data.Dataset) and FILES."""

from __future__ import annotations

import gzip
import os
import zlib
from typing import Any

import numpy as np

CASES = {
    # --- making
    "from_tensors": "D.from_tensors([1, 2])",
    "from_tensors_nested": "D.from_tensors({'a': 1.5, 'b': (np.arange(2), 'text')})",
    "slices": "D.from_tensor_slices([[1, 2], [3, 4], [5, 6]])",
    "slices_python_floats": "D.from_tensor_slices([1.0, 2.0])",
    "slices_numpy_doubles": "D.from_tensor_slices(np.array([1.0, 2.0]))",
    "slices_large_ints": "D.from_tensor_slices([2**40, 1])",
    "slices_bools": "D.from_tensor_slices([True, False])",
    "slices_nested": "D.from_tensor_slices({'z': np.arange(3), 'a': (np.ones((3, 2), 'f'), ['x', 'y', 'ß'])})",
    "slices_tensors": "D.from_tensor_slices((tf.constant([1, 2]), tf.constant([[1.0], [2.0]])))",
    "range": "D.range(5)",
    "range_start": "D.range(2, 5)",
    "range_step": "D.range(5, 0, -2)",
    "range_empty": "D.range(0)",
    "generator": "D.from_generator(lambda: iter([1, 2, 3]), tf.int64)",
    "generator_shapes": "D.from_generator(lambda: iter([[1, 2], [3]]), tf.int32, (None,))",
    "generator_tuples": "D.from_generator(lambda: iter([(1, [2.0]), (3, [4.0])]), (tf.int32, tf.float32), ((), (1,)))",
    "generator_dicts": "D.from_generator(lambda: iter([{'a': 1, 'b': 'x'}]), {'a': tf.int32, 'b': tf.string})",
    "generator_args": "D.from_generator(lambda n: iter(range(n)), tf.int64, (), args=[3])",
    "zip": "D.zip((D.range(3), D.range(10, 20)))",
    "zip_nested": "D.zip({'a': D.range(3), 'b': (D.range(4), D.from_tensor_slices([1.0, 2.0]))})",
    "list_files": "D.list_files(FILES['folder'] + '/*.txt', shuffle=False).map(lambda x: x)",
    # --- which elements
    "take": "D.range(5).take(3)",
    "take_all": "D.range(3).take(-1)",
    "take_more": "D.range(3).take(7)",
    "skip": "D.range(5).skip(3)",
    "skip_all": "D.range(5).skip(-1)",
    "skip_more": "D.range(3).skip(7)",
    "shard": "D.range(10).shard(3, 1)",
    "repeat": "D.range(3).repeat(2)",
    "repeat_zero": "D.range(3).repeat(0)",
    "repeat_forever": "D.range(3).repeat().take(8)",
    "repeat_of_nothing": "D.range(0).repeat()",
    "concatenate": "D.range(3).concatenate(D.range(7, 9))",
    "concatenate_shapes": "D.from_tensors([1]).concatenate(D.from_tensors([2, 3]))",
    "enumerate": "D.from_tensor_slices([1.0, 2.0]).enumerate(start=5)",
    "filter": "D.range(10).filter(lambda x: x > 5)",
    "filter_batches": "D.range(6).batch(2).filter(lambda x: x[0] > 1)",
    "cache": "D.range(4).cache().repeat(2)",
    "prefetch": "D.range(4).prefetch(2)",
    "options": "D.range(4).with_options(tf.data.Options())",
    # --- map
    "map": "D.range(4).map(lambda x: x * 2)",
    "map_parallel": "D.range(4).map(lambda x: x * 2, num_parallel_calls=2)",
    "map_two": "D.zip((D.range(3), D.range(3, 6))).map(lambda a, b: (a + b, a))",
    "map_dict": "D.from_tensor_slices({'a': [1, 2], 'b': [3, 4]}).map(lambda d: d['a'] * d['b'])",
    "map_to_dict": "D.range(2).map(lambda x: {'x': x, 'y': (x, 1.5)})",
    "map_to_list": "D.range(2).map(lambda x: [x, x])",
    "map_constant": "D.range(2).map(lambda x: 7)",
    "map_cast": "D.from_tensor_slices(np.arange(12, dtype='uint8').reshape(3, 2, 2))"
    ".map(lambda x: tf.cast(x, 'float32') / 4)",
    "map_reduce": "D.from_tensor_slices(np.arange(6.0).reshape(3, 2)).map(lambda x: tf.reduce_sum(x))",
    "map_of_batches": "D.range(5).batch(2).map(lambda x: tf.reduce_max(x))",
    "map_expand": "D.from_tensor_slices([[1, 2], [3, 4]]).map(lambda x: x[:, tf.newaxis] + [[10, 20]])",
    "map_then_batch": "D.range(5).map(lambda x: x * 2).batch(2)",
    # --- batches
    "batch": "D.range(7).batch(3)",
    "batch_drop": "D.range(7).batch(3, drop_remainder=True)",
    "batch_of_batches": "D.range(8).batch(2).batch(3)",
    "batch_nested": "D.from_tensor_slices(({'a': [1, 2, 3]}, ['x', 'y', 'z'])).batch(2)",
    "batch_of_generator": "D.from_generator(lambda: iter([1, 2, 3]), tf.int64, ()).batch(2)",
    "unbatch": "D.from_tensor_slices(np.arange(6).reshape(3, 2)).unbatch()",
    "unbatch_batch": "D.range(5).batch(2).unbatch()",
    "padded": "D.from_generator(lambda: iter([[1], [2, 3], []]), tf.int32, (None,)).padded_batch(2, (None,))",
    "padded_fixed": "D.from_generator(lambda: iter([[1], [2, 3]]), tf.int32, (None,)).padded_batch(2, [4])",
    "padded_values": "D.from_generator(lambda: iter([[1], [2, 3]]), tf.int32, (None,)).padded_batch(2, (None,), -1)",
    "padded_nested": "D.from_generator(lambda: iter([([1.0], 'a'), ([2.0, 3.0], 'b')]), (tf.float32, tf.string), "
    "((None,), ())).padded_batch(2, ((None,), ()), (np.float32(9), ''))",
    "padded_matrix": "D.from_generator(lambda: iter([[[1, 2]], [[3], [4]]]), tf.int64, (None, None))"
    ".padded_batch(3, (3, None), drop_remainder=False)",
    "padded_dict": "D.from_generator(lambda: iter([{'a': [1], 'b': 2}, {'a': [3, 4], 'b': 5}]), "
    "{'a': tf.int32, 'b': tf.int32}, {'a': (None,), 'b': ()}).padded_batch(2, {'a': (3,), 'b': ()}, {'a': 7, 'b': 0})",
    "padded_text": "D.from_generator(lambda: iter([['a'], ['b', 'c']]), tf.string, (None,))"
    ".padded_batch(2, (None,), '-')",
    "padded_minus_one": "D.from_generator(lambda: iter([[1], [2, 3]]), tf.int32, (None,)).padded_batch(2, [-1])",
    "unbatch_nested": "D.from_tensor_slices({'a': [[1, 2], [3, 4]], 'b': (np.ones((2, 2, 1)),)}).unbatch()",
    "unbatch_empty": "D.from_tensor_slices(np.ones((2, 0), 'f')).unbatch()",
    "padded_drop": "D.range(3).map(lambda x: x * 2).padded_batch(2, (), drop_remainder=True)",
    "window": "D.range(7).window(3)",
    "window_shift": "D.range(7).window(3, shift=1, drop_remainder=True)",
    "window_stride": "D.range(7).window(3, shift=2, stride=2)",
    "window_gap": "D.range(7).window(2, shift=3)",
    "window_stride_drop": "D.range(7).window(3, 1, 2, True)",
    "window_pairs": "D.zip((D.range(4), D.range(4))).window(2)",
    "window_flat": "D.range(5).window(3, shift=1, drop_remainder=True).flat_map(lambda w: w.batch(3))",
    # --- datasets of datasets
    "flat_map": "D.range(1, 4).flat_map(lambda x: D.from_tensors(x).repeat(2))",
    "flat_map_slices": "D.from_tensor_slices([[1, 2], [3, 4]]).flat_map(lambda x: D.from_tensor_slices(x))",
    "interleave": "D.range(1, 6).interleave(lambda x: D.from_tensors(x).repeat(6), cycle_length=2, block_length=4)",
    "interleave_one": "D.range(1, 4).interleave(lambda x: D.from_tensors(x).repeat(3), cycle_length=3)",
    "interleave_uneven": "D.range(5).interleave(lambda x: D.range(x), cycle_length=3, block_length=2)",
    "interleave_blocks": "D.range(4).interleave(lambda x: D.range(2 * x, 5 * x), cycle_length=2, block_length=3)",
    "interleave_more": "D.range(3).interleave(lambda x: D.range(x + 1), cycle_length=5, block_length=2)",
    "interleave_nested": "D.range(2).interleave(lambda x: D.range(2).interleave(lambda y: D.from_tensors(x * y)"
    ".repeat(2), 2), 2)",
    "flat_map_empty": "D.range(3).flat_map(lambda x: D.range(0))",
    "window_of_windows": "D.range(6).window(2).flat_map(lambda w: w.window(1)).flat_map(lambda w: w.batch(2))",
    "window_larger": "D.range(3).window(5)",
    "window_larger_drop": "D.range(3).window(5, drop_remainder=True)",
    "window_dict": "D.from_tensor_slices({'a': [1, 2, 3]}).window(2).flat_map(lambda d: d['a'].batch(2))",
    "interleave_parallel": "D.range(4).interleave(lambda x: D.from_tensors(x).repeat(3), 2, 2, num_parallel_calls=2)",
    # --- files
    "lines": "tf.data.TextLineDataset(FILES['lines'])",
    "lines_of_files": "tf.data.TextLineDataset([FILES['lines'], FILES['lines']]).skip(1).take(4)",
    "lines_gzip": "tf.data.TextLineDataset(FILES['gzip'], compression_type='GZIP')",
    "lines_zlib": "tf.data.TextLineDataset(FILES['zlib'], compression_type='ZLIB')",
    "fixed_length": "tf.data.FixedLengthRecordDataset(FILES['other'], 2)",
    "fixed_length_ends": "tf.data.FixedLengthRecordDataset([FILES['other']] * 2, 1, header_bytes=1, footer_bytes=2)",
    "fixed_length_gzip": "tf.data.FixedLengthRecordDataset(FILES['gzip'], 1, 2, compression_type='GZIP')",
    "decode_csv": "tf.data.TextLineDataset(FILES['csv']).skip(1).map(lambda line: "
    "tf.io.decode_csv(line, [[0.0], [7], ['none'], [2.5]]))",
    "decode_csv_batches": "tf.data.TextLineDataset(FILES['semicolons']).batch(2).map(lambda lines: "
    "tf.io.decode_csv(lines, [[-1.0]], field_delim=';', na_value='NA', select_cols=[1]))",
    "csv_quotes": "tf.data.experimental.CsvDataset(FILES['quoted'], [['none'], ['?'], [9]])",
    "csv_no_quotes": "tf.data.experimental.CsvDataset(FILES['plain'], ['', [0.5]], use_quote_delim=False)",
    "csv_delimiter": "tf.data.experimental.CsvDataset(FILES['semicolons'], [['?'], [-1.0], [7]], field_delim=';', "
    "na_value='NA')",
    "csv_files": "tf.data.experimental.CsvDataset([FILES['csv']] * 2, [[0.0]], header=True, select_cols=[0])",
    "csv_empty": "tf.data.experimental.CsvDataset(FILES['empty'], [tf.int32], header=True)",
    "csv_numbers": "tf.data.experimental.CsvDataset(FILES['numbers'], [tf.int32, tf.int64, tf.float32, tf.float64])",
    "make_csv_defaults": "tf.data.experimental.make_csv_dataset(FILES['semicolons'], 2, ['a', 'b', 'c'], "
    "['?', [-1.0], [7]], field_delim=';', na_value='NA', header=False, num_epochs=1, shuffle=False)",
    "make_csv_types": "tf.data.experimental.make_csv_dataset(FILES['numbers'], 3, list('abcd'), header=False, "
    "num_epochs=1, shuffle=False)",
    "make_csv_repeat": "tf.data.experimental.make_csv_dataset(FILES['csv'], 2, num_epochs=2, shuffle=False, "
    "select_columns=['s'])",
    "lines_interleaved": "D.from_tensor_slices([FILES['lines'], FILES['other']])"
    ".interleave(tf.data.TextLineDataset, 2)",
    "csv": "tf.data.experimental.CsvDataset(FILES['csv'], [tf.float32, [7], ['none'], [2.5]], header=True)",
    "csv_columns": "tf.data.experimental.CsvDataset(FILES['csv'], [[0], ['']], header=True, select_cols=[1, 2])",
    "make_csv": "tf.data.experimental.make_csv_dataset(FILES['csv'], 2, num_epochs=1, shuffle=False)",
    "make_csv_label": "tf.data.experimental.make_csv_dataset(FILES['csv'], 2, label_name='i', num_epochs=1, "
    "shuffle=False, select_columns=['i', 'f'])",
    "make_csv_forever": "tf.data.experimental.make_csv_dataset(FILES['csv'], 2, shuffle=False).take(3)",
    # --- sparse tensors: S is [[0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 3, 0]]
    "sparse": "D.from_tensors(S)",
    "sparse_slices": "D.from_tensor_slices((S, [1, 2, 3])).batch(2)",
    "sparse_rows": "D.from_tensor_slices({'a': S}).batch(2).unbatch()",
    "sparse_texts": "D.from_tensor_slices(tf.SparseTensor([[0, 1], [2, 0]], ['a', 'b'], [3, 2])).batch(3)",
    "sparse_to_dense": "D.from_tensor_slices(S).map(lambda x: tf.sparse.to_dense(x))",
    "sparse_made": "D.from_tensor_slices([[1, 0, 2], [0, 0, 3]]).map(lambda x: tf.sparse.from_dense(x)).batch(2)",
    "sparse_repeated": "D.from_tensor_slices(S).prefetch(1).cache().repeat(2).skip(1).take(4).batch(3, True)",
    "sparse_filter": "D.zip((D.from_tensor_slices(S), D.range(3))).filter(lambda x, y: y > 0).batch(2)",
    "sparse_window": "D.from_tensor_slices(S).window(2).flat_map(lambda w: w.batch(2))",
    "sparse_sizes": "D.from_tensors(S).concatenate(D.from_tensors(tf.SparseTensor([[1, 5]], [1.0], [2, 7]))).batch(2)",
    "sparse_empty": "D.from_tensors(tf.SparseTensor(np.zeros((0, 2), 'int64'), np.zeros(0, 'f'), [2, 3])).unbatch()",
    "sparse_parsed": "D.from_tensor_slices(RECORDS).map(lambda r: tf.io.parse_single_example(r, FEATURES)).batch(3)",
    "sparse_parsed_batches": "D.from_tensor_slices(RECORDS).batch(2).map(lambda r: tf.io.parse_example(r, FEATURES))",
    # --- ragged tensors: G is [[1, 2], [], [3]], N is [[[1.0], []], [], [[2.0, 3.0]]]
    "ragged": "D.from_tensors(G)",
    "ragged_slices": "D.from_tensor_slices((G, [1, 2, 3]))",
    "ragged_batches": "D.from_tensor_slices((G, [1, 2, 3])).batch(2)",
    "ragged_nested": "D.from_tensor_slices({'n': N}).batch(2)",
    "ragged_nested_rows": "D.from_tensor_slices(N)",
    "ragged_inner": "D.from_tensor_slices(tf.ragged.constant([[[1, 2]], []], ragged_rank=1)).batch(2)",
    "ragged_unbatch": "D.from_tensors(G).unbatch()",
    "ragged_batches_of_batches": "D.from_tensors(G).repeat(2).batch(2)",
    "ragged_map": "D.from_tensor_slices(G).batch(2).map(lambda x: x * 2)",
    "ragged_to_tensor": "D.from_tensor_slices(G).batch(2).map(lambda x: x.to_tensor())",
    "ragged_made": "D.from_tensor_slices(['a b', '', 'c']).batch(2).map(lambda x: tf.strings.split(x))",
    "ragged_repeated": "D.from_tensor_slices(G).prefetch(1).cache().repeat(2).skip(1).take(4).batch(3, True)",
    "ragged_filter": "D.zip((D.from_tensor_slices(N), D.range(3))).filter(lambda x, y: y > 0).batch(2)",
    "ragged_window": "D.from_tensor_slices(N).window(2).flat_map(lambda w: w.batch(2))",
    "ragged_concatenate": "D.from_tensors(G).concatenate(D.from_tensors(G[:1]))",
    # --- experimental
    "counter": "tf.data.experimental.Counter(3, 2).take(3)",
    "choose": "tf.data.experimental.choose_from_datasets([D.range(3), D.range(10, 12)], "
    "D.from_tensor_slices(np.array([0, 1, 1, 0, 1, 0], 'int64')))",
    "choose_all": "tf.data.experimental.choose_from_datasets([D.range(2), D.range(10, 13)], D.range(2).repeat(6))",
    "sample_one": "tf.data.experimental.sample_from_datasets([D.range(3), D.range(10, 12)], [1.0, 0.0])",
    "group_by_window_rest": "D.range(8).apply(tf.data.experimental.group_by_window(lambda x: x % 2, "
    "lambda k, w: w.map(lambda x: x + 100 * k).batch(3), window_size_func=lambda k: k + 2))",
    "group_by_window": "D.range(7).apply(tf.data.experimental.group_by_window(lambda x: x % 3, "
    "lambda k, w: w.batch(2), 2))",
    "buckets": "D.from_generator(lambda: iter([[1], [1, 2], [1, 2, 3], [4], [5, 6, 7, 8]]), tf.int64, (None,))"
    ".apply(tf.data.experimental.bucket_by_sequence_length(lambda x: tf.shape(x)[0], [2, 4], [2, 2, 2]))",
    "map_and_batch": "D.range(5).apply(tf.data.experimental.map_and_batch(lambda x: x * 2, 2))",
    "unbatch_function": "D.range(4).batch(2).apply(tf.data.experimental.unbatch())",
    "enumerate_function": "D.range(2).apply(tf.data.experimental.enumerate_dataset(1))",
    "scan": "D.range(5).apply(tf.data.experimental.scan(np.int64(0), lambda s, x: (s + x, s + x)))",
    "scan_nested": "D.zip((D.range(3), D.range(3))).apply(tf.data.experimental.scan({'n': 0, 'x': np.int64(1)}, "
    "lambda s, xy: ({'n': s['n'] + 1, 'x': s['x'] * 2}, (s['x'] + xy[0], {'y': xy[1]}))))",
    "scan_batches": "D.range(5).batch(2).apply(tf.data.experimental.scan(np.int64(0), lambda s, x: "
    "(s + tf.reduce_sum(x), x + s)))",
    "unique": "D.from_tensor_slices([1, 2, 1, 3, 2]).apply(tf.data.experimental.unique())",
    "unique_texts": "D.from_tensor_slices(['b', 'a', 'b']).apply(tf.data.experimental.unique())",
    "take_while": "D.range(9).apply(tf.data.experimental.take_while(lambda x: x < 3))",
}

REDUCTIONS = {
    "sum": "D.range(5).reduce(np.int64(0), lambda total, x: total + x)",
    "pair": "D.range(5).reduce((np.int64(0), np.int64(1)), lambda state, x: (state[0] + x, state[1] * 2))",
    "tuples": "D.zip((D.range(3), D.range(3))).reduce(np.int64(0), lambda total, xy: total + xy[0] * xy[1])",
    "dict": "D.range(4).reduce({'n': 0, 'total': np.float32(0)}, lambda s, x: {'n': s['n'] + 1, "
    "'total': s['total'] + tf.cast(x, tf.float32)})",
    "text": "D.from_tensor_slices(['a', 'b']).reduce('', lambda s, x: tf.strings.join([s, x]))",
    "empty": "D.range(0).reduce(np.int64(7), lambda total, x: total + x)",
    "single": "tf.data.experimental.get_single_element(D.range(6).batch(6))",
}


# Functions of sparse tensors are called as they are here, and the sizes of what they give are not known before.
WITHOUT_SIZES = {"sparse_to_dense", "sparse_made", "ragged_map", "ragged_to_tensor", "ragged_made"}


def names(tf: Any, folder: Any) -> dict[str, Any]:
    """What the cases are evaluated with."""

    def record(**lists: list) -> bytes:
        kinds = {int: ("int64_list", tf.train.Int64List), str: ("bytes_list", tf.train.BytesList)}
        made = {}
        for name, values in lists.items():
            key, kind = kinds[type(values[0]) if values else int]
            made[name] = tf.train.Feature(**{key: kind(value=[x.encode() if key[0] == "b" else x for x in values])})
        return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()

    return {
        "tf": tf,
        "np": np,
        "D": tf.data.Dataset,
        "FILES": write_files(folder),
        "S": tf.SparseTensor([[0, 1], [1, 0], [2, 2]], [1.0, 2.0, 3.0], [3, 4]),
        "G": tf.ragged.constant([[1, 2], [], [3]]),
        "N": tf.ragged.constant([[[1.0], []], [], [[2.0, 3.0]]]),
        "RECORDS": [record(a=[1, 2], t=["x"]), record(b=[7]), record(a=[]), record(a=[4, 5, -6], t=["y", "zz"], b=[3])],
        "FEATURES": {
            "a": tf.io.VarLenFeature(tf.int64),
            "t": tf.io.VarLenFeature(tf.string),
            "b": tf.io.FixedLenFeature([], tf.int64, default_value=9),
        },
    }


def write_files(folder: Any) -> dict[str, str]:
    """The files that the cases read."""
    text = b"first\nsecond line\r\n\nlast without end"
    table = b'f,i,s,d\n1.5,1,one,2\n2,,two,\n-1e3,3,"th,ree",0.5\n'
    contents = {
        "lines": ("a.txt", text),
        "other": ("b.txt", b"1\n2\n"),
        "gzip": ("c.gz", gzip.compress(text)),
        "zlib": ("d.z", zlib.compress(text)),
        "csv": ("e.csv", table),
        "quoted": ("f.csv", b'"a ""b""",plain,1\r\n"two\nlines","",2\n"","x,y",\n'),
        "plain": ("g.csv", b'"a",1\nb"c,2\n'),
        "semicolons": ("h.csv", b"x;1.5;3\nNA;NA;NA\n;;\n a ;2;4\n"),
        "empty": ("i.csv", b"name\n"),
        "numbers": ("j.csv", b"1,4294967296,1e-3,.5\n-2,-7,inf,2.5e300\n+3,0,-0.0,1E5"),
    }
    files = {"folder": str(folder)}
    for key, (name, content) in contents.items():
        files[key] = os.path.join(folder, name)
        with open(files[key], "wb") as file:
            file.write(content)
    return files


def described(value: Any, folder: str) -> Any:
    """An element in JSON: structure, types, shapes and values."""
    if isinstance(value, dict):
        return {"keys": list(value), "values": [described(value[key], folder) for key in value]}
    if isinstance(value, (tuple, list)):
        return [described(part, folder) for part in value]
    if hasattr(value, "element_spec"):
        return {"dataset": [described(element, folder) for element in value]}
    if hasattr(value, "dense_shape"):
        parts = (value.indices, value.values, value.dense_shape)
        return {"sparse": [described(part, folder) for part in parts]}
    if hasattr(value, "flat_values"):
        return {"ragged": [described(part, folder) for part in (value.flat_values, *value.nested_row_splits)]}
    array = np.asarray(value.numpy())
    if array.dtype.kind in "OSU":
        texts = np.array([item if isinstance(item, bytes) else str(item).encode() for item in array.flat], object)
        flat = [item.decode().replace(folder, "") for item in texts]
        return {"dtype": "string", "shape": list(array.shape), "values": flat}
    return {"dtype": array.dtype.name, "shape": list(array.shape), "values": array.reshape(-1).tolist()}


def spec_of(spec: Any) -> Any:
    """A structure of specs in JSON."""
    if isinstance(spec, dict):
        return {key: spec_of(spec[key]) for key in spec}
    if isinstance(spec, (tuple, list)):
        return [spec_of(part) for part in spec]
    if hasattr(spec, "element_spec") or not hasattr(spec, "dtype"):
        return {"dataset": spec_of(getattr(spec, "element_spec", None) or spec._element_spec)}
    kind = "sparse " if "Sparse" in type(spec).__name__ else ""
    if "Ragged" in type(spec).__name__:
        kind = f"ragged {getattr(spec, 'ragged_rank', getattr(spec, '_ragged_rank', None))} "
    return f"{kind}{spec.dtype.name} {'unknown' if spec.shape.rank is None else spec.shape.as_list()}"
