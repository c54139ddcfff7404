"""Memory by its address, for kernels whose job says where operands lie, and memory of a kernel's own."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.amx import ROW_BYTES
from distkeras.kernels.simd import INT8, INT64, POINTER
from distkeras.kernels.split import BLOCK, FLOATS_ROW


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
