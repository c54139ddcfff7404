"""`tf.dtypes`: element types."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.core.spec import DTYPES, DType, as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops import cast, maximum, minimum

globals().update(DTYPES)  # tf.dtypes.float32 and the others
half = DTYPES["float16"]
double = DTYPES["float64"]

__all__ = [*DTYPES, "DType", "as_dtype", "cast", "double", "half", "saturate_cast"]


def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """`value` with another element type; what that cannot hold becomes its largest or smallest number.

    >>> import distkeras as tf
    >>> tf.dtypes.saturate_cast([300, -1], tf.uint8).numpy().tolist()
    [255, 0]
    """
    value, dtype = to_tensor(value), as_dtype(dtype)
    array_type = value.dtype.numpy
    low, high = (np.array(bound).astype(np.float64) for bound in (dtype.min, dtype.max))
    own = (value.dtype.min, value.dtype.max)
    low, high = (array_type.type(np.clip(bound, *map(np.float64, own))) for bound in (low, high))
    return cast(maximum(minimum(value, high), low), dtype)
