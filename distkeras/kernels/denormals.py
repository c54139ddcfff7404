"""Numbers below the smallest normal one (1e-38 in float32), which x86 processors compute 100 times slower.

Moments of weights that no longer get gradients decay into that range and stay there: an update over such weights took
ten times its time. While a plan runs, they count as zero.
"""

from __future__ import annotations

import platform

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from distkeras.kernels.compile import kernel

# Bits of the control register: results that are too small become zero (15), and so do operands (6).
_FLUSH = (1 << 15) | (1 << 6)
_IS_X86 = platform.machine() in ("x86_64", "AMD64")


def _register_access(name: str):
    def declare(builder):
        function_type = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
        return cgutils.get_or_insert_function(builder.module, function_type, f"llvm.x86.sse.{name}")

    return declare


_store, _load = _register_access("stmxcsr"), _register_access("ldmxcsr")


@intrinsic
def _read_control(typing_context):
    def generate(context, builder, signature, arguments):
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        builder.call(_store(builder), [builder.bitcast(slot, ir.IntType(8).as_pointer())])
        return builder.zext(builder.load(slot), ir.IntType(64))

    return types.int64(), generate


@intrinsic
def _write_control(typing_context, value):
    def generate(context, builder, signature, arguments):
        slot = cgutils.alloca_once(builder, ir.IntType(32))
        builder.store(builder.trunc(arguments[0], ir.IntType(32)), slot)
        builder.call(_load(builder), [builder.bitcast(slot, ir.IntType(8).as_pointer())])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@kernel("int64()")
def flush_denormals():
    """Let them count as zero in this thread; returns the mode before."""
    if not _IS_X86:
        return 0
    before = _read_control()
    _write_control(before | _FLUSH)
    return before


@kernel("void(int64)")
def restore_denormals(before):
    """Back to the mode that `flush_denormals` returned."""
    if _IS_X86:
        _write_control(before)
