"""How images vary, and how far apart two of them are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op
from distkeras.ops.depthwise import depthwise_conv2d
from distkeras.ops.elementwise import abs as abs_
from distkeras.ops.elementwise import log, pow, relu
from distkeras.ops.image_geometry import as_batch
from distkeras.ops.image_types import convert_image_dtype
from distkeras.ops.joining import stack
from distkeras.ops.pooling import avg_pool2d
from distkeras.ops.reduction import reduce_mean, reduce_sum
from distkeras.ops.shape import pad, reshape


@op
def total_variation(images: Any, name: str | None = None) -> Tensor:
    """The sum of |differences| of neighbouring pixels, for each image.

    Source: Rudin, Osher and Fatemi 1992, "Nonlinear total variation based noise removal algorithms".

    >>> import distkeras as tf
    >>> tf.image.total_variation([[[0.0], [2.0]], [[1.0], [1.0]]]).numpy()
    np.float32(4.0)
    """
    images, restore = as_batch("total_variation", images)
    down = reduce_sum(abs_(images[:, 1:] - images[:, :-1]), axis=[1, 2, 3])
    across = reduce_sum(abs_(images[:, :, 1:] - images[:, :, :-1]), axis=[1, 2, 3])
    return restore(down + across)


@op
def image_gradients(image: Any) -> tuple[Tensor, Tensor]:
    """Each pixel's difference to the next below it, and to the next to the right; 0 at the end.

    Args:
        image: [batch, height, width, channels].
    """
    image = to_tensor(image)
    if image.ndim != 4:
        raise ValueError(
            f"image_gradients expects a 4D tensor [batch_size, h, w, d], received one of shape {image.shape}."
        )
    down = pad(image[:, 1:] - image[:, :-1], [[0, 0], [0, 1], [0, 0], [0, 0]])
    across = pad(image[:, :, 1:] - image[:, :, :-1], [[0, 0], [0, 0], [0, 1], [0, 0]])
    return down, across


@op
def sobel_edges(image: Any) -> Tensor:
    """Sobel's derivatives.

    Args:
        image: [batch, height, width, channels].

    Returns:
        [batch, height, width, channels, 2]: downwards and to the right.
    """
    image = to_tensor(image)
    if image.ndim != 4:
        raise ValueError(f"sobel_edges: expected [batch, height, width, channels], received {image.shape}.")
    wide = pad(image, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="REFLECT")
    down, across = wide[:, 2:] - wide[:, :-2], wide[:, :, 2:] - wide[:, :, :-2]
    return stack([_smoothed(down, 2), _smoothed(across, 1)], -1)


def _smoothed(x: Tensor, axis: int) -> Tensor:
    """(1, 2, 1) along an axis."""
    first, middle, last = (x[(slice(None),) * axis + (slice(start, x.shape[axis] - 2 + start),)] for start in range(3))
    return first + middle * 2 + last


@op
def psnr(a: Any, b: Any, max_val: float, name: str | None = None) -> Tensor:
    """Peak signal to noise ratio in decibel, for each image.

    Args:
        a, b: [..., height, width, channels].
        max_val: The greatest difference that is possible: 255 or 1.
    """
    a, b, max_val = _pair("psnr", a, b, max_val)
    mean_squared_error = reduce_mean((a - b) * (a - b), axis=[-3, -2, -1])
    return 20 * math.log10(max_val) - log(mean_squared_error) * (10 / math.log(10))


def _pair(function: str, a: Any, b: Any, max_val: float) -> tuple[Tensor, Tensor, float]:
    a = to_tensor(a)
    b = to_tensor(b, like=a)
    if a.ndim < 3 or a.shape != b.shape or a.dtype is not b.dtype:
        raise InvalidArgumentError(
            f"{function}: expected two tensors of one type and shape [..., height, width, channels], received "
            f"{a.dtype.name} {a.shape} and {b.dtype.name} {b.shape}."
        )
    if a.dtype.is_integer:
        max_val = float(max_val) / a.dtype.max
    return convert_image_dtype(a, "float32"), convert_image_dtype(b, "float32"), float(max_val)


@op
def ssim(
    img1: Any,
    img2: Any,
    max_val: float,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Tensor:
    """How alike two images look, up to 1: structural similarity, averaged over pixels and channels.

    Args:
        img1, img2: [..., height, width, channels].
        max_val: The greatest difference that is possible: 255 or 1.
        filter_size, filter_sigma: Of the Gaussian window.
        k1, k2: What keeps the quotients finite.

    Source: Wang, Bovik, Sheikh and Simoncelli 2004, "Image quality assessment: from error visibility to structural
        similarity".
    """
    img1, img2, max_val = _pair("ssim", img1, img2, max_val)
    similarity, _ = _similarity("ssim", img1, img2, max_val, (filter_size, filter_sigma), (k1, k2))
    return reduce_mean(similarity, axis=-1)


def _similarity(
    function: str, img1: Tensor, img2: Tensor, max_val: float, window_of: tuple[int, float], k: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """[..., channels]: structural similarity, and its part of contrast and structure, averaged over pixels."""
    *batch, height, width, channels = img1.shape
    filter_size, filter_sigma = window_of
    if height < filter_size or width < filter_size:
        raise InvalidArgumentError(
            f"{function}: images of {height} x {width} are smaller than the filter, {filter_size}."
        )
    window = _gaussian_window(filter_size, filter_sigma, channels)

    def blurred(x: Tensor) -> Tensor:
        return depthwise_conv2d(reshape(x, (-1, height, width, channels)), window, [1, 1, 1, 1], "VALID")

    mean1, mean2 = blurred(img1), blurred(img2)
    c1, c2 = ((factor * max_val) ** 2 for factor in k)
    product, squares = mean1 * mean2 * 2.0, mean1 * mean1 + mean2 * mean2
    luminance = (product + c1) / (squares + c1)
    covariance = blurred(img1 * img2) * 2.0 - product
    variances = blurred(img1 * img1 + img2 * img2) - squares
    structure = (covariance + c2) / (variances + c2)
    parts = (reduce_mean(x, axis=[-3, -2]) for x in (luminance * structure, structure))
    whole, contrast = (reshape(x, (*batch, channels)) for x in parts)
    return whole, contrast


_POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


@op
def ssim_multiscale(
    img1: Any,
    img2: Any,
    max_val: float,
    power_factors: Sequence[float] = _POWERS,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Tensor:
    """`ssim` on several scales, each half as large as the one before, multiplied; arguments as there.

    Args:
        power_factors: The exponent of each scale.

    Source: Wang, Simoncelli and Bovik 2003, "Multiscale structural similarity for image quality assessment".
    """
    img1, img2, max_val = _pair("ssim_multiscale", img1, img2, max_val)
    batch = tuple(img1.shape[:-3])
    img1, img2 = (reshape(image, (-1, *image.shape[-3:])) for image in (img1, img2))
    result = None
    for scale, power in enumerate(power_factors):
        if scale:
            img1, img2 = _halved(img1), _halved(img2)
        window_of = filter_size, filter_sigma
        whole, contrast = _similarity("ssim_multiscale", img1, img2, max_val, window_of, (k1, k2))
        part = pow(relu(whole if scale == len(power_factors) - 1 else contrast), float(power))
        result = part if result is None else result * part
    return reshape(reduce_mean(result, axis=-1), batch)


def _halved(images: Tensor) -> Tensor:
    odd = [size % 2 for size in images.shape[1:3]]
    if any(odd):
        images = pad(images, [[0, 0], [0, odd[0]], [0, odd[1]], [0, 0]], mode="SYMMETRIC")
    return avg_pool2d(images, 2, 2, "VALID")


def _gaussian_window(size: int, sigma: float, channels: int) -> Tensor:
    exponent = -0.5 * (np.arange(size) - (size - 1) / 2) ** 2 / sigma**2
    window = np.exp(exponent[:, None] + exponent[None, :])
    window = (window / window.sum()).astype(np.float32)
    return to_tensor(np.repeat(window[:, :, None, None], channels, axis=2))
