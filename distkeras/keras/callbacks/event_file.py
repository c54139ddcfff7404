"""Files that TensorBoard reads: records of events, which are protocol buffers.

    record = length (8 bytes) | checksum of these | event | checksum of the event
    event  = { wall_time: 1, step: 2, file_version: 3, summary: 5 { value: 1 { tag: 1, tensor: 8, metadata: 9 } } }

Source: TensorFlow's event.proto, summary.proto and tensor.proto, and its record format; the layouts of the values are
those of TensorBoard's plugins for scalars, histograms, images and Keras models.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
import zlib
from collections.abc import Sequence

import numpy as np

from distkeras._wire import field
from distkeras.kernels.checksum import crc32c, masked

_FLOAT, _DOUBLE, _STRING = 1, 2, 7  # TensorFlow's numbers of element types
_SCALAR, _TENSOR, _IMAGES = 1, 2, 3  # TensorBoard's classes of data
_BUCKETS = 30
_MOST_IMAGES = 3
_numbers = itertools.count()


class EventFile:
    """A file of events in a folder, which is made if need be.

    Args:
        folder: A run, as TensorBoard calls it.
    """

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}.v2"
        self.path = os.path.join(folder, name)
        self._file = open(self.path, "wb")  # noqa: SIM115  it lives as long as the training
        self._write(field(3, "brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add a number."""
        self._add(tag, step, "scalars", _SCALAR, _numeric(np.float32(value), _FLOAT))

    def histogram(self, tag: str, values: np.ndarray, step: int, count: int = _BUCKETS) -> None:
        """Add how values are distributed: rows (from, to, count)."""
        self._add(tag, step, "histograms", _TENSOR, _numeric(buckets(values, count), _DOUBLE))

    def images(self, tag: str, images: np.ndarray, step: int, most: int = _MOST_IMAGES) -> None:
        """Add the first images of an array (images, height, width, channels) with values from 0 to 1."""
        _, height, width, _ = images.shape
        pictures = [png(image) for image in images[:most]]
        strings = [str(width).encode(), str(height).encode(), *pictures]
        self._add(tag, step, "images", _IMAGES, _strings(strings), field(1, most))

    def texts(self, tag: str, texts: np.ndarray, step: int) -> None:
        """Add an array of texts, of any shape."""
        strings = [text.encode() if isinstance(text, str) else text for text in texts.reshape(-1)]
        tensor = field(1, _STRING) + _shape(texts.shape) + b"".join(field(8, text) for text in strings)
        self._add(tag, step, "text", _TENSOR, tensor)

    def keras_model(self, config: str) -> None:
        """Add a model's config in JSON, of which TensorBoard draws the model's graph."""
        self._add("keras", 0, "graph_keras_model", 0, _strings([config.encode()], is_scalar=True), b"1")

    def _add(self, tag: str, step: int, plugin: str, data_class: int, tensor: bytes, content: bytes = b"") -> None:
        metadata = field(1, field(1, plugin) + field(2, content)) + field(4, data_class)
        value = field(1, tag) + field(8, tensor) + field(9, metadata)
        self._write(field(2, step) + field(5, field(1, value)))

    def _write(self, fields: bytes) -> None:
        event = b"\x09" + struct.pack("<d", time.time()) + fields
        length = struct.pack("<Q", len(event))
        for part in (length, event):
            self._file.write(part + struct.pack("<I", masked(crc32c(part))))

    def flush(self) -> None:
        """Let readers see what was added."""
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()


def buckets(values: np.ndarray, count: int = _BUCKETS) -> np.ndarray:
    """The distribution of values: float64 rows (from, to, count), in buckets of equal width.

    >>> buckets(np.array([2.0, 2.0])).tolist()
    [[1.5, 2.5, 2.0]]
    """
    flat = np.asarray(values, "float64").reshape(-1)
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return np.zeros((0, 3))
    if flat.min() == flat.max():
        return np.array([[flat[0] - 0.5, flat[0] + 0.5, flat.size]])
    counts, edges = np.histogram(flat, count)
    return np.stack([edges[:-1], edges[1:], counts.astype("float64")], axis=1)


def png(image: np.ndarray) -> bytes:
    """An image as a PNG file.

    Args:
        image: (height, width, channels) with values from 0 to 1; 1 channel is grey, 3 are colours, 4 with opacity.
    """
    height, width, channels = image.shape
    pixels = np.round(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8).reshape(height, width * channels)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)  # each begins with its filter, none
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


# --- protocol buffers


def _shape(sizes: Sequence[int]) -> bytes:
    return field(2, b"".join(field(2, field(1, size)) for size in sizes))


def _numeric(values: np.ndarray | np.generic, kind: int) -> bytes:
    return field(1, kind) + _shape(values.shape) + field(4, values.tobytes())


def _strings(values: Sequence[bytes], is_scalar: bool = False) -> bytes:
    shape = () if is_scalar else (len(values),)
    return field(1, _STRING) + _shape(shape) + b"".join(field(8, value) for value in values)
