"""Intel's matrix unit (AMX): eight registers, tiles of 16 rows of 64 bytes, and products of tiles of bfloat16.

A product adds to 16 x 16 float32 sums those of 32 terms each: 16 times what a fused multiply-add of AVX-512 does in
the same time. Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.

Linux lends the registers to a process that asks for them; a thread gives them their shape before it uses them, and
gives them back when it has finished, for as long as they hold something each switch between threads has to save them.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import sys

from llvmlite import ir

TILE_BYTES, ROW_BYTES, TILE = 1024, 64, 16

_BYTE, _WORD, _POINTER = ir.IntType(8), ir.IntType(64), ir.PointerType()
# arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), see the kernel's Documentation/arch/x86/xstate.rst.
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18


@functools.cache
def is_permitted() -> bool:
    """Ask the system for the registers, for all threads of this process and processes that it forks."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    return ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) == 0


def configure(builder: ir.IRBuilder) -> None:
    """Give all registers of this thread their full shape."""
    name, kind = "distkeras.amx.shape", ir.ArrayType(_BYTE, 64)
    shape = builder.module.globals.get(name)
    if shape is None:
        shape = ir.GlobalVariable(builder.module, kind, name)
        shape.linkage, shape.global_constant, shape.align = "internal", True, 64
        # Palette 1; from byte 16 on the bytes of a row, two bytes each; from byte 48 on the rows.
        numbers = [1, *[0] * 15, *[ROW_BYTES, 0] * 8, *[0] * 16, *[TILE] * 8, *[0] * 8]
        shape.initializer = ir.Constant(kind, bytearray(numbers))
    _call(builder, "ldtilecfg", [shape])


def release(builder: ir.IRBuilder) -> None:
    """Give the registers back."""
    _call(builder, "tilerelease", [])


def zero(builder: ir.IRBuilder, register: int) -> None:
    """Fill a register with zeros."""
    _call(builder, "tilezero", [_BYTE(register)])


def load(builder: ir.IRBuilder, register: int, pointer: ir.Value, row_bytes: int = ROW_BYTES) -> None:
    """Read a tile whose rows lie `row_bytes` apart."""
    _call(builder, "tileloadd64", [_BYTE(register), pointer, _WORD(row_bytes)])


def store(builder: ir.IRBuilder, register: int, pointer: ir.Value, row_bytes: int) -> None:
    """Write a tile with its rows `row_bytes` apart."""
    _call(builder, "tilestored64", [_BYTE(register), pointer, _WORD(row_bytes)])


def multiply_add(builder: ir.IRBuilder, sums: int, a: int, b: int) -> None:
    """sums[m, n] += sum over p < 16, i < 2 of a[m, p, i] * b[p, n, i]: float32 sums, pairs of bfloat16."""
    _call(builder, "tdpbf16ps", [_BYTE(sums), _BYTE(a), _BYTE(b)])


def _call(builder: ir.IRBuilder, name: str, arguments: list[ir.Value]) -> None:
    name, module = f"llvm.x86.{name}", builder.module
    kind = ir.FunctionType(ir.VoidType(), [_POINTER if v.type.is_pointer else v.type for v in arguments])
    function = module.globals.get(name) or ir.Function(module, kind, name)
    builder.call(function, [builder.bitcast(v, _POINTER) if v.type.is_pointer else v for v in arguments])
