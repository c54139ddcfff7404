"""Blocks of 32 x 32 sums in the matrix unit's registers, in LLVM IR: the inner part of products by `amx_gemm`.

    registers 0 to 3    sums, a tile of 16 x 16 each
    4, 5 and 6, 7       of one part (`split`) of a block of 32 terms: two tiles of a, two of b; or b's lines, see
                        `multiply_lines`

A block of terms takes 24 products of tiles and 14 loads. Splitting the next block costs nearly as much time, but in the
vector units: its instructions stand between the products.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels import amx
from distkeras.kernels.amx import ROW_BYTES, TILE, TILE_BYTES
from distkeras.kernels.simd import INT64, POINTER, VectorBuilder
from distkeras.kernels.split import BLOCK, BLOCK_BYTES, FLOATS_ROW, PART_BYTES, PARTS, PRODUCTS, Splitter

# What is done to finished sums, by flags that add up.
BIASED, RELU, ACCUMULATE = 1, 2, 4

# A block is split so many before its products: tiles are loaded from the cache only, which stores reach with a delay.
_LAG = 2
_SUMS, _A, _B = 0, 4, 6

# Where tiles lie within a block: bytes from a part to the next, from a tile to the next, and from row to row of a tile.
Layout = tuple[int, int, int]
LINE_BYTES = PARTS * 2 * ROW_BYTES
BLOCKS: Layout = (PART_BYTES, TILE_BYTES, ROW_BYTES)
LINES: Layout = (2 * ROW_BYTES, ROW_BYTES, LINE_BYTES)


def _integers(count: int) -> list[types.Type]:
    return [types.int64] * count


@intrinsic
def begin_tiles(typing_context):
    """Take the matrix unit's registers."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        amx.configure(builder)
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def end_tiles(typing_context):
    """Give them back."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        amx.release(builder)
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def split_block(typing_context, by_rows, source, rows, target):
    """Split a block of 32 x 32 float32; by_rows is 0 or 1, all are int64; see `split.Splitter`."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        by_rows, source, rows, target = arguments
        given = [builder.inttoptr(source, POINTER), rows, builder.inttoptr(target, POINTER)]

        def body(emit: VectorBuilder, source: ir.Value, rows: ir.Value, target: ir.Value, kind: int) -> None:
            _split_all(Splitter(emit, source, rows, target, bool(kind)))

        def call(kind: int) -> None:
            call_apart(builder, f"split.{kind}", given, lambda *arguments: body(*arguments, kind))

        _switch(builder, by_rows, {kind: lambda kind=kind: call(kind) for kind in (0, 1)})
        return context.get_dummy_value()

    return types.void(*_integers(4)), generate


@intrinsic
def multiply_blocks(typing_context, height, width, a, b, count, sums):
    """sums[32, 32] = the sum over `count` split blocks at a and b, one after the other; all int64.

    height and width are 1 or 2 tiles; of sums as many are written.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        _multiply_by_shape(builder, arguments, "multiply", functools.partial(_multiply_all, layout=BLOCKS))
        return context.get_dummy_value()

    return types.void(*_integers(6)), generate


@intrinsic
def multiply_lines(typing_context, height, width, a, b, count, sums):
    """The same with the rows of b's tiles in lines, LINE_BYTES apart: its 16 pairs of terms may begin at any of them.

    In a line lie the parts of a pair, of each part as much as two tiles have, so that 16 take as much as a block.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        _multiply_by_shape(builder, arguments, "multiply_lines", functools.partial(_multiply_all, layout=LINES))
        return context.get_dummy_value()

    return types.void(*_integers(6)), generate


