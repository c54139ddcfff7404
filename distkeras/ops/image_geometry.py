"""Images cut, padded, mirrored and turned. All take one image [height, width, channels] or a batch of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op, static_ints
from distkeras.ops.joining import concat
from distkeras.ops.shape import expand_dims, pad, reverse, squeeze, transpose


def as_batch(function: str, images: Any) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Images as a batch, and what brings a result back into their form.

    Raises:
        ValueError: They have not 3 or 4 dimensions.
    """
    images = to_tensor(images)
    if images.ndim not in (3, 4):
        raise ValueError(
            f"{function}: 'images' must have 3 dimensions (height, width, channels) or 4 (a batch of images), received "
            f"the shape {images.shape}."
        )
    if images.ndim == 4:
        return images, lambda result: result
    return expand_dims(images, 0), lambda result: squeeze(result, [0])


# --- cut and pad


@op
def crop_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int, name: str | None = None
) -> Tensor:
    """The block of `target_height` x `target_width` pixels whose upper left corner is at the offsets.

    Raises:
        ValueError: It is not wholly inside.
    """
    image, restore = as_batch("crop_to_bounding_box", image)
    box = static_ints((offset_height, offset_width, target_height, target_width), "box")
    ends = box[0] + box[2], box[1] + box[3]
    if min(box[:2]) < 0 or min(box[2:]) < 1 or ends[0] > image.shape[1] or ends[1] > image.shape[2]:
        raise ValueError(
            f"crop_to_bounding_box: rows {box[0]} to {ends[0]} and columns {box[1]} to {ends[1]} are not all within an "
            f"image of {image.shape[1]} x {image.shape[2]} pixels."
        )
    return restore(image[:, box[0] : ends[0], box[1] : ends[1]])


@op
def pad_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int, name: str | None = None
) -> Tensor:
    """The image with zeros around it: `offset_height` rows above, `offset_width` columns to the left.

    Raises:
        ValueError: It does not fit into the target.
    """
    image, restore = as_batch("pad_to_bounding_box", image)
    top, left, height, width = static_ints((offset_height, offset_width, target_height, target_width), "box")
    bottom, right = height - top - image.shape[1], width - left - image.shape[2]
    if min(top, left, bottom, right) < 0:
        raise ValueError(
            f"pad_to_bounding_box: an image of {image.shape[1]} x {image.shape[2]} pixels at ({top}, {left}) does not "
            f"fit into {height} x {width}."
        )
    return restore(pad(image, [[0, 0], [top, bottom], [left, right], [0, 0]]))


@op
def central_crop(image: Any, central_fraction: float, name: str | None = None) -> Tensor:
    """The middle of an image.

    Args:
        image: One image or a batch.
        central_fraction: In (0, 1]: which share of height and width is kept.
    """
    image, restore = as_batch("central_crop", image)
    fraction = float(central_fraction)
    if not 0 < fraction <= 1:
        raise ValueError(f"central_fraction must be within (0, 1], received {central_fraction!r}.")
    starts = [int((size - size * fraction) / 2) for size in image.shape[1:3]]
    (top, height), (left, width) = zip(starts, image.shape[1:3], strict=True)
    return restore(image[:, top : height - top, left : width - left])


@op
def resize_with_crop_or_pad(image: Any, target_height: int, target_width: int, name: str | None = None) -> Tensor:
    """The middle of an image, with zeros around it where it is smaller than the target."""
    image, restore = as_batch("resize_with_crop_or_pad", image)
    targets = static_ints((target_height, target_width), "size")
    if min(targets) < 1:
        raise ValueError(f"resize_with_crop_or_pad: target height and width must be positive, received {targets}.")
    missing = [target - size for target, size in zip(targets, image.shape[1:3], strict=True)]
    kept = [min(target, size) for target, size in zip(targets, image.shape[1:3], strict=True)]
    image = crop_to_bounding_box(image, *(max(-count // 2, 0) for count in missing), *kept)
    return restore(pad_to_bounding_box(image, *(max(count // 2, 0) for count in missing), *targets))


# --- mirror and turn


@op
def flip_left_right(image: Any, name: str | None = None) -> Tensor:
    """The columns in reverse order.

    >>> import distkeras as tf
    >>> tf.image.flip_left_right([[[1], [2]]]).numpy().tolist()
    [[[2], [1]]]
    """
    image, restore = as_batch("flip_left_right", image)
    return restore(reverse(image, [2]))


@op
def flip_up_down(image: Any, name: str | None = None) -> Tensor:
    """The rows in reverse order."""
    image, restore = as_batch("flip_up_down", image)
    return restore(reverse(image, [1]))


@op
def transpose_image(image: Any, name: str | None = None) -> Tensor:
    """Rows as columns (`tf.image.transpose`)."""
    image, restore = as_batch("transpose", image)
    return restore(transpose(image, [0, 2, 1, 3]))


@op
def rot90(image: Any, k: int = 1, name: str | None = None) -> Tensor:
    """The image turned by k quarters, counterclockwise."""
    image, restore = as_batch("rot90", image)
    (k,) = static_ints(k, "number of quarters")
    if k % 4 in (1, 3):
        image = transpose(image, [0, 2, 1, 3])
    axes = [[], [1], [1, 2], [2]][k % 4]
    return restore(reverse(image, axes) if axes else image)


# --- patches


@op
def extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any, padding: str = "VALID", name: str | None = None
) -> Tensor:
    """The windows of images, each as the channels of one pixel.

    Args:
        images: [batch, height, width, channels].
        sizes, strides, rates: Four ints, the outer ones 1: the window's height and width, the distance of windows, and
            the distance of pixels in a window.
        padding: 'VALID' or 'SAME'.

    Returns:
        [batch, rows, columns, height * width * channels].
    """
    images = to_tensor(images)
    options = {"sizes": sizes, "strides": strides, "rates": rates}
    inner = {}
    for argument, values in options.items():
        given = static_ints(values, argument)
        if len(given) != 4 or given[0] != 1 or given[3] != 1 or min(given) < 1:
            raise InvalidArgumentError(f"extract_patches: {argument} must be (1, rows, columns, 1), received {given}.")
        inner[argument] = given[1:3]
    if images.ndim != 4 or padding not in ("VALID", "SAME"):
        raise InvalidArgumentError(
            "extract_patches: expected images of 4 dimensions and padding 'VALID' or 'SAME', received the shape "
            f"{images.shape} and {padding!r}."
        )
    spans = [(size - 1) * rate + 1 for size, rate in zip(inner["sizes"], inner["rates"], strict=True)]
    if padding == "SAME":
        missing = [
            max((-(-length // stride) - 1) * stride + span - length, 0)
            for length, stride, span in zip(images.shape[1:3], inner["strides"], spans, strict=True)
        ]
        images = pad(images, [[0, 0], *([count // 2, count - count // 2] for count in missing), [0, 0]])
    return concat(list(_shifted(images, inner, spans)), -1)


def _shifted(images: Tensor, inner: dict[str, tuple[int, ...]], spans: list[int]) -> Any:
    """For each place in a window, row by row, its pixel of all windows."""
    height, width = images.shape[1:3]
    for i in range(inner["sizes"][0]):
        for j in range(inner["sizes"][1]):
            top, left = i * inner["rates"][0], j * inner["rates"][1]
            rows = slice(top, height - spans[0] + 1 + top, inner["strides"][0])
            columns = slice(left, width - spans[1] + 1 + left, inner["strides"][1])
            yield images[:, rows, columns]
