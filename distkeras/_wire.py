"""The wire format of protocol buffers: numbered fields, each a varint, eight or four bytes, or a length and bytes.

    key = field number << 3 | kind        0 varint   1 eight bytes   2 length and bytes   5 four bytes

Only what TensorFlow's files need is here; what a message means is in the modules that read it.

Source: the encoding of protocol buffers, https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_MASK = (1 << 64) - 1


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers as their 64 bits.

    >>> varint(300).hex()
    'ac02'
    """
    number &= _MASK
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at `position`, and where the next byte is.

    Raises:
        ValueError: The data end within it, or it has more than 64 bits.
    """
    number = shift = 0
    while True:
        if position >= len(data):
            raise ValueError("the data end within a number")
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 63:
            raise ValueError("a number has more than 64 bits")
    return number & _MASK, position


def signed(number: int) -> int:
    """The int64 that a varint stands for."""
    return number - (1 << 64) if number >> 63 else number


def field(number: int, value: int | bytes | str) -> bytes:
    """A field that holds a number, bytes, a text, or the bytes of another message."""
    if isinstance(value, int):
        return varint(number << 3 | _VARINT) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | _BYTES) + varint(len(content)) + content


def fixed32(number: int, value: int) -> bytes:
    """A field of four bytes."""
    return varint(number << 3 | _FOUR) + value.to_bytes(4, "little")


def fixed64(number: int, value: int) -> bytes:
    """A field of eight bytes."""
    return varint(number << 3 | _EIGHT) + value.to_bytes(8, "little")


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The number and content of each field: an int, or the bytes of a text or message.

    Raises:
        ValueError: These are not the bytes of a message.
    """
    position = 0
    while position < len(data):
        key, position = read_varint(data, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = read_varint(data, position)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, position = read_varint(data, position)
        elif kind in (_EIGHT, _FOUR):
            size = 8 if kind == _EIGHT else 4
        else:
            raise ValueError(f"a field has the unknown kind {kind}")
        if position + size > len(data):
            raise ValueError(f"a field of {size} bytes reaches beyond the end")
        content = data[position : position + size]
        position += size
        yield key >> 3, content if kind == _BYTES else int.from_bytes(content, "little")


def as_bytes(value: int | bytes) -> bytes:
    """The content of a field that must hold bytes.

    Raises:
        ValueError: It holds a number.
    """
    if isinstance(value, int):
        raise ValueError("a field holds a number where a text or message is expected")
    return value


def as_text(value: int | bytes) -> str:
    """The content of a field that must hold a text.

    Raises:
        ValueError: It holds a number, or no UTF-8.
    """
    return as_bytes(value).decode("utf-8")


def as_int(value: int | bytes) -> int:
    """The content of a field that must hold a number.

    Raises:
        ValueError: It holds bytes.
    """
    if not isinstance(value, int):
        raise ValueError("a field holds bytes where a number is expected")
    return value
