"""Images brighter, greyer and of other hues. Colours are in the last dimension; integers stay integers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import named, op
from distkeras.ops.elementwise import abs as abs_
from distkeras.ops.elementwise import cast, clip_by_value, equal, floor, maximum, pow, where
from distkeras.ops.image_types import convert_image_dtype
from distkeras.ops.joining import stack, unstack
from distkeras.ops.linalg import matmul
from distkeras.ops.reduction import reduce_max, reduce_mean, reduce_min, reduce_std, reduce_sum
from distkeras.ops.shape import reshape, tile

_LUMA = (0.2989, 0.5870, 0.1140)


def _with_colours(function: str, images: Any, channels: int = 3) -> Tensor:
    images = to_tensor(images)
    if not images.ndim or images.shape[-1] != channels:
        raise ValueError(f"{function}: the last dimension must be of size {channels}, received {images.shape}.")
    return images


def _as_float(image: Tensor) -> Tensor:
    return image if image.dtype.is_floating else convert_image_dtype(image, "float32")


@op
def adjust_brightness(image: Any, delta: Any) -> Tensor:
    """image + delta, where 1 is the greatest brightness; integers are clipped."""
    image = to_tensor(image)
    return convert_image_dtype(_as_float(image) + delta, image.dtype, saturate=True)


@op
def adjust_contrast(images: Any, contrast_factor: Any) -> Tensor:
    """Each channel's distance from its mean over the image, times `contrast_factor`."""
    images = to_tensor(images)
    if images.ndim < 3:
        raise ValueError(f"adjust_contrast: expected [..., height, width, channels], received {images.shape}.")
    pixels = _as_float(images)
    mean = reduce_mean(pixels, axis=[-3, -2], keepdims=True)
    return convert_image_dtype((pixels - mean) * contrast_factor + mean, images.dtype, saturate=True)


@op
def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Tensor:
    """gain * image ** gamma, for numbers from 0 to 1.

    Raises:
        ValueError: gamma is negative.
    """
    image = to_tensor(image)
    if not isinstance(gamma, Tensor) and gamma < 0:
        raise ValueError(f"Gamma should be a non-negative real number, received {gamma!r}.")
    pixels = _as_float(image)
    return convert_image_dtype(gain * pow(pixels, to_tensor(gamma, like=pixels)), image.dtype, saturate=True)


@op
def adjust_hue(image: Any, delta: Any, name: str | None = None) -> Tensor:
    """Colours turned by `delta`, in [-1, 1], where 1 is the whole circle."""
    image = _with_colours("adjust_hue", image)
    hue, saturation, value = unstack(rgb_to_hsv(_as_float(image)), axis=-1)
    hue = hue + delta
    return convert_image_dtype(hsv_to_rgb(stack([hue - floor(hue), saturation, value], -1)), image.dtype, saturate=True)


@op
def adjust_saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Tensor:
    """Saturation, from 0 to 1, times `saturation_factor`."""
    image = _with_colours("adjust_saturation", image)
    hue, saturation, value = unstack(rgb_to_hsv(_as_float(image)), axis=-1)
    saturation = clip_by_value(saturation * saturation_factor, 0.0, 1.0)
    return convert_image_dtype(hsv_to_rgb(stack([hue, saturation, value], -1)), image.dtype, saturate=True)


@op
def rgb_to_hsv(images: Any, name: str | None = None) -> Tensor:
    """Red, green and blue as hue, saturation and value; all from 0 to 1."""
    images = _floating("rgb_to_hsv", images)
    red, green, blue = unstack(images, axis=-1)
    value = reduce_max(images, axis=-1)
    span = value - reduce_min(images, axis=-1)
    is_coloured, zero = span > 0.0, value * 0.0
    saturation = where(is_coloured, span / where(value > 0.0, value, zero + 1.0), zero)
    sixth = 1.0 / (6.0 * where(is_coloured, span, zero + 1.0))
    hue = where(
        equal(red, value),
        sixth * (green - blue),
        where(equal(green, value), sixth * (blue - red) + 2.0 / 6.0, sixth * (red - green) + 4.0 / 6.0),
    )
    hue = where(is_coloured, where(hue < 0.0, hue + 1.0, hue), zero)
    return stack([hue, saturation, value], -1)


