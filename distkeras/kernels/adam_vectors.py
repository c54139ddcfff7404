"""Adam's rule in the widest vectors, for CPUs where dividing these takes longer than all else together.

    u / d = s + (u - d s) q    where s = u q, and q is 1 / d to 14 bits, as AVX-512 gives it in one instruction

One step of Newton's: what comes out is rounded as a division's result is, or one unit in the last place beside it. All
elements are computed so, those too that do not fill a vector: an element's bits are not up to how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.simd import HOST, INT64, POINTER, VectorBuilder

AVAILABLE = HOST.vector_bytes == 64

_LANES = 16
_LARGEST = float(np.finfo(np.float32).max)


@intrinsic
def update_by_adam(typing_context, parameters, gradients, means, squares, count, rate, towards_1, towards_2, epsilon):
    """m += towards_1 (g - m);  v += towards_2 (g**2 - v);  p -= rate m / (sqrt(v) + epsilon), where AVAILABLE.

    The first four are addresses of `count` float32 each.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        if not AVAILABLE:
            return context.get_dummy_value()
        *addresses, count, rate, towards_1, towards_2, epsilon = arguments
        emit = VectorBuilder(builder, ir.FloatType(), _LANES)
        places = [builder.inttoptr(address, POINTER) for address in addresses]
        scalars = [emit.spread(scalar) for scalar in (rate, towards_1, towards_2, epsilon)]

        def update(start: ir.Value, mask: ir.Value | None = None) -> None:
            shift = builder.mul(start, INT64(4))
            _update(emit, [emit.offset(place, shift) for place in places], scalars, mask)

        def step(index: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            update(builder.mul(index, INT64(_LANES)))
            return carried

        left = builder.and_(count, INT64(_LANES - 1))
        emit.loop(builder.ashr(count, INT64(4)), [], step)
        with builder.if_then(builder.icmp_signed(">", left, INT64(0))):
            update(builder.sub(count, left), emit.first_lanes(left))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5, *[types.float32] * 4), generate


def _update(emit: VectorBuilder, places: Sequence[ir.Value], scalars: Sequence[ir.Value], mask: Any) -> None:
    build, (rate, towards_1, towards_2, epsilon) = emit.builder, scalars
    parameter, gradient, mean, square = (emit.load(place, mask) for place in places)
    mean = emit.multiply_add(build.fsub(gradient, mean), towards_1, mean)
    square = emit.multiply_add(build.fsub(build.fmul(gradient, gradient), square), towards_2, square)
    step = _quotient(emit, build.fmul(rate, mean), build.fadd(emit.root(square), epsilon))
    for value, place in ((build.fsub(parameter, step), places[0]), (mean, places[2]), (square, places[3])):
        emit.store(value, place, mask)


def _quotient(emit: VectorBuilder, top: ir.Value, bottom: ir.Value) -> ir.Value:
    """top / bottom for bottom > 0; what is divided by infinity is 0, as it should be, and NaN stays."""
    build, largest = emit.builder, ir.Constant(emit.vector, [_LARGEST] * _LANES)
    bottom = build.select(build.fcmp_ordered(">", bottom, largest), largest, bottom)
    kind = ir.FunctionType(emit.vector, [emit.vector, emit.vector, ir.IntType(16)])
    name = "llvm.x86.avx512.rcp14.ps.512"
    function = build.module.globals.get(name) or ir.Function(build.module, kind, name)
    inverse = build.call(function, [bottom, emit.zero, ir.IntType(16)(-1)])
    first = build.fmul(top, inverse)
    return emit.multiply_add(emit.multiply_add(build.fneg(bottom), first, top), inverse, first)
