"""The matrix product's inner tile, in LLVM vector IR: a few rows by a few vectors of columns, summed in registers.

A tile computes, for `rows` rows r and `vectors` vectors of columns n,

    c[row_c[r] + n] (+)= sum over taps t, depth k of  a[row_a[r] + tap_a[t] + k*step_a] * b[tap_b[t] + k*step_b + n]

then adds a bias over the columns and cuts at zero if asked to. With one tap it is a matrix product; with a table of row
offsets (where each output pixel's window starts) and one tap per window row it is a convolution over the image as it
lies in memory: no window is ever copied.

The loops over t and k keep all sums in registers; b is read as vectors, a one element at a time. The last vector of
columns is loaded and stored through a mask where the CPU has masks, and column by column where it has none.

`copy_panel` puts the columns of b that a tile reads next to each other, so that all tiles which share them find them in
the first-level cache: where they lie, a matrix row apart, they fall into few cache sets and many pages.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.simd import HOST, INT64, POINTER, VectorBuilder

# Rows of b asked for ahead of time. Its rows lie a whole matrix row apart, so hardware prefetchers miss them: 8 rows
# ahead is worth 10 to 40 % on matrices beyond the first-level cache.
PREFETCH_DISTANCE = 8
# The same where each row is read once only.
COPY_DISTANCE = 16

# What all tiles of one contraction share: int64 fields of its job, by index. Strides and offsets are in bytes.
TAPS, A_STEP, B_STEP, A_TAPS, B_TAPS = range(5)
ACCUMULATE, RELU, COPIED = 1, 2, 4

# A copied panel: rows as wide as the widest tile, as many as fit beside a's rows in the first-level cache.
PANEL_ROW, PANEL_BYTES = HOST.vector_bytes * HOST.max_vectors, 1 << 15


@intrinsic
def compute_tile(typing_context, out, rows, vectors, job, depth, a, a_rows, b, c, c_rows, bias, lanes, flags):
    """Compute one tile; every argument after `out`, which gives the element type, is an int64.

    rows, vectors choose the tile (vectors 0: a single column); job, a, a_rows, b, c, c_rows, bias are addresses
    (bias 0: none); lanes is how many columns of the last vector there are; flags adds up ACCUMULATE, RELU, and COPIED
    where b is a panel.
    """
    signature = types.void(out, *[types.int64] * 12)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        element = context.get_data_type(signature.args[0].dtype)
        _, rows, vectors, job, depth, *rest = arguments
        addresses = [builder.inttoptr(value, POINTER) for value in (job, *rest[:6])]
        _dispatch(builder, element, rows, vectors, [*addresses, depth, *rest[6:]])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def new_panel(typing_context):
    """The address of memory for a panel, for as long as the calling function runs."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        with builder.goto_entry_block():
            panel = builder.alloca(ir.ArrayType(ir.IntType(8), PANEL_BYTES))
            panel.align = HOST.vector_bytes
        return builder.ptrtoint(panel, INT64)

    return types.int64(), generate


@intrinsic
def copy_panel(typing_context, out, vectors, job, depth, b, panel, lanes):
    """Copy the columns of b that a tile of `vectors` (not 0) vectors reads, for all taps and `depth` rows of each.

    What the last vector has beyond `lanes` is zero. Arguments are as for `compute_tile`; panel is an address.
    """
    signature = types.void(out, *[types.int64] * 6)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        element = context.get_data_type(signature.args[0].dtype)
        _, vectors, job, depth, b, panel, lanes = arguments
        job, b, panel = (builder.inttoptr(value, POINTER) for value in (job, b, panel))
        done = builder.append_basic_block("panel.done")
        switch = builder.switch(vectors, done)
        for width in range(1, HOST.max_vectors + 1):
            block = builder.append_basic_block(f"panel.{width}")
            switch.add_case(INT64(width), block)
            builder.position_at_end(block)
            emit = VectorBuilder(builder, element, _lanes(element))
            _copy_panel(emit, width, job, depth, b, panel, lanes)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, generate


