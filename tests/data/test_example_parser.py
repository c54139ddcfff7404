"""Examples parsed many at once: as each by itself, in `map` as when its function is called as it is."""

from __future__ import annotations

import numpy as np
import pytest

import distkeras as tf
from distkeras._wire import field, varint
from distkeras.data.example_parser import Parser, _parse_alone

D = tf.data.Dataset
io = tf.io
KINDS = {"f": "float_list", "i": "int64_list", "b": "bytes_list"}
LISTS = {"float_list": tf.train.FloatList, "int64_list": tf.train.Int64List, "bytes_list": tf.train.BytesList}
FEATURES = {
    "f": io.FixedLenFeature([2], tf.float32, default_value=[1.5, 2.5]),
    "i": io.FixedLenFeature((), tf.int64, default_value=7),
    "b": io.FixedLenFeature([2, 1], tf.string, default_value="none"),
    "absent": io.FixedLenFeature([], tf.string, default_value=b"\xff"),
    "vf": io.VarLenFeature(tf.float32),
    "vi": io.VarLenFeature(tf.int64),
    "vb": io.VarLenFeature(tf.string),
    "sf": io.FixedLenSequenceFeature([2], tf.float32, True, default_value=-1.0),
    "si": io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
    "sb": io.FixedLenSequenceFeature([], tf.string, True, "filled"),
}


