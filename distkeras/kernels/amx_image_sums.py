"""The gradient of a convolution by its kernel on a matrix unit, summed over 32 images at a time; see `amx_images`.

    dw[p, q, c, f] = sum over pixels t of the result, images n of  x[n, place of t + shift of (p, q), c] * dy[n, t, f]

A block of terms is one pixel of 32 images, of 32 channels of x, turned, or 32 filters of dy. For 32 images and an area
of the result, both are split once; then come the elements (p, q) of the kernel, each with the pixels that meet it.
Their sums are added up in float32 in dw. What is not finite, or too large to be split, leaves NaN there: the gradient
is then computed once more, by tiles.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from distkeras.kernels import amx_images, image_areas
from distkeras.kernels.amx import ROW_BYTES, TILE_BYTES
from distkeras.kernels.amx_block import (
    ACCUMULATE,
    begin_tiles,
    end_tiles,
    finish_sums,
    multiply_listed_blocks,
    split_block,
)
from distkeras.kernels.amx_conv import compute_again
from distkeras.kernels.amx_memory import block_memory, copy_part, load_integer, new_floats, on_a_line
from distkeras.kernels.compile import Calls, Scratch, inlined, kernel
from distkeras.kernels.contraction import address, keeping
from distkeras.kernels.conv_geometry import Geometry
from distkeras.kernels.conv_groups import Group, forward_groups
from distkeras.kernels.image_areas import Area, Span, cut_in_areas, pixels_to_split
from distkeras.kernels.simd import HOST
from distkeras.kernels.split import BLOCK, BLOCK_BYTES, FLOATS_ROW
from distkeras.kernels.transpose_matrices import transpose_block

# The job's int64 fields; offsets and strides are in bytes.
X, DY, IMAGES, IMAGE, RESULT, CHANNELS, FILTERS, TAPS, AREAS = range(9)
AREA_TABLE, SPLIT_TABLE, TAP_TABLE, X_BLOCKS, DY_BLOCKS, SPLIT_X, SPLIT_DY, TURNING, SUMS_ROWS = range(9, 18)

# Sums of so many blocks, or near, are added up before they are added to others.
BLOCKS_SUMMED_NEAR = 16
_SIZE = 4


@dataclass(frozen=True)
class Tables:
    """What a job reads, int64.

    Attributes:
        areas: for each area its first pixel of x to be split, how many; its first of dy, how many.
        splits: where a pixel lies in an image, where its blocks go.
        taps: for each area and element of the kernel its first pair of blocks, how many, how many are summed at a time.
        x_blocks, dy_blocks: where the blocks of such pairs lie.
        most_x, most_dy: how many blocks the areas have at most.
    """

    areas: np.ndarray
    splits: np.ndarray
    taps: np.ndarray
    x_blocks: np.ndarray
    dy_blocks: np.ndarray
    most_x: int
    most_dy: int


def tables(geometry: Geometry, x: tuple, dy: tuple) -> Tables | None:
    """The tables for images and gradients of these shapes, or None if it is not faster so, or there is no such unit."""
    if not HOST.matrix_unit or not amx_images.pays(x[0]) or geometry.channels % BLOCK or geometry.filters % BLOCK:
        return None
    return _tables(geometry, (1, *x[1:]), (1, *dy[1:]))


@functools.lru_cache(maxsize=128)
def _tables(geometry: Geometry, x: tuple, dy: tuple) -> Tables | None:
    groups, channel_blocks, filter_blocks = geometry.groups(forward_groups, x, dy), x[3] // BLOCK, dy[3] // BLOCK
    cut = cut_in_areas(groups, channel_blocks, filter_blocks)
    if not image_areas.pays(cut, groups, filter_blocks, (math.prod(shape) * _SIZE for shape in (x, dy))):
        return None
    pitches = [max(horizontal.sizes[side] for _, horizontal in cut) for side in (0, 1)]
    meetings = [_meetings(axis, extent) for axis, extent in zip(groups, geometry.kernel, strict=True)]
    areas, taps = [], []
    splits, pairs = [np.empty((0, 2), np.int64)], [np.empty((0, 2), np.int64)]
    for area in cut:
        given = [
            pixels_to_split([span.source for span in area], x, pitches[1]),
            pixels_to_split([span.places for span in area], dy, pitches[0]),
        ]
        first = sum(map(len, splits))
        areas.append((first, len(given[0]), first + len(given[0]), len(given[1])))
        splits += given
        for down in meetings[0]:
            for right in meetings[1]:
                met = _pairs(area, (down, right), pitches) * (np.array([filter_blocks, channel_blocks]) * BLOCK_BYTES)
                summed = max(1, -(-len(met) // max(1, round(len(met) / BLOCKS_SUMMED_NEAR))))
                taps.append((sum(map(len, pairs)), len(met), summed))
                pairs.append(met)
    most = [max(area[0].sizes[side] for area in cut) * pitches[side] for side in (0, 1)]
    dy_blocks, x_blocks = np.ascontiguousarray(np.concatenate(pairs).T)
    return Tables(
        *(np.array(areas, np.int64), np.concatenate(splits), np.array(taps, np.int64), x_blocks, dy_blocks),
        *(most[1] * channel_blocks, most[0] * filter_blocks),
    )


def _meetings(groups: tuple[Group, ...], elements: int) -> list[np.ndarray]:
    """For each element of the kernel [2, n]: the places of the result where it meets the image; the image's there."""
    met: list[list[tuple[int, int]]] = [[] for _ in range(elements)]
    for group in groups:
        for element, shift in zip(group.elements, group.shifts, strict=True):
            met[element] += [(place, at + shift) for place, at in zip(group.places, group.origins, strict=True)]
    return [np.array(sorted(pairs), np.int64).reshape(-1, 2).T for pairs in met]


