"""The parts of texts: words, bytes, characters, neighbours. Of one text they are a vector, of several ragged rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.ragged_tensor import RaggedTensor, splits_of
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op
from distkeras.ops.text import _bytes, _texts

_ENCODINGS = {"UTF-8": "utf-8", "UTF-16-BE": "utf-16-be", "UTF-32-BE": "utf-32-be"}
_ERRORS = ("replace", "strict", "ignore")


def _vector(items: Sequence[Any], dtype: Any = object) -> Tensor:
    result = np.empty(len(items), dtype)
    result[:] = items
    return Tensor(result)


def _each(texts: np.ndarray, parts: Callable[[bytes], Sequence[Any]], dtype: Any = object) -> Tensor | RaggedTensor:
    """The parts of each text."""
    return _rows([parts(text) for text in texts.reshape(-1)], texts.shape, dtype)


def _rows(found: list[Sequence[Any]], shape: tuple[int, ...], dtype: Any) -> Tensor | RaggedTensor:
    """The parts of texts of this shape: a vector if there is one text, else rows."""
    values = _vector([part for row in found for part in row], dtype)
    if not shape:
        return values
    rows = RaggedTensor.of_checked(values, splits_of(np.array([len(row) for row in found], np.int64)))
    for axis in range(len(shape) - 1, 0, -1):
        count = int(np.prod(shape[:axis]))
        rows = RaggedTensor.of_checked(rows, np.arange(count + 1) * shape[axis])
    return rows


@op
def string_split(input: Any, sep: Any = None, maxsplit: int = -1, name: str | None = None) -> Tensor | RaggedTensor:
    """The parts of each text.

    Args:
        input: Texts.
        sep: What is between the parts; by default any white space.
        maxsplit: At most so many are cut off; -1 for all.

    Returns:
        A vector for a scalar, else ragged rows.

    >>> import distkeras as tf
    >>> tf.strings.split("photos/cats/1.png", "/").numpy().tolist()
    [b'photos', b'cats', b'1.png']
    >>> tf.strings.split(["one two", "three"])
    <tf.RaggedTensor [[b'one', b'two'], [b'three']]>
    """
    separator = to_tensor(sep)._value("a text")[()] if sep is not None else b""
    return _each(_texts("strings.split", input), lambda text: text.split(separator or None, maxsplit))


@op
def string_bytes_split(input: Any, name: str | None = None) -> Tensor | RaggedTensor:
    """The bytes of each text: a vector for a scalar, else ragged rows.

    >>> import distkeras as tf
    >>> tf.strings.bytes_split("abc").numpy().tolist(), tf.strings.bytes_split(["ab", "c"])
    ([b'a', b'b', b'c'], <tf.RaggedTensor [[b'a', b'b'], [b'c']]>)
    """
    return _each(_texts("strings.bytes_split", input), lambda text: [text[i : i + 1] for i in range(len(text))])


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
    """Neighbouring texts of each row, joined.

    Args:
        data: [..., n] texts; of a ragged tensor the result is ragged.
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
    if not texts.ndim:
        raise InvalidArgumentError("strings.ngrams: expected texts [..., n], received a single one: see strings.split.")
    widths = [int(width) for width in (ngram_width if hasattr(ngram_width, "__iter__") else [ngram_width])]
    if not widths or min(widths) < 1:
        raise InvalidArgumentError(f"strings.ngrams: ngram_width must be >= 1, received {ngram_width!r}.")
    padding = pad_values if isinstance(pad_values, (tuple, list)) else (pad_values, pad_values)

    def joined(row: list[bytes]) -> list[bytes]:
        found: list[bytes] = []
        for width in widths:
            count = 0 if pad_values is None else min(width - 1, width - 1 if padding_width is None else padding_width)
            items = [*[_bytes(padding[0])] * count, *row, *[_bytes(padding[1])] * count]
            groups = [items[i : i + width] for i in range(len(items) - width + 1)]
            if not groups and preserve_short_sequences and items:
                groups = [items]
            found += [_bytes(separator).join(group) for group in groups]
        return found

    count, size = int(np.prod(texts.shape[:-1])), texts.shape[-1]
    rows = [joined(row) for row in texts.reshape(count, size).tolist()]
    size = len(rows[0] if rows else joined([b""] * size))
    values = _vector([part for row in rows for part in row])
    return Tensor(values._array.reshape(*texts.shape[:-1], size))


# --- characters


