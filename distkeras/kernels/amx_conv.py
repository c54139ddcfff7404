"""The gradient of a convolution by its kernel on a matrix unit; numbers are split in three, as `split` explains.

    dw[p, q, c, f] = sum over pixels t of the result of  x[place of t + shift of (p, q), c] * dy[t, f]

What is summed over are pixels, of two images or bands of lines at a time: a pair of terms is a pixel of one and the
same pixel of the other. Pixels are split once, for all elements (p, q) of the kernel:

    x     lines of split pixels, in the order of a grid; an element of the kernel begins some lines further down
    dy    blocks of 16 pixels, turned; where the grid is wider than the result it is zero

Sums of such a pair are added up in float32, turned as [f, (p, q, c)]. What is not finite in x or dy, or is too large to
be split, leaves NaN in them: the gradient is then computed once more, by tiles.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.amx import ROW_BYTES, TILE, TILE_BYTES
from distkeras.kernels.amx_block import (
    ACCUMULATE,
    LINE_BYTES,
    LINES,
    begin_tiles,
    call_apart,
    end_tiles,
    finish_sums,
    multiply_lines,
)
from distkeras.kernels.amx_memory import block_memory, load_integer, new_floats, on_a_line
from distkeras.kernels.compile import Calls, Scratch, inlined, kernel
from distkeras.kernels.contraction import address, keeping
from distkeras.kernels.conv_geometry import Geometry
from distkeras.kernels.simd import HOST, INT64, POINTER, VectorBuilder
from distkeras.kernels.split import BLOCK, BLOCK_BYTES, PART_BYTES, PARTS, split_pair
from distkeras.kernels.transpose_matrices import transpose_block, transpose_matrices

# The job's int64 fields; offsets and strides are in bytes.
X, DY, IMAGE, RESULT, UNITS, BANDS, CHANNELS, FILTERS, TAPS, BLOCKS = range(10)
X_TABLE, DY_TABLE, NOTHING, X_BLOCKS, SHIFTS, SPLIT_X, SPLIT_DY, SUMS_ROW, SUMS_ROWS = range(10, 19)

# A band has about so many pixels: split, they stay in the second-level cache.
BAND_PIXELS = 512
# Fewer filters or channels, or grids with a smaller part of pixels that count, are not faster so.
LEAST_FILTERS, LEAST_CHANNELS, LEAST_PART = 32, 16, 0.6
_SIZE = 4


class Bands:
    """How the pixels of a result are cut into bands of lines, and where a band's pixels lie.

    Attributes:
        count: Bands of an image.
        blocks: Blocks of 16 pixels of a band.
        x_table: For each band and place of the grid the offset in an image, or -1 for none (padding).
        dy_table: The same for each pixel of the blocks, in the result.
        shifts: For each element (p, q) of the kernel, how many places of the grid further on its pixels begin.
    """

    def __init__(self, geometry: Geometry, size: int) -> None:
        (high, wide), (lines, columns), strides = geometry.kernel, geometry.out, geometry.strides
        taps = [
            [divmod(place * dilation, stride) for place in range(extent)]
            for extent, dilation, stride in zip((high, wide), geometry.dilations, strides, strict=True)
        ]
        # With a stride, pixels that the same elements meet are neighbours in the grid: a grid for each phase.
        phases = [sorted({phase for _, phase in axis}) for axis in taps]
        width = columns + max(steps for steps, _ in taps[1])
        self.count = max(1, round(lines * width / BAND_PIXELS))
        band = -(-lines // self.count)
        self.count = -(-lines // band)
        height = band + max(steps for steps, _ in taps[0])
        self.blocks = -(-((band - 1) * width + columns) // TILE)
        grid = height * width
        self.shifts = np.array(
            [
                (phases[0].index(down) * len(phases[1]) + phases[1].index(right)) * grid + below * width + beside
                for below, down in taps[0]
                for beside, right in taps[1]
            ],
            np.int64,
        )
        (top, bottom), (left, right) = geometry.padding
        inner = (geometry.height - top - bottom, geometry.width - left - right)
        firsts = np.arange(self.count)[:, None] * band
        rows = (firsts[:, None] + np.arange(height)) * strides[0] + np.array(phases[0])[:, None] - top
        places = np.arange(width) * strides[1] + np.array(phases[1])[:, None] - left
        x_table = _offsets(rows[:, :, None, :, None], places[None, None, :, None, :], inner, geometry.channels * size)
        needed = -(-(int(self.shifts.max()) + TILE * self.blocks) // TILE) * TILE
        self.x_table = _filled(x_table, max(needed, -(-x_table.shape[1] // TILE) * TILE))
        rows = firsts + np.arange(band)
        places = np.where(np.arange(width) < columns, np.arange(width), -1)
        dy_table = _offsets(rows[:, :, None], places[None, None, :], (lines, columns), geometry.filters * size)
        self.dy_table = _filled(dy_table[:, : TILE * self.blocks], TILE * self.blocks)


def _offsets(rows: np.ndarray, places: np.ndarray, inside: tuple[int, int], step: int) -> np.ndarray:
    """[bands, places]: the offsets of pixels, `step` bytes apart, of an image of `inside` rows and columns; or -1."""
    is_inside = (rows >= 0) & (rows < inside[0]) & (places >= 0) & (places < inside[1])
    return np.where(is_inside, (rows * inside[1] + places) * step, -1).reshape(len(rows), -1)


def _filled(table: np.ndarray, length: int) -> np.ndarray:
    return np.pad(table, ((0, 0), (0, length - table.shape[1])), constant_values=-1).astype(np.int64)


_bands = functools.lru_cache(maxsize=128)(Bands)


def pays(geometry: Geometry, count: int, dtype: Any) -> bool:
    """Whether the gradient over so many images is faster so; always false where there is no such unit."""
    if not HOST.matrix_unit or np.dtype(dtype) != np.float32 or 0 in (count, geometry.pixels):
        return False
    if geometry.filters < LEAST_FILTERS or geometry.channels < LEAST_CHANNELS:
        return False
    bands = _bands(geometry, _SIZE)
    units = count * bands.count
    computed = (units + units % 2) * bands.blocks * TILE * (-(-geometry.channels // TILE) * TILE / geometry.channels)
    return count * geometry.pixels >= LEAST_PART * computed


def weight_gradient(
    x: np.ndarray, dy: np.ndarray, dw: np.ndarray, geometry: Geometry, again: Calls, scratch: Scratch
) -> Calls:
    """Lower the gradient to kernel calls; `again` are those that compute it in case it is not finite."""
    bands = _bands(geometry, _SIZE)
    channels, filters, taps = geometry.channels, geometry.filters, bands.shifts.size
    lines = bands.x_table.shape[1]
    split_x = block_memory(scratch, -(-channels // BLOCK) * lines // TILE)
    split_dy = block_memory(scratch, -(-filters // BLOCK) * bands.blocks)
    turned = scratch((1, filters, taps * channels), np.float32)
    trouble = np.zeros(1, np.int64)
    nothing = np.full(lines, -1, np.int64)
    sums_row = taps * channels * _SIZE
    sums_rows = np.arange(BLOCK, dtype=np.int64) * sums_row
    numbers = [
        *(address(x), address(dy), x[0].nbytes, dy[0].nbytes, len(x) * bands.count, bands.count),
        *(channels, filters, taps, bands.blocks, address(bands.x_table), address(bands.dy_table), address(nothing)),
        *(lines // TILE, address(bands.shifts), on_a_line(split_x), on_a_line(split_dy), sums_row),
        address(sums_rows),
    ]
    buffers = (x, dy, split_x, split_dy, bands, nothing, sums_rows)
    return [
        (multiply_pixels[np.float32], (turned.reshape(-1), keeping(numbers, buffers), trouble)),
        (transpose_matrices[np.float32], (turned, dw.reshape(1, taps * channels, filters))),
        (compute_again, (trouble, again)),
    ]


def compute_again(trouble: np.ndarray, calls: Calls) -> None:
    """Make the calls if there was trouble."""
    if trouble[0]:
        for function, arguments in calls:
            function(*arguments)


@kernel("void({t}[::1], int64[::1], int64[::1])")
def multiply_pixels(out, job, trouble):
    """out[f, (p, q, c)] by a job of the fields above; trouble[0] is not 0 if it is not finite."""
    begin_tiles()
    sums, turning = new_floats(), new_floats()
    found = 0
    for unit in range(0, job[UNITS], 2):
        _split_x(job, unit)
        _split_dy(out, job, unit, turning)
        found = _multiply(out, job, 0 if unit == 0 else ACCUMULATE, sums)
    end_tiles()
    trouble[0] = found


@inlined
def _source(job, unit, start, step, tables, row):
    """Where an image begins, and the table of a band's offsets in it."""
    if unit < job[UNITS]:
        return start + unit // job[BANDS] * step, tables + unit % job[BANDS] * row
    return start, job[NOTHING]


