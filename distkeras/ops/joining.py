"""Tensors joined into one and cut into several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import rows_along
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import axis_of, op, static_ints
from distkeras.ops.shape import slice_primitive, slice_view, to_shape

_concat = Primitive("concat")
_concat.def_cut(rows_along("axis"))


@_concat.def_shape
def _concat_shape(*specs: TensorSpec, axis: int) -> TensorSpec:
    first = list(specs[0].shape)
    for spec in specs[1:]:
        if len(spec.shape) != len(first) or any(
            mine != theirs for i, (mine, theirs) in enumerate(zip(first, spec.shape, strict=True)) if i != axis
        ):
            raise InvalidArgumentError(
                f"concat along axis {axis}: the other dimensions must be equal, "
                f"received shapes {[str(s.shape) for s in specs]}."
            )
    first[axis] = sum(spec.shape[axis] for spec in specs)
    return TensorSpec(first, specs[0].dtype)


@_concat.def_kernel
def _concat_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, axis: int) -> Calls:
    return [
        (np.copyto, (slice_view(outputs[0], index), array))
        for array, index in zip(inputs, _parts([array.shape for array in inputs], axis), strict=True)
    ]


def _parts(shapes: Sequence, axis: int) -> list[tuple]:
    """For each shape, the slice index it occupies in the concatenation along `axis`."""
    ends = np.cumsum([shape[axis] for shape in shapes]).tolist()
    return [
        tuple((end - shape[axis], end, 1) if i == axis else (0, dim, 1) for i, dim in enumerate(shape))
        for shape, end in zip(shapes, ends, strict=True)
    ]


@_concat.def_vjp
def _concat_vjp(gradients: tuple, inputs: tuple, outputs: tuple, axis: int) -> tuple:
    parts = _parts([tuple(tensor.shape) for tensor in inputs], axis)
    return tuple((lambda index=index: slice_primitive(gradients[0], index)) for index in parts)


# The parts as outputs of one primitive: their gradients are put together once, not added up as slices' are.
_split = Primitive("split")
_split.def_cut(rows_along("axis"))
_split.def_vjp(lambda gradients, inputs, outputs, sizes, axis: (lambda: concat(list(gradients), axis),))


@_split.def_shape
def _split_shape(spec: TensorSpec, sizes: tuple[int, ...], axis: int) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec((*spec.shape[:axis], size, *spec.shape[axis + 1 :]), spec.dtype) for size in sizes)


@_split.def_kernel
def _split_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, sizes: tuple, axis: int) -> Calls:
    indices = _parts([array.shape for array in outputs], axis)
    return [(np.copyto, (array, slice_view(inputs[0], index))) for array, index in zip(outputs, indices, strict=True)]


def _same_types(values: Any, function: str) -> list[Tensor]:
    if not isinstance(values, (list, tuple)) or not values:
        raise ValueError(f"{function}: expected a list of at least one tensor, received {values!r}.")
    like = next((to_tensor(value) for value in values if hasattr(value, "dtype")), None)
    tensors = [to_tensor(value, like=like) for value in values]
    if like is None and {tensor.dtype.name for tensor in tensors} == {"int32", "float32"}:
        tensors = [to_tensor(value, "float32") for value in values]
    if len({tensor.dtype for tensor in tensors}) > 1:
        raise InvalidArgumentError(
            f"{function}: expected one element type, received {[t.dtype.name for t in tensors]}."
        )
    return tensors


@op
def concat(values: Any, axis: int, name: str | None = None) -> Tensor:
    """Tensors joined along an existing dimension."""
    tensors = _same_types([values] if isinstance(values, Tensor) else values, "concat")
    if not tensors[0].ndim:
        raise InvalidArgumentError("concat: scalars cannot be concatenated; use tf.stack.")
    axis = axis_of(axis, tensors[0].ndim)
    return tensors[0] if len(tensors) == 1 else _concat(*tensors, axis=axis)


_stack = Primitive("stack")
_stack.def_cut(rows_along("axis"))


@_stack.def_shape
def _stack_shape(*specs: TensorSpec, axis: int) -> TensorSpec:
    if any(spec.shape != specs[0].shape for spec in specs):
        raise InvalidArgumentError(f"stack: shapes must be equal, received {[str(spec.shape) for spec in specs]}.")
    if any(spec.dtype is not specs[0].dtype for spec in specs):
        raise InvalidArgumentError(f"stack: types must be equal, received {[spec.dtype.name for spec in specs]}.")
    shape = list(specs[0].shape)
    shape.insert(axis, len(specs))
    return TensorSpec(shape, specs[0].dtype)


@_stack.def_kernel
def _stack_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, axis: int) -> Calls:
    rows = np.moveaxis(outputs[0], axis, 0)
    return [
        (np.copyto, (rows[i : i + 1].reshape(array.shape) if not array.ndim else rows[i], array))
        for i, array in enumerate(inputs)
    ]


@_stack.def_vjp
def _stack_vjp(gradients: tuple, inputs: tuple, outputs: tuple, axis: int) -> tuple:
    shape = outputs[0].shape
    return tuple(
        (lambda i=i: slice_primitive(gradients[0], tuple(i if d == axis else (0, n, 1) for d, n in enumerate(shape))))
        for i in range(len(inputs))
    )


@op
def stack(values: Any, axis: int = 0, name: str | None = None) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    tensors = _same_types(list(values) if isinstance(values, Tensor) else values, "stack")
    axis = axis_of(axis, tensors[0].ndim + 1)
    return _stack(*tensors, axis=axis)


@op
def unstack(value: Any, num: int | None = None, axis: int = 0, name: str | None = "unstack") -> list[Tensor]:
    """The slices along `axis`, without that dimension."""
    tensor = to_tensor(value)
    axis = axis_of(axis, tensor.ndim)
    if num is not None and num != tensor.shape[axis]:
        raise ValueError(f"unstack: num is {num} but dimension {axis} of {tensor.shape} is {tensor.shape[axis]}.")
    shape = [n for d, n in enumerate(tensor.shape) if d != axis]
    return [to_shape(part, shape) for part in split(tensor, tensor.shape[axis], axis)] if tensor.shape[axis] else []


@op
def split(
    value: Any, num_or_size_splits: Any, axis: int = 0, num: int | None = None, name: str = "split"
) -> list[Tensor]:
    """Cut along `axis` into equal parts (an int) or parts of the given sizes (one may be -1).

    `num` is accepted: the number of parts follows from `num_or_size_splits`.
    """
    tensor = to_tensor(value)
    axis = axis_of(axis, tensor.ndim)
    total = tensor.shape[axis]
    if isinstance(num_or_size_splits, (int, np.integer)):
        count = int(num_or_size_splits)
        if count < 1 or total % count:
            raise InvalidArgumentError(
                f"split: dimension {axis} of {tensor.shape} is not divisible into {count} parts."
            )
        sizes = [total // count] * count
    else:
        sizes = list(static_ints(num_or_size_splits, "list of sizes"))
        if sizes.count(-1) == 1:
            sizes[sizes.index(-1)] = total - (sum(sizes) + 1)
        if sum(sizes) != total or min(sizes) < 0:
            raise InvalidArgumentError(
                f"split: sizes {sizes} do not add up to {total}, dimension {axis} of {tensor.shape}."
            )
    return [tensor] if len(sizes) == 1 else list(_split(tensor, sizes=tuple(sizes), axis=axis))
