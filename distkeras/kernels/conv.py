"""Two-dimensional convolutions over images [n, height, width, channels], without copying windows.

An output pixel's window starts at one byte offset of the (padded) image, and within it each row of the window is one
contiguous run. So the matrix of all windows is never formed: its row offsets and its runs go to a `Contraction`, and w
[kernel_height, kernel_width, channels, filters] is the other factor as it lies. Images are copied only to be padded.

>>> import numpy as np
>>> x, w = np.ones((1, 4, 4, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)
>>> out = np.empty((1, 4, 4, 1), np.float32)
>>> calls = conv2d_forward(x, w, out, strides=(1, 1), padding=((1, 1), (1, 1)), scratch=np.empty)
>>> for fn, args in calls:
...     fn(*args)
>>> out[0, :, :, 0]
array([[4., 6., 6., 4.],
       [6., 9., 9., 6.],
       [6., 9., 9., 6.],
       [4., 6., 6., 4.]], dtype=float32)
"""

from __future__ import annotations

import functools

import numpy as np

from distkeras.kernels.compile import Calls, Scratch
from distkeras.kernels.contraction import Contraction
from distkeras.kernels.conv_geometry import SMALL_IMAGE, Geometry, Padding, Pair, as_matrix, check_types, pad
from distkeras.kernels.conv_gradients import conv2d_input_gradient, conv2d_weight_gradient
from distkeras.kernels.gemm import matmul

__all__ = ["conv2d_forward", "conv2d_input_gradient", "conv2d_weight_gradient"]


def conv2d_forward(
    x: np.ndarray,
    w: np.ndarray,
    out: np.ndarray,
    *,
    strides: Pair,
    padding: Padding,
    dilations: Pair = (1, 1),
    bias: np.ndarray | None = None,
    relu: bool = False,
    scratch: Scratch,
) -> Calls:
    """Lower a convolution (cross-correlation, as the field has it) to kernel calls, to be made in order.

    out[n, i, j, f] = sum over p, q, c of x[n, i*stride + p*dilation - top, j*... + q*... - left, c] * w[p, q, c, f]

    Args:
        x: [n, height, width, channels], float32 or float64, C-contiguous, as all arrays here.
        w: [kernel_height, kernel_width, channels, filters].
        out: [n, out_height, out_width, filters]; must not overlap the others.
        strides, dilations: (vertical, horizontal), at least 1.
        padding: ((top, bottom), (left, right)) rows and columns of zeros around each image.
        bias: [filters], added to every pixel; None for none.
        relu: replace what is negative by zero; NaN stays.
        scratch: `scratch(shape, dtype)` lends memory for the time of these calls.

    Raises:
        ValueError: shapes or element types do not fit.
    """
    geometry = Geometry.of(x.shape, w.shape, out.shape, strides, padding, dilations)
    check_types(x, w, out, bias)
    if bias is not None and bias.shape != (geometry.filters,):
        raise ValueError(f"conv2d expects bias [{geometry.filters}], one per filter; received {bias.shape}")
    if geometry.pointwise:
        operands = map(as_matrix, (x, w, out))
        return matmul(*operands, bias=bias, relu=relu, scratch=scratch)
    if out.size == 0:
        return []
    calls, images = pad(x, padding, scratch)
    size, run = x.itemsize, geometry.run
    images_out, a_rows = _rows_of_images(geometry, x.shape[0], size)
    contraction = Contraction(
        a=images,
        b=w,
        out=out,
        rows=a_rows.size,
        columns=geometry.filters,
        depth=run,
        a_rows=a_rows,
        a_step=size,
        b_step=geometry.filters * size,
        out_row=geometry.filters * size,
        taps_a=_tap_offsets(geometry, size),
        taps_b=_steps(geometry.runs, run * geometry.filters * size),
        bias=bias,
        relu=relu,
        outer=(images_out, geometry.image * size, 0, geometry.pixels * geometry.filters * size),
    )
    return [*calls, contraction.call()]


def _rows_of_images(geometry: Geometry, count: int, size: int) -> tuple[int, np.ndarray]:
    """How often to repeat over the batch, and where the windows of one repetition start: of one image or of all."""
    offsets = _window_offsets(geometry, size)
    if geometry.pixels >= SMALL_IMAGE:
        return count, offsets
    return 1, np.add.outer(np.arange(count, dtype=np.int64) * (geometry.image * size), offsets).ravel()


@functools.lru_cache(maxsize=256)
def _window_offsets(geometry: Geometry, size: int) -> np.ndarray:
    """The byte offset in an image of each output pixel's window."""
    (rows, columns), (down, right) = geometry.out, geometry.strides
    lines = np.arange(rows, dtype=np.int64) * (down * geometry.line)
    return np.add.outer(lines, np.arange(columns, dtype=np.int64) * (right * geometry.channels)).ravel() * size


@functools.lru_cache(maxsize=256)
def _tap_offsets(geometry: Geometry, size: int) -> np.ndarray:
    """The byte offset in a window of each of its runs."""
    lines = np.arange(geometry.kernel[0], dtype=np.int64) * (geometry.dilations[0] * geometry.line)
    if geometry.dilations[1] == 1:
        return lines * size
    steps = np.arange(geometry.kernel[1], dtype=np.int64) * (geometry.dilations[1] * geometry.channels)
    return np.add.outer(lines, steps).ravel() * size


@functools.lru_cache(maxsize=256)
def _steps(count: int, step: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64) * step
