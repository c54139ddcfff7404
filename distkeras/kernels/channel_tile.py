"""Sums of products channel by channel: the inner tile of depthwise convolutions, in LLVM vector IR.

For up to MOST_ROWS rows r and all channels c a tile computes

    out[row_out[r] + c] (+)= sum over taps t of  a[row_a[r] + tap_a[t] + c] * b[tap_b[t] + c]

a vector of channels at a time, with all its sums in registers. A convolution's rows are pixels of the result and its
taps those of a window; for the gradient by the kernel it is the other way round: its rows are the taps and what it sums
over are the pixels.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.compile import inlined, kernel
from distkeras.kernels.simd import HOST, INT64, POINTER, VectorBuilder

# Each row takes an address register; with more than 8 they run out.
MOST_ROWS = 8

# The job's int64 fields. Offsets and strides are in bytes.
A, B, OUT, A_ROWS, OUT_ROWS, A_TAPS, B_TAPS, ROWS, TAPS, CHANNELS, ACCUMULATE = range(11)
COUNT, A_STEP, B_STEP, OUT_STEP = range(11, 15)

# Taps done for all rows before the next: few enough for what they touch to stay in the first-level cache.
TAP_BLOCK = 32


@intrinsic
def compute_channels(typing_context, out, rows, a, a_rows, b, c, c_rows, a_taps, b_taps, taps, channels, accumulate):
    """Compute one tile; every argument after `out`, which gives the element type, is an int64.

    rows chooses the tile; a, a_rows, b, c, c_rows, a_taps, b_taps are addresses; taps and channels are counts.
    """
    signature = types.void(out, *[types.int64] * 11)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        element = context.get_data_type(signature.args[0].dtype)
        _, rows, *addresses, taps, channels, accumulate = arguments
        pointers = [builder.inttoptr(value, POINTER) for value in addresses]
        _dispatch(builder, element, rows, [*pointers, taps, channels, accumulate])
        return context.get_dummy_value()

    return signature, generate


def _dispatch(builder: ir.IRBuilder, element: ir.Type, rows: ir.Value, arguments: list) -> None:
    """Call the tile function of this height; each is a function of its own, so that registers are allocated apart."""
    done, impossible = builder.append_basic_block("channels.done"), builder.append_basic_block("channels.impossible")
    switch = builder.switch(rows, impossible)
    for height in range(1, MOST_ROWS + 1):
        block = builder.append_basic_block(f"channels.{height}")
        switch.add_case(INT64(height), block)
        builder.position_at_end(block)
        builder.call(_tile_function(builder.module, element, height), arguments)
        builder.branch(done)
    builder.position_at_end(impossible)
    builder.unreachable()
    builder.position_at_end(done)


def _tile_function(module: ir.Module, element: ir.Type, rows: int) -> ir.Function:
    name = f"distkeras.channels.{element}.{rows}"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 7 + [INT64] * 3), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    _Tile(builder, element, rows, function.args)
    builder.ret_void()
    return function


class _Tile:
    """Writes the body of one tile function: whole vectors of channels, then those that are left.

    The last are the first lanes of a vector where the CPU has masks, and done one by one where it has none.
    """

    def __init__(self, build: ir.IRBuilder, element: ir.Type, rows: int, arguments: Any) -> None:
        a, a_rows, self.b, c, c_rows, self.a_taps, self.b_taps, self.taps, channels, self.accumulate = arguments
        size = 8 if isinstance(element, ir.DoubleType) else 4
        lanes = HOST.vector_bytes // size
        whole = VectorBuilder(build, element, lanes, HOST.fused)
        self.starts = [whole.offset(a, whole.field(a_rows, row)) for row in range(rows)]
        self.places = [whole.offset(c, whole.field(c_rows, row)) for row in range(rows)]
        vectors, left = build.sdiv(channels, INT64(lanes)), build.srem(channels, INT64(lanes))
        self._each(whole, vectors, INT64(0), None)
        done = build.mul(vectors, INT64(HOST.vector_bytes))
        if HOST.masked:
            some = build.zext(build.icmp_signed(">", left, INT64(0)), INT64)
            self._each(whole, some, done, whole.first_lanes(left))
        else:
            self._each(VectorBuilder(build, element, 1, HOST.fused), left, done, None)

    def _each(self, emit: VectorBuilder, count: ir.Value, start: ir.Value, mask: ir.Value | None) -> None:
        """`count` vectors of channels, the first of them `start` bytes after a pixel's first channel."""

        def vector(index: ir.Value, _: list[ir.Value]) -> list[ir.Value]:
            width = INT64(emit.lanes * emit.element_bytes)
            self._store(emit, emit.builder.add(start, emit.builder.mul(index, width)), mask)
            return []

        emit.loop(count, [], vector)

    def _store(self, emit: VectorBuilder, shift: ir.Value, mask: ir.Value | None) -> None:
        build = emit.builder

        def tap(index: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            row = build.mul(index, INT64(8))
            a, b = (build.add(emit.field(emit.offset(table, row), 0), shift) for table in (self.a_taps, self.b_taps))
            factor = emit.load(emit.offset(self.b, b), mask)
            values = (emit.load(emit.offset(start, a), mask) for start in self.starts)
            return [emit.multiply_add(value, factor, total) for value, total in zip(values, sums, strict=True)]

        sums = emit.loop(self.taps, [emit.zero] * len(self.starts), tap)
        places = [emit.offset(place, shift) for place in self.places]

        def add_old(values: list[ir.Value]) -> list[ir.Value]:
            return [build.fadd(x, emit.load(place, mask)) for x, place in zip(values, places, strict=True)]

        sums = emit.when(build.icmp_signed("!=", self.accumulate, INT64(0)), sums, add_old)
        for total, place in zip(sums, places, strict=True):
            emit.store(total, place, mask)


@kernel("void({t}[::1], int64[:, ::1])")
def multiply_channels(out, jobs):
    """Run the jobs (rows of the fields above) for each of COUNT images; `out` gives the element type.

    Images lie A_STEP, B_STEP and OUT_STEP apart; with an OUT_STEP of 0 their results are summed.
    """
    for image in range(jobs[0, COUNT]):
        for number in range(jobs.shape[0]):
            job = jobs[number]
            a, b, c = job[A] + image * job[A_STEP], job[B] + image * job[B_STEP], job[OUT] + image * job[OUT_STEP]
            _run(out, job, a, b, c, job[ACCUMULATE] != 0 or (image > 0 and job[OUT_STEP] == 0))


@inlined
def _run(out, job, a, b, c, again):
    tiles = (job[ROWS] + MOST_ROWS - 1) // MOST_ROWS
    height, higher = job[ROWS] // max(tiles, 1), job[ROWS] % max(tiles, 1)
    # Where there are no taps, one block of none writes the zeros.
    for first in range(0, max(job[TAPS], 1), TAP_BLOCK):
        taps, accumulate = min(job[TAPS] - first, TAP_BLOCK), 1 if again or first > 0 else 0
        row = 0
        for tile in range(tiles):
            here = height + 1 if tile < higher else height
            compute_channels(
                out, here, a, job[A_ROWS] + 8 * row, b, c, job[OUT_ROWS] + 8 * row, job[A_TAPS] + 8 * first,
                job[B_TAPS] + 8 * first, taps, job[CHANNELS], accumulate,
            )  # fmt: skip
            row += here
