"""Sizes that are open until a model runs, such as the batch.

Functions are traced for known sizes. So a model is traced twice, with other prime numbers for the open sizes: a number
of the graph that is the same in both is fixed; one that is not tells by its factors what it is made of.

    open sizes        13, 17  and  23, 29
    a number          130     and  230         ->  10 * first
    a number          442     and  1334        ->  2 * first * second
    a number          15      and  27          ->  second - 2
    a number          390     and  1242        ->  2 * first * (second - 2)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_FIRST = (13, 17, 19, 31, 37, 41, 43, 47)
_SECOND = (23, 29, 53, 59, 61, 67, 71, 73)
MOST_OPEN_SIZES = len(_FIRST)


@dataclass(frozen=True)
class Size:
    """factor * product of (open size + something) + offset.

    Attributes:
        terms: Pairs of the number of an open size and what is added to it.
    """

    factor: int
    terms: tuple[tuple[int, int], ...]
    offset: int = 0

    def __add__(self, number: int) -> Size:
        return Size(self.factor, self.terms, self.offset + number)

    def __sub__(self, other: Any) -> int:
        """The difference of sizes that grow alike.

        Raises:
            ValueError: They do not.
        """
        if not isinstance(other, Size) or (self.factor, self.terms) != (other.factor, other.terms):
            raise ValueError(f"the distance from {other} to {self} is not known")
        return self.offset - other.offset


def samples(count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two choices of `count` open sizes."""
    return _FIRST[:count], _SECOND[:count]


def merged(first: Any, second: Any, count: int) -> Any:
    """A part of a graph, from what it is for the two choices: numbers that differ become Sizes.

    Raises:
        ValueError: A number depends on the open sizes in a way that no Size describes, or something else differs.

    >>> merged((130, 4, 15), (230, 4, 27), 2)
    (Size(factor=10, terms=((0, 0),), offset=0), 4, Size(factor=1, terms=((1, 0),), offset=-2))
    >>> merged(390, 1242, 2)
    Size(factor=2, terms=((0, 0), (1, -2)), offset=0)
    """
    if isinstance(first, (tuple, list)) and type(first) is type(second) and len(first) == len(second):
        return tuple(merged(one, other, count) for one, other in zip(first, second, strict=True))
    if first is second or first == second:
        return first
    if type(first) is int and type(second) is int:
        return _size(first, second, count)
    raise ValueError(f"{first!r} for some sizes is {second!r} for others")


def _size(first: int, second: int, count: int) -> Size:
    known = list(zip(*samples(count), strict=True))
    for symbol, (one, other) in enumerate(known):
        if first - one == second - other:
            return Size(1, ((symbol, 0),), first - one)
    rest, other_rest, terms = first, second, []
    for symbol, (one, other) in enumerate(known):
        while rest and rest % one == 0 and other_rest % other == 0:
            rest, other_rest = rest // one, other_rest // other
            terms.append((symbol, 0))
    if rest == other_rest:
        return Size(rest, tuple(terms))
    common = math.gcd(rest, other_rest)
    for factor in (factor for factor in range(1, common + 1) if common % factor == 0):
        for symbol, (one, other) in enumerate(known):
            added = rest // factor - one
            if added == other_rest // factor - other:
                return Size(factor, (*terms, (symbol, added)))
    raise ValueError(f"a size of {first} becomes {second} as the inputs' sizes change")


def is_fixed(shape: Sequence[int | Size]) -> bool:
    """Whether all sizes are numbers."""
    return not any(isinstance(size, Size) for size in shape)
