"""Gradients of several batches for one exchange and one update: `gradient_accumulation_steps`.

batch 1    backward -> gradient arena -> copied aside
batch 2    backward -> gradient arena -> added to it
batch n    backward -> gradient arena, what was added up joins it, over n -> summed over the ranks -> clipped, updated
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from distkeras.core.variable import Variable


def checked_steps(steps: Any) -> int | None:
    """The argument `gradient_accumulation_steps`.

    Raises:
        ValueError: It is neither None nor a whole number of 2 or more.
    """
    is_whole = isinstance(steps, (int, np.integer)) and not isinstance(steps, (bool, np.bool_))
    if steps is not None and not (is_whole and steps >= 2):
        raise ValueError(f"`gradient_accumulation_steps` must be an integer >= 2 or None; received {steps!r}.")
    return None if steps is None else int(steps)


class Accumulation:
    """Counts the batches of an optimizer whose gradients are added up.

    Args:
        steps: How many make an update.

    Attributes:
        taken: How many there are since the last update.

    >>> accumulation = Accumulation(2)
    >>> update = accumulation.counted(lambda: print("last" if accumulation.is_last else "first"))
    >>> update(); update()
    first
    last
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.taken = 0
        self._of: Any = None

    @property
    def is_last(self) -> bool:
        """Whether the batch under way leads to an update."""
        return self.taken == self.steps - 1

    def counted(self, run: Callable) -> Callable:
        """The function, after each call of which a batch more is counted."""

        @functools.wraps(run)
        def call(*args: Any) -> None:
            run(*args)
            self.taken = (self.taken + 1) % self.steps

        return call

    def check(
        self, optimizer: Any, variables: Collection[Variable], rows: Collection[Variable], aggregate: bool
    ) -> None:
        """Raise ValueError unless these gradients can be added to those before.

        Args:
            optimizer: Is about to take them.
            variables: Those that have gradients.
            rows: Those of which these are IndexedSlices.
            aggregate: Whether gradients are summed over the ranks.
        """
        name = type(optimizer).__name__
        if optimizer.is_by_variable:
            raise ValueError(
                f"gradient_accumulation_steps needs an optimizer that defines `update`; {name} updates variable by "
                "variable, with `_resource_apply_dense`. Leave the argument out."
            )
        if any(group.strategy.communicator.is_elastic for group in optimizer.groups):
            raise ValueError(
                "gradient_accumulation_steps does not go with elastic ranks, for what a lost rank has added up nobody "
                "else has. Leave one of them out."
            )
        if not aggregate:
            raise ValueError(
                "gradient_accumulation_steps does not go with apply_gradients(experimental_aggregate_gradients=False). "
                "Leave one of them out."
            )
        given = {id(variable): variable in rows for variable in variables}
        if self.taken and given != self._of:
            raise ValueError(
                f"gradient_accumulation_steps={self.steps}: apply_gradients was given gradients of other variables (or "
                f"IndexedSlices for others) than in the {self.taken} calls since the last update. Use an optimizer for "
                "each set of variables."
            )
        self._of = given


class AccumulatingReducer:
    """Adds a gradient arena up over batches; with the last one the reducer that it is made for sums over the ranks.

    Args:
        accumulation: Counts the batches.
        reducer: Of the arena.
        flat: The arena.
        total: Memory of the arena's size for what is added up.
    """

    is_alone = False

    def __init__(self, accumulation: Accumulation, reducer: Any, flat: np.ndarray, total: np.ndarray) -> None:
        self._accumulation = accumulation
        self._reducer = reducer
        self._flat = flat
        self._sum = total
        self._rows: dict[Any, list[np.ndarray]] = {}
        self.ready = [(part, functools.partial(self._take, part, callback)) for part, callback in reducer.ready]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reducer, name)

    @property
    def is_complete(self) -> bool:
        """Whether the gradients of all batches of an update are there."""
        return self._accumulation.is_last

    def _take(self, part: slice, callback: Callable[[], object] | None = None) -> None:
        """Take in a part of the arena."""
        gradients, total = self._flat[part], self._sum[part]
        if not self.is_complete:
            np.add(total, gradients, out=total)
            return
        np.add(gradients, total, out=gradients)
        np.divide(gradients, self._accumulation.steps, out=gradients)
        total.fill(0)
        if callback is not None:
            callback()

    def finish(self) -> None:
        """After the last batch wait until the arena holds the sums over all ranks."""
        if not self.ready:
            self._take(slice(0, self._flat.size))
        if self.is_complete:
            self._reducer.finish()

    def join(self, rows: np.ndarray, key: Any) -> np.ndarray:
        """Rows of the batches so far; after the last one, those of all ranks.

        Args:
            rows: Of this batch.
            key: What they are rows of.
        """
        kept = self._rows.setdefault(key, [])
        # Numbers of rows are integers; gradients are averaged.
        kept.append(rows / rows.dtype.type(self._accumulation.steps) if rows.dtype.kind == "f" else rows.copy())
        if not self.is_complete:
            return rows
        del self._rows[key]
        return self._reducer.join(np.concatenate(kept), key)
