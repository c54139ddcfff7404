"""TensorArray: tensors kept one by one, to be stacked in the end."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras._errors import CaptureError, InvalidArgumentError
from distkeras.core.spec import TensorShape, as_dtype
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.ops._op import integer, refuse_symbolic
from distkeras.ops.creation import zeros
from distkeras.ops.indexing import gather
from distkeras.ops.joining import concat, split, stack, unstack
from distkeras.ops.scatter import tensor_scatter_nd_update
from distkeras.ops.shape import expand_dims, reshape


class TensorArray:
    """A list of tensors of one type, written and read by index, that loops can carry.

    Args:
        dtype: The elements' type.
        size: How many elements there are; 0 by default.
        dynamic_size: Whether writing after the end makes it longer.
        clear_after_read: Whether an element can be read only once; so by default.
        element_shape: The shape of every element; by default that of the first that is written.
        infer_shape: Whether all elements must have one shape.
        tensor_array_name, name: Accepted: they are shown nowhere.
        colocate_with_first_write_call: Accepted: there is one device.
        handle, flow: Belong to graphs of TF 1; must be None.

    >>> import distkeras as tf
    >>> array = tf.TensorArray(tf.float32, size=2)
    >>> array = array.write(0, 1.0).write(1, 2.0)
    >>> array.stack().numpy().tolist()
    [1.0, 2.0]
    """

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Any = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ) -> None:
        if handle is not None or flow is not None:
            raise ValueError("TensorArray: handle and flow belong to graphs of TF 1; leave them None.")
        self._dtype = as_dtype(dtype)
        self._dynamic = bool(dynamic_size)
        self._clears = clear_after_read is None or bool(clear_after_read)
        self._infers = infer_shape
        self._shape = TensorShape(element_shape)
        self._elements: list[Tensor | None] = [None] * (0 if size is None else integer(size, "size"))
        self._read: set[int] = set()

    @property
    def dtype(self) -> Any:
        return self._dtype

    @property
    def dynamic_size(self) -> bool:
        return self._dynamic

    @property
    def element_shape(self) -> TensorShape:
        """What is known of the elements' shape."""
        return self._shape

    def size(self, name: str | None = None) -> Tensor:
        """The number of elements."""
        return to_tensor(np.int32(len(self._elements)))

    def identity(self) -> TensorArray:
        """Itself."""
        return self

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """Put `value` at `index`; gives the array, which is the one to go on with."""
        value = self._checked(value)
        if isinstance(index, SymbolicTensor):
            return self._write_at_tensor(index, value)
        index = int(to_tensor(index))
        if self._dynamic and index >= len(self._elements):
            self._elements += [None] * (index + 1 - len(self._elements))
        if not 0 <= index < len(self._elements):
            raise InvalidArgumentError(
                f"Tried to write to index {index}, but the TensorArray is not resizeable and its size is "
                f"{len(self._elements)}: make it with dynamic_size=True."
            )
        self._elements[index] = value
        return self

    def _checked(self, value: Any) -> Tensor:
        refuse_symbolic("TensorArray", value)
        tensor = to_tensor(value, None if hasattr(value, "dtype") else self._dtype)
        if tensor.dtype is not self._dtype:
            raise InvalidArgumentError(
                f"TensorArray dtype is {self._dtype.name} but write was given {tensor.dtype.name}: cast it first."
            )
        if not self._shape.is_compatible_with(tensor.shape):
            raise ValueError(
                f"Incompatible shape for value {tensor.shape}, expected {self._shape}: all elements of a TensorArray "
                "have one shape, unless it is made with infer_shape=False."
            )
        if self._infers:
            self._shape = tensor.shape
        return tensor

    def _write_at_tensor(self, index: Tensor, value: Tensor) -> TensorArray:
        """Inside a traced function, at an index that it computes."""
        whole = tensor_scatter_nd_update(self.stack(), reshape(index, (1, 1)), expand_dims(value, 0))
        self._elements = list(unstack(whole))
        return self

    def read(self, index: Any, name: str | None = None) -> Tensor:
        """The element at `index`; zeros if it was never written."""
        if isinstance(index, SymbolicTensor):
            return gather(self.stack(), index)
        index = int(to_tensor(index))
        if not 0 <= index < len(self._elements):
            raise InvalidArgumentError(f"Tried to read from index {index} but array size is: {len(self._elements)}.")
        if index in self._read and self._elements[index] is None:
            raise InvalidArgumentError(
                f"Could not read index {index} twice because it was cleared after a previous read: make the "
                "TensorArray with clear_after_read=False."
            )
        element = self._elements[index]
        if element is None:
            return self._zero()
        if self._clears:
            self._elements[index] = None
            self._read.add(index)
        return element

    def _zero(self) -> Tensor:
        if not self._shape.is_fully_defined():
            raise InvalidArgumentError(
                "A TensorArray's element was never written, and its shape is not known: give element_shape."
            )
        return zeros(self._shape, self._dtype)

    def stack(self, name: str | None = None) -> Tensor:
        """All elements as one tensor, [size, ...]."""
        if not self._elements:
            return zeros((0, *(self._shape if self._shape.is_fully_defined() else ())), self._dtype)
        return stack([self._zero() if element is None else element for element in self._elements])

    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """The elements at `indices`, stacked."""
        return gather(self.stack(), indices)

    def concat(self, name: str | None = None) -> Tensor:
        """All elements joined along their first dimension."""
        return concat([self._zero() if element is None else element for element in self._elements], 0)

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """Let the slices of `value` be the elements."""
        parts = unstack(to_tensor(value, None if hasattr(value, "dtype") else self._dtype))
        if len(parts) > len(self._elements) and not self._dynamic and self._elements:
            raise InvalidArgumentError(
                f"unstack: {len(parts)} elements do not fit a TensorArray of {len(self._elements)}."
            )
        self._elements = [self._checked(part) for part in parts]
        return self

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """Write each slice of `value` at its index."""
        for index, part in zip(to_tensor(indices).numpy().tolist(), unstack(value), strict=True):
            self.write(index, part)
        return self

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """Let parts of `value`, of the given lengths along its first dimension, be the elements."""
        self._elements = [self._checked(part) for part in split(value, to_tensor(lengths).numpy().tolist())]
        return self

    # --- carried by a loop that is one equation

    def dense(self) -> Tensor:
        """All elements as one tensor, those not yet written as zeros; CaptureError if their shape is not known."""
        if self._dynamic or not self._shape.is_fully_defined():
            raise CaptureError(
                "A TensorArray in a loop whose number of rounds depends on tensors of a traced function needs a fixed "
                "size and an element_shape: tf.TensorArray(dtype, size=n, element_shape=shape)."
            )
        return self.stack()

    def of(self, whole: Tensor) -> TensorArray:
        """The same kind of array with the slices of `whole` as elements."""
        array = TensorArray(self._dtype, whole.shape[0], clear_after_read=self._clears, element_shape=self._shape)
        array._elements = list(unstack(whole))
        return array
