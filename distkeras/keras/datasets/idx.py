"""The IDX files of MNIST and its likes: a few big-endian sizes, then bytes; usually compressed by gzip."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import FileFormatError
from distkeras.keras.utils.data_utils import download, keras_home, locked

Split = tuple[np.ndarray, np.ndarray]

# In the order of labels and images, training and test.
NAMES = (
    "train-labels-idx1-ubyte.gz",
    "train-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
)
_UNSIGNED_BYTES = 0x08


def read_idx(path: str, dimensions: int) -> np.ndarray:
    """The array in an IDX file.

    Args:
        path: The file, compressed by gzip or not.
        dimensions: How many dimensions the array must have.

    Returns:
        An array of uint8.

    Raises:
        FileFormatError: The file is damaged or something else.
    """
    with open(path, "rb") as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if is_compressed else open
    try:
        with opener(path, "rb") as file:
            header = file.read(4 + 4 * dimensions)
            if len(header) < 4 + 4 * dimensions or header[:4] != bytes([0, 0, _UNSIGNED_BYTES, dimensions]):
                raise FileFormatError(
                    f"{path} is no IDX file of {dimensions} dimensions: it begins with {header[:4]!r}."
                )
            shape = struct.unpack(f">{dimensions}I", header[4:])
            # Read in parts: what the header claims is not allocated before it has arrived.
            content = b"".join(iter(lambda: file.read(1 << 20), b""))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(f"{path} is damaged: {error}.") from error
    if len(content) != math.prod(shape):
        raise FileFormatError(f"{path} is damaged: its header says {shape}, but it holds {len(content)} bytes.")
    return np.frombuffer(content, np.uint8).reshape(shape).copy()


def read_folder(folder: str) -> tuple[Split, Split]:
    """(images, labels) for training and for testing, from the four files in a folder.

    Raises:
        FileFormatError: A file is damaged, or images and labels differ in number.
    """
    paths = [_existing(folder, name) for name in NAMES]
    y_train, x_train, y_test, x_test = (
        read_idx(path, dimensions) for path, dimensions in zip(paths, (1, 3, 1, 3), strict=True)
    )
    for x, y in ((x_train, y_train), (x_test, y_test)):
        if len(x) != len(y):
            raise FileFormatError(f"{folder} holds {len(x)} images but {len(y)} labels.")
    return (x_train, y_train), (x_test, y_test)


def has_all(folder: str) -> bool:
    """Whether the four files are in a folder, compressed or not."""
    return all(os.path.exists(_existing(folder, name)) for name in NAMES)


def _existing(folder: str, name: str) -> str:
    path = os.path.join(folder, name)
    return path if os.path.exists(path) else path.removesuffix(".gz")


def fetch_folder(folders: Sequence[str], subfolder: str, base: str, hashes: Sequence[str]) -> str:
    """A folder with the four files: the first that has them, else one in Keras' cache, to which they are downloaded.

    Args:
        folders: Where to look first.
        subfolder: The folder inside of the cache.
        base: The address that the names are appended to.
        hashes: SHA-256 of the files' uncompressed content, in the order of `NAMES`.

    Raises:
        OSError: They are nowhere and cannot be downloaded.
    """
    cache = os.path.join(keras_home(), "datasets", subfolder)
    for folder in (cache, *folders):
        if has_all(folder):
            return folder
    for name, expected in zip(NAMES, hashes, strict=True):
        path = os.path.join(cache, name)
        with locked(path):
            if not os.path.exists(_existing(cache, name)):
                download(base + name, path, _content_check(base + name, expected))
    return cache


def _content_check(origin: str, expected: str) -> Callable[[str], None]:
    def check(path: str) -> None:
        try:
            with gzip.open(path, "rb") as file:
                digest = hashlib.sha256()
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileFormatError(f"what {origin} sent is damaged: {error}") from error
        if digest.hexdigest() != expected:
            raise FileFormatError(f"what {origin} sent has the SHA-256 {digest.hexdigest()}, expected {expected}")

    return check
