"""Tensors taken apart by numbers and put together again; slices with steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import axis_of, integer, op, static_ints
from distkeras.ops.creation import zeros
from distkeras.ops.elementwise import where
from distkeras.ops.indexing import gather, getitem
from distkeras.ops.joining import concat
from distkeras.ops.scatter import tensor_scatter_nd_update
from distkeras.ops.shape import broadcast_to, expand_dims, reshape, transpose


@op
def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Tensor:
    """`input_[begin[0]:end[0]:strides[0], begin[1]:...]`; dimensions without an entry are taken whole.

    Args:
        input_: The tensor.
        begin, end, strides: An entry for each part of the index; steps of 1 by default.
        begin_mask, end_mask: Bit i: part i begins, or ends, at the end of its dimension, whatever is given.
        ellipsis_mask: Bit i: part i is `...`.
        new_axis_mask: Bit i: part i is a new dimension of size 1.
        shrink_axis_mask: Bit i: part i is `begin[i]`, and its dimension goes away.
        var: Refused: `variable[...].assign(value)` assigns to a slice.

    >>> import distkeras as tf
    >>> tf.strided_slice([[1, 2, 3], [4, 5, 6]], [0, 2], [2, 0], [1, -1]).numpy().tolist()
    [[3, 2], [6, 5]]
    """
    if var is not None:
        raise ValueError("strided_slice: `var` is not available; assign to a slice by variable[...].assign(value).")
    starts, stops = static_ints(begin, "list of starts"), static_ints(end, "list of ends")
    steps = (1,) * len(starts) if strides is None else static_ints(strides, "list of steps")
    if not len(starts) == len(stops) == len(steps):
        raise InvalidArgumentError(
            f"strided_slice: begin, end and strides must be of one length, received {starts}, {stops} and {steps}."
        )
    if 0 in steps:
        raise InvalidArgumentError(f"strided_slice: strides must not be 0, received {steps}.")

    def part(i: int) -> Any:
        if ellipsis_mask >> i & 1:
            return ...
        if new_axis_mask >> i & 1:
            return None
        if shrink_axis_mask >> i & 1:
            return starts[i]
        return slice(None if begin_mask >> i & 1 else starts[i], None if end_mask >> i & 1 else stops[i], steps[i])

    return getitem(input_, tuple(map(part, range(len(starts)))))


@op
def reverse_sequence(
    input: Any, seq_lengths: Any, seq_axis: int | None = None, batch_axis: int | None = None, name: str | None = None
) -> Tensor:
    """The first `seq_lengths[i]` places of sequence i in reverse order, and the rest as they are.

    Args:
        input: The sequences.
        seq_lengths: [batch] integers, at most as many as there are places.
        seq_axis: The dimension of places.
        batch_axis: The dimension of sequences; 0 by default.

    Raises:
        InvalidArgumentError: A sequence is longer than the dimension.

    >>> import distkeras as tf
    >>> tf.reverse_sequence([[1, 2, 3, 0], [4, 5, 0, 0]], [3, 2], seq_axis=1).numpy().tolist()
    [[3, 2, 1, 0], [5, 4, 0, 0]]
    """
    tensor, lengths = to_tensor(input), to_tensor(seq_lengths)
    if seq_axis is None:
        raise ValueError("reverse_sequence: seq_axis, the dimension of the places, must be given.")
    places, batch = axis_of(seq_axis, tensor.ndim), axis_of(0 if batch_axis is None else batch_axis, tensor.ndim)
    if places == batch or not lengths.dtype.is_integer or tuple(lengths.shape) != (tensor.shape[batch],):
        raise InvalidArgumentError(
            f"reverse_sequence: expected different axes and {tensor.shape[batch]} integer seq_lengths; received axes "
            f"{places} and {batch}, and {lengths.dtype.name} {lengths.shape}."
        )
    order = (batch, places, *(axis for axis in range(tensor.ndim) if axis not in (batch, places)))
    numbers = to_tensor(np.arange(tensor.shape[places], dtype=lengths.dtype.numpy))
    ends = expand_dims(lengths, 1)
    sources = where(numbers < ends, ends - 1 - numbers, broadcast_to(numbers, (tensor.shape[batch], len(numbers))))
    reversed_ = gather(transpose(tensor, order), sources, batch_dims=1)
    return transpose(reversed_, np.argsort(order).tolist())


@op
def dynamic_partition(data: Any, partitions: Any, num_partitions: int, name: str | None = None) -> list[Tensor]:
    """The rows of each partition.

    Args:
        data: [*partitions.shape, ...].
        partitions: For each row the number of its partition. They must be known: not inside a traced function.
        num_partitions: How many there are.

    Raises:
        InvalidArgumentError: A number is not in [0, num_partitions), or the shapes do not fit.

    >>> import distkeras as tf
    >>> [part.numpy().tolist() for part in tf.dynamic_partition([10, 20, 30], [1, 0, 1], 2)]
    [[20], [10, 30]]
    """
    tensor, numbers, count = to_tensor(data), to_tensor(partitions), integer(num_partitions, "num_partitions")
    if not numbers.dtype.is_integer or tuple(tensor.shape[: numbers.ndim]) != tuple(numbers.shape):
        raise InvalidArgumentError(
            f"dynamic_partition: partitions must be integers for the first dimensions of {tensor.shape}, received "
            f"{numbers.dtype.name} {numbers.shape}."
        )
    known = numbers._value("a partition, whose rows give the output's shape,").reshape(-1)
    if ((known < 0) | (known >= count)).any():
        raise InvalidArgumentError(f"dynamic_partition: partitions must be in [0, {count}), received {known.tolist()}.")
    rows = reshape(tensor, (known.size, *tensor.shape[numbers.ndim :]))
    return [gather(rows, np.flatnonzero(known == number)) for number in range(count)]


@op
def dynamic_stitch(indices: Sequence[Any], data: Sequence[Any], name: str | None = None) -> Tensor:
    """Rows put where their indices say; of several for one place the last stays, and places without one are 0.

    Args:
        indices: Integer tensors. They must be known: the largest gives the number of rows.
        data: For each of them a tensor [*indices.shape, ...].

    >>> import distkeras as tf
    >>> tf.dynamic_stitch([[0, 2], [1]], [[10, 30], [20]]).numpy().tolist()
    [10, 20, 30]
    """
    places, values = [to_tensor(part) for part in indices], [to_tensor(part) for part in data]
    if not places or len(places) != len(values):
        raise InvalidArgumentError(
            f"dynamic_stitch: expected as many data as indices, at least one; received {len(values)} and {len(places)}."
        )
    row = tuple(values[0].shape[places[0].ndim :])
    for place, value in zip(places, values, strict=True):
        if tuple(value.shape) != (*place.shape, *row):
            raise InvalidArgumentError(
                f"dynamic_stitch: for indices of shape {place.shape}, expected data of shape {(*place.shape, *row)}, "
                f"received {value.shape}."
            )
    known = [place._value("an index, of which the largest gives the output's shape,").reshape(-1) for place in places]
    merged = np.concatenate(known)
    rows = concat([reshape(value, (numbers.size, *row)) for value, numbers in zip(values, known, strict=True)], 0)
    size = int(merged.max()) + 1 if merged.size else 0
    return tensor_scatter_nd_update(zeros((size, *row), rows.dtype), merged[:, None], rows)
