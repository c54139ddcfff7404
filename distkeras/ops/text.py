"""Texts in string tensors, which hold bytes. They are host operations: a function that is traced has no texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.spec import as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op


def _texts(function: str, value: Any) -> np.ndarray:
    array = to_tensor(value)._value("texts")
    if array.dtype != object:
        raise InvalidArgumentError(
            f"{function}: expected strings, received dtype {array.dtype}: tf.strings.as_string converts numbers."
        )
    return array


def _bytes(text: Any) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _mapped(texts: np.ndarray, change: Callable[[Any], Any], dtype: Any = object) -> Tensor:
    result = np.empty(texts.shape, dtype)
    result.reshape(-1)[:] = [change(text) for text in texts.reshape(-1)]
    return Tensor(result)


def _unicode(function: str, unit: str) -> bool:
    if unit not in ("BYTE", "UTF8_CHAR"):
        raise InvalidArgumentError(f"{function}: unit must be 'BYTE' or 'UTF8_CHAR', received {unit!r}.")
    return unit == "UTF8_CHAR"


@op
def string_length(input: Any, unit: str = "BYTE", name: str | None = None) -> Tensor:
    """int32: how many bytes, or characters ('UTF8_CHAR'), each text has.

    >>> import distkeras as tf
    >>> tf.strings.length(["one", "três"]).numpy().tolist(), tf.strings.length("três", "UTF8_CHAR").numpy()
    ([3, 5], np.int32(4))
    """
    in_characters = _unicode("strings.length", unit)
    return _mapped(_texts("strings.length", input), lambda text: len(_units(text, in_characters)), np.int32)


def _units(text: bytes, in_characters: bool) -> bytes | str:
    return text.decode(errors="surrogateescape") if in_characters else text


@op
def string_substr(input: Any, pos: Any, len: Any, unit: str = "BYTE", name: str | None = None) -> Tensor:
    """Of each text the `len` bytes, or characters, from `pos` on; a negative `pos` counts from the end.

    Raises:
        InvalidArgumentError: A text does not reach to `pos`.
    """
    in_characters = _unicode("strings.substr", unit)
    texts = _texts("strings.substr", input)
    starts, counts = (to_tensor(value)._value("numbers") for value in (pos, len))
    result = np.empty(np.broadcast_shapes(texts.shape, starts.shape, counts.shape), object)
    triples = zip(*(np.broadcast_to(part, result.shape).flat for part in (texts, starts, counts)), strict=True)
    result.reshape(-1)[:] = [_part(text, int(start), int(count), in_characters) for text, start, count in triples]
    return Tensor(result)


def _part(text: bytes, start: int, count: int, in_characters: bool) -> bytes:
    units = _units(text, in_characters)
    first = start + len(units) if start < 0 else start
    if not 0 <= first <= len(units):
        raise InvalidArgumentError(f"strings.substr: pos {start} out of range for the string {text!r}.")
    part = units[first : first + count]
    return part.encode(errors="surrogateescape") if in_characters else part


@op
def string_join(inputs: Sequence[Any], separator: str = "", name: str | None = None) -> Tensor:
    """Text by text the `inputs`, of which scalars go with every one, with the separator between them."""
    arrays = [_texts("strings.join", value) for value in inputs]
    shape = np.broadcast_shapes(*{array.shape for array in arrays if array.ndim} or {()})
    if any(array.ndim and array.shape != shape for array in arrays):
        raise InvalidArgumentError(
            f"strings.join: expected scalars and tensors of one shape, received {[array.shape for array in arrays]}."
        )
    rows = zip(*(np.broadcast_to(array, shape).flat for array in arrays), strict=True)
    result = np.empty(shape, object)
    result.reshape(-1)[:] = [_bytes(separator).join(row) for row in rows]
    return Tensor(result)


@op
def string_lower(input: Any, encoding: str = "", name: str | None = None) -> Tensor:
    """In lower case: ASCII letters, or all with encoding='utf-8'."""
    return _cased("strings.lower", input, encoding, bytes.lower, str.lower)


@op
def string_upper(input: Any, encoding: str = "", name: str | None = None) -> Tensor:
    """In upper case: ASCII letters, or all with encoding='utf-8'."""
    return _cased("strings.upper", input, encoding, bytes.upper, str.upper)


def _cased(function: str, input: Any, encoding: str, of_bytes: Any, of_text: Any) -> Tensor:
    if encoding not in ("", "utf-8"):
        raise InvalidArgumentError(f"{function}: encoding must be '' or 'utf-8', received {encoding!r}.")

    return _mapped(_texts(function, input), (lambda text: of_text(text.decode()).encode()) if encoding else of_bytes)


@op
def string_strip(input: Any, name: str | None = None) -> Tensor:
    """Without white space at both ends."""
    return _mapped(_texts("strings.strip", input), bytes.strip)


@op
def string_regex_replace(
    input: Any, pattern: str, rewrite: str, replace_global: bool = True, name: str | None = None
) -> Tensor:
    r"""With what a regular expression matches replaced.

    Args:
        input: Texts.
        pattern: As Python's `re` reads it.
        rewrite: What to put there; \1 to \9 stand for groups, \0 for the match.
        replace_global: Whether all matches are replaced, or the first alone.
    """
    expression = re.compile(_bytes(pattern))
    rewrite = re.sub(rb"\\0", rb"\\g<0>", _bytes(rewrite))
    count = 0 if replace_global else 1
    texts = _texts("strings.regex_replace", input)
    return _mapped(texts, lambda text: expression.sub(rewrite, text, count=count))


@op
def string_regex_full_match(input: Any, pattern: str, name: str | None = None) -> Tensor:
    """bool: whether a regular expression matches the whole text."""
    expression = re.compile(_bytes(pattern))
    texts = _texts("strings.regex_full_match", input)
    return _mapped(texts, lambda text: expression.fullmatch(text) is not None, bool)


@op
def string_to_number(input: Any, out_type: Any = "float32", name: str | None = None) -> Tensor:
    """The numbers that texts say, as float32, float64, int32 or int64.

    Raises:
        InvalidArgumentError: A text is no such number.
    """
    dtype = as_dtype(out_type)
    if dtype.name not in ("float32", "float64", "int32", "int64"):
        raise InvalidArgumentError(
            f"strings.to_number: out_type must be float32, float64, int32 or int64, received {dtype.name}."
        )
    parse = float if dtype.is_floating else int

    def number(text: Any) -> Any:
        try:
            return dtype.numpy.type(parse(text))
        except (ValueError, OverflowError) as error:
            raise InvalidArgumentError(f"StringToNumberOp could not correctly convert string: {text!r}.") from error

    return _mapped(_texts("strings.to_number", input), number, dtype.numpy)


@op
def as_string(
    input: Any,
    precision: int = -1,
    scientific: bool = False,
    shortest: bool = False,
    width: int = -1,
    fill: str = "",
    name: str | None = None,
) -> Tensor:
    """Numbers and booleans as texts.

    Args:
        precision: Digits after the point of floating-point numbers; 6 by default.
        scientific: Whether they are written with an exponent.
        shortest: Whether they are written the shorter way, with six significant digits.
        width: The least number of characters.
        fill: What comes before the number if it has fewer: '0', or blanks.

    >>> import distkeras as tf
    >>> tf.strings.as_string([3.14159, 2.0], precision=2).numpy().tolist()
    [b'3.14', b'2.00']
    """
    array = to_tensor(input)._value("numbers")
    if scientific and shortest:
        raise InvalidArgumentError("as_string: cannot select both scientific and shortest notation.")
    if fill not in ("", " ", "0"):
        raise InvalidArgumentError(f"as_string: fill must be '', ' ' or '0', received {fill!r}.")
    places = "" if width < 0 else f"{'0' if fill == '0' else ''}{width}"
    if array.dtype == bool:
        return _mapped(array, lambda value: b"true" if value else b"false")
    if array.dtype.kind in "iu":
        return _mapped(array, lambda value: format(int(value), f"{places}d").encode())
    if array.dtype.kind != "f":
        raise InvalidArgumentError(f"as_string: expected numbers or booleans, received dtype {array.dtype}.")
    digits = "" if precision < 0 else f".{precision}"
    letter = "e" if scientific else "g" if shortest else "f"
    return _mapped(array, lambda value: format(float(value), f"{places}{digits}{letter}").encode())
