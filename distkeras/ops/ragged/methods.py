"""Gives RaggedTensor the methods that are made of ops."""

from __future__ import annotations

from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.ops.ragged import conversion, indexing, lengths

for _method in (
    lengths.bounding_shape,
    lengths.nested_row_lengths,
    lengths.nested_value_rowids,
    lengths.nrows,
    lengths.row_lengths,
    lengths.row_limits,
    lengths.row_starts,
    lengths.value_rowids,
    conversion.to_sparse,
):
    setattr(RaggedTensor, _method.__name__, _method)

RaggedTensor.to_tensor = conversion.to_dense
RaggedTensor.from_tensor = staticmethod(conversion.from_tensor)
RaggedTensor.from_sparse = staticmethod(conversion.from_sparse)
RaggedTensor.__getitem__ = indexing.getitem
