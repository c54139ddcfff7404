"""A plain reader of event files: checks lengths and checksums, and decodes what the messages hold."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np


class Value(NamedTuple):
    step: int
    tag: str
    plugin: str
    data_class: int
    tensor: np.ndarray | list[bytes] | bytes


def checksum(data):
    """CRC-32C bit by bit, masked."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 * (crc & 1))
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


def records(path):
    data = path.read_bytes()
    while data:
        length = struct.unpack("<Q", data[:8])[0]
        event = data[12 : 12 + length]
        assert struct.unpack("<I", data[8:12])[0] == checksum(data[:8])
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == checksum(event)
        yield event
        data = data[16 + length :]


def fields(data):
    """(number, content) of each field of a message."""
    position = 0

    def number():
        nonlocal position
        result = shift = 0
        while True:
            byte = data[position]
            position += 1
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result

    while position < len(data):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
        else:
            size = {1: lambda: 8, 2: number, 5: lambda: 4}[key & 7]()
            yield key >> 3, data[position : position + size]
            position += size


def tensor_of(message):
    found = list(fields(message))
    kind = dict(found)[1]
    shape = [size for key, dim in found if key == 2 for _, one in fields(dim) for _, size in fields(one)]
    if kind == 7:
        strings = [content for key, content in found if key == 8]
        assert shape in ([], [len(strings)])
        return strings if shape else strings[0]
    return np.frombuffer(dict(found)[4], {1: "float32", 2: "float64"}[kind]).reshape(shape)


def values_of(path):
    """What a file holds, in order; the first event must give its version."""
    first, *events = (dict(fields(event)) for event in records(path))
    assert first[3] == b"brain.Event:2" and struct.unpack("<d", first[1])[0] > 1e9
    found = []
    for event in events:
        value = dict(fields(dict(fields(event[5]))[1]))
        metadata = dict(fields(value[9]))
        plugin = dict(fields(metadata[1]))[1].decode()
        found.append(Value(event[2], value[1].decode(), plugin, metadata.get(4, 0), tensor_of(value[8])))
    return found