@intrinsic
def multiply_listed_blocks(typing_context, height, width, a, b, count, sums, a_offsets, b_offsets):
    """The same with the blocks at a + a_offsets[i] and b + b_offsets[i], tables of int64."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        _multiply_by_shape(builder, arguments, "multiply_listed", _multiply_listed)
        return context.get_dummy_value()

    return types.void(*_integers(8)), generate


@intrinsic
def split_and_multiply_blocks(
    typing_context, by_rows, tiles, split, other, count, sums, source, rows, offsets, step, last, last_rows, ring
):
    """The same with one operand split on the way: a if by_rows is 1, b if it is 0.

    The other, of 1 or 2 tiles, is at `other`. The blocks to be split are at source + offsets[i], about `step` bytes
    apart, but for the last, which is at `last`; where their rows are, `rows` and `last_rows` say. Parts go to `split`,
    in turn to ring + 1 places; ring is -1 to keep all, else 3.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        by_rows, tiles, split, other, count, sums, source, rows, offsets, step, last, last_rows, ring = arguments
        split, other, sums, source, offsets, last = (
            builder.inttoptr(place, POINTER) for place in (split, other, sums, source, offsets, last)
        )
        given = [split, other, count, sums, source, rows, offsets, step, last, last_rows, ring]

        def call(kind: int, size: int) -> None:
            name = f"split_and_multiply.{kind}.{size}"
            call_apart(builder, name, given, lambda *arguments: _split_and_multiply_all(*arguments, bool(kind), size))

        cases = {2 * kind + size: lambda kind=kind, size=size: call(kind, size) for kind in (0, 1) for size in (1, 2)}
        _switch(builder, builder.add(builder.mul(by_rows, INT64(2)), tiles), cases)
        return context.get_dummy_value()

    return types.void(*_integers(13)), generate


@intrinsic
def finish_sums(typing_context, sums, out, out_rows, rows, columns, bias, flags):
    """Add sums to what is there and to the bias, cut them at zero, and write them to out; all int64.

    out_rows is the address of the offsets of out's rows; rows and columns, 32 or fewer, are counts; flags adds up
    BIASED, RELU and ACCUMULATE. Returns 0 if all sums, the bias included, were finite.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        sums, out, out_rows, rows, columns, bias, flags = arguments
        sums, out, out_rows, bias = (builder.inttoptr(place, POINTER) for place in (sums, out, out_rows, bias))
        return call_apart(builder, "finish", [sums, out, out_rows, rows, columns, bias, flags], _finish, INT64)

    return types.int64(*_integers(7)), generate


# --- The functions behind these, each compiled once for a kernel


def call_apart(
    builder: ir.IRBuilder, name: str, arguments: Sequence[ir.Value], body: Callable, result: ir.Type | None = None
) -> ir.Value:
    """Call a function of its own, whose registers are allocated apart; `body(emit, *arguments)` writes it."""
    name, module = f"distkeras.amx.{name}", builder.module
    function = module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(result or ir.VoidType(), [value.type for value in arguments])
        function = ir.Function(module, kind, name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        function.attributes.add("nounwind")
        inside = ir.IRBuilder(function.append_basic_block("entry"))
        value = body(VectorBuilder(inside, ir.FloatType(), TILE), *function.args)
        inside.ret_void() if result is None else inside.ret(value)
    return builder.call(function, arguments)


def _switch(builder: ir.IRBuilder, value: ir.Value, cases: dict[int, Callable[[], None]]) -> None:
    """Do cases[value]()."""
    done, impossible = (builder.append_basic_block(name) for name in ("done", "impossible"))
    switch = builder.switch(value, impossible)
    for number, write in cases.items():
        block = builder.append_basic_block(f"case.{number}")
        switch.add_case(INT64(number), block)
        builder.position_at_end(block)
        write()
        builder.branch(done)
    builder.position_at_end(impossible)
    builder.unreachable()
    builder.position_at_end(done)


def _split_all(splitter: Splitter) -> None:
    for index in range(splitter.steps):
        splitter.step(index)


def _tiles(height: int, width: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(height) for column in range(width)]


def _begin_sums(emit: VectorBuilder, height: int, width: int) -> None:
    for row, column in _tiles(height, width):
        amx.zero(emit.builder, _SUMS + 2 * row + column)


def _store_sums(emit: VectorBuilder, sums: ir.Value, height: int, width: int) -> None:
    for row, column in _tiles(height, width):
        place = row * TILE * FLOATS_ROW + column * FLOATS_ROW // 2
        amx.store(emit.builder, _SUMS + 2 * row + column, emit.offset(sums, INT64(place)), FLOATS_ROW)


def _multiply(
    emit: VectorBuilder,
    a: ir.Value,
    b: ir.Value,
    height: int,
    width: int,
    splitter: Splitter | None = None,
    layout: Layout = BLOCKS,
) -> None:
    """Products of one block's parts, with a splitter's steps spread among them; `layout` is b's."""
    steps = iter(range(splitter.steps if splitter else 0))
    share, due = (splitter.steps if splitter else 0) / (len(PRODUCTS) * height * width), 0.0
    loaded: tuple[int | None, int | None] = (None, None)
    for parts in PRODUCTS:
        for pointer, part, before, register, tiles, (part_bytes, tile_bytes, row_bytes) in zip(
            (a, b), parts, loaded, (_A, _B), (height, width), (BLOCKS, layout), strict=True
        ):
            for tile in range(tiles if part != before else 0):
                place = INT64(part * part_bytes + tile * tile_bytes)
                amx.load(emit.builder, register + tile, emit.offset(pointer, place), row_bytes)
        loaded = parts
        for row, column in _tiles(height, width):
            amx.multiply_add(emit.builder, _SUMS + 2 * row + column, _A + row, _B + column)
            due += share
            while due > 0.5:
                splitter.step(next(steps))
                due -= 1


