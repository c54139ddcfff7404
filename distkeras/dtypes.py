"""`tf.dtypes`: element types."""

from distkeras.core.spec import (
    DType,
    as_dtype,
)
from distkeras.ops import (
    cast,
)

__all__ = [
    "DType",
    "as_dtype",
    "cast",
]
