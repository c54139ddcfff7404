"""Tensors: an immutable ndarray, or, while a function is traced, a symbol that has only shape and type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError
from distkeras.core.spec import DType, TensorShape, TensorSpec, as_dtype


def _meaningless(name: str) -> property:
    def refuse(self: Tensor) -> Any:
        raise AttributeError(f"Tensor.{name} is meaningless when eager execution is enabled.")

    return property(refuse)


class Tensor:
    """A value: an ndarray that is never written to again.

    Arithmetic, comparison, indexing and matrix product work as in NumPy; the methods are installed by `distkeras.ops`.

    >>> import distkeras as tf
    >>> x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    >>> (x @ x)[0] + 1
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([ 8., 11.], dtype=float32)>
    """

    __slots__ = ("_array", "_assign", "_keras_mask", "__weakref__")
    __array_priority__ = 100  # ndarray + Tensor is a Tensor

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    @property
    def shape(self) -> TensorShape:
        return TensorShape(self._array.shape)

    @property
    def dtype(self) -> DType:
        return as_dtype(self._array.dtype)

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec(self._array.shape, self._array.dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    name = _meaningless("name")
    op = _meaningless("op")
    graph = _meaningless("graph")
    value_index = _meaningless("value_index")

    @property
    def device(self) -> str:
        return "/job:localhost/replica:0/task:0/device:CPU:0"

    def get_shape(self) -> TensorShape:
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Check that `shape` fits this tensor's."""
        TensorShape(shape).assert_is_compatible_with(self.shape)

    @property
    def assign(self) -> Callable[[Any], Any]:
        """Replaces a part of a variable: `v[1:].assign(x)`. Tensors that are none have no such attribute."""
        return self._assign

    def experimental_ref(self) -> Reference:
        """What stands for this very tensor in sets and as a key of dicts."""
        return Reference(self)

    def numpy(self) -> Any:
        """A copy as an ndarray; a scalar as a NumPy scalar."""
        return self._array.copy() if self._array.ndim else self._array[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self._value("an ndarray")
        return array.astype(dtype) if dtype is not None and np.dtype(dtype) != array.dtype else array.copy()

    def _value(self, wanted: str) -> np.ndarray:
        return self._array

    def __bool__(self) -> bool:
        return bool(self._value("a bool"))

    def __int__(self) -> int:
        return int(self._value("an int"))

    def __float__(self) -> float:
        return float(self._value("a float"))

    def __index__(self) -> int:
        return self._value("an index").__index__()

    def __format__(self, spec: str) -> str:
        return str(self) if self._array is None and not spec else format(self.numpy(), spec)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("Scalar tensor has no `len()`.")
        return self.shape[0]

    def __iter__(self) -> Any:
        if not self.shape:
            raise TypeError("Cannot iterate over a scalar tensor.")
        return (self[index] for index in range(len(self)))

    def __hash__(self) -> int:
        return id(self)

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: dict) -> Tensor:
        return self

    def __str__(self) -> str:
        return f"tf.Tensor({_below(str(self._array))}, shape={self.shape}, dtype={self.dtype.name})"

    def __repr__(self) -> str:
        return f"<tf.Tensor: shape={self.shape}, dtype={self.dtype.name}, numpy={shown(self._array)}>"


class Reference:
    """Stands for one object: equal to another reference to the same, whatever `==` means for the object.

    >>> import distkeras as tf
    >>> x = tf.constant([1.0])
    >>> {x.experimental_ref(): "x"}[x.experimental_ref()], x.experimental_ref().deref() is x
    ('x', True)
    """

    __slots__ = ("_object",)

    def __init__(self, object: Any) -> None:
        self._object = object

    def deref(self) -> Any:
        """The object itself."""
        return self._object

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Reference) and other._object is self._object

    def __hash__(self) -> int:
        return id(self._object)

    def __repr__(self) -> str:
        return f"<Reference to {self._object!r}>"


