"""Images of other sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import rows_along
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels.resample import resample as resample_kernel
from distkeras.ops._op import op, static_ints
from distkeras.ops.elementwise import cast, clip_by_value, floor, where
from distkeras.ops.image_filters import nearest_places, resizing_filter
from distkeras.ops.image_geometry import as_batch, pad_to_bounding_box
from distkeras.ops.indexing import gather
from distkeras.ops.shape import expand_dims, reshape


class ResizeMethod:
    """How `resize` finds the new pixels."""

    BILINEAR = "bilinear"
    NEAREST_NEIGHBOR = "nearest"
    BICUBIC = "bicubic"
    AREA = "area"
    LANCZOS3 = "lanczos3"
    LANCZOS5 = "lanczos5"
    GAUSSIAN = "gaussian"
    MITCHELLCUBIC = "mitchellcubic"


_METHODS = tuple(value for name, value in vars(ResizeMethod).items() if name.isupper())

# --- the primitive

_resample = Primitive("resample")
_resample.def_cut(rows_along("axis"))


@_resample.def_shape
def _resample_shape(
    x: TensorSpec, axis: int, method: str, sizes: tuple[int, int], antialias: bool, is_transposed: bool
) -> TensorSpec:
    shape = list(x.shape)
    shape[axis] = sizes[0] if is_transposed else sizes[1]
    return TensorSpec(shape, x.dtype)


@_resample.def_kernel
def _resample_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Any, *,
    axis: int, method: str, sizes: tuple[int, int], antialias: bool, is_transposed: bool,
) -> Calls:  # fmt: skip
    starts, places, weights = resizing_filter(method, *sizes, antialias, is_transposed)
    x, out = (_around(array, axis) for array in (inputs[0], outputs[0]))
    return [(resample_kernel[out.dtype], (x, starts, places, weights.astype(out.dtype), out))]


def _around(array: np.ndarray, axis: int) -> np.ndarray:
    """[what is before the axis, the axis, what is after it]"""
    before, after = math.prod(array.shape[:axis]), math.prod(array.shape[axis + 1 :])
    return array.reshape(before, array.shape[axis], after)


@_resample.def_vjp
def _resample_vjp(gradients: Any, inputs: Any, outputs: Any, *, is_transposed: bool, **params: Any) -> tuple:
    return (lambda: _resample(gradients[0], is_transposed=not is_transposed, **params),)


# --- resizing


@op
def resize(
    images: Any,
    size: Any,
    method: str = ResizeMethod.BILINEAR,
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
    name: str | None = None,
) -> Tensor:
    """Images of another height and width.

    Args:
        images: [height, width, channels] or a batch of such.
        size: (new height, new width).
        method: 'bilinear', 'nearest', 'bicubic', 'area', 'lanczos3', 'lanczos5', 'gaussian' or 'mitchellcubic'.
        preserve_aspect_ratio: Whether to make the images as large as fits into `size` instead.
        antialias: Whether pixels that are left out count, too, where images become smaller.

    Returns:
        float32 (float64 for such images); of the images' own type for 'nearest'.

    Raises:
        ValueError: The images have not 3 or 4 dimensions, or the method or the size is none.

    >>> import distkeras as tf
    >>> tf.image.resize(tf.constant([[[0.0], [4.0]]]), (1, 4)).numpy().ravel().tolist()
    [0.0, 1.0, 3.0, 4.0]
    """
    images, restore = as_batch("resize", images)
    height, width = images.shape[1:3]
    new_height, new_width = _new_size(size, height, width, preserve_aspect_ratio)
    if method not in _METHODS:
        raise ValueError(f"resize: the method must be one of {', '.join(_METHODS)}, received {method!r}.")
    if method == "nearest":
        for axis, (old, new) in enumerate(((height, new_height), (width, new_width)), 1):
            images = gather(images, nearest_places(old, new), axis=axis) if old != new else images
        return restore(images)
    images = images if images.dtype == "float64" else cast(images, "float32")
    for axis, sizes in enumerate(((height, new_height), (width, new_width)), 1):
        if sizes[0] != sizes[1] or method in ("gaussian", "mitchellcubic"):  # these blur even then
            images = _resample(
                images, axis=axis, method=method, sizes=sizes, antialias=bool(antialias), is_transposed=False
            )
    return restore(images)


def _new_size(size: Any, height: int, width: int, preserve_aspect_ratio: bool) -> tuple[int, int]:
    sizes = static_ints(size, "size of (height, width)")
    if len(sizes) != 2 or min(sizes) < 1:
        raise ValueError(f"resize: 'size' must be two positive ints (new height, new width), received {sizes}.")
    if not preserve_aspect_ratio:
        return sizes
    factor = min(np.float32(sizes[0]) / np.float32(height), np.float32(sizes[1]) / np.float32(width))
    return tuple(max(int(np.rint(factor * np.float32(old))), 1) for old in (height, width))


@op
def resize_with_pad(
    image: Any,
    target_height: int,
    target_width: int,
    method: str = ResizeMethod.BILINEAR,
    antialias: bool = False,
    name: str | None = None,
) -> Tensor:
    """Images as large as fits into the target without distortion, in its middle, with zeros around them."""
    image, restore = as_batch("resize_with_pad", image)
    height, width = image.shape[1:3]
    ratio = max(np.float32(width) / np.float32(target_width), np.float32(height) / np.float32(target_height))
    sizes = [math.floor(np.float32(old) / ratio) for old in (height, width)]
    targets = (target_height, target_width)
    offsets = [
        max(math.floor((np.float32(target) - np.float32(old) / ratio) / np.float32(2)), 0)
        for target, old in zip(targets, (height, width), strict=True)
    ]
    resized = resize(image, [max(size, 1) for size in sizes], method, antialias=antialias)
    return restore(pad_to_bounding_box(resized, *offsets, *targets))


# --- boxes


@op
def crop_and_resize(
    image: Any,
    boxes: Any,
    box_indices: Any,
    crop_size: Any,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
    name: str | None = None,
) -> Tensor:
    """Boxes cut out of images, all resized to one size.

    Args:
        image: [batch, height, width, channels].
        boxes: float32 [boxes, 4]: top, left, bottom, right, where 0 is the middle of the first pixel and 1 that of the
            last one; top > bottom flips.
        box_indices: Which image each box is from.
        crop_size: (height, width) of the results.
        method: 'bilinear' or 'nearest'.
        extrapolation_value: What lies outside of an image.

    Returns:
        float32 [boxes, crop height, crop width, channels].
    """
    image, boxes, box_indices = cast(image, "float32"), to_tensor(boxes), cast(box_indices, "int64")
    if method not in ("bilinear", "nearest"):
        raise ValueError(f"crop_and_resize: method must be 'bilinear' or 'nearest', received {method!r}.")
    if image.ndim != 4 or boxes.ndim != 2 or boxes.shape[1] != 4 or box_indices.shape != boxes.shape[:1]:
        raise InvalidArgumentError(
            "crop_and_resize: expected images of 4 dimensions, boxes [n, 4] and box_indices [n], received the shapes "
            f"{image.shape}, {boxes.shape} and {box_indices.shape}."
        )
    batch, height, width, channels = image.shape
    crop_height, crop_width = static_ints(crop_size, "size of (height, width)")
    rows, row_inside = _positions(boxes[:, 0], boxes[:, 2], height, crop_height)
    columns, column_inside = _positions(boxes[:, 1], boxes[:, 3], width, crop_width)
    rows, columns = expand_dims(rows, 2), expand_dims(columns, 1)
    pixels = reshape(image, (batch * height * width, channels))
    first = reshape(box_indices * (height * width), (-1, 1, 1))

    def read(row: Tensor, column: Tensor) -> Tensor:
        return gather(pixels, first + row * width + column)

    if method == "nearest":
        # C's roundf, which goes away from zero at ties; positions are not negative.
        crops = read(cast(floor(rows + 0.5), "int64"), cast(floor(columns + 0.5), "int64"))
    else:
        crops = _blend(read, rows, columns, height, width)
    inside = expand_dims(expand_dims(row_inside, 2) & expand_dims(column_inside, 1), 3)
    return where(inside, crops, to_tensor(extrapolation_value, like=crops))


def _positions(start: Tensor, stop: Tensor, size: int, count: int) -> tuple[Tensor, Tensor]:
    """Where a box's `count` places lie along an axis, within the image, and which are so without being moved there."""
    if count > 1:
        steps = [[i / (count - 1) for i in range(count)]]
        places = (expand_dims(start, 1) + expand_dims(stop - start, 1) * to_tensor(steps, like=start)) * (size - 1.0)
    else:
        places = expand_dims(0.5 * (start + stop) * (size - 1.0), 1)
    return clip_by_value(places, 0.0, size - 1.0), (places >= 0.0) & (places <= size - 1.0)


def _blend(read: Any, rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    upper, left = cast(floor(rows), "int64"), cast(floor(columns), "int64")
    lower, right = clip_by_value(upper + 1, 0, height - 1), clip_by_value(left + 1, 0, width - 1)
    down = expand_dims(rows - cast(upper, "float32"), 3)
    across = expand_dims(columns - cast(left, "float32"), 3)
    top = read(upper, left) * (1.0 - across) + read(upper, right) * across
    bottom = read(lower, left) * (1.0 - across) + read(lower, right) * across
    return top * (1.0 - down) + bottom * down
