"""How TensorFlow's operations that make, move and reduce elements are read: see `readers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.keras.saving.exporting.tensorflow.readers import Node, known_now, number, numbers, reads

# --- element by element, beside what is written

_LIKE_OURS: dict[str, Callable[..., Any]] = {
    "Add": ops.add, "Digamma": ops.digamma, "Elu": ops.elu, "Inv": ops.reciprocal,
    "InvertPermutation": ops.invert_permutation, "L2Loss": ops.l2_loss,
    "OnesLike": ops.ones_like,
    "Relu6": ops.relu6, "Rint": ops.round, "Select": ops.where, "SelectV2": ops.where,
    "Selu": ops.selu, "Softsign": ops.softsign, "ZerosLike": ops.zeros_like,
}  # fmt: skip


def _enter(operation: str, function: Callable[..., Any]) -> None:
    reads(operation)(lambda node, *inputs: function(*inputs))


for _operation, _function in _LIKE_OURS.items():
    _enter(_operation, _function)
_enter("AddN", lambda *values: ops.add_n(list(values)))
_enter("ClipByValue", lambda x, low, high: ops.minimum(ops.maximum(x, low), high))
_enter("IdentityN", lambda *values: list(values))
_enter("Diag", ops.tensor_diag)
_enter("DiagPart", ops.tensor_diag_part)
_enter("MatrixDiag", ops.diag)
_enter("MatrixDiagPart", ops.diag_part)
_enter("MatrixSetDiag", ops.set_diag)
_enter("MatrixBandPart", lambda x, low, high: ops.band_part(x, number(low), number(high)))


@reads("MatrixDiagV3")
def _diag(node: Node, diagonal: Tensor, k: Tensor, rows: Tensor, columns: Tensor, filling: Tensor) -> Tensor:
    sizes = {"num_rows": number(rows), "num_cols": number(columns)}
    return ops.diag(diagonal, k=_diagonal(k), padding_value=known_now(filling).item(), **sizes)


@reads("MatrixDiagPartV3")
def _diag_part(node: Node, matrix: Tensor, k: Tensor, filling: Tensor) -> Tensor:
    return ops.diag_part(matrix, k=_diagonal(k), padding_value=known_now(filling).item())


@reads("MatrixSetDiagV3")
def _set_diag(node: Node, matrix: Tensor, diagonal: Tensor, k: Tensor) -> Tensor:
    return ops.set_diag(matrix, diagonal, k=_diagonal(k))


def _diagonal(k: Tensor) -> Any:
    first, *rest = numbers(k)
    return (first, *rest) if rest else first


@reads("LeakyRelu")
def _leaky_relu(node: Node, x: Tensor) -> Tensor:
    return ops.leaky_relu(x, node("alpha", 0.2))


@reads("Cast")
def _cast(node: Node, x: Tensor) -> Tensor:
    return ops.cast(x, node("DstT"))


# --- made from nothing, or from shapes


@reads("Const")
def _const(node: Node) -> Tensor:
    value = node("value")
    if value is None:
        raise ValueError(f"the constant {node.name!r} is no array")
    return to_tensor(value)


@reads("Fill")
def _fill(node: Node, dims: Tensor, value: Tensor) -> Tensor:
    return ops.broadcast_to(value, numbers(dims))


@reads("Range")
def _range(node: Node, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    ends = [known_now(value).item() for value in (start, limit, delta)]
    return ops.range(*ends, dtype=start.dtype)


@reads("LinSpace")
def _linspace(node: Node, start: Tensor, stop: Tensor, count: Tensor) -> Tensor:
    return ops.linspace(start, stop, number(count))


@reads("OneHot")
def _one_hot(node: Node, indices: Tensor, depth: Tensor, on: Tensor, off: Tensor) -> Tensor:
    return ops.one_hot(indices, number(depth), on, off, axis=node("axis", -1), dtype=on.dtype)


@reads("Shape")
def _shape(node: Node, x: Any) -> Tensor:
    return ops.shape(x, node("out_type", "int32"))


@reads("ShapeN")
def _shapes(node: Node, *values: Any) -> list[Tensor]:
    return [ops.shape(value, node("out_type", "int32")) for value in values]


@reads("Size")
def _size(node: Node, x: Tensor) -> Tensor:
    return ops.size(x, node("out_type", "int32"))


@reads("Rank")
def _rank(node: Node, x: Tensor) -> Tensor:
    return ops.rank(x)


@reads("BroadcastArgs")
def _broadcast_args(node: Node, one: Tensor, other: Tensor) -> Tensor:
    shape = np.broadcast_shapes(tuple(numbers(one)), tuple(numbers(other)))
    return to_tensor(np.array(shape, one.dtype.numpy))


# --- moving elements


@reads("Reshape")
def _reshape(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    return ops.reshape(x, numbers(shape))


@reads("EnsureShape")
def _ensure_shape(node: Node, x: Tensor) -> Tensor:
    return ops.ensure_shape(x, node("shape"))


@reads("ExpandDims")
def _expand_dims(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    return ops.expand_dims(x, number(axis))


@reads("Squeeze")
def _squeeze(node: Node, x: Tensor) -> Tensor:
    return ops.squeeze(x, node("squeeze_dims", []) or None)


@reads("BroadcastTo")
def _broadcast_to(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    return ops.broadcast_to(x, numbers(shape))


@reads("Transpose")
def _transpose(node: Node, x: Tensor, perm: Tensor) -> Tensor:
    return ops.transpose(x, numbers(perm))


@reads("ConcatV2")
def _concat(node: Node, *inputs: Tensor) -> Tensor:
    *values, axis = inputs
    return ops.concat(values, number(axis))


@reads("Pack")
def _pack(node: Node, *values: Tensor) -> Tensor:
    return ops.stack(list(values), node("axis", 0))


@reads("Unpack")
def _unpack(node: Node, value: Tensor) -> list[Tensor]:
    return ops.unstack(value, axis=node("axis", 0))


@reads("Split")
def _split(node: Node, axis: Tensor, value: Tensor) -> list[Tensor]:
    return ops.split(value, node("num_split"), number(axis))


@reads("SplitV")
def _split_sizes(node: Node, value: Tensor, sizes: Tensor, axis: Tensor) -> list[Tensor]:
    return ops.split(value, numbers(sizes), number(axis))


@reads("Tile")
def _tile(node: Node, x: Tensor, multiples: Tensor) -> Tensor:
    return ops.tile(x, numbers(multiples))


@reads("ReverseV2")
def _reverse(node: Node, x: Tensor, axes: Tensor) -> Tensor:
    return ops.reverse(x, numbers(axes))


@reads("ReverseSequence")
def _reverse_sequence(node: Node, x: Tensor, lengths: Tensor) -> Tensor:
    return ops.reverse_sequence(x, lengths, seq_axis=node("seq_dim"), batch_axis=node("batch_dim", 0))


@reads("Roll")
def _roll(node: Node, x: Tensor, shift: Tensor, axis: Tensor) -> Tensor:
    return ops.roll(x, numbers(shift), numbers(axis))


@reads("Pad", "PadV2")
def _pad(node: Node, x: Tensor, pairs: Tensor, filling: Tensor | None = None) -> Tensor:
    value = 0 if filling is None else known_now(filling).item()
    return ops.pad(x, known_now(pairs).tolist(), constant_values=value)


@reads("MirrorPad")
def _mirror_pad(node: Node, x: Tensor, pairs: Tensor) -> Tensor:
    return ops.pad(x, known_now(pairs).tolist(), node.text("mode"))


@reads("Slice")
def _slice(node: Node, x: Tensor, begin: Tensor, size: Tensor) -> Tensor:
    return ops.slice_(x, numbers(begin), numbers(size))


@reads("StridedSlice")
def _strided_slice(node: Node, x: Tensor, begin: Tensor, end: Tensor, strides: Tensor) -> Tensor:
    steps = numbers(strides)
    masks = {kind: node(f"{kind}_mask", 0) for kind in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}

    def has(kind: str, place: int) -> bool:
        return bool(masks[kind] >> place & 1)

    def part(place: int) -> Any:
        if has("ellipsis", place):
            return Ellipsis
        if has("new_axis", place):
            return None
        if has("shrink_axis", place):
            return begin[place] if isinstance(begin, SymbolicTensor) else numbers(begin)[place]
        start = None if has("begin", place) else numbers(begin)[place]
        return slice(start, None if has("end", place) else numbers(end)[place], steps[place])

    return ops.getitem(x, tuple(part(place) for place in range(len(steps))))


@reads("GatherV2")
def _gather(node: Node, table: Tensor, indices: Tensor, axis: Tensor) -> Tensor:
    return ops.gather(table, indices, axis=number(axis), batch_dims=node("batch_dims", 0))


@reads("ResourceGather")
def _gather_variable(node: Node, variable: Variable, indices: Tensor) -> Tensor:
    return ops.gather(variable, indices, batch_dims=node("batch_dims", 0))


@reads("GatherNd")
def _gather_nd(node: Node, table: Tensor, indices: Tensor) -> Tensor:
    return ops.gather_nd(table, indices)


@reads("ScatterNd")
def _scatter_nd(node: Node, indices: Tensor, updates: Tensor, shape: Tensor) -> Tensor:
    return ops.scatter_nd(indices, updates, numbers(shape))


_enter("TensorScatterUpdate", ops.tensor_scatter_nd_update)
_enter("TensorScatterAdd", ops.tensor_scatter_nd_add)
_enter("TensorScatterSub", ops.tensor_scatter_nd_sub)


@reads("SpaceToBatchND")
def _space_to_batch(node: Node, x: Tensor, block: Tensor, pairs: Tensor) -> Tensor:
    """Every n-th element of each direction becomes a sample of its own."""
    sizes, count = numbers(block), len(numbers(block))
    rest = x.ndim - 1 - count
    x = ops.pad(x, [(0, 0), *known_now(pairs).tolist(), *[(0, 0)] * rest])
    batch, around, inner = x.shape[0], x.shape[1 : 1 + count], list(x.shape[1 + count :])
    split = [part for whole, size in zip(around, sizes, strict=True) for part in (whole // size, size)]
    x = ops.reshape(x, [batch, *split, *inner])
    taps, places = range(2, 2 + 2 * count, 2), range(1, 1 + 2 * count, 2)
    x = ops.transpose(x, [*taps, 0, *places, *range(1 + 2 * count, x.ndim)])
    return ops.reshape(x, [batch * int(np.prod(sizes)), *split[::2], *inner])


@reads("BatchToSpaceND")
def _batch_to_space(node: Node, x: Tensor, block: Tensor, pairs: Tensor) -> Tensor:
    """The inverse, and then a border is cut off."""
    sizes, count = numbers(block), len(numbers(block))
    batch, around, inner = x.shape[0] // int(np.prod(sizes)), list(x.shape[1 : 1 + count]), list(x.shape[1 + count :])
    x = ops.reshape(x, [*sizes, batch, *around, *inner])
    order = [place for n in range(count) for place in (count + 1 + n, n)]
    x = ops.transpose(x, [count, *order, *range(2 * count + 1, x.ndim)])
    whole = [size * part for size, part in zip(sizes, around, strict=True)]
    x = ops.reshape(x, [batch, *whole, *inner])
    cuts = [slice(low, size - high) for (low, high), size in zip(known_now(pairs).tolist(), whole, strict=True)]
    return ops.getitem(x, (slice(None), *cuts))


# --- reducing


def _reduction(operation: str, function: Callable[..., Tensor]) -> None:
    @reads(operation)
    def read(node: Node, x: Tensor, axes: Tensor) -> Tensor:
        return function(x, numbers(axes), node("keep_dims", False))


for _operation, _function in {
    "All": ops.reduce_all, "Any": ops.reduce_any, "EuclideanNorm": ops.reduce_euclidean_norm, "Max": ops.reduce_max,
    "Mean": ops.reduce_mean, "Min": ops.reduce_min, "Prod": ops.reduce_prod, "Sum": ops.reduce_sum,
}.items():  # fmt: skip
    _reduction(_operation, _function)


@reads("ArgMax")
def _argmax(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    return ops.argmax(x, number(axis), node("output_type", "int64"))


@reads("ArgMin")
def _argmin(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    return ops.argmin(x, number(axis), node("output_type", "int64"))


@reads("TopKV2", outputs=("values", "indices"))
def _top_k(node: Node, x: Tensor, count: Tensor) -> Sequence[Tensor]:
    return ops.top_k(x, number(count), node("sorted", True))


@reads("Cumsum")
def _cumsum(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    return ops.cumsum(x, number(axis), node("exclusive", False), node("reverse", False))


@reads("Cumprod")
def _cumprod(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    return ops.cumprod(x, number(axis), node("exclusive", False), node("reverse", False))


@reads("Where")
def _where(node: Node, condition: Tensor) -> Tensor:
    return ops.where(condition)


@reads("UnsortedSegmentSum")
def _segment_sum(node: Node, data: Tensor, ids: Tensor, count: Tensor) -> Tensor:
    return ops.unsorted_segment_sum(data, ids, number(count))
