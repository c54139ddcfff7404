"""Ops that move or repeat elements: reshape, transpose, concatenate, pad, ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.kernels import transpose as kernels
from distkeras.ops._op import axes_of, axis_of, op, static_ints

# --- reshape: the same memory seen otherwise

_reshape = Primitive("reshape", alias=lambda array, shape: array.reshape(shape))
_reshape.def_vjp(lambda gradients, inputs, outputs, shape: (lambda: _to_shape(gradients[0], inputs[0].shape),))


@_reshape.def_shape
def _reshape_shape(spec: TensorSpec, shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec(shape, spec.dtype)


def _to_shape(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    return tensor if tuple(tensor.shape) == tuple(shape) else _reshape(tensor, shape=tuple(shape))


@op
def reshape(tensor: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same elements in another shape; one size may be -1 and is then worked out.

    Raises:
        InvalidArgumentError: The numbers of elements differ.
    """
    tensor, wanted = to_tensor(tensor), static_ints(shape)
    size = int(np.prod(tensor.shape, dtype=np.int64))
    known = int(np.prod([dim for dim in wanted if dim != -1], dtype=np.int64))
    if wanted.count(-1) > 1:
        raise InvalidArgumentError(f"Only one size of the shape {wanted} may be -1.")
    if -1 in wanted:
        # With no elements at all, -1 stands for what the other sizes leave of the old shape: 0.
        wanted = tuple((size // known if known else 0) if dim == -1 else dim for dim in wanted)
    if int(np.prod(wanted, dtype=np.int64)) != size:
        raise InvalidArgumentError(
            f"Input to reshape is a tensor with {size} values (shape {tensor.shape}), but the requested shape "
            f"{tuple(static_ints(shape))} has {known}."
        )
    return _to_shape(tensor, wanted)


@op
def expand_dims(input: Any, axis: int, name: str | None = None) -> Tensor:
    """A dimension of size 1 inserted at `axis`."""
    tensor = to_tensor(input)
    shape = list(tensor.shape)
    shape.insert(axis_of(axis, tensor.ndim + 1), 1)
    return _to_shape(tensor, shape)


@op
def squeeze(input: Any, axis: Any = None, name: str | None = None) -> Tensor:
    """Without the dimensions of size 1, or without those named by `axis`."""
    tensor = to_tensor(input)
    axes = [i for i, dim in enumerate(tensor.shape) if dim == 1] if axis is None else axes_of(axis, tensor.ndim)
    for i in axes:
        if tensor.shape[i] != 1:
            raise InvalidArgumentError(
                f"Can not squeeze dim[{i}] of shape {tensor.shape}: expected 1, got {tensor.shape[i]}."
            )
    return _to_shape(tensor, [dim for i, dim in enumerate(tensor.shape) if i not in axes])


# --- copies that NumPy does well: each call is one strided copy


def _copies(name: str, view: Any) -> Primitive:
    """A primitive whose output is a copy of `view(array, **params)`."""
    primitive = Primitive(name)

    @primitive.def_kernel
    def kernel(inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray], scratch: Any, **params: Any) -> Calls:
        return [(np.copyto, (outputs[0], view(inputs[0], **params)))]

    return primitive


_transpose = Primitive("transpose")
_transpose.def_kernel(lambda inputs, outputs, scratch, perm: kernels.transpose(inputs[0], outputs[0], axes=perm))
_transpose.def_shape(lambda spec, perm: TensorSpec([spec.shape[i] for i in perm], spec.dtype))
_transpose.def_vjp(
    lambda gradients, inputs, outputs, perm: (
        lambda: _transpose(gradients[0], perm=tuple(int(i) for i in np.argsort(perm))),
    )
)


@op
def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: str | None = None) -> Tensor:
    """Dimensions in another order; reversed by default."""
    tensor = to_tensor(a)
    if conjugate:
        raise ValueError("transpose(conjugate=True) is for complex tensors: use tf.math.conj on the result.")
    perm = (
        tuple(reversed(range(tensor.ndim)))
        if perm is None
        else tuple(axis_of(i, tensor.ndim) for i in static_ints(perm, "permutation"))
    )
    if sorted(perm) != list(range(tensor.ndim)):
        raise InvalidArgumentError(
            f"perm {perm} is not a permutation of the {tensor.ndim} dimensions of {tensor.shape}."
        )
    return tensor if perm == tuple(range(tensor.ndim)) else _transpose(tensor, perm=perm)


