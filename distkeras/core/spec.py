"""What is known of a tensor before it has a value: element type, shape, name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


class DType:
    """An element type. Equal to its name and to NumPy's type: `tf.float32 == "float32" == np.float32`.

    >>> float32 = as_dtype("float32")
    >>> float32, float32 == np.float32, float32.is_floating, float32.size
    (tf.float32, True, True, 4)
    """

    def __init__(self, name: str, numpy_type: Any) -> None:
        self.name = name
        self.numpy = np.dtype(numpy_type)
        self.as_numpy_dtype = self.numpy.type
        self.size = self.numpy.itemsize
        kind = self.numpy.kind
        self.is_floating = kind == "f"
        self.is_integer = kind in "iu"
        self.is_unsigned = kind == "u"
        self.is_complex = kind == "c"
        self.is_bool = kind == "b"

    @property
    def base_dtype(self) -> DType:
        """The type itself: there are no types of references, as TF 1 had."""
        return self

    @property
    def min(self) -> Any:
        """The least number of this type."""
        return np.finfo(self.numpy).min if self.is_floating else np.iinfo(self.numpy).min

    @property
    def max(self) -> Any:
        """The largest number of this type."""
        return np.finfo(self.numpy).max if self.is_floating else np.iinfo(self.numpy).max

    @property
    def limits(self) -> tuple[Any, Any]:
        """(0, 1) for floating-point types, as pixels of images have it; else the least and the largest number."""
        return (0, 1) if self.is_floating else (self.min, self.max)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether the other is this type, too."""
        return self == other

    def __eq__(self, other: Any) -> bool:
        if other is self:
            return True
        try:
            return as_dtype(other) is self
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __reduce__(self) -> tuple:
        return as_dtype, (self.name,)

    @property
    def dtype(self) -> np.dtype:
        """Lets NumPy take a DType wherever it takes a dtype: `np.zeros(3, tf.float32)`."""
        return self.numpy


_NUMERIC = "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 complex64 complex128 bool"
DTYPES = {name: DType(name, name) for name in _NUMERIC.split()}
DTYPES["string"] = DType("string", object)
_BY_NUMPY = {dtype.numpy: dtype for dtype in DTYPES.values()}
_ALIASES = {"half": "float16", "float": "float32", "double": "float64"}


def as_dtype(dtype: Any) -> DType:
    """The DType that a DType, NumPy type, Python type or name stands for.

    Raises:
        TypeError: There is no such type.
    """
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, str):
        found = DTYPES.get(_ALIASES.get(dtype, dtype))
        if found is not None:
            return found
    if dtype is float:
        return DTYPES["float32"]
    if dtype is int:
        return DTYPES["int32"]
    try:
        numpy_type = np.dtype(dtype)
    except TypeError:
        numpy_type = None
    found = DTYPES["string"] if numpy_type is not None and numpy_type.kind in "SUO" else _BY_NUMPY.get(numpy_type)
    if found is None or dtype is None:
        raise TypeError(f"Expected an element type, one of {', '.join(DTYPES)}; received {dtype!r}.")
    return found


