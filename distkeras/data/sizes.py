"""Sizes that depend on values, in functions of elements that are traced.

What `tf.io.decode_raw` gives has as many numbers as the bytes hold, which a symbol does not tell. When such a function
is traced for an element that is at hand, symbols of texts have that element's values beside them, and the sizes are
taken from there. A plan made so finds out when another element differs, and the function is called as it is for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar

import numpy as np

from distkeras._errors import CaptureError
from distkeras.core.tensor import SymbolicTensor

_at_hand: ContextVar[dict | None] = ContextVar("_at_hand", default=None)


class OtherSizeError(Exception):
    """An element whose sizes are not those that a plan was made for."""


@contextlib.contextmanager
def values_at_hand() -> Iterator[None]:
    """Keep what `note_values` says while a function is traced."""
    token = _at_hand.set({})
    try:
        yield
    finally:
        _at_hand.reset(token)


def note_values(symbols: Iterable[SymbolicTensor], arrays: Iterable[np.ndarray]) -> None:
    """Say what symbols stand for in the element at hand."""
    known = _at_hand.get()
    if known is not None:
        known.update({symbol.value: array for symbol, array in zip(symbols, arrays, strict=True)})


def values_of(symbol: SymbolicTensor) -> np.ndarray | None:
    """What a symbol stands for in the element at hand; None where that is not known."""
    known = _at_hand.get()
    return None if known is None else known.get(symbol.value)


def sized_by(symbol: SymbolicTensor) -> np.ndarray:
    """The same, for sizes that follow from it.

    Raises:
        CaptureError: It is not known.
    """
    array = values_of(symbol)
    if array is None:
        raise CaptureError("The size of a result depends on values that are not known while a function is traced.")
    return array
