"""Half precision: float32 times a power of two, as the 16 bits of IEEE 754's binary16, and back.

NumPy converts element by element; here a vector at a time, where the processor can.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.compile import kernel

_HALF, _BITS = ir.HalfType(), ir.IntType(16)


@intrinsic
def _to_half(typing_context, number):
    """The nearest binary16 of a float32, ties to even; infinity beyond 65504."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        return builder.bitcast(builder.fptrunc(arguments[0], _HALF), _BITS)

    return types.uint16(types.float32), generate


@intrinsic
def _from_half(typing_context, bits):
    """The float32 that binary16 bits stand for."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        return builder.fpext(builder.bitcast(arguments[0], _HALF), ir.FloatType())

    return types.float32(types.uint16), generate


@kernel("void(float32[::1], float32, uint16[::1])")
def encode_half(x, factor, out):
    """out = binary16(x * factor)."""
    for i in range(x.size):
        out[i] = _to_half(x[i] * factor)


@kernel("void(uint16[::1], float32, float32[::1])")
def decode_half(bits, factor, out):
    """out = bits as float32 * factor."""
    for i in range(bits.size):
        out[i] = _from_half(bits[i]) * factor


@kernel("void(uint16[::1], float32, float32[::1])")
def add_half(bits, factor, out):
    """out += bits as float32 * factor."""
    for i in range(bits.size):
        out[i] += _from_half(bits[i]) * factor