def _multiply_by_shape(builder: ir.IRBuilder, arguments: list[ir.Value], name: str, body: Callable) -> None:
    height, width, a, b, count, *others = arguments
    pointers = [builder.inttoptr(value, POINTER) for value in (a, b, *others)]
    given = [*pointers[:2], count, *pointers[2:]]

    def call(*shape: int) -> None:
        call_apart(builder, f"{name}.{shape[0]}x{shape[1]}", given, lambda *arguments: body(*arguments, shape=shape))

    number = builder.add(builder.mul(height, INT64(2)), width)
    cases = {2 * tall + wide: functools.partial(call, tall, wide) for tall in (1, 2) for wide in (1, 2)}
    _switch(builder, number, cases)


def _multiply_all(
    emit: VectorBuilder,
    a: ir.Value,
    b: ir.Value,
    count: ir.Value,
    sums: ir.Value,
    shape: tuple[int, int],
    layout: Layout,
) -> None:
    step = INT64(BLOCK_BYTES)

    def block(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        _multiply(emit, *carried, *shape, layout=layout)
        return [emit.offset(pointer, step) for pointer in carried]

    _begin_sums(emit, *shape)
    emit.loop(count, [a, b], block)
    _store_sums(emit, sums, *shape)


def _multiply_listed(
    emit: VectorBuilder,
    a: ir.Value,
    b: ir.Value,
    count: ir.Value,
    sums: ir.Value,
    a_offsets: ir.Value,
    b_offsets: ir.Value,
    shape: tuple[int, int],
) -> None:
    def block(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        places = [emit.offset(start, emit.field(table, 0)) for start, table in zip((a, b), carried, strict=True)]
        _multiply(emit, *places, *shape)
        return [emit.offset(table, INT64(8)) for table in carried]

    _begin_sums(emit, *shape)
    emit.loop(count, [a_offsets, b_offsets], block)
    _store_sums(emit, sums, *shape)


def _split_and_multiply_all(
    emit: VectorBuilder,
    split: ir.Value,
    other: ir.Value,
    count: ir.Value,
    sums: ir.Value,
    source: ir.Value,
    rows: ir.Value,
    offsets: ir.Value,
    step: ir.Value,
    last: ir.Value,
    last_rows: ir.Value,
    ring: ir.Value,
    by_rows: bool,
    tiles: int,
) -> None:
    build = emit.builder
    shape = (2, tiles) if by_rows else (tiles, 2)

    def place(pointer: ir.Value, index: ir.Value) -> ir.Value:
        return emit.offset(pointer, build.mul(index, INT64(BLOCK_BYTES)))

    def splitter(index: ir.Value, ahead: ir.Value | None = None) -> Splitter:
        is_last = build.icmp_signed("==", build.add(index, INT64(1)), count)
        offset = emit.field(emit.offset(offsets, build.mul(index, INT64(8))), 0)
        begin = build.select(is_last, last, emit.offset(source, offset))
        target = place(split, build.and_(index, ring))
        return Splitter(emit, begin, build.select(is_last, last_rows, rows), target, by_rows, ahead)

    def multiply(index: ir.Value, following: Splitter | None = None) -> None:
        mine, others = place(split, build.and_(index, ring)), place(other, index)
        _multiply(emit, *((mine, others) if by_rows else (others, mine)), *shape, following)

    def split_first(index: ir.Value, _: list) -> list:
        _split_all(splitter(index))
        return []

    def split_and_multiply(index: ir.Value, _: list) -> list:
        multiply(index, splitter(build.add(index, lag), step))
        return []

    def multiply_last(index: ir.Value, _: list) -> list:
        multiply(build.add(rest, index))
        return []

    lag = build.select(build.icmp_signed("<", count, INT64(_LAG)), count, INT64(_LAG))
    rest = build.sub(count, lag)
    _begin_sums(emit, *shape)
    emit.loop(lag, [], split_first)
    emit.loop(rest, [], split_and_multiply)
    emit.loop(lag, [], multiply_last)
    _store_sums(emit, sums, *shape)


def _finish(
    emit: VectorBuilder,
    sums: ir.Value,
    out: ir.Value,
    out_rows: ir.Value,
    rows: ir.Value,
    columns: ir.Value,
    bias: ir.Value,
    flags: ir.Value,
) -> ir.Value:
    build = emit.builder
    places = [INT64(0), INT64(FLOATS_ROW // 2)]

    def has(flag: int) -> ir.Value:
        return build.icmp_signed("!=", build.and_(flags, INT64(flag)), INT64(0))

    def finish(masks: list[ir.Value | None]) -> list[ir.Value]:
        def vectors(pointer: ir.Value) -> list[ir.Value]:
            return [emit.load(emit.offset(pointer, place), mask) for place, mask in zip(places, masks, strict=True)]

        def row(index: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            sums, trouble = carried
            line = emit.offset(out, emit.field(emit.offset(out_rows, build.mul(index, INT64(8))), 0))

            def add_old(values: list[ir.Value]) -> list[ir.Value]:
                return [build.fadd(old, value) for old, value in zip(vectors(line), values, strict=True)]

            values = emit.when(has(ACCUMULATE), vectors(sums), add_old)
            values = [build.fadd(value, shift) for value, shift in zip(values, shifts, strict=True)]
            for value in values:  # nothing but what is finite is zero times zero
                trouble = emit.multiply_add(value, emit.zero, trouble)
            values = emit.when(has(RELU), values, lambda values: [emit.relu(value) for value in values])
            for value, place, mask in zip(values, places, masks, strict=True):
                emit.store(value, emit.offset(line, place), mask)
            return [emit.offset(sums, INT64(FLOATS_ROW)), trouble]

        shifts = emit.choose(has(BIASED), lambda: vectors(bias), lambda: [emit.zero, emit.zero])
        return emit.loop(rows, [sums, emit.zero], row)[1:]

    masks = [emit.first_lanes(build.sub(columns, INT64(TILE * tile))) for tile in range(2)]
    whole = build.icmp_signed("==", columns, INT64(BLOCK))
    (trouble,) = emit.choose(whole, lambda: finish([None, None]), lambda: finish(masks))
    lanes = build.fcmp_unordered("uno", trouble, emit.zero)
    return build.zext(build.bitcast(lanes, ir.IntType(TILE)), INT64)