def example(**features):
    made = {
        name: tf.train.Feature(**{(kind := KINDS[name[-1]]): LISTS[kind](value=value)})
        for name, value in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()


def random_examples(count, seed=0):
    draws = np.random.default_rng(seed)

    def values(kind, size):
        if kind == "f":
            return draws.normal(size=size).astype("float32").tolist()
        if kind == "i":
            return [int(x) * int(draws.choice([-1, 1])) for x in draws.integers(0, 2 ** draws.integers(1, 63), size)]
        return [draws.bytes(int(draws.integers(0, 300))) for _ in range(size)]

    def one():
        fixed = {"f": 2, "i": 1, "b": 2}
        sizes = {name: fixed[name] for name in fixed if draws.random() < 0.7}
        for name in ("vf", "vi", "vb", "si", "sb", "extra_i"):
            sizes[name] = int(draws.integers(0, 5))
        sizes["sf"] = 2 * int(draws.integers(0, 4))
        return example(**{name: values(name[-1], size) for name, size in sizes.items() if size or draws.random() < 0.5})

    return [one() for _ in range(count)]


def as_lists(value):
    if isinstance(value, tf.SparseTensor):
        return [value.indices.numpy().tolist(), value.values.numpy().tolist(), list(value.shape), value.dtype.name]
    return [np.asarray(value.numpy(), value.dtype.numpy).tolist(), list(value.shape), value.dtype.name]


def test_many_at_once_are_as_each_by_itself():
    records = random_examples(40)
    parser = Parser(FEATURES)
    assert parser._find(records, b"".join(records)) is not None
    at_once = parser.parse(records)
    alone = parser._parse_one_by_one(records, None)
    for name, one, other in zip(FEATURES, at_once, alone, strict=True):
        assert as_lists(one) == as_lists(other), name
    for record in records:
        single = io.parse_single_example(record, FEATURES)
        for feature, value in zip(parser.features, _parse_alone(record, parser.features, None), strict=True):
            found = single[feature.name]
            found = found.values if feature.is_sparse else found
            assert as_lists(found) == [value.tolist(), list(value.shape), feature.dtype.name], feature.name
    assert [list(value.shape)[0] for value in Parser(FEATURES).parse([b"", b""])] == [2] * len(FEATURES)


def entry(name, feature):
    return field(1, field(1, field(1, name) + field(2, feature)))


# Forms that a writer may choose as well: numbers that are not packed, in parts, fields in another order or unknown.
UNUSUAL = {
    "not packed": entry("i", field(3, b"\x08\x05")) + entry("f", field(2, b"\x0d\0\0\xc0\x3f\x0d\0\0\x20\x40")),
    "value first": field(1, field(1, field(2, field(3, field(1, varint(5)))) + field(1, "i"))),
    "unknown fields": field(9, b"x")
    + field(1, field(7, 3) + field(1, field(1, "i") + field(2, field(3, b"\x0a\x01\x05")))),
    "twice": entry("i", field(3, field(1, varint(4)))) + entry("i", field(3, field(1, varint(5)))),
    "in parts": entry("vi", field(3, field(1, varint(4)) + b"\x08\x05" + field(1, varint(-6) + varint(7)))),
    "no list": entry("i", b""),
    "no value": entry("i", b"") + field(1, field(1, field(1, "f"))),
}


@pytest.mark.parametrize("form", UNUSUAL)
def test_other_forms_of_the_same(form):
    parser = Parser(FEATURES)
    record = UNUSUAL[form]
    expected = [value.tolist() for value in _parse_alone(record, parser.features, None)]
    for found in (parser.parse([record]), parser.parse([b"", record, b""]), [*parser.parse_one(record)]):
        values = [value.values if isinstance(value, tf.SparseTensor) else value for value in found]
        rows = [np.asarray(value.numpy(), value.dtype.numpy) for value in values]
        if len(rows[0]) == 3:  # the other two have no feature
            rows = [row if spec.is_sparse else row[1:2] for spec, row in zip(parser.features, rows, strict=True)]
        found = [row.reshape(-1).tolist() for row in rows]
        assert found == [np.array(value, object).reshape(-1).tolist() for value in expected], form


def test_damaged_examples_are_refused_or_read_as_they_are_alone():
    """Whatever bytes there are: never anything else than the slow parser says."""
    draws = np.random.default_rng(3)
    parser = Parser(FEATURES)
    refused = 0
    for record in random_examples(200, seed=1):
        damaged = bytearray(record)
        for _ in range(int(draws.integers(1, 4))):
            place = int(draws.integers(0, len(damaged)))
            damaged[place] = int(draws.integers(0, 256))
        damaged = bytes(damaged[:-1] if draws.random() < 0.2 else damaged)
        try:
            expected = [value.tolist() for value in _parse_alone(damaged, parser.features, None)]
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            refused += 1
            if "codec" in str(error):  # a damaged name is another name, or none
                continue
            for call in (lambda r: parser.parse([r]), parser.parse_one):
                with pytest.raises(type(error)):
                    call(damaged)
            continue
        found = [v.values if isinstance(v, tf.SparseTensor) else v for v in parser.parse_one(damaged)]
        np.testing.assert_equal([np.asarray(v.numpy(), v.dtype.numpy).tolist() for v in found], expected)
    assert 10 < refused < 190


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"zork", "Could not parse example input 'it'"),
        (example(i=[1, 2]), "Key: i. Number of int64 values != expected. Values size: 2"),
        (entry("i", field(2, b"\x0a\x04\0\0\0\0")), "Name: it, Key: i. Data types don't match"),
        (example(sf=[1.0]), "Key: sf. Number of float32 values"),
    ],
)
def test_what_is_wrong_is_said(record, message):
    for call in (
        lambda: io.parse_single_example(record, FEATURES, example_names="it"),
        lambda: io.parse_example([example(), record], FEATURES, example_names=["first", "it"]),
    ):
        with pytest.raises((OSError, ValueError), match=message):
            call()
    with pytest.raises(tf.errors.InvalidArgumentError, match="Feature: x .* is required"):
        io.parse_example([example()], {"x": io.FixedLenFeature([], tf.int64)})


# --- in map


def scaled(record):
    kinds = {"b": io.FixedLenFeature([], tf.string), "i": io.FixedLenFeature([], tf.int64)}
    parsed = io.parse_single_example(record, kinds)
    return tf.cast(tf.reshape(io.decode_raw(parsed["b"], tf.uint8), [2, 3]), tf.float32) / 255.0, parsed["i"]


