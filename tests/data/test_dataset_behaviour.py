"""What the recorded values cannot show: random orders, when functions are called, threads, caches, errors."""

from __future__ import annotations

import threading
import time
import warnings

import numpy as np
import pytest

import distkeras as tf

D = tf.data.Dataset
experimental = tf.data.experimental


def values(dataset):
    return [np.asarray(value).tolist() for value in dataset.as_numpy_iterator()]


def python(function):
    """A function that cannot be traced."""

    def call(*args):
        for arg in args:
            arg.numpy()
        return function(*args)

    return call


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("distkeras-read-ahead")]


# --- shuffling


@pytest.mark.parametrize("source", [lambda: D.range(50), lambda: D.range(50).map(python(lambda x: x))])
def test_a_shuffle_is_a_permutation_that_the_seed_decides(source):
    first, second = (values(source().shuffle(20, seed=5)) for _ in range(2))
    assert first == second and sorted(first) == list(range(50)) and first != sorted(first)
    assert values(source().shuffle(20, seed=6)) != first
    assert all(value < place + 20 for place, value in enumerate(first))  # none comes before the buffer had it


def test_rows_and_elements_are_shuffled_alike():
    by_number = D.range(30).shuffle(7, seed=1).batch(4)
    by_element = D.range(30).map(python(lambda x: x)).shuffle(7, seed=1).batch(4)
    assert values(by_number) == values(by_element)


def test_each_pass_has_its_order_unless_it_is_to_stay():
    moving, staying = D.range(20).shuffle(20, seed=2), D.range(20).shuffle(20, 2, reshuffle_each_iteration=False)
    assert values(moving) != values(moving)
    assert values(staying) == values(staying)
    twice = values(D.range(20).shuffle(20, seed=2).repeat(2))
    assert sorted(twice[:20]) == sorted(twice[20:]) and twice[:20] != twice[20:]
    assert values(D.range(20).repeat(2).shuffle(5, seed=2)) != sorted(list(range(20)) * 2)


def test_without_a_seed_the_global_one_decides():
    def order(seed):
        tf.random.set_seed(seed)
        return values(D.range(20).shuffle(20)), values(D.range(20).shuffle(20))

    assert order(1) == order(1)
    assert order(1) != order(2)
    one, other = order(1)
    assert one != other


def test_draws_are_even():
    counts = np.zeros((6, 6))
    dataset = D.range(6).shuffle(6, seed=0)
    for _ in range(600):
        counts[np.arange(6), values(dataset)] += 1
    assert abs(counts - 100).max() < 45  # 4.9 standard deviations of a binomial count


def test_files_are_listed_in_random_order(tmp_path):
    for number in range(8):
        (tmp_path / f"{number}.txt").touch()
    listed = D.list_files(str(tmp_path / "*.txt"), seed=3)
    first, second = values(listed), values(listed)
    assert sorted(first) == sorted(second) and first != second != sorted(first)


# --- functions


def test_a_function_is_traced_once_and_calls_are_replayed():
    calls = []

    def double(x):
        calls.append(x)
        return x * 2

    dataset = D.from_tensor_slices(np.arange(8.0)).map(double)
    assert len(calls) == 1  # when `map` was called, as in TensorFlow
    assert values(dataset.shuffle(3).batch(2).repeat(2).take(2)) and len(values(dataset)) == 8
    assert len(calls) == 1


def test_a_function_that_looks_at_values_is_called_for_each_element():
    calls = []

    def look(x):
        calls.append(int(x.numpy()))
        return x if x > 1 else -x

    dataset = D.range(4).map(look)
    assert calls == [] and values(dataset) == [0, -1, 2, 3] and calls == [0, 1, 2, 3]
    assert dataset.element_spec == tf.TensorSpec([], tf.int64)
    assert calls == [0, 1, 2, 3]  # what was seen suffices


def test_the_structure_of_what_cannot_be_traced_is_found_by_one_call():
    calls = []

    def look(x):
        calls.append(int(x.numpy()))
        return {"row": tf.fill([2], x), "text": "a"}

    dataset = D.range(4).map(look).batch(2)
    assert dataset.element_spec == {
        "row": tf.TensorSpec([None, None], tf.int64),
        "text": tf.TensorSpec([None], tf.string),
    }
    assert calls == [0]
    assert [batch["row"].tolist() for batch in dataset.as_numpy_iterator()] == [[[0, 0], [1, 1]], [[2, 2], [3, 3]]]


