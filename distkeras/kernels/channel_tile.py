"""Sums of products channel by channel: the inner tile of depthwise convolutions, in LLVM vector IR.

For up to MOST_ROWS rows r and one vector of channels c a tile computes

    out[row_out[r] + c] (+)= sum over taps t of  a[row_a[r] + tap_a[t] + c] * b[tap_b[t] + c]

with all sums in registers. A convolution's rows are pixels of the result and its taps those of a window; for the
gradient by the kernel it is the other way round: its rows are the taps and what it sums over are the pixels.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.compile import kernel
from distkeras.kernels.simd import HOST, INT64, POINTER, VectorBuilder

# Each row takes an address register; with more than 8 they run out.
MOST_ROWS = 8
# A tile's channels: one alone (where the CPU has no masks), a whole vector, or its first lanes.
SINGLE, WHOLE, MASKED = range(3)

# The job's int64 fields. Offsets and strides are in bytes.
A, B, OUT, A_ROWS, OUT_ROWS, A_TAPS, B_TAPS, ROWS, TAPS, CHANNELS, ACCUMULATE = range(11)
COUNT, A_STEP, B_STEP, OUT_STEP = range(11, 15)

VECTOR_BYTES, HAS_MASKS = HOST.vector_bytes, HOST.masked
# Rows and taps done for all channels before the next: few enough for what they touch to stay in the cache.
ROW_BLOCK, TAP_BLOCK = 64, 32


@intrinsic
def compute_channels(typing_context, out, rows, kind, a, a_rows, b, c, c_rows, taps, a_taps, b_taps, lanes, accumulate):
    """Compute one tile; every argument after `out`, which gives the element type, is an int64.

    rows and kind choose the tile; a, a_rows, b, c, c_rows, a_taps, b_taps are addresses; taps is how many there are;
    lanes is how many channels a MASKED tile has.
    """
    signature = types.void(out, *[types.int64] * 12)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        element = context.get_data_type(signature.args[0].dtype)
        _, rows, kind, a, a_rows, b, c, c_rows, taps, a_taps, b_taps, lanes, accumulate = arguments
        pointers = [builder.inttoptr(value, POINTER) for value in (a, a_rows, b, c, c_rows, a_taps, b_taps)]
        _dispatch(builder, element, rows, kind, [*pointers, taps, lanes, accumulate])
        return context.get_dummy_value()

    return signature, generate


def _dispatch(builder: ir.IRBuilder, element: ir.Type, rows: ir.Value, kind: ir.Value, arguments: list) -> None:
    """Call the tile function of this shape; each is a function of its own, so that registers are allocated apart."""
    done, impossible = builder.append_basic_block("channels.done"), builder.append_basic_block("channels.impossible")
    most = INT64(MOST_ROWS + 1)
    switch = builder.switch(builder.add(builder.mul(kind, most), rows), impossible)
    for kind_number in (WHOLE, MASKED) if HOST.masked else (SINGLE, WHOLE):
        for height in range(1, MOST_ROWS + 1):
            block = builder.append_basic_block(f"channels.{height}.{kind_number}")
            switch.add_case(INT64(kind_number * (MOST_ROWS + 1) + height), block)
            builder.position_at_end(block)
            builder.call(_tile_function(builder.module, element, height, kind_number), arguments)
            builder.branch(done)
    builder.position_at_end(impossible)
    builder.unreachable()
    builder.position_at_end(done)


def _tile_function(module: ir.Module, element: ir.Type, rows: int, kind: int) -> ir.Function:
    name = f"distkeras.channels.{element}.{rows}.{kind}"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 7 + [INT64] * 3), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    lanes = 1 if kind == SINGLE else HOST.vector_bytes // (8 if isinstance(element, ir.DoubleType) else 4)
    _write_tile(VectorBuilder(builder, element, lanes, HOST.fused), rows, kind == MASKED, function.args)
    builder.ret_void()
    return function


def _write_tile(emit: VectorBuilder, rows: int, masked: bool, arguments: Any) -> None:
    """The body of one tile function."""
    a, a_rows, b, c, c_rows, a_taps, b_taps, taps, lanes, accumulate = arguments
    mask = emit.first_lanes(lanes) if masked else None
    starts = [emit.offset(a, emit.field(a_rows, row)) for row in range(rows)]

    def tap(index: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
        place = emit.builder.mul(index, INT64(8))
        a_tap, b_tap = (emit.field(emit.offset(table, place), 0) for table in (a_taps, b_taps))
        factor = emit.load(emit.offset(b, b_tap), mask)
        values = (emit.load(emit.offset(start, a_tap), mask) for start in starts)
        return [emit.multiply_add(value, factor, total) for value, total in zip(values, sums, strict=True)]

    sums = emit.loop(taps, [emit.zero] * rows, tap)
    places = [emit.offset(c, emit.field(c_rows, row)) for row in range(rows)]

    def add_old(values: list[ir.Value]) -> list[ir.Value]:
        return [emit.builder.fadd(x, emit.load(place, mask)) for x, place in zip(values, places, strict=True)]

    sums = emit.when(emit.builder.icmp_signed("!=", accumulate, INT64(0)), sums, add_old)
    for total, place in zip(sums, places, strict=True):
        emit.store(total, place, mask)


@kernel("void({t}[::1], int64[::1])")
def multiply_channels(out, job):
    """Run a job (see the fields above) `COUNT` times, A_STEP, B_STEP and OUT_STEP apart; `out` gives the element type.

    With an OUT_STEP of 0 the results are summed.
    """
    size, width = out.itemsize, VECTOR_BYTES // out.itemsize
    for number in range(job[COUNT]):
        a, b, c = job[A] + number * job[A_STEP], job[B] + number * job[B_STEP], job[OUT] + number * job[OUT_STEP]
        again = job[ACCUMULATE] != 0 or (number > 0 and job[OUT_STEP] == 0)
        # One block of no taps, where there are none, writes the zeros.
        for first_tap in range(0, max(job[TAPS], 1), TAP_BLOCK):
            taps = min(job[TAPS] - first_tap, TAP_BLOCK)
            a_taps, b_taps = job[A_TAPS] + 8 * first_tap, job[B_TAPS] + 8 * first_tap
            accumulate = 1 if again or first_tap > 0 else 0
            for first in range(0, job[ROWS], ROW_BLOCK):
                rows = min(job[ROWS] - first, ROW_BLOCK)
                tiles = (rows + MOST_ROWS - 1) // MOST_ROWS
                height, higher = rows // tiles, rows % tiles
                row = first
                for index in range(tiles):
                    here = height + 1 if index < higher else height
                    channel = 0
                    while channel < job[CHANNELS]:
                        left, shift = job[CHANNELS] - channel, channel * size
                        kind, count = (WHOLE, width) if left >= width else (MASKED, left) if HAS_MASKS else (SINGLE, 1)
                        compute_channels(
                            out, here, kind, a + shift, job[A_ROWS] + 8 * row, b + shift, c + shift,
                            job[OUT_ROWS] + 8 * row, taps, a_taps, b_taps, count, accumulate,
                        )  # fmt: skip
                        channel += count
                    row += here