def images(count, size=6):
    return [example(b=[bytes(range(n, n + size))], i=[n]) for n in range(count)]


def spied(function):
    calls = []
    return (
        calls,
        lambda record: calls.append(isinstance(record, tf.Tensor) and hasattr(record, "trace")) or function(record),
    )


@pytest.mark.parametrize("parallel", [None, 2])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 200])
def test_a_function_that_parses_is_compiled_and_called_for_many(count, parallel):
    records = images(count)
    calls, function = spied(scaled)
    found = list(D.from_tensor_slices(np.array(records, object)).map(function, parallel)) if count else []
    assert all(calls) and len(calls) <= 2  # traced only
    for n, (x, i) in enumerate(found):
        np.testing.assert_array_equal(x, np.arange(n, n + 6).reshape(2, 3).astype("float32") / np.float32(255))
        assert i.numpy() == n
    assert len(found) == count


def test_elements_of_other_sizes_are_parsed_as_well():
    records = [example(b=[bytes(n + 1)], i=[n]) for n in (3, 3, 5, 3, 0, 3, 3)]

    def parse(record):
        parsed = io.parse_single_example(record, {"b": io.FixedLenFeature([], tf.string)})
        return tf.reduce_sum(tf.cast(io.decode_raw(parsed["b"], tf.uint8), tf.int32) + 1)

    found = [x.item() for x in D.from_tensor_slices(records).repeat(8).map(parse).as_numpy_iterator()]
    assert found == [4, 4, 6, 4, 1, 4, 4] * 8


def test_no_more_is_read_than_may_be(tmp_path):
    seen = []

    def generate():
        for n, record in enumerate(images(100)):
            seen.append(n)
            yield record

    generated = D.from_generator(generate, tf.string, ())
    assert len(list(generated.map(scaled).take(5))) == 5
    assert len(seen) <= 6
    # Errors come where they are, and can be passed over.
    records = images(30)
    records[17] = b"zork"
    dataset = D.from_tensor_slices(np.array(records, object)).filter(lambda r: r != b"").map(scaled)
    found = []
    with pytest.raises(tf.errors.DataLossError):
        for _, number in dataset:
            found.append(int(number))
    assert found == list(range(17))
    ignoring = dataset.apply(tf.data.experimental.ignore_errors())
    assert [int(i) for _, i in ignoring] == [n for n in range(30) if n != 17]


def test_batches_of_examples_are_parsed_in_map():
    records = images(10)

    def parse(serialized):
        return io.parse_example(serialized, {"i": io.FixedLenFeature([], tf.int64)})["i"] * 2

    dataset = D.from_tensor_slices(records).batch(5, drop_remainder=True).map(parse)
    assert dataset.element_spec == tf.TensorSpec([5], tf.int64)
    assert [x.tolist() for x in dataset.as_numpy_iterator()] == [[0, 2, 4, 6, 8], [10, 12, 14, 16, 18]]
    dataset = D.from_tensor_slices(records).batch(4).map(parse)
    assert [x.tolist() for x in dataset.as_numpy_iterator()][2] == [16, 18]


def test_decode_raw_of_a_given_length():
    assert io.decode_raw(["ab", "c", b"def"], tf.uint8, fixed_length=2).numpy().tolist() == [
        [97, 98],
        [99, 0],
        [100, 101],
    ]
    dataset = D.from_tensor_slices(["ab", "c"]).map(lambda s: io.decode_raw(s, tf.int16, fixed_length=4))
    assert dataset.element_spec == tf.TensorSpec([2], tf.int16)
    assert [x.tolist() for x in dataset.as_numpy_iterator()] == [[97 + 98 * 256, 0], [99, 0]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="not a multiple of 2"):
        io.decode_raw("a", tf.int16, fixed_length=3)
