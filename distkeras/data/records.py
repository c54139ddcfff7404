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

from distkeras._errors import DataLossError, NotFoundError
from distkeras.kernels.checksum import crc32c, masked

_PIECE = 1 << 16


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
    name, place = os.fsdecode(path), 0
    with contextlib.closing(open_for_reading(path, compression_type, buffer_size)) as file:
        while header := _read(file, 12, name, place):
            size = int.from_bytes(header[:8], "little")
            if len(header) < 12 or _checksum(header[:8]) != header[8:12]:
                raise DataLossError(f"{name}: corrupted record at {place} (Is this even a TFRecord file?)")
            content, check = _read(file, size, name, place), _read(file, 4, name, place)
            if len(content) < size or len(check) < 4:
                raise DataLossError(f"{name}: truncated record at {place}: it should have {size} bytes.")
            if _checksum(content) != check:
                raise DataLossError(f"{name}: corrupted record at {place}: its checksum does not match.")
            yield content
            place += size + 16


def _read(file: BinaryIO, size: int, name: str, place: int) -> bytes:
    """Up to `size` bytes; no more memory is taken than there is content."""
    pieces = []
    try:
        while size and (piece := file.read(min(size, 1 << 24))):
            pieces.append(piece)
            size -= len(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise DataLossError(f"{name}: cannot be read at record {place}: {error}") from error
    return b"".join(pieces)


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
