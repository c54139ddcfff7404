"""`tf.compat.v2`: every name of `tf`; there is one behaviour, TensorFlow 2.0's."""

from typing import Any

import distkeras


def __getattr__(name: str) -> Any:
    return getattr(distkeras, name)
