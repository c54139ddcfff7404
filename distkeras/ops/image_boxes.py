"""Boxes that lie over one another: the best of each place are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import each_row
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import integer, op
from distkeras.ops.elementwise import cast

# --- one list of boxes

_suppress = Primitive("suppress_boxes")


@_suppress.def_shape
def _suppress_shape(boxes: TensorSpec, scores: TensorSpec, most: int, **limits: float) -> tuple[TensorSpec, ...]:
    return TensorSpec((most,), "int32"), TensorSpec((most,), scores.dtype), TensorSpec((), "int32")


@_suppress.def_kernel
def _suppress_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, most: int, **limits: float) -> Calls:
    return [(_fill_selected, (inputs, outputs, limits))]


def _fill_selected(inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray], limits: dict[str, float]) -> None:
    indices, scores, count = outputs
    chosen, found = _selected(inputs[0], inputs[1], len(indices), **limits)
    count[...] = len(chosen)
    for out, values in ((indices, chosen), (scores, found)):
        out[...] = 0
        out[: len(values)] = values


def _selected(
    boxes: np.ndarray, scores: np.ndarray, most: int, overlap: float, least: float, sigma: float
) -> tuple[list[int], list[float]]:
    """Numbers and scores of boxes: the best again and again, after which those that overlap it go, or lose.

    A box whose overlap is above `overlap` goes; with `sigma`, others' scores are multiplied by
    exp(-overlap^2 / (2 sigma)).
    """
    scores = np.where(scores > least, scores, -np.inf).astype(scores.dtype)
    chosen: list[int] = []
    found: list[float] = []
    while len(chosen) < most and scores.size:
        best = int(scores.argmax())
        if not scores[best] > max(least, np.finfo(scores.dtype).min):
            break
        chosen.append(best)
        found.append(scores[best])
        shared = _overlaps(boxes[best], boxes)
        if sigma > 0:
            scores = scores * np.exp(-0.5 / sigma * shared * shared).astype(scores.dtype)
        scores[shared > overlap] = -np.inf
        scores[best] = -np.inf
    return chosen, found


def _overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of one box [4] with each of [n, 4]; corners may come in any order."""
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    own_low, own_high = np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])
    shared = np.prod(np.maximum(np.minimum(high, own_high) - np.maximum(low, own_low), 0), axis=1)
    areas, area = np.prod(high - low, axis=1), np.prod(own_high - own_low)
    union = areas + area - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=(areas > 0) & (area > 0))


