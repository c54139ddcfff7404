"""Boston housing: 506 districts, 13 numbers of each, and the median price of a house in 1000 dollars.

One of the 13 is made from the share of black people in a district on a premise that has no basis; do not use it for
anything but to reproduce what others have published.

Source: Harrison and Rubinfeld, Hedonic prices and the demand for clean air, 1978.
"""

from __future__ import annotations

import numpy as np

from distkeras.keras.datasets.idx import Split
from distkeras.keras.datasets.pickles import read_npz
from distkeras.keras.utils.data_utils import get_file

_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/boston_housing.npz"
_HASH = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> tuple[Split, Split]:
    """The districts and their prices.

    The file is looked for in $KERAS_HOME (or ~/.keras) under datasets, then downloaded.

    Args:
        path: The name of the file in the cache, or an absolute path.
        test_split: The share that is for testing, in [0, 1).
        seed: Of the order, before it is split.

    Returns:
        (x_train, y_train), (x_test, y_test): float64 of shapes (404, 13), (404,), (102, 13), (102,).

    Raises:
        OSError: It is nowhere and cannot be downloaded, or the file is damaged.
    """
    if not 0 <= test_split < 1:
        raise ValueError(f"`test_split` must be in [0, 1), received {test_split!r}.")
    x, y = read_npz(get_file(path, _ORIGIN, file_hash=_HASH), ("x", "y"))
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    x, y = x[order], y[order]
    count = int(len(x) * (1 - test_split))
    return (x[:count], y[:count]), (x[count:], y[count:])
