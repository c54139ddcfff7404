"""CIFAR-100: 60,000 colour images in 100 classes, of which 20 superclasses are made.

Source: Krizhevsky, Learning multiple layers of features from tiny images, 2009.
"""

from __future__ import annotations

import os

from distkeras.keras.datasets.cifar import read_batches
from distkeras.keras.datasets.idx import Split
from distkeras.keras.utils.data_utils import get_file

_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
_HASH = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine") -> tuple[Split, Split]:
    """The images and their classes.

    They are looked for in $KERAS_HOME (or ~/.keras) as datasets/cifar-100-python, then downloaded.

    Args:
        label_mode: 'fine' for the 100 classes, 'coarse' for the 20 superclasses.

    Returns:
        (x_train, y_train), (x_test, y_test): uint8 of shapes (50000, 32, 32, 3), (50000, 1), (10000, 32, 32, 3),
        (10000, 1); the channels come first if `image_data_format()` says so.

    Raises:
        ValueError: `label_mode` is neither.
        OSError: It is nowhere and cannot be downloaded, or a file is damaged.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"`label_mode` must be one of 'fine', 'coarse', received {label_mode!r}.")
    folder = get_file("cifar-100-python", _ORIGIN, untar=True, file_hash=_HASH)
    train, test = ([os.path.join(folder, name)] for name in ("train", "test"))
    labels = f"{label_mode}_labels"
    return read_batches(train, labels, "CIFAR-100"), read_batches(test, labels, "CIFAR-100")
