"""Memory by its address, for kernels whose job says where operands lie, and memory of a kernel's own."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.amx import ROW_BYTES
from distkeras.kernels.compile import Scratch, inlined
from distkeras.kernels.simd import INT8, INT64, POINTER
from distkeras.kernels.split import BLOCK, BLOCK_BYTES, FLOATS_ROW

_LINE = 64


def block_memory(scratch: Scratch, blocks: int) -> np.ndarray:
    """Memory for so many split blocks, which begin on a line."""
    return scratch(((blocks * BLOCK_BYTES + _LINE) // 4,), np.float32)


def on_a_line(memory: np.ndarray) -> int:
    """The address of the first line of memory that lies in the array as a whole."""
    return -(-memory.ctypes.data // _LINE) * _LINE


@intrinsic
def new_floats(typing_context):
    """The address of memory for 32 x 32 float32, for as long as the calling function runs; one place for each call."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(INT8, BLOCK * FLOATS_ROW))
            memory.align = ROW_BYTES
        return builder.ptrtoint(memory, INT64)

    return types.int64(), generate


@intrinsic
def load_float(typing_context, place):
    """The float32 at an address."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        return builder.load(builder.inttoptr(arguments[0], POINTER), typ=ir.FloatType(), align=4)

    return types.float32(types.int64), generate


@intrinsic
def load_integer(typing_context, place):
    """The int64 at an address."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        return builder.load(builder.inttoptr(arguments[0], POINTER), typ=INT64, align=8)

    return types.int64(types.int64), generate


@intrinsic
def store_float(typing_context, value, place):
    """Write a float32 to an address."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        builder.store(arguments[0], builder.inttoptr(arguments[1], POINTER), align=4)
        return context.get_dummy_value()

    return types.void(types.float32, types.int64), generate


@inlined
def copy_part(by_table, source, rows, count, columns, target):
    """Copy `count` rows of some columns of float32 to a block of 32 x 32; zeros fill it up.

    by_table is 1 if `rows` is the address of the rows' offsets, 0 if it is the bytes from one to the next.
    """
    for i in range(BLOCK):
        line = source
        if i < count:
            line += load_integer(rows + 8 * i) if by_table else i * rows
        for j in range(BLOCK):
            value = load_float(line + 4 * j) if i < count and j < columns else np.float32(0)
            store_float(value, target + i * FLOATS_ROW + 4 * j)
