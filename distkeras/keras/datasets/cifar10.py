"""CIFAR-10: 60,000 colour images in 10 classes.

Source: Krizhevsky, Learning multiple layers of features from tiny images, 2009.
"""

from __future__ import annotations

import os

from distkeras.keras.datasets.cifar import read_batches
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
    training = [os.path.join(folder, name) for name in _TRAINING]
    return read_batches(training, "labels", "CIFAR-10"), read_batches(
        [os.path.join(folder, "test_batch")], "labels", "CIFAR-10"
    )
