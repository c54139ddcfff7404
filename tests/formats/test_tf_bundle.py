"""TensorFlow's files: messages, tables, arrays; written here, written there, and damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from distkeras import _wire as wire
from distkeras.errors import FileFormatError
from distkeras.keras.saving import tf_bundle, tf_graph, tf_table
from distkeras.keras.saving.tf_bundle import Bundle, write_bundle

DATA = Path(__file__).parent / "data"


# --- messages


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 1 << 31, (1 << 63) - 1, -1, -(1 << 63)])
def test_varints(number):
    encoded = wire.varint(number)
    assert wire.signed(wire.read_varint(encoded, 0)[0]) == number
    assert wire.read_varint(b"\x07" + encoded, 1)[1] == 1 + len(encoded)


def test_fields():
    message = wire.field(1, 300) + wire.field(2, "näme") + wire.fixed32(6, 7) + wire.field(1000, b"\x00\xff")
    assert list(wire.fields(message)) == [(1, 300), (2, "näme".encode()), (6, 7), (1000, b"\x00\xff")]
    eight = wire.varint(3 << 3 | 1) + (5).to_bytes(8, "little")
    assert list(wire.fields(eight)) == [(3, 5)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80", "end within a number"),
        (b"\xff" * 11, "more than 64 bits"),
        (b"\x0a\x05ab", "reaches beyond the end"),
        (b"\x0b", "unknown kind 3"),
    ],
)
def test_bytes_that_are_no_message(data, message):
    with pytest.raises(ValueError, match=message):
        list(wire.fields(data))


def test_fields_of_another_kind():
    with pytest.raises(ValueError, match="a number where a text or message"):
        wire.as_text(3)
    with pytest.raises(ValueError, match="bytes where a number"):
        wire.as_int(b"3")
    with pytest.raises(UnicodeDecodeError):
        wire.as_text(b"\xff")


# --- tables


def test_tables_of_several_blocks(monkeypatch):
    monkeypatch.setattr(tf_table, "_BLOCK", 100)
    entries = {f"key/{number:03d}/{'x' * (number % 5)}".encode(): bytes([number % 251]) * 7 for number in range(200)}
    entries = dict(sorted(entries.items()))
    written = tf_table.write_table(entries.items())
    assert tf_table.read_table(written) == entries
    monkeypatch.setattr(tf_table, "_BLOCK", 1 << 18)
    assert len(tf_table.write_table(entries.items())) < len(written)


def test_an_empty_table():
    assert tf_table.read_table(tf_table.write_table([])) == {}


def test_compressed_blocks_are_refused():
    block = tf_table._block([(b"key", b"value")])
    content = block + b"\x01"
    data = content + tf_table.masked(tf_table.crc32c(content)).to_bytes(4, "little")
    index = tf_table._block([(b"key", wire.varint(0) + wire.varint(len(block)))], restart=1)
    out = bytearray(data)
    ends = tf_table._append(out, tf_table._block([])) + tf_table._append(out, index)
    with pytest.raises(ValueError, match=r"compressed \(snappy\)"):
        tf_table.read_table(bytes(out) + ends.ljust(40, b"\0") + tf_table._MAGIC)


# --- arrays

ARRAYS = {
    "scalar": np.float32(3.5),
    "empty": np.zeros((0, 3)),
    "text": np.array([b"ab", b"", b"x" * 300], object),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big": np.arange(4, dtype=">i4"),
    **{name: np.arange(6).reshape(2, 3).astype(name) for name in tf_bundle.NUMBERS if name != "string"},
}


def test_arrays_of_all_types(tmp_path):
    write_bundle(str(tmp_path / "b"), ARRAYS)
    bundle = Bundle(str(tmp_path / "b"))
    assert sorted(bundle.entries) == sorted(ARRAYS)
    for name, expected in ARRAYS.items():
        found = bundle.read(name)
        assert found.dtype == np.asarray(expected).dtype.newbyteorder("=") and found.shape == np.shape(expected)
        np.testing.assert_array_equal(found, expected)


def test_equal_arrays_make_equal_files(tmp_path):
    for name in ("one", "two"):
        write_bundle(str(tmp_path / name), ARRAYS)
    for ending in (".index", ".data-00000-of-00001"):
        assert (tmp_path / f"one{ending}").read_bytes() == (tmp_path / f"two{ending}").read_bytes()


def test_what_tensorflow_2_0_has_written():
    bundle = Bundle(str(DATA / "tf20_ck"))
    names = """
        0/cell/kernel 0/cell/recurrent_kernel 0/cell/bias 1/gamma 1/beta 1/moving_mean 1/moving_variance 2/kernel 2/bias
    """.split()
    with np.load(DATA / "tf20_ckw.npz") as expected:
        for name, array in zip(names, expected.values(), strict=True):
            found = bundle.read(f"layer_with_weights-{name}/.ATTRIBUTES/VARIABLE_VALUE")
            np.testing.assert_array_equal(found, array)
    assert bundle.read("optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE") == 1


def test_the_graph_that_tensorflow_2_0_has_written():
    nodes = tf_graph.decode(Bundle(str(DATA / "tf20_ck")).read(tf_graph.GRAPH_KEY).item())
    assert list(nodes[0].children) == [
        "layer-0", "layer_with_weights-0", "layer-1", "layer_with_weights-1", "layer-2", "layer_with_weights-2",
        "layer-3", "optimizer",
    ]  # fmt: skip
    optimizer = nodes[nodes[0].children["optimizer"]]
    assert list(optimizer.children) == ["iter", "beta_1", "beta_2", "decay", "learning_rate"]
    assert [slot.name for slot in optimizer.slots] == ["m"] * 7 + ["v"] * 7
    again = tf_graph.decode(tf_graph.encode(nodes))
    assert again == nodes


def test_several_data_files():
    bundle = Bundle(str(DATA / "tfk_sharded"))
    assert {entry.shard for entry in bundle.entries.values()} == {0, 1}
    np.testing.assert_array_equal(bundle.read("a"), np.arange(6.0).reshape(2, 3))
    assert bundle.read("b").tolist() == [b"text", b""]


# --- damage


@pytest.fixture
def prefix(tmp_path) -> Path:
    """A checkpoint that TensorFlow has written in two parts, to be damaged."""
    for path in DATA.glob("tfk_sharded.*"):
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path / "tfk_sharded"


def read_all(prefix: Path) -> dict:
    bundle = Bundle(str(prefix))
    return {name: bundle.read(name) for name in bundle.entries}


def test_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no such checkpoint. A checkpoint is named by what.*nothing"):
        read_all(tmp_path / "nothing")


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


DAMAGE = {
    "no magic number": (
        "index",
        lambda old: b"This is not an index. " * 9,
        "198 bytes and does not end with the magic",
    ),
    "index changed": ("index", lambda old: flipped(old, 20), "the checksum of the block at 0 is wrong"),
    "data changed": ("data-00000-of-00002", lambda old: flipped(old, 3), "'[ab]': the checksum is wrong"),
    "data cut short": ("data-00001-of-00002", lambda old: old[:-1], r"it lies at 0 to \d+, but the file has \d+ bytes"),
} | {
    f"index of {kept}": ("index", lambda old, kept=kept: old[:kept], "it is no index of a checkpoint, or cut short")
    for kept in (0, 10, 47, 100, -1)
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage(prefix, name):
    ending, change, message = DAMAGE[name]
    path = Path(f"{prefix}.{ending}")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(FileFormatError, match=f"{ending}: .*{message}"):
        read_all(prefix)


def test_a_missing_data_file(prefix):
    Path(f"{prefix}.data-00001-of-00002").unlink()
    with pytest.raises(FileFormatError, match=r"data-00001-of-00002 is missing: .* is one of 3 files, copy them all"):
        read_all(prefix)


def test_an_unknown_name(prefix):
    with pytest.raises(KeyError, match="holds nothing called 'c'"):
        Bundle(str(prefix)).read("c")


def encoded_entry(number=1, shape=(2,), size=8, more=b"") -> bytes:
    fields = wire.field(1, number) + wire.field(2, tf_bundle.encoded_shape(shape)) + wire.field(5, size)
    return fields + wire.fixed32(6, tf_bundle.masked(tf_table.crc32c(bytes(size)))) + more


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (encoded_entry(number=14), r"an element type that NumPy has not \(type number 14\): cast it to float32"),
        (encoded_entry(shape=(3,)), r"8 bytes do not make an array of float32 and shape \(3,\)"),
        (encoded_entry(shape=(1 << 40,)), "8 bytes do not make an array"),
        (encoded_entry(number=7, shape=(1 << 40,)), "8 bytes do not hold 1099511627776 strings"),
        (encoded_entry(number=7, shape=(2,)), "the lengths of strings do not fit"),
        (encoded_entry(shape=(-1,)), r"a shape has negative sizes: \[-1\]"),
        (encoded_entry(more=wire.field(7, b"")), "is stored in slices, as partitioned variables of TensorFlow 1"),
        (b"\x0a\x05", "a field of 5 bytes reaches beyond the end"),
    ],
)
def test_entries_that_make_no_sense(tmp_path, entry, message):
    (tmp_path / "b.data-00000-of-00001").write_bytes(bytes(8))
    header = wire.field(1, 1)
    (tmp_path / "b.index").write_bytes(tf_table.write_table([(b"", header), (b"x", entry)]))
    with pytest.raises(FileFormatError, match=message):
        read_all(tmp_path / "b")


@pytest.mark.parametrize(
    ("entries", "message"),
    [([], "it has no header"), ([(b"", wire.field(1, 1) + wire.field(2, 1))], "written by a big-endian machine")],
)
def test_headers_that_cannot_be_read(tmp_path, entries, message):
    (tmp_path / "b.index").write_bytes(tf_table.write_table(entries))
    with pytest.raises(FileFormatError, match=message):
        read_all(tmp_path / "b")


def test_bytes_changed_anywhere(prefix):
    """A change of the index or the data is noticed, whatever it is."""
    expected = read_all(prefix)
    random = np.random.RandomState(0)
    for path in sorted(prefix.parent.glob("tfk_sharded.*")):
        content = path.read_bytes()
        for position in random.randint(0, len(content), 25):
            damaged = bytearray(content)
            damaged[position] ^= 1 << random.randint(8)
            path.write_bytes(damaged)
            try:
                found = read_all(prefix)
            except FileFormatError:
                continue
            # what is between the blocks does not count
            assert all((found[name] == expected[name]).all() for name in expected)
        path.write_bytes(content)