@op
def hsv_to_rgb(images: Any, name: str | None = None) -> Tensor:
    """Hue, saturation and value as red, green and blue; all from 0 to 1."""
    hue, saturation, value = unstack(_floating("hsv_to_rgb", images), axis=-1)
    place = hue * 6.0
    parts = (abs_(place - 3.0) - 1.0, 2.0 - abs_(place - 2.0), 2.0 - abs_(place - 4.0))
    return stack([(1.0 - saturation + saturation * clip_by_value(p, 0.0, 1.0)) * value for p in parts], -1)


def _floating(function: str, images: Any) -> Tensor:
    images = _with_colours(function, images)
    if not images.dtype.is_floating:
        raise InvalidArgumentError(
            f"{function}: expected floating-point numbers, received {images.dtype.name}: convert with "
            "tf.image.convert_image_dtype(image, tf.float32)."
        )
    return images


# Brightness, and two differences of colours from it: [channel, component].
_TO_YIQ = np.array([[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617], [0.114, -0.32134392, 0.31119955]])
_TO_YUV = np.array(
    [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512], [0.114, 0.43601035, -0.10001026]]
)
# The ways back, to the digits of the standards: not quite the inverses.
_OF_YIQ = np.array([[1.0, 1.0, 1.0], [0.95598634, -0.27201283, -1.10674021], [0.6208248, -0.64720424, 1.70423049]])
_OF_YUV = np.array([[1.0, 1.0, 1.0], [0.0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0.0]])


def _mixed(name: str, weights: np.ndarray, summary: str) -> Any:
    def function(images: Any, name: str | None = None) -> Tensor:
        images = _floating(label, images)
        return reshape(matmul(reshape(images, (-1, 3)), to_tensor(weights, like=images)), images.shape)

    label = name
    return op(named(function, name, f"{summary} Colours are in the last dimension of floating-point numbers."))


rgb_to_yiq = _mixed("rgb_to_yiq", _TO_YIQ, "Red, green and blue as luma Y and chroma I and Q (NTSC television).")
yiq_to_rgb = _mixed("yiq_to_rgb", _OF_YIQ, "Luma Y and chroma I and Q as red, green and blue.")
rgb_to_yuv = _mixed("rgb_to_yuv", _TO_YUV, "Red, green and blue as luma Y and chroma U and V (PAL television).")
yuv_to_rgb = _mixed("yuv_to_rgb", _OF_YUV, "Luma Y and chroma U and V as red, green and blue.")


@op
def rgb_to_grayscale(images: Any, name: str | None = None) -> Tensor:
    """How bright colours look: one channel, 0.2989 red + 0.587 green + 0.114 blue."""
    images = _with_colours("rgb_to_grayscale", images)
    pixels = _as_float(images)
    grey = reduce_sum(pixels * to_tensor(_LUMA, like=pixels), axis=-1, keepdims=True)
    return convert_image_dtype(grey, images.dtype)


@op
def grayscale_to_rgb(images: Any, name: str | None = None) -> Tensor:
    """One channel three times."""
    images = _with_colours("grayscale_to_rgb", images, channels=1)
    return tile(images, [1] * (images.ndim - 1) + [3])


@op
def per_image_standardization(image: Any) -> Tensor:
    """(x - mean) / max(standard deviation, 1 / sqrt(count)), over each image."""
    image = to_tensor(image)
    if image.ndim < 3:
        raise ValueError(f"per_image_standardization: expected [..., height, width, channels], received {image.shape}.")
    image = image if image.dtype.is_floating else cast(image, "float32")
    axes = [-3, -2, -1]
    least = 1.0 / math.sqrt(math.prod(image.shape[-3:]))
    centred = image - reduce_mean(image, axis=axes, keepdims=True)
    return centred / maximum(reduce_std(image, axis=axes, keepdims=True), to_tensor(least, like=image))
