"""MNIST: 70,000 grey images of handwritten digits.

Source: LeCun, Cortes and Burges, The MNIST database of handwritten digits.
"""

from __future__ import annotations

import os
import zipfile

import numpy as np

from distkeras._errors import FileFormatError
from distkeras.keras.datasets import idx
from distkeras.keras.utils.data_utils import get_file, keras_home

_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
_HASH = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load_data(path: str = "mnist.npz") -> tuple[idx.Split, idx.Split]:
    """The images and their digits.

    They are looked for in $KERAS_HOME (or ~/.keras) as datasets/mnist.npz, then as the four IDX files in
    datasets/mnist, then downloaded.

    Args:
        path: The name of the file in the cache, or an absolute path.

    Returns:
        (x_train, y_train), (x_test, y_test): uint8 of shapes (60000, 28, 28), (60000,), (10000, 28, 28), (10000,).

    Raises:
        OSError: It is nowhere and cannot be downloaded, or a file is damaged.
    """
    folder = os.path.join(keras_home(), "datasets", "mnist")
    file = os.path.join(keras_home(), "datasets", path)
    if not os.path.exists(file) and idx.has_all(folder):
        return idx.read_folder(folder)
    return _read(file if os.path.exists(file) else get_file(path, _ORIGIN, file_hash=_HASH))


def _read(path: str) -> tuple[idx.Split, idx.Split]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            x_train, y_train, x_test, y_test = (arrays[name] for name in _ARRAYS)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"{path} does not hold the arrays {', '.join(_ARRAYS)}: {error}.") from error
    return (x_train, y_train), (x_test, y_test)
