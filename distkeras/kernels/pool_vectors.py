"""The gradient of 2x2 windows that touch, in the widest vectors along the channels, of which there are whole vectors.

A compiler enters a loop over few channels for each place, with what it has to check before; here nothing is checked,
which makes a factor of four where all lies in the cache.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.simd import HOST, INT8, INT64, POINTER, VectorBuilder


def fills_vectors(channels: int, itemsize: int) -> bool:
    """Whether so many elements make whole vectors, and at least one."""
    return channels > 0 and channels % (HOST.vector_bytes // itemsize) == 0


@intrinsic
def spread_line(typing_context, out, upper, lower, gradient, place, windows, channels):
    """A line of windows: each one's gradient to its place, zeros to the others.

    Args:
        out: An array of the element type.
        upper, lower: Addresses of the two lines that are written; a window's places are 0 and 1 above, 2 and 3 below.
        gradient, place: Addresses of the windows' gradients, and of their places, which are bytes.
        windows, channels: int64.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        element = context.get_data_type(signature.args[0].dtype)
        size = 8 if isinstance(element, ir.DoubleType) else 4
        emit = VectorBuilder(builder, element, HOST.vector_bytes // size)
        *starts, windows, channels = arguments[1:]
        pixel = builder.mul(channels, INT64(size))
        two = builder.mul(pixel, INT64(2))
        vectors = builder.sdiv(channels, INT64(emit.lanes))
        widths = [INT64(HOST.vector_bytes)] * 3 + [INT64(emit.lanes)]

        def moved(pointers: list[ir.Value], by: list[ir.Value]) -> list[ir.Value]:
            return [emit.offset(pointer, step) for pointer, step in zip(pointers, by, strict=True)]

        def vector(_: ir.Value, pointers: list[ir.Value]) -> list[ir.Value]:
            _spread(emit, pointers, pixel)
            return moved(pointers, widths)

        def window(_: ir.Value, pointers: list[ir.Value]) -> list[ir.Value]:
            emit.loop(vectors, pointers, vector)
            return moved(pointers, [two, two, pixel, channels])

        emit.loop(windows, [builder.inttoptr(start, POINTER) for start in starts], window)
        return context.get_dummy_value()

    return types.void(out, *[types.int64] * 6), generate


def _spread(emit: VectorBuilder, pointers: list[ir.Value], pixel: ir.Value) -> None:
    """A vector of gradients; `pixel` is how many bytes further on the right one of two places lies."""
    build, (upper, lower, gradient, place) = emit.builder, pointers
    kind = ir.VectorType(INT8, emit.lanes)
    value, where = emit.load(gradient), build.load(place, typ=kind, align=1)
    for number, target in enumerate((upper, emit.offset(upper, pixel), lower, emit.offset(lower, pixel))):
        is_here = build.icmp_signed("==", where, ir.Constant(kind, [number] * emit.lanes))
        emit.store(build.select(is_here, value, emit.zero), target)
