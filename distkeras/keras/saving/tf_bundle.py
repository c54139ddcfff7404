"""Named arrays in TensorFlow's files: an index, and one or several files of data.

    PREFIX.index                   a sorted table: key "" -> the number of data files, each name -> where its array lies
    PREFIX.data-00000-of-00001     the arrays' memory, little-endian, one after the other

An array of strings is written as the lengths (varints), their masked CRC-32C, and the bytes of all strings.

Where a checkpoint is replaced, the new data must not take the old ones' place before the new index is there: they go to
the first of two files, PREFIX.data-00000-of-00002, of which the second is not needed. Readers go by the index.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import math
import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from distkeras._errors import FileFormatError
from distkeras._wire import (
    as_bytes,
    as_int,
    field,
    fields,
    fixed32,
    read_varint,
    signed,
    varint,
)
from distkeras.keras.saving.files import written_atomically
from distkeras.keras.saving.tf_table import read_table, write_table
from distkeras.kernels.checksum import crc32c, masked

# TensorFlow's numbers for element types.
_STRING = 7
TYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
NUMBERS = {name: number for number, name in TYPES.items()}


class Entry(NamedTuple):
    """Where an array lies, and what it is."""

    type_number: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    is_sliced: bool

    @property
    def type_name(self) -> str:
        return TYPES.get(self.type_number, f"type number {self.type_number}")


def index_path(prefix: str) -> str:
    """The file that tells what a checkpoint holds."""
    return f"{prefix}.index"


def data_path(prefix: str, shard: int, count: int) -> str:
    """One of the files that hold the arrays."""
    return f"{prefix}.data-{shard:05d}-of-{count:05d}"


# --- writing


def write_bundle(prefix: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to one data file and an index; a checkpoint that is replaced is whole until the new one is.

    Args:
        prefix: The path without the endings of the two files.
        arrays: By name; an array of objects holds bytes.
    """
    count = 2 if _shards_in_use(prefix) == 1 else 1
    entries = [(b"", field(1, count) + field(3, field(1, 1)))]
    with written_atomically(index_path(prefix)) as index, written_atomically(data_path(prefix, 0, count)) as data:
        with open(data, "xb") as file:
            for name in sorted(arrays, key=str.encode):
                array, offset = np.asarray(arrays[name]), file.tell()
                checksum = _write_strings(file, array) if array.dtype == object else _write_array(file, array)
                size = file.tell() - offset
                entries.append((name.encode(), _encoded_entry(array, offset, size, checksum)))
        with open(index, "xb") as file:
            file.write(write_table(entries))
    for path in data_paths(prefix):
        if path != data_path(prefix, 0, count):
            os.remove(path)


def _shards_in_use(prefix: str) -> int:
    """The number of data files that the checkpoint of this name has; 0 if there is none that can be read."""
    try:
        return Bundle(prefix).shards
    except OSError:
        return 0


def data_paths(prefix: str) -> list[str]:
    """The data files that exist."""
    return glob.glob(f"{glob.escape(prefix)}.data-?????-of-?????")


def _write_array(file, array: np.ndarray) -> int:
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    file.write(array.reshape(-1).view(np.uint8).data)
    return crc32c(array)


def _write_strings(file, array: np.ndarray) -> int:
    strings = [bytes(string) for string in array.reshape(-1)]
    # The lengths are stored as varints, but summed up as integers of four or eight bytes.
    sizes = b"".join(len(string).to_bytes(4 if len(string) < 1 << 32 else 8, "little") for string in strings)
    of_sizes = masked(crc32c(sizes)).to_bytes(4, "little")
    file.write(b"".join(varint(len(string)) for string in strings) + of_sizes)
    checksum = crc32c(of_sizes, crc32c(sizes))
    for string in strings:
        file.write(string)
        checksum = crc32c(string, checksum)
    return checksum


def _encoded_entry(array: np.ndarray, offset: int, size: int, checksum: int) -> bytes:
    number = _STRING if array.dtype == object else NUMBERS[array.dtype.name]
    place = (field(4, offset) if offset else b"") + field(5, size)
    return field(1, number) + field(2, encoded_shape(array.shape)) + place + fixed32(6, masked(checksum))


def encoded_shape(shape: tuple[int, ...]) -> bytes:
    """The message that tells a shape."""
    return b"".join(field(2, field(1, size) if size else b"") for size in shape)


# --- reading


@contextlib.contextmanager
def reading(path: str, what: str = "") -> Iterator[None]:
    """Turn what is wrong with the content of a file into a FileFormatError that names the file."""
    try:
        yield
    except (ValueError, IndexError) as error:
        raise FileFormatError(f"{path}: {what}{error}. The file is damaged.") from error