def _pairs(area: Area, met: tuple[np.ndarray, np.ndarray], pitches: list[int]) -> np.ndarray:
    """[pairs, 2]: which pixel of the area's part of the result meets which of its part of the images."""
    lines, columns = (_inside(span, pairs) for span, pairs in zip(area, met, strict=True))
    sides = [np.add.outer(lines[side] * pitches[side], columns[side]).ravel() for side in (0, 1)]
    return np.stack(sides, axis=1)


def _inside(span: Span, pairs: np.ndarray) -> np.ndarray:
    inside = pairs[:, (pairs[0] >= span.places[0]) & (pairs[0] < span.places[1])]
    return inside - np.array([[span.places[0]], [span.source[0]]])


def weight_gradient(
    x: np.ndarray, dy: np.ndarray, dw: np.ndarray, given: Tables, again: Calls, scratch: Scratch
) -> Calls:
    """Lower the gradient to kernel calls; `again` are those that compute it in case it is not finite."""
    split_x, split_dy, turning = (block_memory(scratch, blocks) for blocks in (given.most_x, given.most_dy, 1))
    channels, filters = dw.shape[2:]
    sums_rows = np.arange(BLOCK, dtype=np.int64) * (filters * _SIZE)
    trouble = np.zeros(1, np.int64)
    listed = given.areas, given.splits, given.taps, given.x_blocks, given.dy_blocks
    numbers = [
        *(address(x), address(dy), len(x), x[0].nbytes, dy[0].nbytes, channels, filters, math.prod(dw.shape[:2])),
        *(len(given.areas), *map(address, listed), *map(on_a_line, (split_x, split_dy, turning)), address(sums_rows)),
    ]
    job = keeping(numbers, (x, dy, split_x, split_dy, turning, listed, sums_rows))
    return [(sum_images[np.float32], (dw.reshape(-1), job, trouble)), (compute_again, (trouble, again))]


@kernel("void({t}[::1], int64[::1], int64[::1])")
def sum_images(dw, job, trouble):
    """dw by a job of the fields above; trouble[0] is not 0 if it is not finite."""
    begin_tiles()
    sums, part = new_floats(), new_floats()
    dw[:] = 0
    found = 0
    for image in range(0, job[IMAGES], BLOCK):
        images = min(job[IMAGES] - image, BLOCK)
        for index in range(job[AREAS]):
            area = job[AREA_TABLE] + 32 * index
            x, dy = job[X] + image * job[IMAGE], job[DY] + image * job[RESULT]
            _split_pixels(dw, job, area, 1, x, images, part)
            _split_pixels(dw, job, area + 16, 0, dy, images, part)
            found |= _sum_area(dw, job, index, sums)
    end_tiles()
    trouble[0] = found


@inlined
def _split_pixels(dw, job, area, is_x, start, images, part):
    """Split the pixels that are listed in the area; those of x are turned."""
    row, channels, split = job[RESULT], job[FILTERS], job[SPLIT_DY]
    if is_x:
        row, channels, split = job[IMAGE], job[CHANNELS], job[SPLIT_X]
    table = job[SPLIT_TABLE] + 16 * load_integer(area)
    for _ in range(load_integer(area + 8)):
        place, target = start + load_integer(table), split + load_integer(table + 8)
        for _ in range(0, channels, BLOCK):
            source, source_row = place, row
            if images < BLOCK:
                copy_part(0, place, row, images, BLOCK, part)
                source, source_row = part, FLOATS_ROW
            split_block(0, source, source_row, job[TURNING] if is_x else target)
            if is_x:
                for tile in range(0, BLOCK_BYTES, TILE_BYTES):
                    transpose_block(dw, job[TURNING] + tile, ROW_BYTES, target + tile, ROW_BYTES)
            place += FLOATS_ROW
            target += BLOCK_BYTES
        table += 16


@inlined
def _sum_area(dw, job, index, sums):
    """Add the area's sums to dw; not 0 if one is not finite."""
    found = 0
    for tap in range(job[TAPS]):
        entry = job[TAP_TABLE] + 24 * (index * job[TAPS] + tap)
        start, pairs, summed = load_integer(entry), load_integer(entry + 8), load_integer(entry + 16)
        for first in range(0, pairs, summed):
            shift, count = 8 * (start + first), min(pairs - first, summed)
            for channel in range(0, job[CHANNELS], BLOCK):
                for feature in range(0, job[FILTERS], BLOCK):
                    a = job[SPLIT_X] + channel // BLOCK * BLOCK_BYTES
                    b = job[SPLIT_DY] + feature // BLOCK * BLOCK_BYTES
                    multiply_listed_blocks(2, 2, a, b, count, sums, job[X_BLOCKS] + shift, job[DY_BLOCKS] + shift)
                    place = dw.ctypes.data + ((tap * job[CHANNELS] + channel) * job[FILTERS] + feature) * _SIZE
                    found |= finish_sums(sums, place, job[SUMS_ROWS], BLOCK, BLOCK, 0, ACCUMULATE)
    return found
