"""TFRecord files: records of bytes, each with its length and checksums.

    record   length (8 bytes), masked CRC-32C of the length (4), content, masked CRC-32C of the content (4)

all little-endian; the file may be compressed as a whole.

Source: the TFRecord format, https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from distkeras._errors import DataLossError, NotFoundError
from distkeras.kernels.checksum import crc32c, crc32c_tables, masked
from distkeras.kernels.records import END, FAULT, IN_CONTENT, IN_LENGTH, NEEDED, find_records

_PIECE = 1 << 16
_AT_ONCE, _MOST_AT_ONCE = 1 << 18, 1 << 24
_MOST_RECORDS = 4096
_BYTE = np.dtype(np.uint8)


def _checksum(content: bytes) -> bytes:
    return masked(crc32c(content)).to_bytes(4, "little")


# --- compression


class _Inflating(io.RawIOBase):
    """What a file that is one zlib stream holds."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._inflate = file, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._inflate.eof:
            compressed = self._inflate.unconsumed_tail or self._file.read(_PIECE)
            content = self._inflate.decompress(compressed, len(buffer))
            if content:
                buffer[: len(content)] = content
                return len(content)
            if not compressed:
                raise DataLossError(f"{self._file.name}: the ZLIB stream ends too early: the file is truncated.")
        return 0

    def close(self) -> None:
        self._file.close()
        super().close()


class _Deflating(io.RawIOBase):
    """Writes a file as one zlib stream."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._deflate = file, zlib.compressobj()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._file.write(self._deflate.compress(content))
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.write(self._deflate.flush())
            self._file.close()
        super().close()


def check_compression(compression_type: str | None) -> str:
    """'', 'GZIP' or 'ZLIB'.

    Raises:
        ValueError: It is none of these.
    """
    if compression_type not in (None, "", "GZIP", "ZLIB"):
        raise ValueError(f"compression_type must be '', 'GZIP' or 'ZLIB', received {compression_type!r}.")
    return compression_type or ""


def open_for_reading(path: str | bytes, compression_type: str = "", buffer_size: int | None = None) -> BinaryIO:
    """A file's content, without its compression.

    Raises:
        NotFoundError: There is no such file.
    """
    size = buffer_size or _PIECE
    try:
        if compression_type == "GZIP":
            return gzip.open(os.fsdecode(path), "rb")
        file = open(os.fsdecode(path), "rb", buffering=max(size, 2))
    except FileNotFoundError as error:
        raise NotFoundError(f"{os.fsdecode(path)}; No such file or directory.") from error
    return io.BufferedReader(_Inflating(file), size) if compression_type == "ZLIB" else file


# --- records


def read_records(path: str | bytes, compression_type: str = "", buffer_size: int | None = None) -> Iterator[bytes]:
    """The records of a file.

    Raises:
        NotFoundError: There is no such file.
        DataLossError: A checksum does not match, or the file ends within a record; the message gives the place.
    """
    name, place, data = os.fsdecode(path), 0, b""
    state = np.zeros(3, np.int64)
    spans = np.empty((_MOST_RECORDS, 2), np.int64)
    with contextlib.closing(open_for_reading(path, compression_type, buffer_size)) as file:
        while piece := _read(file, int(state[NEEDED]) - len(data), name, place):
            data += piece
            while True:
                count = find_records[_BYTE](np.frombuffer(data, np.uint8), crc32c_tables(), state, spans)
                for start, stop in spans[:count].tolist():
                    yield data[start:stop]
                if count < _MOST_RECORDS:
                    break
            end, place = int(state[END]), place + int(state[END])
            if state[FAULT] == IN_LENGTH:
                raise DataLossError(f"{name}: corrupted record at {place} (Is this even a TFRecord file?)")
            if state[FAULT] == IN_CONTENT:
                raise DataLossError(f"{name}: corrupted record at {place}: its checksum does not match.")
            data, state[END] = data[end:], 0
        if 0 < len(data) < 12:
            raise DataLossError(f"{name}: corrupted record at {place} (Is this even a TFRecord file?)")
        if data:
            raise DataLossError(f"{name}: truncated record at {place}: it should have {state[NEEDED] - 16} bytes.")


def _read(file: BinaryIO, least: int, name: str, place: int) -> bytes:
    """Some bytes, at least so many if there are; no more memory is taken than there is content."""
    pieces, size = [], 0
    try:
        while piece := file.read1(min(max(least - size, _AT_ONCE), _MOST_AT_ONCE)):
            pieces.append(piece)
            size += len(piece)
            if size >= least:
                break
        return b"".join(pieces)
    except (OSError, EOFError, zlib.error) as error:
        raise DataLossError(f"{name}: cannot be read at record {place}: {error}") from error


class TFRecordOptions:
    """How a TFRecord file is written.

    Args:
        compression_type: '', 'GZIP' or 'ZLIB'.
    """

    def __init__(self, compression_type: str | None = None) -> None:
        self.compression_type = check_compression(compression_type)


class TFRecordWriter:
    """Writes records to a file; a context manager.

    Args:
        path: The file; what it held before is lost.
        options: TFRecordOptions, or the compression type itself.

    >>> import distkeras as tf, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "numbers.tfrecord")
    >>> with tf.io.TFRecordWriter(path) as writer:
    ...     for word in (b"one", b"two"):
    ...         writer.write(word)
    >>> list(tf.data.TFRecordDataset(path).as_numpy_iterator())
    [b'one', b'two']
    """

    def __init__(self, path: str, options: TFRecordOptions | str | None = None) -> None:
        kind = options.compression_type if isinstance(options, TFRecordOptions) else check_compression(options)
        path = os.fsdecode(path)
        if kind == "GZIP":
            self._file: Any = gzip.open(path, "wb")
        else:
            self._file = io.BufferedWriter(_Deflating(open(path, "wb"))) if kind == "ZLIB" else open(path, "wb")

    def write(self, record: bytes) -> None:
        """Append a record."""
        if not isinstance(record, bytes):
            raise TypeError(
                f"A record is bytes, received {type(record).__name__}: serialize it, as in example.SerializeToString()."
            )
        size = len(record).to_bytes(8, "little")
        for part in (size, _checksum(size), record, _checksum(record)):
            self._file.write(part)

    def flush(self) -> None:
        """Hand what was written so far to the system."""
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def __enter__(self) -> TFRecordWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()