class Bundle:
    """A checkpoint's arrays by name. The index is read at once, an array when it is asked for.

    Args:
        prefix: The path without the endings of the files.

    Attributes:
        entries: What the arrays are, by name.

    Raises:
        FileNotFoundError: There is no index.
        FileFormatError: It is damaged.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        path = index_path(prefix)
        if not os.path.exists(path):
            raise FileNotFoundError(
                errno.ENOENT,
                "There is no such checkpoint. A checkpoint is named by what its files PREFIX.index and "
                "PREFIX.data-00000-of-00001 have in common",
                prefix,
            )
        with open(path, "rb") as file, reading(path):
            stored = read_table(file.read())
            self.shards = _shards(stored.pop(b"", None))
            self.entries = {name.decode(): _decoded_entry(value) for name, value in stored.items()}

    def entry(self, name: str) -> Entry:
        """What an array is.

        Raises:
            KeyError: There is none of this name.
        """
        if name not in self.entries:
            raise KeyError(f"The checkpoint {self.prefix} holds nothing called {name!r}.")
        return self.entries[name]

    def read(self, name: str) -> np.ndarray:
        """An array; its checksum is compared. Strings come as bytes in an array of objects.

        Raises:
            KeyError: There is none of this name.
            FileFormatError: Its data file is missing, too short or changed, or it is of a kind that cannot be read.
        """
        entry = self.entry(name)
        if entry.is_sliced:
            raise FileFormatError(
                f"{self.prefix}: {name!r} is stored in slices, as partitioned variables of TensorFlow 1 are, which "
                "cannot be read: load it there and save it in one piece."
            )
        if entry.type_number not in TYPES:
            raise FileFormatError(
                f"{self.prefix}: {name!r} has an element type that NumPy has not ({entry.type_name}): cast it to "
                "float32 before it is saved."
            )
        with reading(data_path(self.prefix, entry.shard, self.shards), f"{name!r}: "):
            return _array(entry, self._content(entry))

    def _content(self, entry: Entry) -> np.ndarray:
        path = data_path(self.prefix, entry.shard, self.shards)
        if not os.path.exists(path):
            raise FileFormatError(
                f"{path} is missing: the checkpoint {self.prefix} is one of {self.shards + 1} files, copy them all."
            )
        available = os.path.getsize(path)
        if entry.offset + entry.size > available:
            raise ValueError(
                f"it lies at {entry.offset} to {entry.offset + entry.size}, but the file has {available} bytes"
            )
        return np.fromfile(path, np.uint8, entry.size, offset=entry.offset)


def _shards(header: bytes | None) -> int:
    if header is None:
        raise ValueError("it has no header")
    shards = big_endian = 0
    for number, value in fields(header):
        if number == 1:
            shards = as_int(value)
        elif number == 2:
            big_endian = as_int(value)
    if big_endian:
        raise ValueError("it was written by a big-endian machine, which cannot be read")
    return shards


def _decoded_entry(data: bytes) -> Entry:
    number = shard = offset = size = checksum = 0
    shape: tuple[int, ...] = ()
    is_sliced = False
    for which, value in fields(data):
        if which == 2:
            shape = decoded_shape(as_bytes(value))
        elif which == 7:
            is_sliced = True
        elif which in (1, 3, 4, 5, 6):
            content = as_int(value)
            number = content if which == 1 else number
            shard = content if which == 3 else shard
            offset = content if which == 4 else offset
            size = content if which == 5 else size
            checksum = content if which == 6 else checksum
    return Entry(number, shape, shard, offset, size, checksum, is_sliced)


def decoded_shape(data: bytes) -> tuple[int, ...]:
    """The shape that a message tells.

    Raises:
        ValueError: It is none.
    """
    sizes = []
    for number, value in fields(data):
        if number == 2:
            sizes.append(next((signed(as_int(size)) for which, size in fields(as_bytes(value)) if which == 1), 0))
    if any(size < 0 for size in sizes):
        raise ValueError(f"a shape has negative sizes: {sizes}")
    return tuple(sizes)


def _array(entry: Entry, content: np.ndarray) -> np.ndarray:
    count = math.prod(entry.shape)
    if entry.type_number == _STRING:
        strings, checksum = _strings(content.tobytes(), count)
        array = np.empty(count, object)
        array[:] = strings
    else:
        dtype = np.dtype(TYPES[entry.type_number]).newbyteorder("<")
        if count * dtype.itemsize != entry.size:
            raise ValueError(f"{entry.size} bytes do not make an array of {entry.type_name} and shape {entry.shape}")
        checksum = crc32c(content)
        array = content.view(dtype).astype(dtype.newbyteorder("="), copy=False)
    if masked(checksum) != entry.checksum:
        raise ValueError("the checksum is wrong")
    return array.reshape(entry.shape)


def _strings(content: bytes, count: int) -> tuple[list[bytes], int]:
    """The strings, and the checksum of what is stored for them."""
    if count > len(content):
        raise ValueError(f"{len(content)} bytes do not hold {count} strings")
    lengths, position = [], 0
    for _ in range(count):
        length, position = read_varint(content, position)
        lengths.append(length)
    sizes = b"".join(length.to_bytes(4 if length < 1 << 32 else 8, "little") for length in lengths)
    if sum(lengths) + position + 4 != len(content):
        raise ValueError("the lengths of strings do not fit")
    checksum = crc32c(content[position:], crc32c(sizes))
    position += 4
    strings = []
    for length in lengths:
        strings.append(content[position : position + length])
        position += length
    return strings, checksum
