"""TFRecord files, examples and serialized tensors: TensorFlow's bytes are read, and the same bytes written."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.data.records import read_records
from distkeras.kernels.checksum import crc32c, masked

RECORDED = json.loads((Path(__file__).parent / "data" / "records.json").read_text())
RECORDS = [b"", b"one", bytes(range(256)) * 5]
TENSORS = {
    "float32": np.array([[1.5, -2.0], [np.inf, 0.0]], np.float32),
    "int64": np.array([2**40, -1]),
    "uint8": np.arange(5, dtype=np.uint8),
    "bool": np.array(True),
    "float16": np.array([0.5], np.float16),
    "string": np.array([b"a", b"\x00b\x00"], object),
}
INTS = [0, 1, -1, 300, 2**40, -(2**63)]
FLOATS = [1.5, -2.25, 0.1]
TEXTS = [b"x", b"", b"\x00\xff"]
train = tf.train
FEATURES = {
    "ints": train.Feature(int64_list=train.Int64List(value=INTS)),
    "floats": train.Feature(float_list=train.FloatList(value=FLOATS)),
    "bytes": train.Feature(bytes_list=train.BytesList(value=TEXTS)),
    "empty": train.Feature(),
    "no_ints": train.Feature(int64_list=train.Int64List()),
}


def content(part, name):
    entry = RECORDED[part][name]
    return base64.b64decode(entry["bytes"] if isinstance(entry, dict) else entry)


def decompressed(data, kind):
    return {"": bytes, "GZIP": gzip.decompress, "ZLIB": zlib.decompress}[kind](data)


# --- files


@pytest.mark.parametrize("kind", ["", "GZIP", "ZLIB"])
def test_record_files(kind, tmp_path):
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.write_bytes(content("files", kind))
    assert list(tf.data.TFRecordDataset(str(theirs), kind).as_numpy_iterator()) == RECORDS
    for options in (kind, tf.io.TFRecordOptions(kind)):
        with tf.io.TFRecordWriter(str(ours), options) as writer:
            for record in RECORDS:
                writer.write(record)
        assert decompressed(ours.read_bytes(), kind) == decompressed(theirs.read_bytes(), kind)
    tf.data.experimental.TFRecordWriter(str(ours), kind).write(tf.data.TFRecordDataset(str(theirs), kind))
    assert list(read_records(str(ours), kind)) == RECORDS


def test_several_files_are_read_in_turns(tmp_path):
    paths = [str(tmp_path / name) for name in "abc"]
    for number, path in enumerate(paths):
        with tf.io.TFRecordWriter(path) as writer:
            for record in range(number + 1):
                writer.write(f"{number}{record}".encode())
    inorder = [b"00", b"10", b"11", b"20", b"21", b"22"]
    assert list(tf.data.TFRecordDataset(paths).as_numpy_iterator()) == inorder
    assert list(tf.data.TFRecordDataset(tf.data.Dataset.from_tensor_slices(paths)).as_numpy_iterator()) == inorder
    parallel = tf.data.TFRecordDataset(paths, num_parallel_reads=2)
    assert list(parallel.as_numpy_iterator()) == [b"00", b"10", b"11", b"20", b"21", b"22"]


@pytest.mark.parametrize("kind", ["", "GZIP", "ZLIB"])
def test_a_broken_file_is_refused_wherever_it_is_broken(kind, tmp_path):
    whole = content("files", kind)
    path = tmp_path / "broken"
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        # What a compressed file says of itself, such as its time, may differ.
        try:
            assert list(read_records(str(path), kind)) == RECORDS and kind
        except tf.errors.DataLossError as error:
            assert "broken" in str(error)
    for end in range(1, len(whole), 11):
        path.write_bytes(whole[:end])
        if end not in (16, 16 + 19):  # between two records
            with pytest.raises(tf.errors.DataLossError, match="broken"):
                list(read_records(str(path), kind))


def test_a_length_that_is_not_there_takes_no_memory(tmp_path):
    size = (1 << 60).to_bytes(8, "little")
    path = tmp_path / "huge"
    path.write_bytes(size + masked(crc32c(size)).to_bytes(4, "little") + b"little")
    with pytest.raises(tf.errors.DataLossError, match="truncated record at 0"):
        list(read_records(str(path)))


# --- examples


@pytest.mark.parametrize("name", FEATURES)
def test_examples(name):
    ours = train.Example(features=train.Features(feature={name: FEATURES[name]}))
    theirs = train.Example.FromString(content("examples", name))
    assert ours == theirs
    assert ours.SerializeToString() == content("examples", name)
    assert str(ours) == RECORDED["examples"][name]["text"]
    assert theirs.features.feature[name].WhichOneof("kind") == FEATURES[name].WhichOneof("kind")


def test_an_example_with_several_features():
    example = train.Example()
    assert example.ParseFromString(content("examples", "everything")) == len(content("examples", "everything"))
    assert set(example.features.feature) == set(FEATURES)
    assert example.features.feature["ints"].int64_list.value == INTS
    assert example.features.feature["bytes"].bytes_list.value == TEXTS
    assert example == train.Example(features=train.Features(feature=FEATURES))
    example.features.feature["ints"].int64_list.value.append(7)
    example.features.feature["new"].float_list.value.extend([1.0])
    again = train.Example.FromString(example.SerializeToString())
    assert again.features.feature["ints"].int64_list.value == [*INTS, 7]
    assert again.features.feature["new"].HasField("float_list")
    assert again != train.Example()


def test_unpacked_numbers_are_read_as_well():
    unpacked = train.Int64List.FromString(b"\x08\x05\x08\xac\x02")
    assert unpacked.value == [5, 300]
    assert train.FloatList.FromString(b"\x0d\x00\x00\xc0\x3f").value == [1.5]


PARSED = {
    "ints": (tf.io.FixedLenFeature([6], tf.int64), INTS),
    "floats": (tf.io.FixedLenFeature((3, 1), tf.float32), np.array(FLOATS, "f").reshape(3, 1).tolist()),
    "bytes": (tf.io.VarLenFeature(tf.string), TEXTS),
    "missing": (tf.io.FixedLenFeature([2], tf.float32, default_value=1.5), [1.5, 1.5]),
    "absent": (tf.io.VarLenFeature(tf.int64), []),
    "empty": (tf.io.FixedLenFeature([], tf.string, default_value="none"), b"none"),
    "no_ints": (tf.io.FixedLenSequenceFeature([2], tf.int64, allow_missing=True), []),
}


def test_parsing_one_example():
    features = {name: kind for name, (kind, _) in PARSED.items()}
    parsed = tf.io.parse_single_example(content("examples", "everything"), features)
    for name, (kind, expected) in PARSED.items():
        value = parsed[name]
        value = value.values if isinstance(value, tf.SparseTensor) else value
        assert value.dtype == kind.dtype and np.asarray(value.numpy()).tolist() == expected, name
    assert parsed["no_ints"].shape == (0, 2)


def test_parsing_several_examples():
    serialized = []
    for count in (1, 3, 0):
        ints = train.Feature(int64_list=train.Int64List(value=range(2 * count)))
        names = train.Feature(bytes_list=train.BytesList(value=[b"n"] * count))
        features = {"n": names, "ints": ints, "one": train.Feature(float_list=train.FloatList(value=[count]))}
        serialized.append(train.Example(features=train.Features(feature=features)).SerializeToString())
    parsed = tf.io.parse_example(
        serialized,
        {
            "n": tf.io.VarLenFeature(tf.string),
            "ints": tf.io.FixedLenSequenceFeature([2], tf.int64, True, default_value=-1),
            "one": tf.io.FixedLenFeature([], tf.float32),
        },
    )
    dense = tf.sparse.to_dense(parsed["n"])
    assert [[bytes(item, "utf8") if isinstance(item, str) else item for item in row] for row in dense.numpy()] == [
        [b"n", b"", b""],
        [b"n"] * 3,
        [b"", b"", b""],
    ]
    assert parsed["ints"].shape == (3, 3, 2) and parsed["ints"].numpy()[0].tolist() == [[0, 1], [-1, -1], [-1, -1]]
    assert parsed["one"].numpy().tolist() == [1.0, 3.0, 0.0]


def test_a_pipeline_from_records_to_batches(tmp_path):
    path = str(tmp_path / "digits.tfrecord")
    images = np.arange(5 * 6, dtype=np.uint8).reshape(5, 2, 3)
    with tf.io.TFRecordWriter(path) as writer:
        for number, image in enumerate(images):
            pixels = train.Feature(bytes_list=train.BytesList(value=[image.tobytes()]))
            label = train.Feature(int64_list=train.Int64List(value=[number]))
            features = train.Features(feature={"pixels": pixels, "label": label})
            writer.write(train.Example(features=features).SerializeToString())
    wanted = {"pixels": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

    def parse(serialized):
        parsed = tf.io.parse_single_example(serialized, wanted)
        pixels = tf.io.decode_raw(parsed["pixels"], tf.uint8)
        return tf.cast(tf.reshape(pixels, [2, 3]), tf.float32) / 255.0, parsed["label"]

    dataset = tf.data.TFRecordDataset(path).map(parse).batch(2)
    found, labels = zip(*dataset, strict=True)
    np.testing.assert_allclose(np.concatenate(found), images / np.float32(255), rtol=1e-6)
    assert np.concatenate(labels).tolist() == [0, 1, 2, 3, 4]
    assert dataset.element_spec[1].dtype == tf.int64


# --- tensors and files


@pytest.mark.parametrize("name", TENSORS)
def test_serialized_tensors(name):
    array = TENSORS[name]
    serialized = tf.io.serialize_tensor(array).numpy()
    assert serialized == content("tensors", name)
    np.testing.assert_array_equal(tf.io.parse_tensor(content("tensors", name), array.dtype).numpy(), array)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Type mismatch"):
        tf.io.parse_tensor(serialized, tf.int32)


def test_decode_raw():
    assert tf.io.decode_raw(b"\x00\x01", tf.int16, little_endian=False).numpy().tolist() == [1]
    assert tf.io.decode_raw(["ab", "cd"], tf.uint8).numpy().tolist() == [[97, 98], [99, 100]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="all be the same size"):
        tf.io.decode_raw(["ab", "c"], tf.uint8)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not a multiple of 4"):
        tf.io.decode_raw("abc", tf.float32)


def test_whole_files(tmp_path):
    path = str(tmp_path / "new" / "file")
    tf.io.write_file(path, b"a\x00\x00")
    assert tf.io.read_file(tf.constant(path)).numpy() == b"a\x00\x00"
    assert tf.io.matching_files(str(tmp_path / "*" / "*")).numpy().tolist() == [path.encode()]
    with pytest.raises(tf.errors.NotFoundError, match="nothing; No such file"):
        tf.io.read_file(str(tmp_path / "nothing"))
