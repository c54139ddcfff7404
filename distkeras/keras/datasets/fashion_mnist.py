"""Fashion-MNIST: 70,000 grey images of clothes in 10 classes.

Source: Xiao, Rasul and Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms,
    2017.
"""

from __future__ import annotations

from distkeras.keras.datasets import idx

_BASE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
# Where Debian's package dataset-fashion-mnist puts it.
_SYSTEM_FOLDER = "/usr/share/datasets/fashion-mnist"
_HASHES = (
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
)


def load_data() -> tuple[idx.Split, idx.Split]:
    """The images and their classes.

    They are looked for in $KERAS_HOME (or ~/.keras) under datasets/fashion-mnist, then in the folder of Debian's
    package dataset-fashion-mnist, then downloaded.

    Returns:
        (x_train, y_train), (x_test, y_test): uint8 of shapes (60000, 28, 28), (60000,), (10000, 28, 28), (10000,).

    Raises:
        OSError: It is nowhere and cannot be downloaded, or a file is damaged.
    """
    return idx.read_folder(idx.fetch_folder((_SYSTEM_FOLDER,), "fashion-mnist", _BASE, _HASHES))
