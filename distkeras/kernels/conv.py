"""Two-dimensional convolutions over images [n, height, width, channels], without copying windows.

An output pixel's window starts at one byte offset of the image, and within it each row of the window is one contiguous
run. So the matrix of all windows is never formed: its row offsets and its runs go to a `Contraction`, and the kernel
[kernel_height, kernel_width, channels, filters] is the other factor as it lies. How padding is done without copying the
images is told in conv_windows.py.

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

from dataclasses import replace

import numpy as np

from distkeras.kernels.compile import Calls, Scratch
from distkeras.kernels.conv_geometry import (
    MOST_PIECES,
    NO_PADDING,
    Geometry,
    Padding,
    Pair,
    check_types,
    pad,
)
from distkeras.kernels.conv_gradients import conv2d_input_gradient, conv2d_weight_gradient
from distkeras.kernels.conv_groups import forward_groups
from distkeras.kernels.conv_windows import convolve
from distkeras.kernels.gemm import as_matrix, matmul

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
    calls, images, groups = [], x, geometry.groups(forward_groups, x.shape, out.shape)
    if len(groups[0]) * len(groups[1]) > MOST_PIECES:
        calls, images = pad(x, padding, scratch)
        groups = replace(geometry, padding=NO_PADDING).groups(forward_groups, images.shape, out.shape)
    return calls + convolve(images, w, out, groups, bias, relu, scratch=scratch)
