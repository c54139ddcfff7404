"""Images changed at random.

Draws follow the global seed and, in a training step, the numbers of samples: they do not depend on how many ranks share
a batch. What is drawn once for a whole batch is the same on all ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op, static_ints
from distkeras.ops.elementwise import cast, floor, where
from distkeras.ops.image_colour import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from distkeras.ops.image_files import adjust_jpeg_quality
from distkeras.ops.image_geometry import as_batch, flip_left_right, flip_up_down
from distkeras.ops.indexing import gather
from distkeras.ops.random import random_scalar, random_uniform


def _flipped(function: str, flip: Callable[[Tensor], Tensor], image: Any, seed: int | None) -> Tensor:
    image, restore = as_batch(function, image)
    is_flipped = random_uniform((image.shape[0], 1, 1, 1), seed=seed) < 0.5
    return restore(where(is_flipped, flip(image), image))


@op
def random_flip_left_right(image: Any, seed: int | None = None) -> Tensor:
    """Each image flipped, or not, with one probability."""
    return _flipped("random_flip_left_right", flip_left_right, image, seed)


@op
def random_flip_up_down(image: Any, seed: int | None = None) -> Tensor:
    """Each image flipped, or not, with one probability."""
    return _flipped("random_flip_up_down", flip_up_down, image, seed)


@op
def random_crop(value: Any, size: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """A block of `value` at a place that is drawn.

    Args:
        value: Any tensor; a batch is cut alike in all its samples if `size` has the batch's size.
        size: An int for each dimension.
        seed: Of the draw.

    Raises:
        InvalidArgumentError: `value` is smaller than `size` somewhere.
    """
    value = to_tensor(value)
    sizes = static_ints(size, "size")
    if len(sizes) != value.ndim or any(wanted > there for wanted, there in zip(sizes, value.shape, strict=True)):
        raise InvalidArgumentError(f"Need value.shape >= size, got {value.shape} and {sizes}.")
    for axis, (wanted, there) in enumerate(zip(sizes, value.shape, strict=True)):
        if wanted < there:
            start = _whole(random_scalar(0.0, there - wanted + 1.0, _own(seed, axis), _is_batch(value)))
            value = gather(value, start + to_tensor(list(range(wanted))), axis=axis)
    return value


def _whole(x: Tensor) -> Tensor:
    return cast(floor(x), "int32")


def _own(seed: int | None, axis: int) -> int | None:
    return None if seed is None else seed + 7919 * axis  # another stream for each axis


def _is_batch(image: Tensor) -> bool:
    return image.ndim > 3


def _range(function: str, lower: Any, upper: Any) -> None:
    if not 0 <= lower < upper:
        raise ValueError(f"{function}: expected 0 <= lower < upper, received lower={lower} and upper={upper}.")


@op
def random_brightness(image: Any, max_delta: float, seed: int | None = None) -> Tensor:
    """`adjust_brightness` by a number from [-max_delta, max_delta)."""
    image = to_tensor(image)
    if max_delta < 0:
        raise ValueError(f"random_brightness: max_delta must be non-negative, received {max_delta}.")
    return adjust_brightness(image, random_scalar(-max_delta, max_delta, seed, _is_batch(image)))


@op
def random_contrast(image: Any, lower: float, upper: float, seed: int | None = None) -> Tensor:
    """`adjust_contrast` by a factor from [lower, upper)."""
    image = to_tensor(image)
    _range("random_contrast", lower, upper)
    return adjust_contrast(image, random_scalar(lower, upper, seed, _is_batch(image)))


@op
def random_hue(image: Any, max_delta: float, seed: int | None = None) -> Tensor:
    """`adjust_hue` by a number from [-max_delta, max_delta); at most 1/2."""
    image = to_tensor(image)
    if not 0 <= max_delta <= 0.5:
        raise ValueError(f"random_hue: max_delta must be in [0, 0.5], received {max_delta}.")
    return adjust_hue(image, random_scalar(-max_delta, max_delta, seed, _is_batch(image)))


@op
def random_saturation(image: Any, lower: float, upper: float, seed: int | None = None) -> Tensor:
    """`adjust_saturation` by a factor from [lower, upper)."""
    image = to_tensor(image)
    _range("random_saturation", lower, upper)
    return adjust_saturation(image, random_scalar(lower, upper, seed, _is_batch(image)))


@op
def random_jpeg_quality(image: Any, min_jpeg_quality: int, max_jpeg_quality: int, seed: int | None = None) -> Tensor:
    """`adjust_jpeg_quality` by a whole number from [min_jpeg_quality, max_jpeg_quality)."""
    if not 0 <= min_jpeg_quality < max_jpeg_quality <= 100:
        raise ValueError(
            "random_jpeg_quality: expected 0 <= min_jpeg_quality < max_jpeg_quality <= 100, received "
            f"{min_jpeg_quality} and {max_jpeg_quality}."
        )
    return adjust_jpeg_quality(image, int(_whole(random_scalar(min_jpeg_quality, max_jpeg_quality, seed, False))))
