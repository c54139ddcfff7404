"""Vector code for the host CPU: which instruction set, and the LLVM vector operations kernels are built from.

LLVM's own vectoriser keeps too few sums in registers for matrix products, so those are written as vector IR here. The
instruction set is the widest the CPU has; DISTKERAS_SIMD=amx|avx512|avx2|neon|portable chooses another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import llvmlite.binding as llvm
from llvmlite import ir

from distkeras.kernels import amx

INT8, INT32, INT64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
POINTER = ir.PointerType()


@dataclass(frozen=True)
class InstructionSet:
    """What matrix kernels must know of a CPU.

    Attributes:
        name: the value of DISTKERAS_SIMD that selects it.
        vector_bytes: the width of a register.
        features: CPU features it needs, by LLVM's names.
        masked: loading and storing the first lanes of a vector is as cheap as all of it.
        fused: multiply and add are one instruction; without it they round twice, rather than call a library.
        copy_rows: from how many rows on a product first copies the columns of b that its tiles share.
        tile_rows: the most rows a tile of 0, 1, 2, ... vectors of columns may have; 0 stands for a single column, which
            is how columns short of a vector are done where `masked` is false (with `masked`, 0 rows: never).
        turned_depths: how many terms a product's sums have if a transposed operand is turned first, as tiles of few
            columns read it often; longer sums are taken in blocks.
        matrix_unit: there is a unit for products besides, see `amx`, which the system must permit to use.
    """

    name: str
    vector_bytes: int
    features: tuple[str, ...]
    masked: bool
    fused: bool
    copy_rows: int
    tile_rows: tuple[int, ...]
    turned_depths: range = range(96, 768)
    matrix_unit: bool = False

    @property
    def max_vectors(self) -> int:
        """The widest tile, in vectors."""
        return len(self.tile_rows) - 1

    @property
    def max_rows(self) -> int:
        """The highest tile, in rows."""
        return max(self.tile_rows)


# Sums must fit the registers (32 for AVX-512 and NEON, 16 otherwise) beside one row of b and one element of a; more
# than 8 rows also run out of address registers, which costs a factor of three.
_AVX512 = InstructionSet(
    "avx512", 64, ("avx512f",), True, True, copy_rows=96, tile_rows=(0, 8, 12, 8, 6), turned_depths=range(0)
)
INSTRUCTION_SETS = (
    replace(_AVX512, name="amx", features=("avx512f", "amx-tile", "amx-bf16"), matrix_unit=True),
    _AVX512,
    InstructionSet("avx2", 32, ("avx2", "fma"), masked=True, fused=True, copy_rows=24, tile_rows=(0, 8, 6)),
    InstructionSet("neon", 16, ("neon",), masked=False, fused=True, copy_rows=48, tile_rows=(8, 8, 8, 8, 6)),
    InstructionSet("portable", 16, (), masked=False, fused=False, copy_rows=24, tile_rows=(8, 8, 6)),
)


def choose_instruction_set(name: str | None = None) -> InstructionSet:
    """The instruction set called `name`, or the first the host CPU has.

    Args:
        name: one of amx, avx512, avx2, neon, portable; None or "" to choose by the CPU.

    Raises:
        ValueError: the name is unknown, or the CPU lacks the instructions.

    Example:
        >>> choose_instruction_set("portable").vector_bytes
        16
    """
    available = [instructions for instructions in INSTRUCTION_SETS if is_available(instructions)]
    if not name:
        return available[0]
    for candidate in available:
        if candidate.name == name:
            return candidate
    raise ValueError(
        f"DISTKERAS_SIMD={name} cannot be used here: expected one of {', '.join(s.name for s in available)} "
        f"(what this CPU, {llvm.get_host_cpu_name()}, can run). Unset DISTKERAS_SIMD to take the widest."
    )


def is_available(instructions: InstructionSet) -> bool:
    """Whether this CPU has the instructions, and the system permits their use."""
    features = llvm.get_host_cpu_features()
    has_all = all(features.get(feature, False) for feature in instructions.features)
    return has_all and (not instructions.matrix_unit or amx.is_permitted())


HOST = choose_instruction_set(os.environ.get("DISTKERAS_SIMD"))


class VectorBuilder:
    """Emits operations on vectors of `lanes` elements; addresses are pointers offset by bytes."""

    def __init__(self, builder: ir.IRBuilder, element: ir.Type, lanes: int, fused: bool = True) -> None:
        self.builder = builder
        self.element = element
        self.element_bytes = 8 if isinstance(element, ir.DoubleType) else 4
        self.lanes = lanes
        self.vector = ir.VectorType(element, lanes)
        self.zero = ir.Constant(self.vector, [0.0] * lanes)
        self._suffix = f"v{lanes}f{8 * self.element_bytes}"
        self._multiply_add = self._intrinsic(f"llvm.{'fma' if fused else 'fmuladd'}.{self._suffix}", self.vector, 3)

    def _intrinsic(self, name: str, kind: ir.Type, arguments: int) -> ir.Function:
        return self._declare(name, ir.FunctionType(kind, [kind] * arguments))

    def _declare(self, name: str, kind: ir.FunctionType) -> ir.Function:
        module = self.builder.module
        return module.globals.get(name) or ir.Function(module, kind, name)

    def offset(self, pointer: ir.Value, count: ir.Value) -> ir.Value:
        """`pointer` moved by `count` bytes."""
        return self.builder.gep(pointer, [count], source_etype=INT8)

    def field(self, pointer: ir.Value, index: int) -> ir.Value:
        """The int64 at `pointer[index]`."""
        return self.builder.load(self.offset(pointer, INT64(8 * index)), typ=INT64, align=8)

    def first_lanes(self, count: ir.Value) -> ir.Value:
        """A mask that is true in the first `count` (int64) lanes."""
        kind = ir.VectorType(INT32, self.lanes)
        number = self._splat(self.builder.trunc(count, INT32), kind)
        return self.builder.icmp_signed("<", ir.Constant(kind, list(range(self.lanes))), number)

    def load(self, pointer: ir.Value, mask: ir.Value | None = None) -> ir.Value:
        """A vector at any address; lanes outside `mask` are zero and their memory is not touched."""
        if mask is None:
            return self.builder.load(pointer, typ=self.vector, align=self.element_bytes)
        kind = ir.FunctionType(self.vector, [POINTER, INT32, mask.type, self.vector])
        function = self._declare(f"llvm.masked.load.{self._suffix}.p0", kind)
        return self.builder.call(function, [pointer, INT32(self.element_bytes), mask, self.zero])

    def store(self, value: ir.Value, pointer: ir.Value, mask: ir.Value | None = None) -> None:
        """Write a vector to any address, or only the lanes in `mask`."""
        if mask is None:
            self.builder.store(value, pointer, align=self.element_bytes)
            return
        kind = ir.FunctionType(ir.VoidType(), [self.vector, POINTER, INT32, mask.type])
        function = self._declare(f"llvm.masked.store.{self._suffix}.p0", kind)
        self.builder.call(function, [value, pointer, INT32(self.element_bytes), mask])

    def prefetch(self, pointer: ir.Value, count: int, write: bool = False) -> None:
        """Ask for the cache lines of the next `count` bytes, to read or to write; any address will do."""
        function = self._declare("llvm.prefetch.p0", ir.FunctionType(ir.VoidType(), [POINTER, INT32, INT32, INT32]))
        purpose, keep, data = INT32(int(write)), INT32(3), INT32(1)
        for line in range(0, count, 64):
            self.builder.call(function, [self.offset(pointer, INT64(line)), purpose, keep, data])

    def shuffle(self, a: ir.Value, b: ir.Value, lanes: Sequence[int]) -> ir.Value:
        """The chosen lanes of `a` (0 up) and `b` (`self.lanes` up)."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT32, self.lanes), list(lanes)))

    def broadcast(self, pointer: ir.Value) -> ir.Value:
        """The element at `pointer` in every lane."""
        return self._splat(self.builder.load(pointer, typ=self.element, align=self.element_bytes), self.vector)

    def spread(self, scalar: ir.Value) -> ir.Value:
        """A number in every lane."""
        return self._splat(scalar, self.vector)

    def _splat(self, scalar: ir.Value, kind: ir.VectorType) -> ir.Value:
        undefined = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, INT32(0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INT32, kind.count), None))

    def multiply_add(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a * b + c."""
        return self.builder.call(self._multiply_add, [a, b, c])

    def root(self, value: ir.Value) -> ir.Value:
        """The square root."""
        return self.builder.call(self._intrinsic(f"llvm.sqrt.{self._suffix}", self.vector, 1), [value])

    def relu(self, value: ir.Value) -> ir.Value:
        """max(value, 0) that keeps NaN."""
        negative = self.builder.fcmp_ordered("<", value, self.zero)
        return self.builder.select(negative, self.zero, value)

    def loop(self, count: ir.Value, carried: Sequence[ir.Value], body: Callable) -> list[ir.Value]:
        """Repeat `body(index, carried) -> carried` `count` times (perhaps never); returns the last `carried`."""
        build = self.builder
        before = build.block
        head, inside, after = (build.append_basic_block(name) for name in ("head", "body", "after"))
        build.branch(head)
        build.position_at_end(head)
        index = build.phi(INT64)
        index.add_incoming(INT64(0), before)
        current = [build.phi(value.type) for value in carried]
        build.cbranch(build.icmp_signed("<", index, count), inside, after)
        build.position_at_end(inside)
        following = body(index, current)
        index.add_incoming(build.add(index, INT64(1)), build.block)
        for phi, first, value in zip(current, carried, following, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(value, build.block)
        build.branch(head)
        build.position_at_end(after)
        return current

    def when(self, condition: ir.Value, values: Sequence[ir.Value], change: Callable) -> list[ir.Value]:
        """`change(values)` where `condition` holds, else `values`."""
        return self.choose(condition, lambda: change(values), lambda: list(values))

    def choose(self, condition: ir.Value, then: Callable, otherwise: Callable) -> list[ir.Value]:
        """`then()` where `condition` holds, else `otherwise()`; both give values of the same kinds."""
        build = self.builder
        blocks = [build.append_basic_block(name) for name in ("then", "otherwise")]
        after = build.append_basic_block("after")
        build.cbranch(condition, *blocks)
        ends = []
        for block, give in zip(blocks, (then, otherwise), strict=True):
            build.position_at_end(block)
            values = give()
            ends.append((values, build.block))
            build.branch(after)
        build.position_at_end(after)
        merged = [build.phi(value.type) for value in ends[0][0]]
        for values, end in ends:
            for phi, value in zip(merged, values, strict=True):
                phi.add_incoming(value, end)
        return merged
