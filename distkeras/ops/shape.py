"""Ops that move or repeat elements: reshape, transpose, slices, repeat, reverse, pad."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import Rows, each_row, rows_along
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.kernels import transpose as kernels
from distkeras.ops._op import axes_of, axis_of, op, sizes_of, static_ints

# --- reshape: the same memory seen otherwise

_reshape = Primitive("reshape", alias=lambda array, shape: array.reshape(shape))
_reshape.def_vjp(lambda gradients, inputs, outputs, shape: (lambda: to_shape(gradients[0], inputs[0].shape),))


@_reshape.def_cut
def _reshape_cut(units: tuple, specs: tuple, samples: int, shape: tuple[int, ...]) -> Rows | None:
    """Samples stay together where the first dimension still counts them, each once or several times."""
    if not (samples and shape and shape[0] and shape[0] % samples == 0):
        return None
    unit = shape[0] // samples
    return Rows(units, (unit,), lambda count: {"shape": (count * unit, *shape[1:])})


@_reshape.def_shape
def _reshape_shape(spec: TensorSpec, shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec(shape, spec.dtype)


def to_shape(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    return tensor if tuple(tensor.shape) == tuple(shape) else _reshape(tensor, shape=tuple(shape))


@op
def reshape(tensor: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same elements in another shape; one size may be -1 and is then worked out.

    Raises:
        InvalidArgumentError: The numbers of elements differ.
    """
    tensor, wanted = to_tensor(tensor), static_ints(shape)
    size = math.prod(tensor.shape)
    known = math.prod(dim for dim in wanted if dim != -1)
    if wanted.count(-1) > 1:
        raise InvalidArgumentError(f"Only one size of the shape {wanted} may be -1.")
    if -1 in wanted:
        # With no elements at all, -1 stands for what the other sizes leave of the old shape: 0.
        wanted = tuple((size // known if known else 0) if dim == -1 else dim for dim in wanted)
    if math.prod(wanted) != size:
        raise InvalidArgumentError(
            f"Input to reshape is a tensor with {size} values (shape {tensor.shape}), but the requested shape "
            f"{tuple(static_ints(shape))} has {known}."
        )
    return to_shape(tensor, wanted)


@op
def expand_dims(input: Any, axis: int, name: str | None = None) -> Tensor:
    """A dimension of size 1 inserted at `axis`."""
    tensor = to_tensor(input)
    shape = list(tensor.shape)
    shape.insert(axis_of(axis, tensor.ndim + 1), 1)
    return to_shape(tensor, shape)


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
    return to_shape(tensor, [dim for i, dim in enumerate(tensor.shape) if i not in axes])


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
_transpose.def_cut(lambda units, specs, samples, perm: each_row(0)(units, specs, samples) if perm[0] == 0 else None)
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


@_broadcast_to.def_cut
def _broadcast_cut(units: tuple, specs: tuple, samples: int, shape: tuple[int, ...]) -> Rows | None:
    same_rows = len(specs[0].shape) == len(shape) and specs[0].shape[0] == shape[0]
    return each_row(0, sized="shape")(units, specs, samples, shape=shape) if same_rows else None


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
    return to_shape(reduce_sum(tensor, axis=axes), shape)


def slice_view(array: np.ndarray, index: tuple) -> np.ndarray:
    # With the ellipsis a single element is a view of no dimensions; without, it would be a copied number.
    return array[(*(slice(*item) if isinstance(item, tuple) else item for item in index), ...)]


_slice = _copies("slice", slice_view)


@_slice.def_shape
def _slice_shape(spec: TensorSpec, index: tuple) -> TensorSpec:
    """index: for each dimension (start, stop, step), all non-negative starts; or an int, which drops it."""
    return TensorSpec(slice_view(np.broadcast_to(np.empty(()), spec.shape), index).shape, spec.dtype)


_slice.def_vjp(
    lambda gradients, inputs, outputs, index: (
        lambda: _unslice(gradients[0], shape=tuple(inputs[0].shape), index=index),
    )
)


def _slice_cut(units: tuple, specs: tuple, samples: int, index: tuple, **params: Any) -> Rows | None:
    """A slice that takes all rows."""
    whole = index[0] == (0, units[0] * samples, 1)
    unit = units[0]

    def resized(count: int) -> dict[str, Any]:
        sizes = {"shape": (count * unit, *params["shape"][1:])} if params else {}
        return {"index": ((0, count * unit, 1), *index[1:]), **sizes}

    return Rows(units, (unit,), resized) if whole else None


_slice.def_cut(_slice_cut)
_unslice = Primitive("unslice")
_unslice.def_cut(_slice_cut)
_unslice.def_shape(lambda spec, shape, index: TensorSpec(shape, spec.dtype))
_unslice.def_vjp(lambda gradients, inputs, outputs, shape, index: (lambda: _slice(gradients[0], index=index),))


@_unslice.def_kernel
def _unslice_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, shape: tuple, index: tuple) -> Calls:
    """Zeros of `shape` with the input put where the slice was taken."""
    return [(outputs[0].fill, (0,)), (np.copyto, (slice_view(outputs[0], index), inputs[0]))]


def slice_primitive(tensor: Tensor, index: tuple) -> Tensor:
    """`tensor[index]`, index in the form `_slice_shape` takes."""
    return _slice(tensor, index=index)


# --- repeating, turning, padding


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
    return to_shape(broadcast_to(to_shape(tensor, spread), repeated), shape)


@op
def repeat(input: Any, repeats: Any, axis: int | None = None, name: str | None = None) -> Tensor:
    """Each element along `axis` `repeats` times in a row; of the flattened tensor when axis is None.

    Args:
        repeats: How often: one number, or one for each element along `axis`.
    """
    tensor = to_tensor(input)
    if axis is None:
        tensor, axis = to_shape(tensor, (tensor.spec.size,)), 0
    axis = axis_of(axis, tensor.ndim)
    counts, shape = sizes_of(repeats, "list of repeats"), list(tensor.shape)
    if len(counts) != 1:
        return _repeat_each(tensor, counts, axis)
    spread = shape[: axis + 1] + [counts[0]] + shape[axis + 1 :]
    result = broadcast_to(to_shape(tensor, shape[: axis + 1] + [1] + shape[axis + 1 :]), spread)
    shape[axis] *= counts[0]
    return to_shape(result, shape)


def _repeat_each(tensor: Tensor, counts: tuple[int, ...], axis: int) -> Tensor:
    from distkeras.ops.indexing import gather

    if len(counts) != tensor.shape[axis]:
        raise InvalidArgumentError(
            f"repeat: expected one number of repeats, or {tensor.shape[axis]}, one for each along axis {axis} of "
            f"{tensor.shape}; received {len(counts)}."
        )
    return gather(tensor, np.repeat(np.arange(len(counts)), counts), axis=axis)


_reverse = _copies("reverse", lambda array, axes: np.flip(array, axes))
_reverse.def_shape(lambda spec, axes: spec)
_reverse.def_cut(rows_along("axes"))
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
        slice_view(inside, index)[...] = True
        return where(to_tensor(inside), padded, to_tensor(constant, like=tensor))
    return padded
