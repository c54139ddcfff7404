"""Transposing stacks of matrices, in square blocks held in registers.

Matrix products need it: a tile reads b as rows, so a transposed b is turned first. A block of 16 x 16 floats is
transposed by four rounds of exchanges between registers, 3 to 6 times as fast as element by element.
"""

from __future__ import annotations

import contextlib
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.compile import inlined, kernel
from distkeras.kernels.simd import HOST, INT64, POINTER, VectorBuilder

VECTOR_BYTES, MASKED = HOST.vector_bytes, HOST.masked


@intrinsic
def transpose_block(typing_context, out, source, source_row, target, target_row):
    """Transpose a square as wide as a vector, given by int64 addresses and row strides; `out` gives its type."""
    return types.void(out, *[types.int64] * 4), _generate_block


@intrinsic
def transpose_columns(typing_context, out, source, source_row, target, target_row, columns):
    """The same for the first columns of a square, where loading these alone is cheap."""
    return types.void(out, *[types.int64] * 5), _generate_block


def _generate_block(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
    element = context.get_data_type(signature.args[0].dtype)
    _, source, source_row, target, target_row, *columns = arguments
    emit = VectorBuilder(builder, element, VECTOR_BYTES // (8 if isinstance(element, ir.DoubleType) else 4))
    read, write = builder.inttoptr(source, POINTER), builder.inttoptr(target, POINTER)
    mask = emit.first_lanes(columns[0]) if columns else None
    rows = [emit.load(emit.offset(read, builder.mul(source_row, INT64(i))), mask) for i in range(emit.lanes)]
    for i, row in enumerate(_exchange(emit, rows)):
        place = emit.offset(write, builder.mul(target_row, INT64(i)))
        with builder.if_then(builder.icmp_signed("<", INT64(i), columns[0])) if columns else contextlib.nullcontext():
            emit.store(row, place)
    return context.get_dummy_value()


def _exchange(emit: VectorBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """Transposed rows: round by round, halves of ever larger squares on either side of the diagonal change places."""
    lanes = range(emit.lanes)
    distance = 1
    while distance < emit.lanes:
        upper = [lane if not lane & distance else lane - distance + emit.lanes for lane in lanes]
        lower = [lane + distance if not lane & distance else lane + emit.lanes for lane in lanes]
        for i in lanes:
            if not i & distance:
                first, second = rows[i], rows[i + distance]
                rows[i] = emit.shuffle(first, second, upper)
                rows[i + distance] = emit.shuffle(first, second, lower)
        distance *= 2
    return rows


@kernel("void({t}[:, :, ::1], {t}[:, :, ::1])")
def transpose_matrices(matrices, out):
    """out[i, c, r] = matrices[i, r, c]."""
    count, rows, columns = matrices.shape
    for i in range(count):
        _transpose(matrices[i], out[i], rows, columns)


@inlined
def _transpose(matrix, out, rows, columns):
    size = VECTOR_BYTES // matrix.itemsize
    whole_rows, whole_columns = rows - rows % size, columns - columns % size
    source, target = matrix.ctypes.data, out.ctypes.data
    for row in range(0, whole_rows, size):
        for column in range(0, whole_columns, size):
            read = source + (row * columns + column) * matrix.itemsize
            write = target + (column * rows + row) * matrix.itemsize
            transpose_block(out, read, columns * matrix.itemsize, write, rows * matrix.itemsize)
        if MASKED and whole_columns < columns:
            read = source + (row * columns + whole_columns) * matrix.itemsize
            write = target + (whole_columns * rows + row) * matrix.itemsize
            left = columns - whole_columns
            transpose_columns(out, read, columns * matrix.itemsize, write, rows * matrix.itemsize, left)
        else:
            for column in range(whole_columns, columns):
                for inside in range(row, row + size):
                    out[column, inside] = matrix[inside, column]
    for column in range(columns):
        for row in range(whole_rows, rows):
            out[column, row] = matrix[row, column]
