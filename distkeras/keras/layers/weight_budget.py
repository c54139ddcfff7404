"""A limit on the weights that layers make, for building a model from a file that is not to be trusted.

A few bytes of config can ask for terabytes. A reader knows how many numbers the file really holds, and lets the layers
make no more.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

from distkeras._errors import FileFormatError


class _Budget:
    def __init__(self, count: int, reason: str) -> None:
        self.count = count
        self.left = count
        self.reason = reason


_budget: ContextVar[_Budget | None] = ContextVar("weight budget", default=None)


@contextlib.contextmanager
def weight_budget(count: int, reason: str) -> Iterator[None]:
    """Let layers make at most `count` numbers of weights inside of the block.

    Args:
        count: How many.
        reason: Comes before the count in the error: 'the file holds'.
    """
    token = _budget.set(_Budget(count, reason))
    try:
        yield
    finally:
        _budget.reset(token)


def spend(name: str, shape: Sequence[int]) -> None:
    """Count a weight that is about to be made.

    Raises:
        FileFormatError: It exceeds the budget in force; nothing has been allocated yet.
    """
    budget = _budget.get()
    if budget is None:
        return
    budget.left -= math.prod(shape)
    if budget.left < 0:
        raise FileFormatError(
            f"The weight {name!r} of shape {tuple(shape)} is larger than what is stored for it: {budget.reason} "
            f"{budget.count} numbers of weights in all. The file is damaged, or its config and its weights do not "
            "belong together."
        )
