"""Random changes of one image, as data augmentation makes them. Unless a seed is given they follow the global one."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.core.random_state import next_numpy_generator
from distkeras.keras.preprocessing.image.affine import apply_affine_transform
from distkeras.keras.preprocessing.image.files import stretched


def _transformed(
    x: np.ndarray, axes: tuple[int, int, int], fill_mode: str, cval: float, order: int, **by: float
) -> np.ndarray:
    return apply_affine_transform(
        x, **by, **dict(zip(_AXES, axes, strict=True)), fill_mode=fill_mode, cval=cval, order=order
    )


_AXES = ("row_axis", "col_axis", "channel_axis")


def random_rotation(
    x: np.ndarray, rg: float, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """x turned by an angle from [-rg, rg] degrees; the other arguments are those of `apply_affine_transform`."""
    theta = next_numpy_generator().uniform(-rg, rg)
    return _transformed(x, (row_axis, col_axis, channel_axis), fill_mode, cval, interpolation_order, theta=theta)


def random_shift(
    x: np.ndarray, wrg: float, hrg: float, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """x moved by up to the fraction `wrg` of its width and `hrg` of its height; see `apply_affine_transform`."""
    generator = next_numpy_generator()
    tx = generator.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = generator.uniform(-wrg, wrg) * x.shape[col_axis]
    return _transformed(x, (row_axis, col_axis, channel_axis), fill_mode, cval, interpolation_order, tx=tx, ty=ty)


def random_shear(
    x: np.ndarray, intensity: float, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """x sheared by an angle from [-intensity, intensity] degrees; see `apply_affine_transform`."""
    shear = next_numpy_generator().uniform(-intensity, intensity)
    return _transformed(x, (row_axis, col_axis, channel_axis), fill_mode, cval, interpolation_order, shear=shear)


def random_zoom(
    x: np.ndarray, zoom_range: tuple[float, float], row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """x zoomed by factors from zoom_range = (least, greatest), one per axis; see `apply_affine_transform`."""
    if len(zoom_range) != 2:
        raise ValueError(f"`zoom_range` should be a tuple or list of two floats. Received: {zoom_range}")
    zx, zy = (1, 1) if tuple(zoom_range) == (1, 1) else next_numpy_generator().uniform(*zoom_range, 2)
    return _transformed(x, (row_axis, col_axis, channel_axis), fill_mode, cval, interpolation_order, zx=zx, zy=zy)


def random_channel_shift(x: np.ndarray, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """`apply_channel_shift` by a number from [-intensity_range, intensity_range]."""
    return apply_channel_shift(x, next_numpy_generator().uniform(-intensity_range, intensity_range), channel_axis)


def apply_channel_shift(x: np.ndarray, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """x + intensity, kept within x's least and greatest number: the same on whichever axis the channels are."""
    return np.clip(x + intensity, np.min(x), np.max(x))


def random_brightness(x: np.ndarray, brightness_range: tuple[float, float]) -> np.ndarray:
    """`apply_brightness_shift` by a factor from brightness_range = (least, greatest)."""
    if len(brightness_range) != 2:
        raise ValueError(f"`brightness_range` should be tuple or list of two floats. Received: {brightness_range}")
    return apply_brightness_shift(x, next_numpy_generator().uniform(*brightness_range))


def apply_brightness_shift(x: np.ndarray, brightness: float, scale: bool = True) -> np.ndarray:
    """x as whole numbers in [0, 255], times `brightness`, cut to whole numbers in [0, 255].

    Args:
        x: An image.
        brightness: 0 is black, 1 leaves it as it is.
        scale: Whether to stretch x to [0, 255] first, and leave it so; otherwise that is done, and undone, only if x
            lies outside of it.
    """
    x = np.asarray(x)
    low, high = np.min(x), np.max(x)
    is_outside = low < 0 or high > 255
    bytes_ = (stretched(x) if scale or is_outside else x).astype(np.uint8)
    brighter = np.clip(bytes_ * np.float32(brightness), 0, 255).astype(np.uint8).astype(np.float32)
    return brighter / 255 * (high - low) + low if is_outside and not scale else brighter


def flip_axis(x: Any, axis: int) -> np.ndarray:
    """x with one axis reversed."""
    return np.ascontiguousarray(np.flip(x, axis))
