"""Convolutions of many images on a matrix unit: the rows of a block are 32 images; see `split` and `amx_block`.

    for 32 images:
      for areas of the result (image_areas.py):    what they meet of the images is split, each pixel once
        for 32 filters:
          for pixels of the area:
            for near 256 terms of their sum:       multiply_listed_blocks, finish_sums

A sum takes as many elements of the window as lie within the image, in the order in which `amx_gemm` takes them, so that
both give the same bits. What has a NaN, an infinity or a number that bfloat16 cannot hold among its terms comes out as
NaN, whatever it should be; such pixels are computed once more, by tiles.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from distkeras.kernels import image_areas
from distkeras.kernels.amx_block import (
    ACCUMULATE,
    BIASED,
    RELU,
    begin_tiles,
    end_tiles,
    finish_sums,
    multiply_listed_blocks,
    split_block,
)
from distkeras.kernels.amx_gemm import blocks_summed
from distkeras.kernels.amx_memory import block_memory, copy_part, load_integer, new_floats, on_a_line
from distkeras.kernels.compile import Calls, Scratch, inlined, kernel
from distkeras.kernels.contraction import Contraction, address, keeping
from distkeras.kernels.conv_groups import Group
from distkeras.kernels.image_areas import Area, Groups, cut_in_areas, pixels_to_split
from distkeras.kernels.split import BLOCK, BLOCK_BYTES, FLOATS_ROW

# The job's int64 fields; offsets and strides are in bytes.
SOURCE, OUT, BIAS, FLAGS, IMAGES, IMAGE, OUT_IMAGE, COLUMNS, CHANNEL_BLOCKS = range(9)
IMAGE_ROWS, LAST_ROWS, OUT_ROWS, AREAS, AREA_TABLE, SPLIT_TABLE, PIXEL_TABLE, WINDOW_TABLE = range(9, 17)
SOURCE_OFFSETS, KERNEL_OFFSETS, KERNEL, KERNEL_BLOCKS, SPLIT_KERNEL, SPLIT_SOURCE, COLUMNS_TOGETHER = range(17, 24)

# Fewer images, or a smaller part of the rows of blocks that count, are not faster so.
LEAST_IMAGES, LEAST_PART = 24, 0.75
# So much of a split kernel stays in the second-level cache, beside an area.
KERNEL_BYTES = 1 << 19
_TILE, _SIZE = BLOCK // 2, 4


def pays(images: int) -> bool:
    """Whether so many images fill blocks well enough."""
    return images >= LEAST_IMAGES and images >= LEAST_PART * BLOCK * -(-images // BLOCK)


@dataclass(frozen=True)
class Tables:
    """What a job reads: int64 tables of a row for each area, pixel to split, pixel of the result, and so on.

    Attributes:
        areas: first pixel to split, how many, first pixel of the result, how many.
        splits: where a pixel lies in an image, where its blocks go.
        pixels: where a pixel lies in an image of the result, where the first block of its window lies, its window.
        windows: kinds of window: first in the lists of blocks, how many, how many are summed at a time.
        source_blocks, kernel_blocks: lists of where blocks lie, of windows from their first one.
        blocks: how many the areas need at most.
    """

    areas: np.ndarray
    splits: np.ndarray
    pixels: np.ndarray
    windows: np.ndarray
    source_blocks: np.ndarray
    kernel_blocks: np.ndarray
    blocks: int


@functools.lru_cache(maxsize=128)
def tables(groups: Groups, chosen: tuple[int, ...], source: tuple, kernel: tuple, out: tuple) -> Tables | None:
    """The tables for the pixels of some pairs (vertical, horizontal) of groups, in order; None if it does not pay.

    Args:
        groups: The vertical and the horizontal groups, see conv_groups.py.
        chosen: Which of the pairs.
        source, kernel, out: The shapes; of the channels there are whole blocks.
    """
    channel_blocks = kernel[2] // BLOCK
    cut = cut_in_areas(groups, channel_blocks, 0)
    images = (math.prod(shape[1:]) * _SIZE for shape in (source, out))
    if not image_areas.pays(cut, groups, -(-kernel[3] // BLOCK), images):
        return None
    pitch = max(horizontal.sizes[1] for _, horizontal in cut)
    pairs = [(vertical, horizontal) for vertical in groups[0] for horizontal in groups[1]]
    lists: list[tuple[np.ndarray, np.ndarray]] = []
    for vertical, horizontal in (pairs[index] for index in chosen):
        inner = np.arange(channel_blocks)
        taps = np.add.outer(np.array(vertical.shifts) * pitch, np.array(horizontal.shifts)).reshape(-1, 1)
        elements = np.add.outer(np.array(vertical.elements) * kernel[1], np.array(horizontal.elements)).reshape(-1, 1)
        lists.append(tuple((channel_blocks * places + inner).ravel() for places in (taps, elements)))
    counts = [places.size for places, _ in lists]
    windows = [(sum(counts[:i]), count, blocks_summed(count)) for i, count in enumerate(counts)]
    areas, splits, pixels = [], [np.empty((0, 2), int)], [np.empty((0, 3), int)]
    for area in cut:
        split = pixels_to_split([span.source for span in area], source, pitch)
        given = [_pixels(area, pairs[index], out, pitch, channel_blocks, window) for window, index in enumerate(chosen)]
        firsts = sum(map(len, splits)), len(split), sum(map(len, pixels)), sum(map(len, given))
        areas.append(firsts)
        splits.append(split)
        pixels += given
    return Tables(
        *(np.array(areas, np.int64), np.concatenate(splits), np.concatenate(pixels), np.array(windows, np.int64)),
        *(np.concatenate([pair[side] for pair in lists]) * BLOCK_BYTES for side in (0, 1)),
        max(vertical.sizes[1] for vertical, _ in cut) * pitch * channel_blocks,
    )


def _pixels(
    area: Area, pair: tuple[Group, Group], out: tuple, pitch: int, channel_blocks: int, window: int
) -> np.ndarray:
    inside = []
    for span, group in zip(area, pair, strict=True):
        pairs = np.array([group.places, group.origins], np.int64)
        pairs = pairs[:, (pairs[0] >= span.places[0]) & (pairs[0] < span.places[1])]
        inside.append((pairs[0], pairs[1] - span.source[0]))
    (lines, tops), (columns, lefts) = inside
    places = np.add.outer(lines * out[2], columns).ravel() * (out[3] * _SIZE)
    firsts = np.add.outer(tops * pitch, lefts).ravel() * (channel_blocks * BLOCK_BYTES)
    return np.stack([places, firsts, np.full_like(places, window)], axis=1)


def convolve_images(
    source: np.ndarray,
    kernel: np.ndarray,
    out: np.ndarray,
    given: Tables,
    pieces: Sequence[Contraction],
    scratch: Scratch,
) -> Calls:
    """The calls that compute the pixels of the tables; `pieces` compute the same by tiles."""
    count, filters = len(source), kernel.shape[3]
    bias, relu = pieces[0].bias, pieces[0].relu
    kernel_blocks = kernel[..., 0].size // BLOCK
    together = BLOCK * max(1, KERNEL_BYTES // (kernel_blocks * BLOCK_BYTES))
    split_kernel = block_memory(scratch, -(-filters // BLOCK) * kernel_blocks)
    split_source = block_memory(scratch, given.blocks)
    image, out_image = source[0].nbytes, out[0].nbytes
    images = np.arange(BLOCK, dtype=np.int64)
    last = np.minimum(images, (count - 1) % BLOCK) * image
    trouble = np.zeros(1, np.int64)
    rows = images * image, last, images * out_image
    listed = given.areas, given.splits, given.pixels, given.windows, given.source_blocks, given.kernel_blocks
    numbers = [
        *(address(source), address(out), 0 if bias is None else address(bias)),
        *(BIASED * (bias is not None) + RELU * relu, count, image, out_image, filters, source.shape[3] // BLOCK),
        *map(address, rows),
        *(len(given.areas), *map(address, listed)),
        *(address(kernel), kernel_blocks, on_a_line(split_kernel), on_a_line(split_source), together),
    ]
    job = keeping(numbers, (source, kernel, out, bias, split_kernel, split_source, rows, listed))
    return [(convolve_blocks[np.float32], (job, trouble)), (_compute_again, (trouble, out, pieces))]


def _compute_again(trouble: np.ndarray, out: np.ndarray, pieces: Sequence[Contraction]) -> None:
    """Compute the pixels that are not finite by tiles."""
    if not trouble[0]:
        return
    for piece in pieces:
        count, in_a, _, in_out = piece.outer
        a_rows, out_rows = (
            np.add.outer(np.arange(count) * step, rows).ravel()
            for step, rows in ((in_a, piece.a_rows), (in_out, piece.out_rows))
        )
        finite = np.isfinite(out.reshape(-1, out.shape[3])[out_rows // (_SIZE * out.shape[3])]).all(axis=1)
        a_rows, out_rows = np.ascontiguousarray(a_rows[~finite]), np.ascontiguousarray(out_rows[~finite])
        again = replace(piece, rows=a_rows.size, a_rows=a_rows, out_rows=out_rows, outer=(1, 0, 0, 0))
        function, arguments = again.call()
        function(*arguments)


@kernel("void(int64[::1], int64[::1])")
def convolve_blocks(job, trouble):
    """Run a job of the fields above; trouble[0] is not 0 if some pixel is not finite."""
    begin_tiles()
    sums, part = new_floats(), new_floats()
    _split_kernel(job, part)
    found = 0
    for image in range(0, job[IMAGES], BLOCK):
        images = min(job[IMAGES] - image, BLOCK)
        source, out = job[SOURCE] + image * job[IMAGE], job[OUT] + image * job[OUT_IMAGE]
        rows = job[IMAGE_ROWS] if images == BLOCK else job[LAST_ROWS]
        for index in range(job[AREAS]):
            area = job[AREA_TABLE] + 32 * index
            _split_area(job, area, source, rows)
            for column in range(0, job[COLUMNS], job[COLUMNS_TOGETHER]):
                columns = min(job[COLUMNS] - column, job[COLUMNS_TOGETHER])
                found |= _convolve_area(job, area, out, images, column, columns, sums)
    end_tiles()
    trouble[0] = found


@inlined
def _split_kernel(job, part):
    target, row = job[SPLIT_KERNEL], _SIZE * job[COLUMNS]
    for column in range(0, job[COLUMNS], BLOCK):
        columns = min(job[COLUMNS] - column, BLOCK)
        for block in range(job[KERNEL_BLOCKS]):
            place = job[KERNEL] + block * BLOCK * row + _SIZE * column
            if columns < BLOCK:
                copy_part(0, place, row, BLOCK, columns, part)
                split_block(0, part, FLOATS_ROW, target)
            else:
                split_block(0, place, row, target)
            target += BLOCK_BYTES


@inlined
def _split_area(job, area, source, rows):
    table = job[SPLIT_TABLE] + 16 * load_integer(area)
    for _ in range(load_integer(area + 8)):
        place, target = source + load_integer(table), job[SPLIT_SOURCE] + load_integer(table + 8)
        for _ in range(job[CHANNEL_BLOCKS]):
            split_block(1, place, rows, target)
            place += FLOATS_ROW
            target += BLOCK_BYTES
        table += 16


@inlined
def _convolve_area(job, area, out, images, column, columns, sums):
    """Some columns of the area's pixels; not 0 if one is not finite."""
    found, pixel = 0, job[PIXEL_TABLE] + 24 * load_integer(area + 16)
    for _ in range(load_integer(area + 24)):
        place, source = out + load_integer(pixel), job[SPLIT_SOURCE] + load_integer(pixel + 8)
        window = job[WINDOW_TABLE] + 24 * load_integer(pixel + 16)
        for block in range(column, column + columns, BLOCK):
            found |= _convolve_pixel(job, window, place, source, images, block, sums)
        pixel += 24
    return found


@inlined
def _convolve_pixel(job, window, place, source, images, column, sums):
    """A pixel of up to 32 images, up to 32 columns of it."""
    start, blocks, summed = load_integer(window), load_integer(window + 8), load_integer(window + 16)
    kernel = job[SPLIT_KERNEL] + column // BLOCK * job[KERNEL_BLOCKS] * BLOCK_BYTES
    columns, found = min(job[COLUMNS] - column, BLOCK), 0
    for first in range(0, blocks, summed):
        flags = job[FLAGS] if first + summed >= blocks else 0
        if first > 0:
            flags |= ACCUMULATE
        multiply_listed_blocks(
            2 if images > _TILE else 1, 2 if columns > _TILE else 1, source, kernel, min(blocks - first, summed), sums,
            job[SOURCE_OFFSETS] + 8 * (start + first), job[KERNEL_OFFSETS] + 8 * (start + first),
        )  # fmt: skip
        shift = _SIZE * column
        found |= finish_sums(sums, place + shift, job[OUT_ROWS], images, columns, job[BIAS] + shift, flags)
    return found