def shown(array: np.ndarray) -> str:
    """An array as `repr` shows it, a scalar as the number it is."""
    return _below(repr(array)) if array.ndim else repr(array.item())


def _below(text: str) -> str:
    """Rows begin on a line of their own, so that their columns are below each other."""
    return f"\n{text}" if "\n" in text else text


class SymbolicTensor(Tensor):
    """A tensor of a trace: shape and type, and the graph's value it stands for, but no numbers."""

    __slots__ = ("_spec", "trace", "value")

    def __init__(self, spec: TensorSpec, trace: Any, value: Any) -> None:
        self._array = None
        self._spec = spec
        self.trace = trace
        self.value = value

    @property
    def shape(self) -> TensorShape:
        return self._spec.shape

    @property
    def dtype(self) -> DType:
        return self._spec.dtype

    @property
    def spec(self) -> TensorSpec:
        return self._spec

    @property
    def name(self) -> str:
        return f"{self.value}:0"

    def numpy(self) -> Any:
        return self._value("an ndarray")

    def _value(self, wanted: str) -> np.ndarray:
        raise CaptureError(
            f"A tensor of shape {self.shape} was used as {wanted} while its function is being traced, when it has no "
            "value yet. Use tf.where, tf.cond or tf.while_loop instead, or run step by step with "
            "`run_eagerly=True` (Keras) or without `tf.function`."
        )

    def __copy__(self) -> Tensor:
        return self

    def __str__(self) -> str:
        return f'Tensor("{self.value}:0", shape={self.shape}, dtype={self.dtype.name})'

    def __repr__(self) -> str:
        return f"<tf.Tensor '{self.value}:0' shape={self.shape} dtype={self.dtype.name}>"


def as_array(value: Any, dtype: Any = None) -> np.ndarray:
    """`value` as a C-contiguous, writeable ndarray of a known element type.

    Python floats become float32, ints int32, and strings their UTF-8 bytes.

    Raises:
        TypeError: The value has no numeric form.
        ValueError: Nested sequences do not have one shape.
    """
    wanted = None if dtype is None else as_dtype(dtype).numpy
    if isinstance(value, Tensor):
        array = value._value("an ndarray")
    elif isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
    elif (
        isinstance(value, (list, tuple)) and value and isinstance(value[0], Tensor) and value[0].dtype.name == "string"
    ):
        array = _pack(value, dtype)._value("an ndarray")  # NumPy would make numbers only of what is in the tensors
    else:
        try:
            array = np.array(value, dtype=wanted if wanted is not None and wanted.kind == "O" else None)
        except ValueError as error:
            raise ValueError(f"Can't convert a non-rectangular Python sequence to a tensor: {error}.") from None
        if wanted is None and array.dtype in (np.float64, np.int64) and not _holds_numpy(value):
            wanted = np.dtype(np.float32 if array.dtype == np.float64 else _integer_type(array))
    if array.dtype.kind in "SU":  # as objects from the start: a fixed width takes zeros at the end for filling
        array = array.astype(object) if isinstance(value, (np.ndarray, np.generic)) else np.array(value, object)
    is_text = array.dtype.kind == "O" and _is_text(array)
    if wanted is not None and wanted.kind == "O" and not is_text:
        raise TypeError(f"Expected strings, received {value!r}: see tf.strings.as_string.")
    if array.dtype.kind == "O" and not is_text:
        raise TypeError(f"Expected numbers, booleans or strings; received {value!r} of type {type(value).__name__}.")
    if is_text:
        if wanted is not None and wanted.kind != "O":
            raise TypeError(f"Expected numbers of type {wanted.name}, received {value!r}: see tf.strings.to_number.")
        array = encoded(array)
    if wanted is not None and array.dtype != wanted:
        if wanted.kind in "iu" and array.dtype.kind == "f" and not isinstance(value, (np.ndarray, np.generic, Tensor)):
            raise TypeError(f"Cannot convert {value!r} to a tensor of type {wanted.name}: it is not an integer.")
        array = array.astype(wanted)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    as_dtype(array.dtype)
    if not (array.flags.c_contiguous and array.flags.writeable and array.flags.aligned):
        array = np.array(array, order="C")  # asarray would keep a read-only or strided array as it is
    return array


