"""The inner tile of products a^T b that are summed over a tree of blocks of rows, in LLVM vector IR.

    for blocks of rows, in the tree's order:    the product in registers, as `tile` has it
      add what lies on top of a stack           as often as sums end with the block
      put it on the stack
    store what is left

The stack stays in the first-level cache, so that no sum is written to memory before it is whole.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.simd import HOST, INT64, POINTER, VectorBuilder
from distkeras.kernels.tile import PANEL_ROW

# What is known of a block: int64 fields. Its first row, its rows, and how many sums it is the last of.
START, DEPTH, ENDS = range(3)
_FIELDS = 3
# Bytes that a tile takes on the stack.
ENTRY = max(rows * max(vectors, 1) for vectors, rows in enumerate(HOST.tile_rows)) * HOST.vector_bytes


@intrinsic
def compute_tree_tile(typing_context, out, height, vectors, blocks, count, a, a_step, panel, c, c_step, stack, lanes):
    """Compute one tile; every argument after `out`, which gives the element type, is an int64.

    Args:
        height, vectors: The tile: rows, the most there are for that many vectors or 1; vectors 0: a single column.
        blocks, count: Where what is known of the blocks lies, and how many there are.
        a, a_step: Where the tile's columns of a begin, and bytes from row to row.
        panel: The tile's columns of b, rows of PANEL_ROW bytes.
        c, c_step: Where the tile is written, and bytes from row to row.
        stack: Memory for as many entries as sums wait for their right part, and one more.
        lanes: The columns of the last vector.
    """
    signature = types.void(out, *[types.int64] * 11)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        element = context.get_data_type(signature.args[0].dtype)
        _, height, vectors, blocks, count, a, a_step, panel, c, c_step, stack, lanes = arguments
        pointers = [builder.inttoptr(value, POINTER) for value in (blocks, a, panel, c, stack)]
        done, impossible = (builder.append_basic_block(f"tree.{name}") for name in ("done", "impossible"))
        most = HOST.max_rows + 1
        switch = builder.switch(builder.add(builder.mul(vectors, INT64(most)), height), impossible)
        for width, highest in enumerate(HOST.tile_rows):
            for rows in {1, highest} if highest else ():
                block = builder.append_basic_block(f"tree.{rows}x{width}")
                switch.add_case(INT64(width * most + rows), block)
                builder.position_at_end(block)
                function = _tile_function(builder.module, element, rows, width)
                builder.call(function, [*pointers, count, a_step, c_step, lanes])
                builder.branch(done)
        builder.position_at_end(impossible)
        builder.unreachable()
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, generate


def _tile_function(module: ir.Module, element: ir.Type, rows: int, vectors: int) -> ir.Function:
    """A function of its own for each shape, so that registers are allocated apart."""
    name = f"distkeras.tree.{element}.{rows}x{vectors}"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER] * 5 + [INT64] * 4), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    lanes = HOST.vector_bytes // (8 if isinstance(element, ir.DoubleType) else 4) if vectors else 1
    _write_tile(VectorBuilder(builder, element, lanes, HOST.fused), rows, max(vectors, 1), function.args)
    builder.ret_void()
    return function


def _write_tile(emit: VectorBuilder, rows: int, vectors: int, arguments: Any) -> None:
    blocks, a, panel, c, stack, count, a_step, c_step, lanes = arguments
    width = emit.lanes * emit.element_bytes
    entry, places = INT64(rows * vectors * width), [INT64(i * width) for i in range(rows * vectors)]
    targets = [emit.offset(c, emit.builder.mul(c_step, INT64(row))) for row in range(rows)]
    for target in targets:
        emit.prefetch(target, vectors * width, write=True)

    def multiply(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        left, right, *sums = carried
        columns = [emit.load(emit.offset(right, place)) for place in places[:vectors]]
        products = []
        for row in range(rows):
            factor = emit.broadcast(emit.offset(left, INT64(row * emit.element_bytes)))
            products += [emit.multiply_add(factor, x, sums[row * vectors + i]) for i, x in enumerate(columns)]
        return [emit.offset(left, a_step), emit.offset(right, INT64(PANEL_ROW)), *products]

    def add_waiting(_: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        top, *sums = carried
        top = emit.builder.gep(top, [emit.builder.neg(entry)], source_etype=ir.IntType(8))
        waiting = [emit.load(emit.offset(top, place)) for place in places]
        return [top, *(emit.builder.fadd(x, y) for x, y in zip(waiting, sums, strict=True))]

    def block(index: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        fields = emit.offset(blocks, emit.builder.mul(index, INT64(8 * _FIELDS)))
        start = emit.field(fields, START)
        left = emit.offset(a, emit.builder.mul(start, a_step))
        right = emit.offset(panel, emit.builder.mul(start, INT64(PANEL_ROW)))
        none = [emit.zero] * len(places)
        sums = emit.loop(emit.field(fields, DEPTH), [left, right, *none], multiply)[2:]
        top, *sums = emit.loop(emit.field(fields, ENDS), [*carried, *sums], add_waiting)
        for value, place in zip(sums, places, strict=True):
            emit.store(value, emit.offset(top, place))
        return [emit.offset(top, entry)]

    emit.loop(count, [stack], block)
    masks = [None] * (vectors - 1) + [emit.first_lanes(lanes) if HOST.masked else None]
    for row, target in enumerate(targets):
        for i, mask in enumerate(masks):
            value = emit.load(emit.offset(stack, places[row * vectors + i]))
            emit.store(value, emit.offset(target, places[i]), mask)