IMAGES = np.random.default_rng(0).integers(0, 255, (7, 3, 4), dtype=np.uint8)
LIFTED = {
    "cast": lambda x: tf.cast(x, "float32") / 255.0,
    "broadcast": lambda x: tf.cast(x, "float32") * tf.constant([1.0, 2.0, 3.0, 4.0]) - tf.ones((3, 1)),
    "own_mean": lambda x: tf.cast(x, "float32") - tf.cast(x, "float32")[0],
    "corner": lambda x: tf.cast(x[0, 0], "float32") + tf.cast(x, "float32"),
    "reshape": lambda x: tf.reshape(x, [2, 6]),
    "transpose": lambda x: tf.transpose(x)[..., tf.newaxis],
    "slice": lambda x: x[1:, ::2],
    "several": lambda x: {"a": x, "b": (x, tf.where(x > 9, x, tf.zeros_like(x)))},
}
NOT_LIFTED = {
    "reduce": lambda x: tf.reduce_sum(tf.cast(x, "float32"), axis=0),
    "constant": lambda x: tf.constant([1.0, 2.0]),
    "matmul": lambda x: tf.cast(x, "float32") @ tf.ones((4, 2)),
    "concat": lambda x: tf.concat([x, x], 0),
}


@pytest.mark.parametrize("name", [*LIFTED, *NOT_LIFTED])
def test_mapping_many_at_once_is_mapping_each(name):
    function = {**LIFTED, **NOT_LIFTED}[name]
    source = D.from_tensor_slices(IMAGES)
    expected = list(source.map(python(function)).batch(3).as_numpy_iterator())
    mapped = source.map(function)
    assert mapped._stage.rows._traced.can_lift == (name in LIFTED)
    for dataset in (mapped.batch(3), mapped.shuffle(1).batch(3), mapped.cache().batch(3)):
        for found, wanted in zip(dataset.as_numpy_iterator(), expected, strict=True):
            check_alike(found, wanted)
    for found, wanted in zip(mapped.as_numpy_iterator(), source.map(python(function)).as_numpy_iterator(), strict=True):
        check_alike(found, wanted)


def check_alike(found, wanted):
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        found, wanted = list(found.values()), list(wanted.values())
    if isinstance(wanted, (tuple, list)):
        for pair in zip(found, wanted, strict=True):
            check_alike(*pair)
    else:
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "mapped_rows"),
    [
        (lambda x: tf.cast(x, "float32") / 255.0, [2, 2]),
        (lambda x: x + tf.constant(np.arange(4, dtype=np.uint8)), [2, 2]),
        (lambda x: x - x[:1], [5, 4]),
        (lambda x: tf.reduce_max(x, axis=0, keepdims=True) + x, [5, 4]),
        (lambda x: x + tf.ones((2, 3, 4), "uint8")[:1], [2, 2]),
        (lambda x: tf.ones_like(x), [5, 4]),
    ],
)
def test_a_rank_maps_its_rows_alone_where_rows_are_apart(function, mapped_rows, monkeypatch):
    """Of batches of 5 and 4 rows, the last of two ranks has 3 and 2, the first 2 and 2."""
    dataset = D.from_tensor_slices(np.concatenate([IMAGES, IMAGES[:2]])).batch(5).map(function)
    whole, seen = [batch.numpy() for batch in dataset], []
    call = dataset._stage._function.__class__.__call__

    def noted(self, structure, leaves, draw=0):
        seen.append(len(leaves[0]))
        return call(self, structure, leaves, draw)

    monkeypatch.setattr(dataset._stage._function.__class__, "__call__", noted)
    for rank in (1, 0):
        seen.clear()
        for part, batch in zip(dataset._stage.parts(None, rank, 2), whole, strict=True):
            np.testing.assert_array_equal(part.rows[0], batch[part.start : part.start + part.count])
    assert seen == mapped_rows