class TensorShape(tuple):
    """A shape: a tuple of ints, None where a size is not yet known. `rank` is None for `TensorShape(None)`.

    >>> TensorShape([None, 3]).as_list()
    [None, 3]
    >>> TensorShape([2, 3]) == [2, 3]
    True
    """

    __slots__ = ()
    unknown_rank: TensorShape

    def __new__(cls, dims: Iterable[int | None] | int | None = ()) -> TensorShape:
        if dims is None or dims is getattr(cls, "unknown_rank", None):
            return cls.unknown_rank
        if isinstance(dims, (int, np.integer)):
            dims = (dims,)
        return tuple.__new__(cls, (None if dim is None else int(dim) for dim in dims))

    @property
    def rank(self) -> int | None:
        """The number of dimensions; None if it is not known."""
        return None if self is TensorShape.unknown_rank else len(self)

    ndims = rank

    @property
    def dims(self) -> list[int | None] | None:
        """The sizes as a list; None if the rank is not known."""
        return None if self.rank is None else list(self)

    def as_list(self) -> list[int | None]:
        """The sizes as a list; ValueError when the rank is unknown."""
        if self.rank is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return list(self)

    def num_elements(self) -> int | None:
        """The number of elements, None when not known."""
        return None if not self.is_fully_defined() else int(np.prod(self, dtype=np.int64))

    def is_fully_defined(self) -> bool:
        """Whether rank and all sizes are known."""
        return self.rank is not None and None not in self

    def is_compatible_with(self, other: Any) -> bool:
        """Whether some shape fits both: same rank, and sizes equal where both are known."""
        other = TensorShape(other)
        if self.rank is None or other.rank is None:
            return True
        return len(self) == len(other) and all(
            mine is None or theirs is None or mine == theirs for mine, theirs in zip(self, other, strict=True)
        )

    def assert_is_compatible_with(self, other: Any) -> None:
        """ValueError unless some shape fits both."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {TensorShape(other)} are incompatible.")

    def merge_with(self, other: Any) -> TensorShape:
        """What both shapes tell together; ValueError if they contradict each other."""
        self.assert_is_compatible_with(other)
        other = TensorShape(other)
        if self.rank is None or other.rank is None:
            return other if self.rank is None else self
        return TensorShape(theirs if mine is None else mine for mine, theirs in zip(self, other, strict=True))

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        """What is true of both shapes: None for sizes that differ."""
        other = TensorShape(other)
        if self.rank is None or self.rank != other.rank:
            return TensorShape.unknown_rank
        return TensorShape(mine if mine == theirs else None for mine, theirs in zip(self, other, strict=True))

    def with_rank(self, rank: int) -> TensorShape:
        """This shape, of which it becomes known that it has `rank` dimensions; ValueError if it has others."""
        return self.merge_with([None] * rank)

    def with_rank_at_least(self, rank: int) -> TensorShape:
        """This shape; ValueError if it has fewer dimensions."""
        if self.rank is not None and self.rank < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}.")
        return self

    def with_rank_at_most(self, rank: int) -> TensorShape:
        """This shape; ValueError if it has more dimensions."""
        if self.rank is not None and self.rank > rank:
            raise ValueError(f"Shape {self} must have rank at most {rank}.")
        return self

    def assert_has_rank(self, rank: int) -> None:
        """ValueError unless there are, or may be, `rank` dimensions."""
        if self.rank not in (None, rank):
            raise ValueError(f"Shape {self} must have rank {rank}.")

    def assert_same_rank(self, other: Any) -> None:
        """ValueError unless both have, or may have, as many dimensions."""
        other = TensorShape(other)
        if None not in (self.rank, other.rank) and self.rank != other.rank:
            raise ValueError(f"Shapes {self} and {other} must have the same rank.")

    def assert_is_fully_defined(self) -> None:
        """ValueError unless all sizes are known."""
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined.")

    def concatenate(self, other: Any) -> TensorShape:
        """The sizes of both, one after the other; of unknown rank if one of them is."""
        other = TensorShape(other)
        if self.rank is None or other.rank is None:
            return TensorShape.unknown_rank
        return self + other

    def __getitem__(self, index: Any) -> Any:
        picked = tuple.__getitem__(self, index)
        return TensorShape(picked) if isinstance(index, slice) else picked

    def __add__(self, other: Any) -> TensorShape:
        return TensorShape(tuple(self) + tuple(other))

    def __radd__(self, other: Any) -> TensorShape:
        return TensorShape(tuple(other) + tuple(self))

    def __eq__(self, other: Any) -> bool:
        if isinstance(other, list):
            other = tuple(other)
        return tuple.__eq__(self, other) is True and (self.rank is None) == (
            isinstance(other, TensorShape) and other.rank is None
        )

    def __ne__(self, other: Any) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    def __str__(self) -> str:
        return "<unknown>" if self.rank is None else tuple.__repr__(self)

    def __repr__(self) -> str:
        return f"TensorShape({'None' if self.rank is None else list(self)})"

    def __reduce__(self) -> tuple:
        return TensorShape, (self.dims,)


TensorShape.unknown_rank = tuple.__new__(TensorShape, ())


class TensorSpec:
    """Shape and element type of a tensor; sizes may be None where a Function's signature leaves them open.

    >>> TensorSpec([None, 3], "float32")
    TensorSpec(shape=(None, 3), dtype=tf.float32, name=None)
    """

    __slots__ = ("shape", "dtype", "name")

    def __init__(self, shape: Any, dtype: Any = "float32", name: str | None = None) -> None:
        self.shape = shape if type(shape) is TensorShape else TensorShape(shape)
        self.dtype = as_dtype(dtype)
        self.name = name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """The shape and type of a tensor or variable."""
        return cls(tensor.shape, tensor.dtype, name or getattr(tensor, "name", None))

    @property
    def size(self) -> int:
        """The number of elements; the shape must be known."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of a value; the shape must be known."""
        return self.size * self.dtype.size

    def is_compatible_with(self, tensor: Any) -> bool:
        """Whether a tensor, or what another spec stands for, has this type and a shape that fits."""
        return self.dtype == tensor.dtype and self.shape.is_compatible_with(tensor.shape)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, TensorSpec) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype!r}, name={self.name!r})"