_broadcast_to = _copies("broadcast_to", lambda array, shape: np.broadcast_to(array, shape))
_broadcast_to.def_shape(lambda spec, shape: TensorSpec(shape, spec.dtype))
_broadcast_to.def_vjp(lambda gradients, inputs, outputs, shape: (lambda: sum_to(gradients[0], tuple(inputs[0].shape)),))


@op
def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """Repeated along dimensions of size 1 until it has `shape`."""
    tensor, shape = to_tensor(input), static_ints(shape)
    try:
        fits = np.broadcast_shapes(tensor.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise InvalidArgumentError(f"Incompatible shapes: {tensor.shape} cannot be broadcast to {shape}.")
    return tensor if tuple(tensor.shape) == shape else _broadcast_to(tensor, shape=shape)


def sum_to(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Undo a broadcast: sum over the dimensions along which `shape` was repeated."""
    from distkeras.ops.reduction import reduce_sum

    if tuple(tensor.shape) == shape:
        return tensor
    extra = tensor.ndim - len(shape)
    axes = [i for i in range(tensor.ndim) if i < extra or (shape[i - extra] == 1 and tensor.shape[i] != 1)]
    return _to_shape(reduce_sum(tensor, axis=axes), shape)


def _slice_view(array: np.ndarray, index: tuple) -> np.ndarray:
    # With the ellipsis a single element is a view of no dimensions; without, it would be a copied number.
    return array[(*(slice(*item) if isinstance(item, tuple) else item for item in index), ...)]


_slice = _copies("slice", _slice_view)


@_slice.def_shape
def _slice_shape(spec: TensorSpec, index: tuple) -> TensorSpec:
    """index: for each dimension (start, stop, step), all non-negative starts; or an int, which drops it."""
    return TensorSpec(_slice_view(np.broadcast_to(np.empty(()), spec.shape), index).shape, spec.dtype)


_slice.def_vjp(
    lambda gradients, inputs, outputs, index: (
        lambda: _unslice(gradients[0], shape=tuple(inputs[0].shape), index=index),
    )
)
_unslice = Primitive("unslice")
_unslice.def_shape(lambda spec, shape, index: TensorSpec(shape, spec.dtype))
_unslice.def_vjp(lambda gradients, inputs, outputs, shape, index: (lambda: _slice(gradients[0], index=index),))


@_unslice.def_kernel
def _unslice_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, shape: tuple, index: tuple) -> Calls:
    """Zeros of `shape` with the input put where the slice was taken."""
    return [(outputs[0].fill, (0,)), (np.copyto, (_slice_view(outputs[0], index), inputs[0]))]


def slice_primitive(tensor: Tensor, index: tuple) -> Tensor:
    """`tensor[index]`, index in the form `_slice_shape` takes."""
    return _slice(tensor, index=index)


# --- joining and repeating

_concat = Primitive("concat")


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
        (np.copyto, (_slice_view(outputs[0], index), array))
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
    return tuple((lambda index=index: _slice(gradients[0], index=index)) for index in parts)


# The parts as outputs of one primitive: their gradients are put together once, not added up as slices' are.
_split = Primitive("split")
_split.def_vjp(lambda gradients, inputs, outputs, sizes, axis: (lambda: concat(list(gradients), axis),))


@_split.def_shape
def _split_shape(spec: TensorSpec, sizes: tuple[int, ...], axis: int) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec((*spec.shape[:axis], size, *spec.shape[axis + 1 :]), spec.dtype) for size in sizes)


@_split.def_kernel
def _split_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, sizes: tuple, axis: int) -> Calls:
    indices = _parts([array.shape for array in outputs], axis)
    return [(np.copyto, (array, _slice_view(inputs[0], index))) for array, index in zip(outputs, indices, strict=True)]


def _same_types(values: Any, function: str) -> list[Tensor]:
    if isinstance(values, Tensor):
        values = list(values)
    if not isinstance(values, (list, tuple)) or not values:
        raise ValueError(f"{function}: expected a list of at least one tensor, received {values!r}.")
    like = next((to_tensor(value) for value in values if hasattr(value, "dtype")), None)
    tensors = [to_tensor(value, like=like) for value in values]
    if len({tensor.dtype for tensor in tensors}) > 1:
        raise InvalidArgumentError(
            f"{function}: expected one element type, received {[t.dtype.name for t in tensors]}."
        )
    return tensors


@op
def concat(values: Any, axis: int, name: str | None = None) -> Tensor:
    """Tensors joined along an existing dimension."""
    tensors = _same_types(values, "concat")
    if not tensors[0].ndim:
        raise InvalidArgumentError("concat: scalars cannot be concatenated; use tf.stack.")
    axis = axis_of(axis, tensors[0].ndim)
    return tensors[0] if len(tensors) == 1 else _concat(*tensors, axis=axis)


_stack = Primitive("stack")


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
        (lambda i=i: _slice(gradients[0], index=tuple(i if d == axis else (0, n, 1) for d, n in enumerate(shape))))
        for i in range(len(inputs))
    )


@op
def stack(values: Any, axis: int = 0, name: str | None = None) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    tensors = _same_types(values, "stack")
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
    return [_to_shape(part, shape) for part in split(tensor, tensor.shape[axis], axis)] if tensor.shape[axis] else []


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


@op
def tile(input: Any, multiples: Any, name: str | None = None) -> Tensor:
    """Repeated `multiples[i]` times along dimension i."""
    tensor, multiples = to_tensor(input), static_ints(multiples, "list of multiples")
    if len(multiples) != tensor.ndim:
        raise InvalidArgumentError(
            f"tile: expected {tensor.ndim} multiples for shape {tensor.shape}, received {multiples}."
        )
    spread = [size for n in tensor.shape for size in (1, n)]
    repeated = [size for n, times in zip(tensor.shape, multiples, strict=True) for size in (times, n)]
    shape = [n * times for n, times in zip(tensor.shape, multiples, strict=True)]
    return _to_shape(broadcast_to(_to_shape(tensor, spread), repeated), shape)


@op
def repeat(input: Any, repeats: int, axis: int | None = None, name: str | None = None) -> Tensor:
    """Each element along `axis` `repeats` times in a row; of the flattened tensor when axis is None."""
    tensor = to_tensor(input)
    if axis is None:
        tensor, axis = _to_shape(tensor, (tensor.spec.size,)), 0
    axis = axis_of(axis, tensor.ndim)
    shape = list(tensor.shape)
    spread = shape[: axis + 1] + [int(repeats)] + shape[axis + 1 :]
    result = broadcast_to(_to_shape(tensor, shape[: axis + 1] + [1] + shape[axis + 1 :]), spread)
    shape[axis] *= int(repeats)
    return _to_shape(result, shape)


_reverse = _copies("reverse", lambda array, axes: np.flip(array, axes))
_reverse.def_shape(lambda spec, axes: spec)
_reverse.def_vjp(lambda gradients, inputs, outputs, axes: (lambda: _reverse(gradients[0], axes=axes),))


@op
def reverse(tensor: Any, axis: Any, name: str | None = None) -> Tensor:
    """Back to front along `axis`."""
    tensor = to_tensor(tensor)
    return _reverse(tensor, axes=axes_of(axis, tensor.ndim))


@op
def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: str | None = None
) -> Tensor:
    """Padded by paddings[i] = (before, after) along dimension i, with a constant, or REFLECT / SYMMETRIC copies."""
    tensor = to_tensor(tensor)
    pairs = [static_ints(pair, "pair of paddings") for pair in paddings]
    if len(pairs) != tensor.ndim or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise InvalidArgumentError(
            f"pad: expected {tensor.ndim} pairs (before, after) >= 0 for {tensor.shape}, received {pairs}."
        )
    if mode.upper() == "CONSTANT":
        return _pad_constant(tensor, pairs, constant_values)
    if mode.upper() not in ("REFLECT", "SYMMETRIC"):
        raise ValueError(f"pad: mode must be 'CONSTANT', 'REFLECT' or 'SYMMETRIC', received {mode!r}.")
    from distkeras.ops.indexing import gather

    for axis, pair in enumerate(pairs):
        order = np.pad(np.arange(tensor.shape[axis]), pair, mode=mode.lower())
        tensor = gather(tensor, order, axis=axis)
    return tensor


def _pad_constant(tensor: Tensor, pairs: list, constant: Any) -> Tensor:
    shape = tuple(n + before + after for n, (before, after) in zip(tensor.shape, pairs, strict=True))
    index = tuple((before, before + n, 1) for n, (before, _) in zip(tensor.shape, pairs, strict=True))
    padded = _unslice(tensor, shape=shape, index=index)
    if isinstance(constant, SymbolicTensor) or constant != 0:
        from distkeras.ops.elementwise import where

        inside = np.zeros(shape, bool)
        _slice_view(inside, index)[...] = True
        return where(to_tensor(inside), padded, to_tensor(constant, like=tensor))
    return padded
