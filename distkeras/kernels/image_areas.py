"""Results of convolutions cut into areas of pixels: what many images have there, split in three, stays in the cache.

An area is a rectangle of the result, with the rectangle of the source that its windows meet. One after the other they
are split for as many images as a block has rows, 32, which takes a block (`split`) for a pixel and 32 channels.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from distkeras.kernels.conv_groups import Group
from distkeras.kernels.split import BLOCK, BLOCK_BYTES

Groups = tuple[tuple[Group, ...], tuple[Group, ...]]

# Blocks that an area's parts may take: 1.5 MB.
AREA_BLOCKS = 256
# Elements of the kernel that a pixel once split must meet. Where lines of all images share a set of the second-level
# cache, which takes time, it must also take part in so many products of blocks.
LEAST_USES, LEAST_PRODUCTS = 3, 12
COLLIDING_BYTES = 1 << 17


@dataclass(frozen=True)
class Span:
    """Some places of the result along an axis, and what they meet of the source: start, stop."""

    places: tuple[int, int]
    source: tuple[int, int]

    @property
    def sizes(self) -> tuple[int, int]:
        """The extents of both."""
        return self.places[1] - self.places[0], self.source[1] - self.source[0]


Area = tuple[Span, Span]


@functools.lru_cache(maxsize=256)
def cut_in_areas(groups: Groups, source_blocks: int, result_blocks: int) -> tuple[Area, ...]:
    """Areas in order, or none if not even a pixel's window is small enough.

    Args:
        groups: The vertical and the horizontal groups of places, see conv_groups.py.
        source_blocks, result_blocks: Blocks that are kept for a pixel of either.
    """
    reaches = [_reaches(axis) for axis in groups]
    parts = [1, 1]
    while True:
        spans = [_spans(reach, count) for reach, count in zip(reaches, parts, strict=True)]
        (lines, high), (columns, wide) = (np.max([span.sizes for span in axis], axis=0) for axis in spans)
        if source_blocks * high * wide + result_blocks * lines * columns <= AREA_BLOCKS:
            return tuple(itertools.product(*spans))
        if lines == columns == 1:
            return ()
        parts[0 if lines >= columns else 1] += 1


def _reaches(groups: Sequence[Group]) -> np.ndarray:
    """[places, 2]: the first and the last place of the source that each meets; (0, -1) if none."""
    reaches = np.tile(np.array([0, -1]), (sum(len(group.places) for group in groups), 1))
    for group in groups:
        if group.elements:
            ends = [min(group.shifts), max(group.shifts)]
            reaches[list(group.places)] = np.add.outer(np.array(group.origins), ends)
    return reaches


def _spans(reaches: np.ndarray, parts: int) -> list[Span]:
    length = -(-len(reaches) // parts)
    spans = []
    for start in range(0, len(reaches), length):
        part = reaches[start : start + length]
        met = part[part[:, 1] >= 0]
        source = (int(met[:, 0].min()), int(met[:, 1].max()) + 1) if len(met) else (0, 0)
        spans.append(Span((start, start + len(part)), source))
    return spans


def pays(areas: tuple[Area, ...], groups: Groups, column_blocks: int, strides: Iterable[int]) -> bool:
    """Whether pixels that are split once for an area take part in enough products.

    Args:
        areas, groups: See above.
        column_blocks: By how many blocks of the kernel a pixel's block is multiplied for each element of it.
        strides: Bytes from an image to the next, of the source and of the result.
    """
    lines, columns = (sum(len(group.places) * len(group.elements) for group in axis) for axis in groups)
    products, split = lines * columns, sum(high.sizes[1] * wide.sizes[1] for high, wide in areas)
    collide = any(stride % COLLIDING_BYTES == 0 for stride in strides)
    return 0 < LEAST_USES * split <= products and (not collide or LEAST_PRODUCTS * split <= products * column_blocks)


def pixels_to_split(rectangle: Sequence[tuple[int, int]], images: tuple, pitch: int) -> np.ndarray:
    """[pixels, 2]: where those of a rectangle lie in an image, and where their blocks go; in bytes.

    Args:
        rectangle: Lines and columns: start, stop.
        images: Their shape, with whole blocks of channels.
        pitch: Pixels for each line of blocks.
    """
    (top, bottom), (left, right) = rectangle
    places = np.add.outer(np.arange(top, bottom) * images[2], np.arange(left, right)).ravel()
    blocks = np.add.outer(np.arange(bottom - top) * pitch, np.arange(right - left)).ravel()
    return np.stack([places * (images[3] * 4), blocks * (images[3] // BLOCK * BLOCK_BYTES)], axis=1)
