"""Texts from code points, joined along axes, and with tensors in them. Host operations, as those in `text`."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import axes_of, axis_of, op
from distkeras.ops.python_calls import array_text
from distkeras.ops.text import _bytes, _texts
from distkeras.ops.text_parts import characters, codec_of


@op
def string_reduce_join(
    inputs: Any, axis: Any = None, keepdims: bool = False, separator: Any = "", name: str | None = None
) -> Tensor:
    """Texts joined along axes, all by default.

    Args:
        inputs: Texts of any shape.
        axis: One axis, or several: along the first of them texts are joined first.
        keepdims: Whether axes stay, with size 1.
        separator: What goes between.

    >>> import distkeras as tf
    >>> tf.strings.reduce_join([["a", "b"], ["c", "d"]], axis=1, separator=" ").numpy().tolist()
    [b'a b', b'c d']
    """
    texts = _texts("strings.reduce_join", inputs)
    between = _bytes(to_tensor(separator)._value("a separator")[()])
    if axis is None:
        order = list(range(texts.ndim))
    else:
        axes_of(axis, texts.ndim)  # each in range, and once
        given = list(axis) if hasattr(axis, "__iter__") else [axis]
        order = [axis_of(item, texts.ndim) for item in reversed(given)]
    rest = [item for item in range(texts.ndim) if item not in order]
    rows = texts.transpose([*rest, *order]).reshape(*(texts.shape[item] for item in rest), -1)
    shape = tuple(1 if i in order else texts.shape[i] for i in range(texts.ndim)) if keepdims else rows.shape[:-1]
    result = np.empty(rows.shape[:-1], object)
    for place in np.ndindex(*result.shape):
        result[place] = between.join(rows[place])
    return Tensor(result.reshape(shape))


@op
def string_format(
    template: str, inputs: Any, placeholder: str = "{}", summarize: int = 3, name: str | None = None
) -> Tensor:
    """A text with tensors, as they are printed, in place of the placeholders.

    Args:
        template: The text.
        inputs: A tensor, or a list or tuple of them, one for each placeholder.
        placeholder: What stands for them.
        summarize: How many elements are shown at each end of a dimension; -1 for all.

    >>> import distkeras as tf
    >>> tf.strings.format("values: {}", tf.constant([1, 2])).numpy()
    b'values: [1 2]'
    """
    tensors = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    parts = template.split(placeholder)
    if len(parts) != len(tensors) + 1:
        raise ValueError(
            f"{len(parts) - 1} placeholders in template does not match {len(tensors)} tensors in inputs: {template!r}."
        )
    shown = [array_text(to_tensor(tensor)._value("what is shown"), summarize) for tensor in tensors]
    return Tensor(
        np.array("".join(text for pair in zip(parts, [*shown, ""], strict=True) for text in pair).encode(), object)
    )


# --- characters


@op
def unicode_encode(
    input: Any, output_encoding: str, errors: str = "replace", replacement_char: int = 65533, name: str | None = None
) -> Tensor:
    """Code points, along the last axis, as texts of an encoding; see `unicode_decode`."""
    codec, how = codec_of("tf.strings.unicode_encode", output_encoding, errors)
    points = to_tensor(input)._value("code points")
    if points.dtype.kind not in "iu" or not points.ndim:
        raise InvalidArgumentError(
            f"tf.strings.unicode_encode: expected integers [..., characters], received {points.dtype} {points.shape}."
        )
    result = np.empty(points.shape[:-1], object)
    for place in np.ndindex(*result.shape):
        result[place] = "".join(_character(point, how, replacement_char) for point in points[place].tolist()).encode(
            codec
        )
    return Tensor(result)


def _character(point: int, how: str, replacement: int) -> str:
    if 0 <= point < 0xD800 or 0xE000 <= point < 0x110000:
        return chr(point)
    if how == "strict":
        raise InvalidArgumentError(f"tf.strings.unicode_encode: {point} is no code point of a character.")
    return chr(replacement) if how == "replace" else ""


@op
def unicode_transcode(
    input: Any,
    input_encoding: str,
    output_encoding: str,
    errors: str = "replace",
    replacement_char: int = 65533,
    name: str | None = None,
) -> Tensor:
    """Texts in another encoding; arguments as for `unicode_decode`."""
    texts = _texts("tf.strings.unicode_transcode", input)
    codec, _ = codec_of("tf.strings.unicode_transcode", output_encoding)
    result = np.empty(texts.shape, object)
    for place in np.ndindex(*texts.shape):
        found, _ = characters("tf.strings.unicode_transcode", texts[place], input_encoding, errors, replacement_char)
        result[place] = "".join(found).encode(codec)
    return Tensor(result)