@inlined
def _split_x(job, unit):
    row = 8 * TILE * job[X_BLOCKS]
    first, first_table = _source(job, unit, job[X], job[IMAGE], job[X_TABLE], row)
    second, second_table = _source(job, unit + 1, job[X], job[IMAGE], job[X_TABLE], row)
    for channel in range(0, job[CHANNELS], TILE):
        group = job[SPLIT_X] + channel // BLOCK * (TILE * job[X_BLOCKS] * LINE_BYTES)
        split_pixels(
            1, first + _SIZE * channel, second + _SIZE * channel, first_table, second_table,
            job[X_BLOCKS] * TILE, min(job[CHANNELS] - channel, TILE), group + channel % BLOCK // TILE * ROW_BYTES,
        )  # fmt: skip


@inlined
def _split_dy(out, job, unit, turning):
    row = 8 * TILE * job[BLOCKS]
    first, first_table = _source(job, unit, job[DY], job[RESULT], job[DY_TABLE], row)
    second, second_table = _source(job, unit + 1, job[DY], job[RESULT], job[DY_TABLE], row)
    for feature in range(0, job[FILTERS], TILE):
        target = job[SPLIT_DY] + feature // BLOCK * job[BLOCKS] * BLOCK_BYTES + feature % BLOCK // TILE * TILE_BYTES
        for block in range(job[BLOCKS]):
            shift = 8 * TILE * block
            split_pixels(
                0, first + _SIZE * feature, second + _SIZE * feature, first_table + shift, second_table + shift,
                TILE, min(job[FILTERS] - feature, TILE), turning,
            )  # fmt: skip
            for part in range(PARTS):
                source = turning + part * TILE_BYTES
                transpose_block(out, source, ROW_BYTES, target + part * PART_BYTES, ROW_BYTES)
            target += BLOCK_BYTES


