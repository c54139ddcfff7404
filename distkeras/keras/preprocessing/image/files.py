"""Images between files, Pillow's objects and arrays."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from distkeras._config import floatx, image_data_format, normalize_data_format
from distkeras.ops.image_files import pillow

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_GREY = ("L", "I;16", "I")


def load_img(
    path: Any,
    grayscale: bool = False,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
) -> Any:
    """An image file as an object of Pillow's.

    Args:
        path: The file.
        grayscale: An older way to say color_mode='grayscale'.
        color_mode: 'grayscale', 'rgb' or 'rgba'.
        target_size: (height, width) to resize to, or None.
        interpolation: How to resize: 'nearest', 'bilinear', 'bicubic', 'hamming', 'box' or 'lanczos'.

    Raises:
        ImportError: There is no Pillow.
        OSError: The file is not there, or no image.
    """
    color_mode = check_color_mode("grayscale" if grayscale else color_mode)
    check_interpolation(interpolation)
    image_module = pillow("Image", "load_img")
    with image_module.open(path) as image:
        image.load()
        if not (image.mode == _MODES[color_mode] or (color_mode == "grayscale" and image.mode in _GREY)):
            image = image.convert(_MODES[color_mode])
        if target_size is not None and image.size != (target_size[1], target_size[0]):
            method = getattr(image_module.Resampling, interpolation.upper())
            image = image.resize((target_size[1], target_size[0]), method)
        return image


def check_color_mode(color_mode: str) -> str:
    if color_mode not in _MODES:
        raise ValueError(f"color_mode must be 'grayscale', 'rgb' or 'rgba', received {color_mode!r}.")
    return color_mode


def check_interpolation(interpolation: str) -> str:
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation must be one of {', '.join(INTERPOLATIONS)}, received {interpolation!r}.")
    return interpolation


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """An image as an array of three dimensions.

    Args:
        img: An object of Pillow's, or an array of two or three dimensions.
        data_format: 'channels_last' or 'channels_first'; by default `image_data_format()`.
        dtype: The element type; by default `floatx()`.
    """
    data_format = _format(data_format)
    array = np.array(img, getattr(dtype, "as_numpy_dtype", dtype) or floatx())
    if array.ndim == 2:
        return array[None] if data_format == "channels_first" else array[..., None]
    if array.ndim != 3:
        raise ValueError(f"Unsupported image shape: expected 2 or 3 dimensions, received {array.shape}.")
    # An object of Pillow's has its channels last.
    is_pillow = not isinstance(img, np.ndarray) and hasattr(img, "getbands")
    return array.transpose(2, 0, 1) if is_pillow and data_format == "channels_first" else array


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """An array of three dimensions as an object of Pillow's.

    Args:
        x: 1, 3 or 4 channels.
        data_format: 'channels_last' or 'channels_first'; by default `image_data_format()`.
        scale: Whether to shift and stretch its numbers to [0, 255]; else they are taken as they are.
        dtype: What to compute with; by default `floatx()`.

    Raises:
        ImportError: There is no Pillow.
        ValueError: It is no image.
    """
    data_format = _format(data_format)
    x = np.asarray(x, getattr(dtype, "as_numpy_dtype", dtype) or floatx())
    if x.ndim != 3:
        raise ValueError(f"Expected image array to have rank 3 (single image). Got array with shape: {x.shape}")
    if data_format == "channels_first":
        x = x.transpose(1, 2, 0)
    if x.shape[2] not in (1, 3, 4):
        raise ValueError(f"Unsupported channel number: expected 1, 3 or 4, received the shape {x.shape}.")
    image_module = pillow("Image", "array_to_img")
    if scale:
        x = stretched(x)
    if x.shape[2] > 1:
        return image_module.fromarray(np.ascontiguousarray(x.astype(np.uint8)))
    is_wide = np.max(x) > 255  # 16 or 32 bits of grey
    return image_module.fromarray(np.ascontiguousarray(x[..., 0].astype(np.int32 if is_wide else np.uint8)))


def stretched(x: np.ndarray) -> np.ndarray:
    """x shifted and scaled to [0, 255]."""
    x = x - np.min(x)
    greatest = np.max(x)
    return x / greatest * 255 if greatest != 0 else x


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Write an array of three dimensions to an image file.

    Args:
        path: The file; its ending gives the format.
        x, data_format, scale: As for `array_to_img`.
        file_format: The format, if the ending does not give it.
        kwargs: For Pillow's `Image.save`.
    """
    img = array_to_img(x, data_format, scale)
    ending = file_format or os.path.splitext(getattr(path, "name", path))[1][1:]
    if img.mode == "RGBA" and ending.lower() in ("jpg", "jpeg"):
        img = img.convert("RGB")  # JPEG knows no opacity
    img.save(path, format="jpeg" if file_format == "jpg" else file_format, **kwargs)


def _format(data_format: str | None) -> str:
    return image_data_format() if data_format is None else normalize_data_format(data_format)
