"""Sorted tables: the files, known from LevelDB, that list what is in a TensorFlow checkpoint.

    block*  metaindex block  index block  footer
    block   entries, offsets of the restarts (4 bytes each), their number; then the trailer: kind (0 = not compressed),
            masked CRC-32C of block and kind
    entry   bytes shared with the key before, further bytes of the key, bytes of the value (varints); those bytes
    index   for each block its last key, and offset and size (varints)
    footer  offset and size of metaindex and index block, filled up to 40 bytes; magic number

Source: the table format of LevelDB, https://github.com/google/leveldb/blob/main/doc/table_format.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from distkeras._wire import read_varint, varint
from distkeras.kernels.checksum import crc32c, masked

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER = 48
_BLOCK = 1 << 18
_RESTART = 16
_SNAPPY = 1


# --- writing


def write_table(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The bytes of a table.

    Args:
        entries: Keys and values, in the order of the keys.
    """
    out, index, pending = bytearray(), [], []
    size = 0
    for key, value in entries:
        pending.append((key, value))
        size += len(key) + len(value)
        if size >= _BLOCK:
            index.append((key, _append(out, _block(pending))))
            pending, size = [], 0
    if pending:
        index.append((pending[-1][0], _append(out, _block(pending))))
    ends = _append(out, _block([])) + _append(out, _block(index, restart=1))
    return bytes(out) + ends.ljust(_FOOTER - len(_MAGIC), b"\0") + _MAGIC


def _append(out: bytearray, block: bytes) -> bytes:
    """Add a block with its trailer; where it is, as a table tells it."""
    handle = varint(len(out)) + varint(len(block))
    content = block + b"\0"
    out += content + masked(crc32c(content)).to_bytes(4, "little")
    return handle


def _block(entries: list[tuple[bytes, bytes]], restart: int = _RESTART) -> bytes:
    out, restarts, before = bytearray(), [0], b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % restart == 0:
            restarts += [len(out)] if number else []
        else:
            limit = min(len(key), len(before))
            while shared < limit and key[shared] == before[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return bytes(out) + b"".join(number.to_bytes(4, "little") for number in [*restarts, len(restarts)])


# --- reading


def read_table(data: bytes) -> dict[bytes, bytes]:
    """Keys and values of a table.

    Raises:
        ValueError: It is no table, or it is damaged.
    """
    if len(data) < _FOOTER or data[-len(_MAGIC) :] != _MAGIC:
        raise ValueError(
            f"it is no index of a checkpoint, or cut short: it has {len(data)} bytes and does not end with the magic "
            "number of such files"
        )
    footer = data[-_FOOTER:]
    _, position = _handle(footer, 0)
    index, _ = _handle(footer, position)
    found: dict[bytes, bytes] = {}
    for _, handle in _entries(_checked_block(data, *index)):
        found.update(_entries(_checked_block(data, *_handle(handle, 0)[0])))
    return found


def _handle(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    offset, position = read_varint(data, position)
    size, position = read_varint(data, position)
    return (offset, size), position


def _checked_block(data: bytes, offset: int, size: int) -> bytes:
    end = offset + size + 1
    if end + 4 > len(data) - _FOOTER:
        raise ValueError(f"a block of {size} bytes at {offset} reaches beyond the end")
    if masked(crc32c(data[offset:end])) != int.from_bytes(data[end : end + 4], "little"):
        raise ValueError(f"the checksum of the block at {offset} is wrong")
    kind = data[end - 1]
    if kind:
        name = "snappy" if kind == _SNAPPY else f"method {kind}"
        raise ValueError(
            f"the block at {offset} is compressed ({name}), which TensorFlow does not do and which cannot be read"
        )
    return data[offset : end - 1]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    count = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (count + 1)
    if end < 0:
        raise ValueError("a block is shorter than the list of its restarts")
    position, key = 0, b""
    while position < end:
        shared, position = read_varint(block, position)
        more, position = read_varint(block, position)
        size, position = read_varint(block, position)
        if shared > len(key) or position + more + size > end:
            raise ValueError("an entry reaches beyond its block")
        key = key[:shared] + block[position : position + more]
        position += more
        yield key, block[position : position + size]
        position += size
