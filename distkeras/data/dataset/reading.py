"""Stages that read files: lines, records, rows of tables; and the shares of files that ranks read."""

from __future__ import annotations

import copy
import glob
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import as_array
from distkeras.data.dataset.selecting import Shard
from distkeras.data.dataset.sources import slices_of
from distkeras.data.dataset.stage import UNKNOWN, Key, Stage, scalar_spec
from distkeras.data.dataset.structure import Leaves, as_bytes, is_dataset
from distkeras.data.dataset.transforms import Interleave, interleaved, threads
from distkeras.data.prefetch import read_ahead
from distkeras.data.records import check_compression, open_for_reading, read_records

_READ_AHEAD = 64


class Files(Stage):
    """What files hold, one after the other.

    Args:
        names: The files' names, as elements.
        read: Gives an iterator over a file's elements.
        spec: The structure of their specs.
        num_parallel_reads: If given, so many files are read in turns, each by a thread of its own.
    """

    def __init__(
        self, names: Stage, read: Callable[[bytes], Iterator[Leaves]], spec: Any, num_parallel_reads: int | None = None
    ) -> None:
        self.inputs = (names,)
        self._read = read
        self._spec = spec
        self._parallel = threads(num_parallel_reads, "num_parallel_reads")

    def find_spec(self) -> Any:
        return self._spec

    def cardinality(self) -> int:
        return UNKNOWN

    def stream(self, key: Key) -> Iterator[Leaves]:
        opened = (self._read(name[()]) for (name,) in self.inputs[0].elements(key))
        if not self._parallel:
            return itertools.chain.from_iterable(opened)  # which goes on after an error
        return interleaved((read_ahead(items, _READ_AHEAD) for items in opened), self._parallel, 1)


def file_names(filenames: Any) -> Stage:
    """Names of files as a stage: of a text, a list or tensor of texts, or a dataset of them.

    Raises:
        TypeError: They are no texts.
    """
    if is_dataset(filenames):
        return filenames._stage
    array = as_array(filenames)
    if array.dtype.kind != "O":
        raise TypeError(f"`filenames` must be a `tf.string` tensor or dataset, received {filenames!r}.")
    return slices_of(as_bytes(array).reshape(-1))


def text(content: bytes) -> np.ndarray:
    """Bytes as a leaf."""
    return np.array(content, object)


def lines(
    filenames: Any, compression_type: str | None, buffer_size: int | None, num_parallel_reads: int | None
) -> Stage:
    """The lines of text files, without their ends."""
    kind = check_compression(compression_type)

    def read(name: bytes) -> Iterator[Leaves]:
        with open_for_reading(name, kind, buffer_size) as file:
            for line in file:
                line = line.removesuffix(b"\n")
                yield [text(line.removesuffix(b"\r"))]

    return Files(file_names(filenames), read, scalar_spec("string"), num_parallel_reads)


def records(
    filenames: Any, compression_type: str | None, buffer_size: int | None, num_parallel_reads: int | None
) -> Stage:
    """The records of TFRecord files."""
    kind = check_compression(compression_type)

    def read(name: bytes) -> Iterator[Leaves]:
        return ([text(record)] for record in read_records(name, kind, buffer_size))

    return Files(file_names(filenames), read, scalar_spec("string"), num_parallel_reads)


def fixed_records(
    filenames: Any,
    record_bytes: int,
    header_bytes: int,
    footer_bytes: int,
    buffer_size: int | None,
    compression_type: str | None,
    num_parallel_reads: int | None,
) -> Stage:
    """The records of files of one length, without what is at the files' ends."""
    kind = check_compression(compression_type)
    if record_bytes < 1 or header_bytes < 0 or footer_bytes < 0:
        raise InvalidArgumentError(
            f"Expected record_bytes > 0, header_bytes >= 0 and footer_bytes >= 0, received {record_bytes}, "
            f"{header_bytes} and {footer_bytes}."
        )

    def read(name: bytes) -> Iterator[Leaves]:
        with open_for_reading(name, kind, buffer_size) as file:
            file.read(header_bytes)
            waiting = b""  # what may be the footer is kept back
            while chunk := file.read(record_bytes):
                waiting += chunk
                while len(waiting) >= record_bytes + footer_bytes:
                    yield [text(waiting[:record_bytes])]
                    waiting = waiting[record_bytes:]
            if len(waiting) != footer_bytes:
                raise InvalidArgumentError(
                    f"Excluding the header ({header_bytes} bytes) and footer ({footer_bytes} bytes), input file "
                    f"{os.fsdecode(name)!r} does not hold a whole number of records of {record_bytes} bytes: "
                    f"{len(waiting) - footer_bytes} bytes are left."
                )

    return Files(file_names(filenames), read, scalar_spec("string"), num_parallel_reads)


def matching(file_pattern: Any) -> np.ndarray:
    """The names of the files that match a pattern, or one of several, in order.

    Raises:
        InvalidArgumentError: There is none.
    """
    patterns = [os.fsdecode(item) for item in as_array(file_pattern).reshape(-1)]
    found = sorted({path for pattern in patterns for path in glob.glob(pattern)})
    if not found:
        raise InvalidArgumentError(f"No files matched pattern: {', '.join(patterns)}")
    names = np.empty(len(found), object)
    names[:] = [os.fsencode(path) for path in found]
    return names


def share_of_files(stage: Stage, num_shards: int, index: int) -> Stage | None:
    """The same dataset over every `num_shards`-th file; None if it does not read from files."""
    if isinstance(stage, (Files, Interleave)):
        shared = copy.copy(stage)
        shared.inputs = (Shard(stage.inputs[0], num_shards, index),)
        return shared
    inputs = [share_of_files(source, num_shards, index) for source in stage.inputs]
    if all(source is None for source in inputs):
        return None
    shared = copy.copy(stage)
    shared.inputs = tuple(new or old for new, old in zip(inputs, stage.inputs, strict=True))
    return shared
