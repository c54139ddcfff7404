"""The sizes of a two-dimensional convolution, their checks, and its zero padding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from distkeras.kernels.compile import Calls, Scratch, kernel

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

NO_PADDING = ((0, 0), (0, 0))
# With more kinds of window than this (kernels beyond about 5 x 5) it is cheaper to pad the images.
MOST_PIECES = 25


@dataclass(frozen=True)
class Geometry:
    """The sizes of a convolution. `height` and `width` are the padded image's; strides in elements of it."""

    height: int
    width: int
    channels: int
    kernel: Pair
    filters: int
    out: Pair
    strides: Pair
    dilations: Pair
    padding: Padding

    @classmethod
    def of(cls, x: tuple, w: tuple, out: tuple, strides: Pair, padding: Padding, dilations: Pair) -> Geometry:
        """From the shapes of images, kernel and result; ValueError unless they fit."""
        (top, bottom), (left, right) = padding
        if (
            not (len(x) == len(w) == len(out) == 4)
            or min(*strides, *dilations) < 1
            or min(top, bottom, left, right) < 0
        ):
            raise ValueError(
                "conv2d expects x [n, height, width, channels], w [kernel_height, kernel_width, channels, filters], "
                f"strides and dilations >= 1 and padding >= 0; received x {x}, w {w}, result {out}, strides {strides}, "
                f"dilations {dilations}, padding {padding}"
            )
        padded = (x[1] + top + bottom, x[2] + left + right)
        geometry = cls(*padded, x[3], tuple(w[:2]), w[3], tuple(out[1:3]), tuple(strides), tuple(dilations), padding)
        spans = [dilation * (extent - 1) + 1 for dilation, extent in zip(dilations, w[:2], strict=True)]
        sizes = [max(0, (n - span) // step + 1) for n, span, step in zip(padded, spans, strides, strict=True)]
        expected = (x[0], *sizes, w[3])
        if w[2] != x[3] or tuple(out) != expected:
            raise ValueError(
                f"conv2d of images {x} with kernel {w}, strides {strides}, dilations {dilations}, padding {padding} "
                f"needs {x[3]} channels in the kernel and gives {expected}; received {w[2]} channels and {tuple(out)}"
            )
        return geometry

    @property
    def pointwise(self) -> bool:
        """Each output pixel depends on the input pixel at its place: a matrix product."""
        return self.kernel == (1, 1) and self.strides == (1, 1) and self.padding == NO_PADDING

    def groups(self, rule: Callable[..., tuple], source: tuple, out: tuple) -> tuple[tuple, tuple]:
        """The vertical and the horizontal groups of places of a result `out`, by a rule of conv_windows.py."""
        vertical, horizontal = (
            rule(
                out[1 + axis],
                source[1 + axis],
                self.kernel[axis],
                self.strides[axis],
                self.dilations[axis],
                self.padding[axis][0],
            )
            for axis in (0, 1)
        )
        return vertical, horizontal

    @property
    def line(self) -> int:
        """Elements of a line of the padded image."""
        return self.width * self.channels

    @property
    def image(self) -> int:
        """Elements of the padded image."""
        return self.height * self.line

    @property
    def pixels(self) -> int:
        """Pixels of an image of the result."""
        return self.out[0] * self.out[1]


def check_types(*arrays: np.ndarray | None) -> None:
    """Raise ValueError unless all are C-contiguous and all float32 or all float64."""
    given = [array for array in arrays if array is not None]
    kinds = {array.dtype for array in given}
    if len(kinds) > 1 or kinds - {np.dtype(np.float32), np.dtype(np.float64)}:
        raise ValueError(f"conv2d expects all float32 or all float64; received {sorted(map(str, kinds))}. Cast first.")
    if not all(array.flags.c_contiguous for array in given):
        raise ValueError("conv2d expects C-contiguous arrays; received one that is not. Use numpy.ascontiguousarray.")


def pad(images: np.ndarray, padding: Padding, scratch: Scratch) -> tuple[Calls, np.ndarray]:
    """The calls that copy images into scratch with zeros around them, and that copy; or none and the images."""
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return [], images
    count, height, width, channels = images.shape
    padded = scratch((count, height + top + bottom, width + left + right, channels), images.dtype)
    lines = images.reshape(count, height, width * channels)
    padded_lines = padded.reshape(*padded.shape[:2], padded.shape[2] * channels)
    return [(pad_lines[images.dtype], (lines, top, left * channels, padded_lines))], padded


@kernel("void({t}[:, :, ::1], int64, int64, {t}[:, :, ::1])")
def pad_lines(images, top, left, out):
    """out[n, top + h, left + i] = images[n, h, i], and zero around."""
    zero = out.dtype.type(0)
    height, length = images.shape[1], images.shape[2]
    for n in range(images.shape[0]):
        for h in range(out.shape[1]):
            target = out[n, h]
            if h < top or h >= top + height:
                target[:] = zero
            else:
                source = images[n, h - top]
                for i in range(left):
                    target[i] = zero
                for i in range(length):
                    target[left + i] = source[i]
                for i in range(left + length, target.size):
                    target[i] = zero