def _holds_numpy(value: Any) -> bool:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (np.ndarray, np.generic, Tensor))


def _integer_type(array: np.ndarray) -> type:
    fits = not array.size or (array.min() >= -(2**31) and array.max() < 2**31)
    return np.int32 if fits else np.int64


def _is_text(array: np.ndarray) -> bool:
    return all(isinstance(item, (str, bytes)) for item in array.flat)


def _encode(text: str | bytes) -> bytes:
    return text.encode(errors="surrogateescape") if isinstance(text, str) else text


_encode_all = np.frompyfunc(_encode, 1, 1)


def encoded(texts: np.ndarray) -> np.ndarray:
    """An array of objects in which strings are their UTF-8 bytes, as all string tensors have them."""
    return np.asarray(_encode_all(texts), object)


_converters: list[tuple[type, Callable]] = []


def register_conversion(kind: type, convert: Callable[[Any], Tensor]) -> None:
    """Let `to_tensor` take objects of `kind` (variables, layers' outputs, ...)."""
    _converters.append((kind, convert))


def to_tensor(value: Any, dtype: Any = None, like: Tensor | None = None) -> Tensor:
    """`value` as a Tensor. What has no DType of its own, numbers and arrays, takes that of `like` where it fits.

    Raises:
        ValueError: A tensor or array of another element type than `dtype` was given (nothing is cast silently).
    """
    if not isinstance(value, Tensor):
        for kind, convert in _converters:
            if isinstance(value, kind):
                value = convert(value)
                break
    if isinstance(value, Tensor):
        if dtype is not None and value.dtype != as_dtype(dtype):
            raise ValueError(
                f"Tensor conversion requested dtype {as_dtype(dtype).name} for Tensor with dtype {value.dtype.name}: "
                f"cast it first with tf.cast(x, tf.{as_dtype(dtype).name})."
            )
        return value
    if dtype is None and like is not None:
        dtype = _weak_type(value, like.dtype)
    if isinstance(value, (list, tuple)) and _holds_tensor(value):
        return _pack(value, dtype)
    array = as_array(value, dtype)
    # The tensor must not change when the caller writes to its array.
    return Tensor(array.copy() if array is value else array)


_RANKS = {"i": 1, "u": 1, "f": 2, "c": 3}


def _weak_type(value: Any, other: DType) -> DType | None:
    """The type a number or array takes beside a tensor of type `other`: its own only if `other` cannot hold it."""
    if isinstance(value, (np.ndarray, np.generic)):
        return other if 0 < _RANKS.get(value.dtype.kind, 0) <= _RANKS.get(other.numpy.kind, 0) else None
    if isinstance(value, bool) or (isinstance(value, float) and not (other.is_floating or other.is_complex)):
        return None
    return other if isinstance(value, (int, float, complex, list, tuple)) else None


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or any(isinstance(value, kind) for kind, _ in _converters)


def _holds_tensor(values: Any) -> bool:
    return any(_is_tensor(item) or (isinstance(item, (list, tuple)) and _holds_tensor(item)) for item in values)


def _pack(values: Any, dtype: Any) -> Tensor:
    """A nested list in which tensors occur, stacked, so that tapes and traces see where each part came from."""
    from distkeras.core.primitive import PRIMITIVES, bind

    like = next(leaf for leaf in _nest.flatten(values) if _is_tensor(leaf))
    return bind(PRIMITIVES["stack"], *(to_tensor(value, dtype, like=like) for value in values), axis=0)
