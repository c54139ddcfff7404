"""CIFAR-10: 60,000 colour images in 10 classes.

Source: Krizhevsky, Learning multiple layers of features from tiny images, 2009.
"""

from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np

from distkeras._config import image_data_format
from distkeras._errors import FileFormatError
from distkeras.keras.datasets.idx import Split
from distkeras.keras.utils.data_utils import get_file

_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_HASH = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
_TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))


def load_data() -> tuple[Split, Split]:
    """The images and their classes.

    They are looked for in $KERAS_HOME (or ~/.keras) as datasets/cifar-10-batches-py, then downloaded.

    Returns:
        (x_train, y_train), (x_test, y_test): uint8 of shapes (50000, 32, 32, 3), (50000, 1), (10000, 32, 32, 3),
        (10000, 1); the channels come first if `image_data_format()` says so.

    Raises:
        OSError: It is nowhere and cannot be downloaded, or a file is damaged.
    """
    folder = get_file("cifar-10-batches-py", _ORIGIN, untar=True, file_hash=_HASH)
    return _join(folder, _TRAINING), _join(folder, ("test_batch",))


def _join(folder: str, names: tuple[str, ...]) -> Split:
    images, labels = zip(*(_read_batch(os.path.join(folder, name)) for name in names), strict=True)
    x = np.concatenate(images)
    if image_data_format() == "channels_last":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    return x, np.concatenate(labels).reshape(-1, 1)


def _read_batch(path: str) -> Split:
    """Images (samples, 3, 32, 32) and labels (samples,) of one file."""
    with open(path, "rb") as file:
        try:
            content = _ArraysOnly(file, encoding="bytes").load()
            images = np.asarray(content[b"data"], np.uint8).reshape(-1, 3, 32, 32)
            labels = np.asarray(content[b"labels"], np.uint8)
        except (pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise FileFormatError(f"{path} is no batch of CIFAR-10: {type(error).__name__}: {error}.") from error
    if len(images) != len(labels):
        raise FileFormatError(f"{path} holds {len(images)} images but {len(labels)} labels.")
    return images, labels


class _ArraysOnly(pickle.Unpickler):
    """Reads a pickle of dicts, lists, bytes and arrays, and refuses every other class: a pickle can name any "
    "function."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module.removeprefix("numpy."), name) in (
            ("core.multiarray", "_reconstruct"),
            ("_core.multiarray", "_reconstruct"),
        ):
            return np._core.multiarray._reconstruct if hasattr(np, "_core") else np.core.multiarray._reconstruct
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is not needed for arrays")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    return text.encode(encoding)