def codec_of(function: str, encoding: str, errors: str = "replace") -> tuple[str, str]:
    """Python's names of an encoding, and of what is done about errors."""
    if encoding not in _ENCODINGS or errors not in _ERRORS:
        raise ValueError(
            f"{function}: the encoding must be {', '.join(map(repr, _ENCODINGS))} and errors "
            f"{', '.join(map(repr, _ERRORS))}; received {encoding!r} and {errors!r}."
        )
    return _ENCODINGS[encoding], errors


def characters(function: str, text: bytes, encoding: str, errors: str, replacement: int) -> tuple[list[str], list[int]]:
    """The characters of a text, and the byte at which each begins.

    Raises:
        InvalidArgumentError: With `errors='strict'`, bytes are no characters.
    """
    codec, how = codec_of(function, encoding, errors)
    found: list[str] = []
    places: list[int] = []
    start = 0
    while start < len(text):
        try:
            good, wrong, after = text[start:].decode(codec), None, len(text)
        except UnicodeDecodeError as error:
            if how == "strict":
                raise InvalidArgumentError(f"{function}: invalid formatting in the input: {error}.") from None
            good, wrong = text[start : start + error.start].decode(codec), start + error.start
            after = start + error.end
        for character in good:
            found.append(character)
            places.append(start)
            start += len(character.encode(codec))
        if wrong is not None and how == "replace":
            found.append(chr(replacement))
            places.append(wrong)
        start = after
    return found, places


def _characters_of(function: str, input: Any, *how: Any) -> tuple[list[tuple[list[str], list[int]]], tuple[int, ...]]:
    texts = _texts(function, input)
    codec_of(function, *how[:2])
    return [characters(function, text, *how) for text in texts.reshape(-1)], texts.shape


def _points(found: Any, shape: tuple[int, ...]) -> Tensor | RaggedTensor:
    return _rows([[ord(character) for character in row] for row, _ in found], shape, np.int32)


def _pieces(found: Any, shape: tuple[int, ...], encoding: str) -> Tensor | RaggedTensor:
    return _rows([[character.encode(_ENCODINGS[encoding]) for character in row] for row, _ in found], shape, object)


def _offsets(found: Any, shape: tuple[int, ...]) -> Tensor | RaggedTensor:
    return _rows([places for _, places in found], shape, np.int64)


@op
def unicode_decode(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533, name: str | None = None
) -> Tensor | RaggedTensor:
    """int32: the code points of each text: a vector for a scalar, else ragged rows.

    Args:
        input: Texts.
        input_encoding: 'UTF-8', 'UTF-16-BE' or 'UTF-32-BE'.
        errors: What becomes of bytes that are no characters: 'replace', 'ignore', or 'strict' for an error.
        replacement_char: The code point that replaces them.

    >>> import distkeras as tf
    >>> tf.strings.unicode_decode(["n\u00e9", "a"], "UTF-8")
    <tf.RaggedTensor [[110, 233], [97]]>
    """
    return _points(*_characters_of("tf.strings.unicode_decode", input, input_encoding, errors, replacement_char))


@op
def unicode_decode_with_offsets(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533, name: str | None = None
) -> tuple[Tensor | RaggedTensor, Tensor | RaggedTensor]:
    """As `unicode_decode`, and int64: the byte of its text at which each code point begins."""
    name_ = "tf.strings.unicode_decode_with_offsets"
    found, shape = _characters_of(name_, input, input_encoding, errors, replacement_char)
    return _points(found, shape), _offsets(found, shape)


@op
def unicode_split(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533, name: str | None = None
) -> Tensor | RaggedTensor:
    """The characters of each text, each as a text of the same encoding; arguments as for `unicode_decode`.

    >>> import distkeras as tf
    >>> tf.strings.unicode_split("abc", "UTF-8").numpy().tolist()
    [b'a', b'b', b'c']
    """
    how = (input_encoding, errors, replacement_char)
    return _pieces(*_characters_of("tf.strings.unicode_split", input, *how), input_encoding)


@op
def unicode_split_with_offsets(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533, name: str | None = None
) -> tuple[Tensor | RaggedTensor, Tensor | RaggedTensor]:
    """As `unicode_split`, and int64: the byte of its text at which each character begins."""
    name_ = "tf.strings.unicode_split_with_offsets"
    found, shape = _characters_of(name_, input, input_encoding, errors, replacement_char)
    return _pieces(found, shape, input_encoding), _offsets(found, shape)