@inlined
def _multiply(out, job, flags, sums):
    """Add a pair of bands to the sums; not 0 if one is not finite."""
    found = 0
    for channel in range(0, job[CHANNELS], BLOCK):
        columns = min(job[CHANNELS] - channel, BLOCK)
        group = job[SPLIT_X] + channel // BLOCK * (TILE * job[X_BLOCKS] * LINE_BYTES)
        for feature in range(0, job[FILTERS], BLOCK):
            rows = min(job[FILTERS] - feature, BLOCK)
            a = job[SPLIT_DY] + feature // BLOCK * job[BLOCKS] * BLOCK_BYTES
            place = out.ctypes.data + feature * job[SUMS_ROW] + _SIZE * channel
            for tap in range(job[TAPS]):
                b = group + load_integer(job[SHIFTS] + 8 * tap) * LINE_BYTES
                multiply_lines(2 if rows > TILE else 1, 2 if columns > TILE else 1, a, b, job[BLOCKS], sums)
                here = place + tap * _SIZE * job[CHANNELS]
                found |= finish_sums(sums, here, job[SUMS_ROWS], rows, columns, 0, flags)
    return found


@intrinsic
def split_pixels(typing_context, in_lines, first, second, first_table, second_table, count, channels, target):
    """Split up to 16 channels of the pixels at first + offsets and second + offsets, as pairs; all int64.

    An offset of -1 stands for zeros. Parts go to lines (`multiply_lines`) if in_lines is 1, else to a tile each.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        in_lines, first, second, first_table, second_table, count, channels, target = arguments
        pointers = [builder.inttoptr(place, POINTER) for place in (first, second, first_table, second_table, target)]
        part, _, row = LINES
        steps = [
            builder.select(builder.icmp_signed("==", in_lines, INT64(1)), INT64(line), INT64(tile))
            for line, tile in ((part, TILE_BYTES), (row, ROW_BYTES))
        ]
        call_apart(builder, "split_pixels", [*pointers, count, channels, *steps], _split_pixels)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8), generate


def _split_pixels(
    emit: VectorBuilder,
    first: ir.Value,
    second: ir.Value,
    first_table: ir.Value,
    second_table: ir.Value,
    target: ir.Value,
    count: ir.Value,
    channels: ir.Value,
    part_step: ir.Value,
    row_step: ir.Value,
) -> None:
    build = emit.builder
    some = emit.first_lanes(channels)
    none = ir.Constant(some.type, [0] * emit.lanes)

    def pixel(index: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
        (place,) = carried
        values = []
        for start, table in ((first, first_table), (second, second_table)):
            offset = emit.field(emit.offset(table, build.mul(index, INT64(8))), 0)
            is_there = build.icmp_signed(">=", offset, INT64(0))
            values.append(emit.load(emit.offset(start, offset), build.select(is_there, some, none)))
        for part, words in enumerate(split_pair(emit, *values)):
            build.store(words, emit.offset(place, build.mul(part_step, INT64(part))), align=ROW_BYTES)
        return [emit.offset(place, row_step)]

    emit.loop(count, [target], pixel)