def _copy_panel(
    emit: VectorBuilder, vectors: int, job: ir.Value, depth: ir.Value, b: ir.Value, *rest: ir.Value
) -> None:
    panel, lanes = rest
    masks = [None] * (vectors - 1) + [emit.first_lanes(lanes) if HOST.masked else None]
    step, taps = emit.field(job, B_STEP), emit.builder.inttoptr(emit.field(job, B_TAPS), POINTER)
    ahead = emit.builder.mul(step, INT64(COPY_DISTANCE))

    def row(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        source, target = carried
        emit.prefetch(emit.offset(source, ahead), vectors * HOST.vector_bytes)
        for i, mask in enumerate(masks):
            place = INT64(i * HOST.vector_bytes)
            emit.store(emit.load(emit.offset(source, place), mask), emit.offset(target, place))
        return [emit.offset(source, step), emit.offset(target, INT64(PANEL_ROW))]

    def tap(index: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        start = emit.field(emit.offset(taps, emit.builder.mul(index, INT64(8))), 0)
        return emit.loop(depth, [emit.offset(b, start), *carried], row)[1:]

    emit.loop(emit.field(job, TAPS), [panel], tap)


def _lanes(element: ir.Type) -> int:
    return HOST.vector_bytes // (8 if isinstance(element, ir.DoubleType) else 4)


def _dispatch(builder: ir.IRBuilder, element: ir.Type, rows: ir.Value, vectors: ir.Value, arguments: list) -> None:
    """Call the tile function of this shape; each is a function of its own, so that registers are allocated apart."""
    done = builder.append_basic_block("tile.done")
    impossible = builder.append_basic_block("tile.impossible")
    most = HOST.max_rows + 1
    switch = builder.switch(builder.add(builder.mul(vectors, INT64(most)), rows), impossible)
    for width, highest in enumerate(HOST.tile_rows):
        for height in range(1, highest + 1):
            block = builder.append_basic_block(f"tile.{height}x{width}")
            switch.add_case(INT64(width * most + height), block)
            builder.position_at_end(block)
            builder.call(_tile_function(builder.module, element, height, width), arguments)
            builder.branch(done)
    builder.position_at_end(impossible)
    builder.unreachable()
    builder.position_at_end(done)


def _tile_function(module: ir.Module, element: ir.Type, rows: int, vectors: int) -> ir.Function:
    name = f"distkeras.tile.{element}.{rows}x{vectors}"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 7 + [INT64] * 3), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    lanes = _lanes(element) if vectors else 1
    _Tile(VectorBuilder(builder, element, lanes, HOST.fused), rows, max(vectors, 1), function.args)
    builder.ret_void()
    return function


class _Tile:
    """Writes the body of one tile function."""

    def __init__(self, emit: VectorBuilder, rows: int, vectors: int, arguments: Any) -> None:
        self.emit, self.rows, self.vectors = emit, rows, vectors
        self.job, self.a, a_rows, self.b, c, c_rows, self.bias, self.depth, lanes, flags = arguments
        self.masks = [None] * (vectors - 1) + [emit.first_lanes(lanes) if HOST.masked else None]
        self.row_offsets = [emit.field(a_rows, row) for row in range(rows)]
        self.out_rows = [emit.offset(c, emit.field(c_rows, row)) for row in range(rows)]
        for row in self.out_rows:
            emit.prefetch(row, vectors * emit.lanes * emit.element_bytes, write=True)
        none = [emit.zero] * (rows * vectors)
        sums = emit.choose(self._has(flags, COPIED), lambda: self._sum_panel(none), lambda: self._sum_rows(none))
        if not HOST.masked:
            self._finish(sums, flags)
            return
        # A masked store takes a dozen cycles on some CPUs, and nearly all tiles are whole.
        whole = emit.builder.icmp_signed("==", lanes, INT64(emit.lanes))
        emit.choose(whole, lambda: self._finish(sums, flags, [None] * vectors), lambda: self._finish(sums, flags))

    def _has(self, flags: ir.Value, flag: int) -> ir.Value:
        return self.emit.builder.icmp_signed("!=", self.emit.builder.and_(flags, INT64(flag)), INT64(0))

    def _vectors_at(self, pointer: ir.Value, masks: list[ir.Value | None]) -> list[ir.Value]:
        emit = self.emit
        width = emit.lanes * emit.element_bytes
        return [emit.load(emit.offset(pointer, INT64(i * width)), mask) for i, mask in enumerate(masks)]

    def _sum_rows(self, sums: list[ir.Value]) -> list[ir.Value]:
        """The sum over b's rows where they lie."""
        emit, field = self.emit, self.emit.field
        step_a, step_b = (field(self.job, index) for index in (A_STEP, B_STEP))
        ahead = emit.builder.mul(step_b, INT64(PREFETCH_DISTANCE))

        def step(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            a, b, *sums = carried
            emit.prefetch(emit.offset(b, ahead), self.vectors * emit.lanes * emit.element_bytes)
            columns = self._vectors_at(b, self.masks)
            return [emit.offset(a, step_a), emit.offset(b, step_b), *self._multiply(a, columns, sums)]

        def tap(index: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            a, b = self._tap(self.a, A_TAPS, index), self._tap(self.b, B_TAPS, index)
            return emit.loop(self.depth, [a, b, *sums], step)[2:]

        return emit.loop(field(self.job, TAPS), sums, tap)

    def _sum_panel(self, sums: list[ir.Value]) -> list[ir.Value]:
        """The sum over the rows of a panel."""
        emit = self.emit
        step_a = emit.field(self.job, A_STEP)

        def step(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            a, b, *sums = carried
            columns = self._vectors_at(b, [None] * self.vectors)
            return [emit.offset(a, step_a), emit.offset(b, INT64(PANEL_ROW)), *self._multiply(a, columns, sums)]

        def tap(index: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            return emit.loop(self.depth, [self._tap(self.a, A_TAPS, index), *carried], step)[1:]

        return emit.loop(emit.field(self.job, TAPS), [self.b, *sums], tap)[1:]

    def _tap(self, start: ir.Value, table: int, index: ir.Value) -> ir.Value:
        emit = self.emit
        taps = emit.builder.inttoptr(emit.field(self.job, table), POINTER)
        return emit.offset(start, emit.field(emit.offset(taps, emit.builder.mul(index, INT64(8))), 0))

    def _multiply(self, a: ir.Value, columns: list[ir.Value], sums: list[ir.Value]) -> list[ir.Value]:
        emit, products = self.emit, []
        for row, offset in enumerate(self.row_offsets):
            element = emit.broadcast(emit.offset(a, offset))
            for i, column in enumerate(columns):
                products.append(emit.multiply_add(element, column, sums[row * self.vectors + i]))
        return products

    def _finish(self, sums: list[ir.Value], flags: ir.Value, masks: list[ir.Value | None] | None = None) -> list:
        """Add what is there and the bias, cut, store; through `masks` if there are others than for the last vector."""
        emit, build, rows, masks = self.emit, self.emit.builder, self.out_rows, masks or self.masks

        def add_old(values: list[ir.Value]) -> list[ir.Value]:
            old = [vector for row in rows for vector in self._vectors_at(row, masks)]
            return [build.fadd(x, y) for x, y in zip(values, old, strict=True)]

        def add_bias(values: list[ir.Value]) -> list[ir.Value]:
            bias = self._vectors_at(self.bias, masks) * self.rows
            return [build.fadd(x, y) for x, y in zip(values, bias, strict=True)]

        def cut(values: list[ir.Value]) -> list[ir.Value]:
            return [emit.relu(value) for value in values]

        sums = emit.when(self._has(flags, ACCUMULATE), sums, add_old)
        sums = emit.when(build.icmp_unsigned("!=", self.bias, ir.Constant(POINTER, None)), sums, add_bias)
        sums = emit.when(self._has(flags, RELU), sums, cut)
        width = emit.lanes * emit.element_bytes
        for row, pointer in enumerate(rows):
            for i, mask in enumerate(masks):
                place = emit.offset(pointer, INT64(i * width))
                emit.store(sums[row * self.vectors + i], place, mask)
        return []