def test_random_functions_draw_anew_for_each_element_and_pass():
    def passes():
        tf.random.set_seed(3)
        dataset = D.range(6).map(lambda x: tf.random.uniform(()) + tf.cast(x, "float32") * 0)
        return values(dataset), values(dataset), values(dataset.prefetch(2).repeat(2))

    first, second, both = passes()
    assert len({*first, *second, *both}) == 24
    assert passes() == (first, second, both)


def test_elements_of_many_shapes():
    sizes = list(range(1, 40))
    dataset = D.from_generator(lambda: (np.arange(size) for size in sizes), tf.int64, (None,))
    assert values(dataset.map(lambda x: tf.reduce_sum(x * 2))) == [size * (size - 1) for size in sizes]


def test_variables_are_read_when_an_element_is_made():
    scale = tf.Variable(np.int64(2))
    dataset = D.range(3).map(lambda x: x * scale)
    assert values(dataset) == [0, 2, 4]
    scale.assign(np.int64(3))
    assert values(dataset.batch(3)) == [[0, 3, 6]]


def test_parallel_calls_keep_the_order_and_overlap():
    barrier = threading.Barrier(2, timeout=10)

    def meet(x):
        if int(x) < 4:
            barrier.wait()
        return x

    assert values(D.range(6).map(meet, num_parallel_calls=2)) == list(range(6))


def test_large_constants_and_rows_are_not_confused():
    table = tf.constant(np.arange(12.0, dtype="float32").reshape(3, 4))
    assert (
        values(D.from_tensor_slices(np.ones((2, 4), "f")).map(lambda x: table * x).batch(2))[0]
        == [table.numpy().tolist()] * 2
    )


# --- keeping and reading ahead


@pytest.mark.parametrize("function", [lambda x: x * 2, python(lambda x: x * 2)], ids=["traced", "python"])
def test_a_cache_is_filled_by_the_first_pass(function):
    calls = []

    def counted():
        calls.append(1)
        yield from range(5)

    dataset = D.from_generator(counted, tf.int64, ()).map(function).cache()
    assert next(iter(dataset)).numpy() == 0  # a pass that is left early keeps nothing
    assert values(dataset) == values(dataset) == [0, 2, 4, 6, 8] and len(calls) == 2
    frozen = D.range(9).shuffle(9, seed=1).map(function).cache()
    assert values(frozen) == values(frozen) != sorted(values(frozen))


def test_a_cache_in_a_file_outlives_the_dataset(tmp_path):
    path = str(tmp_path / "cache")
    element = {"x": np.ones((2, 0), "f"), "text": [b"a\x00", b"b"]}

    def once():
        yield element
        yield element

    types, shapes = {"x": tf.float32, "text": tf.string}, {"x": (2, 0), "text": (2,)}
    dataset = D.from_generator(once, types, shapes)
    next(iter(dataset.cache(path)))
    assert list(tmp_path.iterdir()) == []  # unfinished
    expected = list(dataset.cache(path).as_numpy_iterator())
    assert [file.name for file in tmp_path.iterdir()] == ["cache.tfrecord"]

    def never():
        raise AssertionError("what is kept needs no source")
        yield

    found = list(D.from_generator(never, types, shapes).cache(path).as_numpy_iterator())
    assert len(found) == 2
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one["x"], other["x"])
        assert one["text"].tolist() == other["text"].tolist() == [b"a\x00", b"b"]


def test_reading_ahead_ends_with_the_iteration():
    before = len(readers())
    dataset = D.range(1000).map(python(lambda x: x)).prefetch(3)
    for x in dataset:
        assert len(readers()) == before + 1
        if x == 5:
            break
    del x
    iterator = iter(dataset)
    next(iterator)
    del iterator
    assert len(values(dataset)) == 1000
    list(D.range(4).interleave(lambda x: D.range(x), 2, num_parallel_calls=2).take(1))
    deadline = time.monotonic() + 5
    while len(readers()) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(readers()) == before


def test_errors_pass_through_threads_and_can_be_ignored():
    def fail(x):
        if int(x) == 2:
            raise OSError("disk on fire")
        return x

    for dataset in (D.range(5).map(fail).prefetch(2), D.range(5).map(fail, 2), D.range(5).map(fail).batch(2)):
        with pytest.raises(OSError, match="disk on fire"):
            list(dataset)
    assert values(D.range(5).map(fail).apply(experimental.ignore_errors())) == [0, 1, 3, 4]


