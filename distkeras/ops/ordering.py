"""Sorting, the largest elements, counting and telling values apart."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Primitive
from distkeras.core.spec import TensorSpec, as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import axis_of, integer, op
from distkeras.ops.elementwise import cast, clip_by_value, floor, is_finite, logical_and, minimum, multiply
from distkeras.ops.indexing import checked_indices, gather, scatter_add
from distkeras.ops.joining import stack
from distkeras.ops.reduction import reduce_all, reduce_sum
from distkeras.ops.scatter import scatter_nd
from distkeras.ops.shape import expand_dims, reshape, transpose
from distkeras.ops.shape import slice_primitive as take_slice


def _argsort_numpy(x: np.ndarray, descending: bool) -> np.ndarray:
    """Along the last axis; equal elements keep their order in both directions."""
    if not descending:
        return np.argsort(x, axis=-1, kind="stable").astype(np.int32)
    backwards = np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    return (x.shape[-1] - 1 - backwards).astype(np.int32)


_argsort = Primitive("argsort", numpy=_argsort_numpy)
_argsort.def_shape(lambda spec, descending: TensorSpec(spec.shape, "int32"))


def _swapped(x: Tensor, axis: int) -> Tensor:
    """x with `axis` and the last one exchanged."""
    order = list(range(x.ndim))
    order[axis], order[-1] = order[-1], order[axis]
    return transpose(x, order)


def _sortable(values: Any, axis: Any, direction: str, function: str) -> tuple[Tensor, int, bool]:
    x = to_tensor(values)
    if not x.ndim:
        raise InvalidArgumentError(f"{function}: a scalar has no axis to sort along.")
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(f"{function}: direction must be 'ASCENDING' or 'DESCENDING', received {direction!r}.")
    axis = axis_of(axis, x.ndim)
    return x, axis, direction == "DESCENDING"


@op
def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None
) -> Tensor:
    """The indices that put `values` in order along `axis`; equal elements always keep their order."""
    x, axis, descending = _sortable(values, axis, direction, "argsort")
    return _swapped(_argsort(_swapped(x, axis), descending=descending), axis)


@op
def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None) -> Tensor:
    """The elements in order along `axis`.

    >>> import distkeras as tf
    >>> tf.sort([3, 1, 2], direction="DESCENDING").numpy().tolist()
    [3, 2, 1]
    """
    x, axis, descending = _sortable(values, axis, direction, "sort")
    x = _swapped(x, axis)
    return _swapped(gather(x, _argsort(x, descending=descending), batch_dims=x.ndim - 1), axis)


class TopK(NamedTuple):
    """The largest elements and where they are."""

    values: Tensor
    indices: Tensor


@op
def top_k(input: Any, k: int = 1, sorted: bool = True, name: str | None = None) -> TopK:
    """The k largest elements of the last dimension, largest first, and their indices.

    `sorted=False` allows any order; they are in order all the same.
    """
    x, k = to_tensor(input), integer(k, "k")
    if not x.ndim or not 0 <= k <= x.shape[-1]:
        raise InvalidArgumentError(f"top_k: input must have at least k = {k} columns, received shape {x.shape}.")
    index = tuple((0, int(k) if axis == x.ndim - 1 else size, 1) for axis, size in enumerate(x.shape))
    order = take_slice(_argsort(x, descending=True), index)
    return TopK(gather(x, order, batch_dims=x.ndim - 1), order)


@op
def in_top_k(targets: Any, predictions: Any, k: int, name: str | None = None) -> Tensor:
    """Whether each target class is among the k largest predictions; classes that tie with the k-th one are in."""
    targets, scores = to_tensor(targets), to_tensor(predictions)
    if scores.ndim != 2 or tuple(targets.shape) != tuple(scores.shape[:1]):
        raise InvalidArgumentError(
            f"in_top_k: expected predictions [batch, classes] and targets [batch], received {scores.shape} and "
            f"{targets.shape}."
        )
    own = gather(scores, expand_dims(targets, -1), batch_dims=1)
    larger = reduce_sum(cast(scores > own, "int32"), -1)
    return logical_and(larger < int(k), reduce_all(is_finite(own), -1))


@op
def searchsorted(
    sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = "int32", name: str | None = None
) -> Tensor:
    """Where each value would be inserted into its row to keep the order: the number of smaller elements there."""
    rows, values = to_tensor(sorted_sequence), to_tensor(values)
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', received {side!r}.")
    if rows.shape[:-1] != values.shape[:-1]:
        raise InvalidArgumentError(f"searchsorted: the rows of {rows.shape} and {values.shape} differ in number.")
    rows, values = expand_dims(rows, -2), expand_dims(values, -1)
    return reduce_sum(cast(rows < values if side == "left" else rows <= values, out_type), -1)


@op
def invert_permutation(x: Any, name: str | None = None) -> Tensor:
    """Where each index stands in the permutation x."""
    x = to_tensor(x)
    numbers = to_tensor(np.arange(x.shape[0], dtype=x.dtype.numpy))
    return scatter_nd(expand_dims(x, -1), numbers, x.shape)


@op
def is_non_decreasing(x: Any, name: str | None = None) -> Tensor:
    """Whether no element is smaller than the one before."""
    flat = reshape(x, (-1,))
    return reduce_all(flat[1:] >= flat[:-1])


@op
def is_strictly_increasing(x: Any, name: str | None = None) -> Tensor:
    """Whether each element is larger than the one before."""
    flat = reshape(x, (-1,))
    return reduce_all(flat[1:] > flat[:-1])


# --- telling apart: how many values there are is known only when they are


class Unique(NamedTuple):
    """The different values, and for each element the index of its own."""

    y: Tensor
    idx: Tensor


class UniqueWithCounts(NamedTuple):
    """The different values, for each element the index of its own, and how often each occurs."""

    y: Tensor
    idx: Tensor
    count: Tensor


@op
def unique_with_counts(x: Any, out_idx: Any = "int32", name: str | None = None) -> UniqueWithCounts:
    """The different values of a vector in the order of their first occurrence. Not inside a traced function."""
    x = to_tensor(x)
    if x.ndim != 1:
        raise InvalidArgumentError(f"unique: expected a vector, received shape {x.shape}.")
    array, kind = x._value("a list of values, whose number gives the output's shape,"), as_dtype(out_idx).numpy
    values, first, inverse, counts = np.unique(array, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    results = (values[order], place[inverse.reshape(-1)].astype(kind), counts[order].astype(kind))
    return UniqueWithCounts(*map(to_tensor, results))


@op
def unique(x: Any, out_idx: Any = "int32", name: str | None = None) -> Unique:
    """The different values of a vector in the order of their first occurrence. Not inside a traced function.

    >>> import distkeras as tf
    >>> tf.unique([7, 3, 7]).idx.numpy().tolist()
    [0, 1, 0]
    """
    return Unique(*unique_with_counts(x, out_idx)[:2])


# --- counting


@op
def bincount(
    arr: Any,
    weights: Any = None,
    minlength: int | None = None,
    maxlength: int | None = None,
    dtype: Any = "int32",
    name: str | None = None,
) -> Tensor:
    """How often each of 0, 1, 2, ... occurs, or the sum of its weights.

    Inside a traced function the length must be known: give `minlength` and `maxlength` the same value.
    """
    numbers = reshape(arr, (-1,))
    if minlength is None or minlength != maxlength:
        array = numbers._value("a list of counts (give minlength and maxlength the same value)")
        size = int(array.max()) + 1 if array.size else 0
        size = max(size, int(minlength or 0))
        size = size if maxlength is None else min(size, int(maxlength))
    else:
        size = int(minlength)
    inside = numbers < size
    units = cast(inside, dtype) if weights is None else reshape(weights, (-1,))
    units = multiply(units, cast(inside, units.dtype))
    places = checked_indices(minimum(numbers, max(size - 1, 0)), (max(size, 1),))
    return scatter_add(units, places, rows=max(size, 1))[:size]


@op
def confusion_matrix(
    labels: Any,
    predictions: Any,
    num_classes: int | None = None,
    weights: Any = None,
    dtype: Any = "int32",
    name: str | None = None,
) -> Tensor:
    """[num_classes, num_classes] counts, or sums of weights: rows are labels, columns predictions.

    >>> import distkeras as tf
    >>> tf.math.confusion_matrix([0, 1, 1], [0, 1, 0]).numpy().tolist()
    [[1, 0], [1, 1]]
    """
    pair = [reshape(cast(part, "int64"), (-1,)) for part in (labels, predictions)]
    if pair[0].shape != pair[1].shape:
        raise InvalidArgumentError(
            f"confusion_matrix: as many labels as predictions are expected, received {pair[0].shape[0]} and "
            f"{pair[1].shape[0]}."
        )
    if num_classes is None:
        arrays = [part._value("a class (give num_classes)") for part in pair]
        num_classes = max(int(array.max()) for array in arrays) + 1 if arrays[0].size else 0
    units = cast(np.ones(pair[0].shape), dtype) if weights is None else cast(reshape(weights, (-1,)), dtype)
    return scatter_nd(stack(pair, -1), units, (int(num_classes), int(num_classes)))


@op
def histogram_fixed_width(
    values: Any, value_range: Any, nbins: int = 100, dtype: Any = "int32", name: str | None = None
) -> Tensor:
    """How many values lie in each of `nbins` equal parts of the range; what is outside counts for the outer parts."""
    x, span = to_tensor(values), to_tensor(value_range)
    span = cast(span, x.dtype)
    place = floor(cast(x - span[0], "float64") / cast(span[1] - span[0], "float64") * float(nbins))
    place = cast(clip_by_value(place, 0.0, float(nbins - 1)), "int64")
    return bincount(place, minlength=nbins, maxlength=nbins, dtype=dtype)
