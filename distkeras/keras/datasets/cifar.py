"""The files of CIFAR-10 and CIFAR-100: pickled dicts of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distkeras._config import image_data_format
from distkeras._errors import FileFormatError
from distkeras.keras.datasets.idx import Split
from distkeras.keras.datasets.pickles import PICKLE_ERRORS, ArraysOnly


def read_batches(paths: Sequence[str], labels: str, dataset: str) -> Split:
    """The images of some files, in the layout that `image_data_format()` says, and their labels, (samples, 1).

    Args:
        paths: The files.
        labels: The entry that holds the labels.
        dataset: What messages call the files.

    Raises:
        FileFormatError: A file is damaged.
    """
    images, classes = zip(*(_read_batch(path, labels, dataset) for path in paths), strict=True)
    x = np.concatenate(images)
    if image_data_format() == "channels_last":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    return x, np.concatenate(classes).reshape(-1, 1)


def _read_batch(path: str, entry: str, dataset: str) -> Split:
    """Images (samples, 3, 32, 32) and labels (samples,) of one file."""
    with open(path, "rb") as file:
        try:
            content = ArraysOnly(file, encoding="bytes").load()
            images = np.asarray(content[b"data"], np.uint8).reshape(-1, 3, 32, 32)
            labels = np.asarray(content[entry.encode()], np.uint8)
        except PICKLE_ERRORS as error:
            raise FileFormatError(f"{path} is no batch of {dataset}: {type(error).__name__}: {error}.") from error
    if len(images) != len(labels):
        raise FileFormatError(f"{path} holds {len(images)} images but {len(labels)} labels.")
    return images, labels
