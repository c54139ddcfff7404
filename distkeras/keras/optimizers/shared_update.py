"""An update where the ranks of a node share memory, as one native run: the interpreter gives the scalars of the step.

begin: learning rate, corrections --> scalars          Python
meet --> sums of gradients, rule, for each portion --> meet        one run
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras.graph.replay import NativeRun
from distkeras.keras.optimizers.kernel_update import Scalars, rule_of
from distkeras.kernels.compile import Kernel


def shared_update(optimizer: Any, parts: Sequence[Any]) -> SharedUpdate | None:
    """How an update of dense gradients is done by a native run; None where more happens between its meetings.

    Args:
        optimizer: The Optimizer.
        parts: `GroupUpdate`s of all its groups that take part.
    """
    rule, sees_all = rule_of(optimizer), optimizer.clips or optimizer.accumulation is not None
    if rule is None or sees_all or len(parts) != 1 or parts[0].constrained:
        return None
    return SharedUpdate(optimizer, rule, parts[0])


class SharedUpdate:
    """What stands for `finish`, the update and `meet` of a group's reducer, as long as that one shares memory.

    Args:
        optimizer: The Optimizer.
        rule: Its kernel.
        part: The variables.
    """

    def __init__(self, optimizer: Any, rule: Kernel, part: Any) -> None:
        self._optimizer = optimizer
        self._rule = rule
        self._part = part
        self._scalars = Scalars(optimizer, [part.group.dtype])
        self._reducer = part.group.reducer
        self._run = self._made(self._reducer)

    def __call__(self) -> bool:
        """Sum gradients and update; whether that was done. If not, only the reducer's `finish` was."""
        reducer = self._reducer
        if self._run is None or reducer is not self._part.group.reducer:  # left since, perhaps in this very step
            reducer.finish()
            return False
        self._scalars.begin_step()
        if not reducer.exchange(self._run.run_from, len(self._run)):
            return False
        iterations = self._optimizer.iterations._array
        iterations[()] = iterations.item() + 1
        return True

    def _made(self, reducer: Any) -> NativeRun | None:
        if not reducer.takes_rules or reducer.sums_at_once:
            return None
        group, parts = self._part.group, reducer.portions(self._part.runs, None)
        return NativeRun.of(reducer.exchange_calls(self._rule, group.arrays, parts, self._scalars[group.dtype]))
