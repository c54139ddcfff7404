"""Elements that are read once on each node though they might come out otherwise on each, which is noticed.

a node's reader ---> element ---> ranks of the node
      |
      '-- its mark --> gathered from all nodes, before anybody takes the element
                         |--- alike: each node goes on with its own
                         '--- not alike: this element, and all after it, rank 0 reads for the whole job
"""

from __future__ import annotations

import itertools
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from distkeras.data.adapter import DataOptions
from distkeras.data.announcing import ENDED, FAILED, ITEM, Shared
from distkeras.data.dataset.sparse import SparseArray
from distkeras.data.dataset.structure import Leaves
from distkeras.data.node import NodeReader
from distkeras.data.ragged import RaggedArray

# Enough for what is drawn at random, or comes in another order, to differ; it takes some microseconds.
_MOST_VALUES = 4096
# Processors of different kinds may round otherwise.
_TOLERANCE = 1e-5


class AgreedReader:
    """Reads elements on one rank of each node; on rank 0 alone from where the nodes' elements differ.

    Args:
        options: Which rank this is, and how it talks to the others. Every rank must make the reader: it is collective.
        once: Whether rank 0 alone reads from the beginning.
        compares: Whether the nodes' elements may differ.
    """

    def __init__(self, options: DataOptions, once: bool, compares: bool) -> None:
        self._options = options
        self._node = NodeReader(options, once)
        self._compares = compares and self._node.num_readers > 1

    def items(self, begin: Callable[[], Iterator[Leaves]]) -> Iterator[Shared]:
        """The items of a pass, as of `NodeReader.items`; `begin` gives elements as they are.

        Raises:
            Exception: What reading raised on the nodes, or on rank 0 where they differ; on every rank.
        """
        elements = begin() if self._node.reads else None
        return self._compared(elements) if self._compares else self._read(elements)

    def _read(self, elements: Iterator[Leaves] | None) -> Iterator[Shared]:
        return self._node.items(lambda: map(self._node.prepare, elements))

    def _compared(self, elements: Iterator[Leaves] | None) -> Iterator[Shared]:
        items = self._read(elements)
        while True:
            kind, found = _next(items)
            mark = Mark(kind, mark_of(found.value) if kind == ITEM else ()) if self._node.reads else None
            marks = [other for other in self._options.gather(mark) if other is not None]
            if not all(are_alike(mark, marks[0]) for mark in marks[1:]):
                yield from self._from_rank_0(kind, found, elements)
                return
            if kind == ENDED:
                return
            if kind == FAILED:
                raise found
            yield found

    def _from_rank_0(self, kind: int, found: Any, elements: Iterator[Leaves] | None) -> Iterator[Shared]:
        options, before = self._options, self._node
        self._compares, self._node = False, NodeReader(options, once=True)
        if options.rank == 0:
            warnings.warn(
                "The nodes read different elements of a dataset, or not as many: Python that makes or picks them "
                "(from_generator, filter, ...) draws random numbers of its own, or sees other files. Rank 0 reads for "
                "all nodes from now on. Seed it, for each node to read for itself; or set "
                "options.experimental_distribute.one_reader_per = 'job', for it to be called nowhere else.",
                stacklevel=2,
            )
            elements = _after(kind, found, elements)
        before.close()
        yield from self._read(elements)

    def close(self) -> None:
        """Stop. Items that were given out stay valid."""
        self._node.close()


def _next(items: Iterator[Shared]) -> tuple[int, Any]:
    try:
        return ITEM, next(items)
    except StopIteration:
        return ENDED, None
    except Exception as error:
        return FAILED, error


def _after(kind: int, found: Any, elements: Iterator[Leaves]) -> Iterator[Leaves]:
    """The element that was read last, or the error, and those after it."""
    if kind == FAILED:
        raise found
    if kind == ITEM:
        yield from itertools.chain([found.value], elements)


class Mark(NamedTuple):
    """What the nodes compare of an element.

    Attributes:
        kind: ITEM, ENDED or FAILED.
        parts: For each leaf its shape, type, checksum, and sums that may differ by rounding.
    """

    kind: int
    parts: tuple


def mark_of(leaves: Leaves) -> tuple:
    """The parts of an element's mark: of large leaves, some thousand values count that lie evenly in it."""
    return tuple(_mark(part) for leaf in leaves for part in _parts(leaf))


def _parts(leaf: Any) -> list[np.ndarray]:
    if isinstance(leaf, RaggedArray):
        return [leaf.values, *leaf.nested]
    return [leaf.indices, leaf.values, np.array(leaf.shape)] if isinstance(leaf, SparseArray) else [leaf]


def _mark(leaf: np.ndarray) -> tuple:
    values = leaf.reshape(-1)
    values = values[:: max(1, -(-values.size // _MOST_VALUES))]
    if leaf.dtype.kind == "O":
        return leaf.shape, "O", zlib.crc32(b"\0".join(map(_bytes, values))), ()
    if leaf.dtype.kind != "f":
        return leaf.shape, leaf.dtype.str, zlib.crc32(np.ascontiguousarray(values)), ()
    values = np.nan_to_num(values.astype(np.float64))
    sums = np.abs(values).sum(), values.sum(), values @ np.linspace(0.0, 1.0, values.size)
    return leaf.shape, leaf.dtype.str, 0, tuple(map(float, sums))


def _bytes(text: Any) -> bytes:
    return text.encode() if isinstance(text, str) else bytes(text)


def are_alike(one: Mark, other: Mark) -> bool:
    """Whether two nodes have read the same, but for the rounding of floats."""
    if one.kind != other.kind or len(one.parts) != len(other.parts):
        return False
    for (*exact, sums), (*expected, others) in zip(one.parts, other.parts, strict=True):
        if exact != expected:
            return False
        scale = max((*sums[:1], *others[:1]), default=0.0)
        if any(abs(left - right) > _TOLERANCE * scale for left, right in zip(sums, others, strict=True)):
            return False
    return True
