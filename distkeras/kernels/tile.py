"""The matrix product's inner tile, in LLVM vector IR: a few rows by a few vectors of columns, summed in registers.

A tile computes, for `rows` rows r and `vectors` vectors of columns n,

    c[row_c[r] + n] (+)= sum over taps t, depth k of  a[row_a[r] + tap_a[t] + k*step_a] * b[tap_b[t] + k*step_b + n]

then adds a bias over the columns and cuts at zero if asked to. With one tap it is a matrix product; with a table of row
offsets (where each output pixel's window starts) and one tap per window row it is a convolution over the image as it
lies in memory: no window is ever copied.

The loops over t and k keep all sums in registers; b is read as vectors, a one element at a time. Nothing is packed or
padded: the last vector of columns is loaded and stored through a mask where the CPU has masks, and column by column
where it has none.
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

# What all tiles of one contraction share: int64 fields of its job, by index. Strides and offsets are in bytes.
DEPTH, TAPS, A_STEP, B_STEP, A_TAPS, B_TAPS = range(6)
ACCUMULATE, RELU = 1, 2


@intrinsic
def compute_tile(typing_context, out, rows, vectors, job, a, a_rows, b, c, c_rows, bias, lanes, flags):
    """Compute one tile; every argument after `out`, which gives the element type, is an int64.

    rows, vectors choose the tile (vectors 0: a single column); job, a, a_rows, b, c, c_rows, bias are addresses
    (bias 0: none); lanes is how many columns of the last vector there are; flags adds up ACCUMULATE and RELU.
    """
    signature = types.void(out, *[types.int64] * 11)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        element = context.get_data_type(signature.args[0].dtype)
        _, rows, vectors, *rest = arguments
        addresses = [builder.inttoptr(value, POINTER) for value in rest[:7]]
        _dispatch(builder, element, rows, vectors, addresses + rest[7:])
        return context.get_dummy_value()

    return signature, generate


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
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 7 + [INT64] * 2), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    lanes = HOST.vector_bytes // (8 if isinstance(element, ir.DoubleType) else 4) if vectors else 1
    _Tile(VectorBuilder(builder, element, lanes, HOST.fused), rows, max(vectors, 1), function.args)
    builder.ret_void()
    return function


class _Tile:
    """Writes the body of one tile function."""

    def __init__(self, emit: VectorBuilder, rows: int, vectors: int, arguments: Any) -> None:
        self.emit, self.rows, self.vectors = emit, rows, vectors
        self.job, self.a, a_rows, self.b, c, c_rows, self.bias, lanes, flags = arguments
        last = emit.first_lanes(lanes) if HOST.masked else None
        self.masks = [None] * (vectors - 1) + [last]
        self.row_offsets = [emit.field(a_rows, row) for row in range(rows)]
        self.out_rows = [emit.offset(c, emit.field(c_rows, row)) for row in range(rows)]
        for row in self.out_rows:
            emit.prefetch(row, vectors * emit.lanes * emit.element_bytes, write=True)
        sums = self._sum()
        self._finish(sums, flags)

    def _vectors_at(self, pointer: ir.Value) -> list[ir.Value]:
        emit = self.emit
        width = emit.lanes * emit.element_bytes
        return [emit.load(emit.offset(pointer, INT64(i * width)), mask) for i, mask in enumerate(self.masks)]

    def _sum(self) -> list[ir.Value]:
        emit, field = self.emit, self.emit.field
        depth, step_a, step_b = (field(self.job, index) for index in (DEPTH, A_STEP, B_STEP))
        ahead = emit.builder.mul(step_b, INT64(PREFETCH_DISTANCE))
        taps_a, taps_b = (emit.builder.inttoptr(field(self.job, i), POINTER) for i in (A_TAPS, B_TAPS))

        def step(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            a, b, *sums = carried
            emit.prefetch(emit.offset(b, ahead), self.vectors * emit.lanes * emit.element_bytes)
            return [emit.offset(a, step_a), emit.offset(b, step_b), *self._multiply(a, b, sums)]

        def tap(index: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            place = emit.builder.mul(index, INT64(8))
            a = emit.offset(self.a, field(emit.offset(taps_a, place), 0))
            b = emit.offset(self.b, field(emit.offset(taps_b, place), 0))
            return emit.loop(depth, [a, b, *sums], step)[2:]

        return emit.loop(field(self.job, TAPS), [emit.zero] * (self.rows * self.vectors), tap)

    def _multiply(self, a: ir.Value, b: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
        emit, products = self.emit, []
        columns = self._vectors_at(b)
        for row, offset in enumerate(self.row_offsets):
            element = emit.broadcast(emit.offset(a, offset))
            for i, column in enumerate(columns):
                products.append(emit.multiply_add(element, column, sums[row * self.vectors + i]))
        return products

    def _finish(self, sums: list[ir.Value], flags: ir.Value) -> None:
        emit, build, rows = self.emit, self.emit.builder, self.out_rows

        def add_old(values: list[ir.Value]) -> list[ir.Value]:
            old = [vector for row in rows for vector in self._vectors_at(row)]
            return [build.fadd(x, y) for x, y in zip(values, old, strict=True)]

        def add_bias(values: list[ir.Value]) -> list[ir.Value]:
            bias = self._vectors_at(self.bias) * self.rows
            return [build.fadd(x, y) for x, y in zip(values, bias, strict=True)]

        def cut(values: list[ir.Value]) -> list[ir.Value]:
            return [emit.relu(value) for value in values]

        def has(flag: int) -> ir.Value:
            return build.icmp_signed("!=", build.and_(flags, INT64(flag)), INT64(0))

        sums = emit.when(has(ACCUMULATE), sums, add_old)
        sums = emit.when(build.icmp_unsigned("!=", self.bias, ir.Constant(POINTER, None)), sums, add_bias)
        sums = emit.when(has(RELU), sums, cut)
        width = emit.lanes * emit.element_bytes
        for row, pointer in enumerate(rows):
            for i, mask in enumerate(self.masks):
                place = emit.offset(pointer, INT64(i * width))
                emit.store(sums[row * self.vectors + i], place, mask)