def test_arrays_are_read_when_a_batch_is_made():
    array = np.zeros((4, 2))
    dataset = D.from_tensor_slices(array).batch(2)
    iterator = iter(dataset)
    first = next(iterator)
    array[:] = 1
    assert first.numpy().sum() == 0 and next(iterator).numpy().sum() == 4


# --- the iterator


def test_an_iterator_ends_and_says_so():
    iterator = iter(D.range(1))
    assert iterator.element_spec == tf.TensorSpec([], tf.int64)
    assert iterator.get_next().numpy() == 0
    with pytest.raises(tf.errors.OutOfRangeError, match="no more elements"):
        iterator.get_next()
    with pytest.raises(StopIteration):
        next(iterator)


def test_iterating_in_a_traced_function_falls_back_to_steps():
    dataset = D.range(4)

    @tf.function
    def total(start):
        for x in dataset:
            start += x
        return start

    with pytest.warns(UserWarning, match="iterated over in a function that is being traced"):
        assert total(tf.constant(np.int64(1))).numpy() == 7


def test_lengths():
    assert len(D.range(5).batch(2)) == 3 and bool(D.range(0))
    for dataset, message in ((D.range(3).repeat(), "infinite"), (D.range(3).filter(lambda x: x > 1), "unknown")):
        with pytest.raises(TypeError, match=message):
            len(dataset)


def test_names_of_version_one():
    data = tf.compat.v1.data
    dataset = data.Dataset.from_tensor_slices({"a": np.ones((3, 2), "f")}).batch(2)
    assert data.get_output_shapes(dataset) == {"a": tf.TensorShape([None, 2])} == dataset.output_shapes
    assert data.get_output_types(dataset) == {"a": tf.float32} == dataset.output_types
    assert data.get_output_classes(dataset) == {"a": tf.Tensor}
    assert data.make_one_shot_iterator(dataset).get_next()["a"].shape == (2, 2)


# --- drawing from several


def test_sampling_follows_the_weights_and_reads_all():
    sources = [D.from_tensors(number).repeat(400) for number in range(3)]
    drawn = values(experimental.sample_from_datasets(sources, [0.5, 0.3, 0.2], seed=1))
    assert len(drawn) == 1200 and np.bincount(drawn).tolist() == [400, 400, 400]
    assert abs(np.bincount(drawn[:500]) / 500 - [0.5, 0.3, 0.2]).max() < 0.07
    assert values(experimental.sample_from_datasets([D.range(3), D.range(9)], [1.0, 0.0])) == [0, 1, 2]


@pytest.mark.parametrize("initial", [None, [0.9, 0.1]])
def test_resampling_gives_the_proportions_asked_for(initial):
    labels = (np.random.default_rng(0).random(4000) < 0.1).astype(np.int64)
    resample = experimental.rejection_resample(lambda x: x, [0.5, 0.5], initial, seed=2)
    found = values(D.from_tensor_slices(labels).apply(resample))
    assert 600 < len(found) < 1000 and all(one == other for one, other in found)
    assert abs(np.mean([label for label, _ in found]) - 0.5) < 0.06


def test_buckets_filled_up_to_their_boundary():
    dataset = D.from_generator(lambda: iter([[1], [1, 2], [1, 2, 3]]), tf.int64, (None,))
    bucket = experimental.bucket_by_sequence_length(
        lambda x: len(x), [3, 6], [2, 1, 1], pad_to_bucket_boundary=True, padding_values=np.int64(-1)
    )
    assert values(dataset.apply(bucket)) == [[[1, -1], [1, 2]], [[1, 2, 3, -1, -1]]]


def test_csv_files_that_cannot_be_read_whole(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,x\n2\nthree,y\n4,z\n")
    options = {"shuffle": False, "num_epochs": 1, "column_defaults": [tf.int32, tf.string]}
    with pytest.raises(tf.errors.InvalidArgumentError, match="2 fields but have 1"):
        list(experimental.make_csv_dataset(str(path), 1, **options))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = list(experimental.make_csv_dataset(str(path), 1, **options, ignore_errors=True))
    assert [row["a"].numpy().tolist() for row in rows] == [[1], [4]]