def _checked(
    function: str, boxes: Any, scores: Any, most: Any, overlap: Any, least: Any, sigma: Any = 0.0
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    boxes = to_tensor(boxes)
    scores = to_tensor(scores, like=boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or tuple(scores.shape) != (boxes.shape[0],):
        raise InvalidArgumentError(
            f"{function}: expected boxes [n, 4] and scores [n], received {boxes.shape} and {scores.shape}; boxes of "
            "several images and classes are for tf.image.combined_non_max_suppression."
        )
    return boxes, scores, _limits(function, overlap, least, sigma) | {"most": integer(most, "max_output_size")}


def _limits(function: str, overlap: Any, least: Any, sigma: Any = 0.0) -> dict[str, float]:
    if not 0 <= float(overlap) <= 1:
        raise InvalidArgumentError(f"{function}: iou_threshold must be in [0, 1], received {float(overlap)}.")
    return {"overlap": float(overlap), "least": float(least), "sigma": float(sigma)}


@op
def non_max_suppression(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: float = 0.5, score_threshold: float = float("-inf"),
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """int32: numbers of boxes, best first, without those that overlap a better one.

    How many they are must be known: not inside a traced function, where `non_max_suppression_padded` serves.

    Args:
        boxes: [n, 4]: two opposite corners, (y, x, y, x).
        scores: [n].
        max_output_size: The most boxes.
        iou_threshold: The most that two of them may overlap: intersection over union.
        score_threshold: Boxes with this score or less are left out.

    >>> import distkeras as tf
    >>> boxes = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.1, 1.0, 1.0], [2.0, 2.0, 3.0, 3.0]]
    >>> tf.image.non_max_suppression(boxes, [0.6, 0.9, 0.3], max_output_size=3).numpy().tolist()
    [1, 2]
    """
    return non_max_suppression_with_scores(boxes, scores, max_output_size, iou_threshold, score_threshold)[0]


@op
def non_max_suppression_with_scores(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: float = 0.5, score_threshold: float = float("-inf"),
    soft_nms_sigma: float = 0.0, name: str | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`non_max_suppression`, with the boxes' scores; a sigma > 0 lowers scores of boxes that overlap better ones.

    Source: Bodla et al. 2017, "Soft-NMS - Improving Object Detection With One Line of Code".
    """
    function = "non_max_suppression"
    boxes, scores, params = _checked(
        function, boxes, scores, max_output_size, iou_threshold, score_threshold, soft_nms_sigma
    )
    indices, found, count = _suppress(boxes, scores, **params)
    kept = int(count._value("a number of boxes (tf.image.non_max_suppression_padded gives always as many)"))
    return indices[:kept], found[:kept]


@op
def non_max_suppression_padded(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: float = 0.5, score_threshold: float = float("-inf"),
    pad_to_max_output_size: bool = False, name: str | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`non_max_suppression`, and how many boxes there are; if asked to, filled up with zeros to `max_output_size`."""
    boxes, scores, params = _checked(
        "non_max_suppression_padded", boxes, scores, max_output_size, iou_threshold, score_threshold
    )
    indices, _, count = _suppress(boxes, scores, **params)
    if pad_to_max_output_size:
        return indices, count
    return indices[: int(count._value("a number of boxes (unless pad_to_max_output_size=True)"))], count


# --- several images, several classes

_combine = Primitive("suppress_boxes_of_images")
_combine.def_cut(each_row(0, 1))


@_combine.def_shape
def _combine_shape(
    boxes: TensorSpec, scores: TensorSpec, per_class: int, total: int, clips: bool, **limits: float
) -> tuple:
    images = boxes.shape[0]
    return (
        TensorSpec((images, total, 4), boxes.dtype),
        TensorSpec((images, total), scores.dtype),
        TensorSpec((images, total), scores.dtype),
        TensorSpec((images,), "int32"),
    )


@_combine.def_kernel
def _combine_kernel(inputs: Sequence, outputs: Sequence, scratch: Any, **params: Any) -> Calls:
    return [(_fill_images, (*inputs, outputs, params))]


def _fill_images(boxes: np.ndarray, scores: np.ndarray, outputs: Sequence[np.ndarray], params: dict[str, Any]) -> None:
    limits = {name: params[name] for name in ("overlap", "least", "sigma")}
    for out in outputs:
        out[...] = 0
    for image, (boxes_of_image, scores_of_image) in enumerate(zip(boxes, scores, strict=True)):
        found: list[tuple[float, int, np.ndarray]] = []
        for label in range(scores_of_image.shape[1]):
            own = boxes_of_image[:, label if boxes_of_image.shape[1] > 1 else 0]
            chosen, best = _selected(own, scores_of_image[:, label], params["per_class"], **limits)
            found += [(score, label, own[number]) for number, score in zip(chosen, best, strict=True)]
        found = sorted(found, key=lambda item: -item[0])[: outputs[1].shape[1]]
        for place, (score, label, box) in enumerate(found):
            outputs[0][image, place] = np.clip(box, 0, 1) if params["clips"] else box
            outputs[1][image, place], outputs[2][image, place] = score, label
        outputs[3][image] = len(found)


class CombinedNonMaxSuppression(NamedTuple):
    """Boxes of images, their scores and classes, filled up with zeros, and how many there are of each image."""

    nmsed_boxes: Tensor
    nmsed_scores: Tensor
    nmsed_classes: Tensor
    valid_detections: Tensor


@op
def combined_non_max_suppression(
    boxes: Any, scores: Any, max_output_size_per_class: int, max_total_size: int, iou_threshold: float = 0.5,
    score_threshold: float = float("-inf"), pad_per_class: bool = False, clip_boxes: bool = True,
    name: str | None = None,
) -> CombinedNonMaxSuppression:  # fmt: skip
    """`non_max_suppression` for each class of each image of a batch, and of these the best of all classes.

    Args:
        boxes: [batch, n, classes, 4], or [batch, n, 1, 4] where all classes have the same.
        scores: [batch, n, classes].
        max_output_size_per_class: The most boxes of a class.
        max_total_size: The most boxes of an image.
        iou_threshold, score_threshold: As for `non_max_suppression`.
        pad_per_class: Whether to fill up to max_output_size_per_class * classes, if that is less than max_total_size.
        clip_boxes: Whether coordinates are clipped to [0, 1].

    Returns:
        boxes [batch, size, 4], scores and classes [batch, size], and numbers int32 [batch].
    """
    boxes = cast(boxes, "float32")
    scores = cast(scores, "float32")
    classes = scores.shape[2] if scores.ndim == 3 else 0
    if boxes.ndim != 4 or not classes or boxes.shape[2] not in (1, classes) or boxes.shape[:2] != scores.shape[:2]:
        raise InvalidArgumentError(
            "combined_non_max_suppression: expected boxes [batch, n, 1 or classes, 4] and scores [batch, n, classes], "
            f"received {boxes.shape} and {scores.shape}."
        )
    per_class, total = integer(max_output_size_per_class, "a size"), integer(max_total_size, "max_total_size")
    if pad_per_class:
        total = min(total, per_class * classes)
    limits = _limits("combined_non_max_suppression", iou_threshold, score_threshold)
    found = _combine(boxes, scores, per_class=per_class, total=total, clips=bool(clip_boxes), **limits)
    return CombinedNonMaxSuppression(*found)
