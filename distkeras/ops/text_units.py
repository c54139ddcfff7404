"""Texts as characters and bytes, joined along axes, and with tensors in them. Host operations, as those in `text`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import axes_of, axis_of, op
from distkeras.ops.python_calls import array_text
from distkeras.ops.text import _bytes, _texts

_ENCODINGS = {"UTF-8": "utf-8", "UTF-16-BE": "utf-16-be", "UTF-32-BE": "utf-32-be"}
_ERRORS = {"replace": "replace", "strict": "strict", "ignore": "ignore"}


def _strings(items: Sequence[bytes]) -> Tensor:
    result = np.empty(len(items), object)
    result[:] = items
    return Tensor(result)


def _one(function: str, input: Any) -> bytes:
    texts = _texts(function, input)
    if texts.ndim:
        raise InvalidArgumentError(
            f"{function}: expected one text, received the shape {texts.shape}. The parts of several would be a ragged "
            f"tensor, which there is not: take each by itself, [{function}(text) for text in texts]."
        )
    return texts[()]


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


@op
def string_bytes_split(input: Any, name: str | None = None) -> Tensor:
    """The bytes of one text.

    >>> import distkeras as tf
    >>> tf.strings.bytes_split("abc").numpy().tolist()
    [b'a', b'b', b'c']
    """
    text = _one("tf.strings.bytes_split", input)
    return _strings([text[i : i + 1] for i in range(len(text))])


@op
def string_ngrams(
    data: Any,
    ngram_width: Any,
    separator: str = " ",
    pad_values: Any = None,
    padding_width: int | None = None,
    preserve_short_sequences: bool = False,
    name: str | None = None,
) -> Tensor:
    """Neighbouring texts of a vector, joined.

    Args:
        data: [n] texts.
        ngram_width: How many are joined, or several such numbers: first all of the first one.
        separator: What goes between.
        pad_values: A text, or a pair of them, to put before the first and after the last.
        padding_width: How often; one less than each width by default.
        preserve_short_sequences: Whether what is shorter than the width is given as a whole.

    >>> import distkeras as tf
    >>> tf.strings.ngrams(["a", "b", "c"], 2).numpy().tolist()
    [b'a b', b'b c']
    """
    texts = _texts("strings.ngrams", data)
    if texts.ndim != 1:
        raise InvalidArgumentError(
            f"strings.ngrams: expected a vector of texts, received the shape {texts.shape}: take each row by itself."
        )
    widths = [int(width) for width in (ngram_width if hasattr(ngram_width, "__iter__") else [ngram_width])]
    if not widths or min(widths) < 1:
        raise InvalidArgumentError(f"strings.ngrams: ngram_width must be >= 1, received {ngram_width!r}.")
    left, right = (pad_values if isinstance(pad_values, (tuple, list)) else (pad_values, pad_values)) or (None, None)
    found: list[bytes] = []
    for width in widths:
        count = 0 if pad_values is None else min(width - 1, width - 1 if padding_width is None else padding_width)
        items = [*[_bytes(left)] * count, *texts.tolist(), *[_bytes(right)] * count]
        rows = [items[i : i + width] for i in range(len(items) - width + 1)]
        if not rows and preserve_short_sequences and items:
            rows = [items]
        found += [_bytes(separator).join(row) for row in rows]
    return _strings(found)


# --- characters


def _codec(function: str, encoding: str, errors: str = "replace") -> tuple[str, str]:
    if encoding not in _ENCODINGS or errors not in _ERRORS:
        raise ValueError(
            f"{function}: the encoding must be {', '.join(map(repr, _ENCODINGS))} and errors "
            f"{', '.join(map(repr, _ERRORS))}; received {encoding!r} and {errors!r}."
        )
    return _ENCODINGS[encoding], _ERRORS[errors]


def _characters(function: str, input: Any, encoding: str, errors: str, replacement: int) -> str:
    codec, how = _codec(function, encoding, errors)
    try:
        return _one(function, input).decode(codec, how).replace("\ufffd", chr(replacement))
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{function}: invalid formatting in the input: {error}.") from None


@op
def unicode_decode(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533, name: str | None = None
) -> Tensor:
    """int32: the code points of one text.

    Args:
        input: A scalar.
        input_encoding: 'UTF-8', 'UTF-16-BE' or 'UTF-32-BE'.
        errors: What becomes of bytes that are no characters: 'replace', 'ignore', or 'strict' for an error.
        replacement_char: The code point that replaces them.

    >>> import distkeras as tf
    >>> tf.strings.unicode_decode("né", "UTF-8").numpy().tolist()
    [110, 233]
    """
    text = _characters("tf.strings.unicode_decode", input, input_encoding, errors, replacement_char)
    return Tensor(np.array([ord(character) for character in text], np.int32))


@op
def unicode_split(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533, name: str | None = None
) -> Tensor:
    """The characters of one text, each as a text of the same encoding; arguments as for `unicode_decode`."""
    text = _characters("tf.strings.unicode_split", input, input_encoding, errors, replacement_char)
    return _strings([character.encode(_ENCODINGS[input_encoding]) for character in text])


@op
def unicode_encode(
    input: Any, output_encoding: str, errors: str = "replace", replacement_char: int = 65533, name: str | None = None
) -> Tensor:
    """Code points, along the last axis, as texts of an encoding; see `unicode_decode`."""
    codec, how = _codec("tf.strings.unicode_encode", output_encoding, errors)
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
    codec, _ = _codec("tf.strings.unicode_transcode", output_encoding)
    result = np.empty(texts.shape, object)
    for place in np.ndindex(*texts.shape):
        text = np.array(texts[place], object)
        changed = _characters("tf.strings.unicode_transcode", text, input_encoding, errors, replacement_char)
        result[place] = changed.encode(codec)
    return Tensor(result)
