"""An update where the ranks of a node share memory, as native runs: of a plan's kernels, or in an eager step by itself.

meet --> begin: learning rate, corrections --> sums of gradients, rule, for each portion --> meet
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distkeras.graph.replay import NativeRun
from distkeras.keras.optimizers.kernel_update import Scalars, begin_calls, rule_of
from distkeras.kernels.compile import Calls, Kernel


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
        self._run = NativeRun.of(self._calls([], self._note_apart))
        self._is_done = False

    def __call__(self) -> bool:
        """Sum gradients and update; whether that was done. If not, only the reducer's `finish` was."""
        reducer = self._reducer
        if self._run is None or reducer is not self._part.group.reducer:  # left since, perhaps in this very step
            reducer.finish()
            return False
        self._scalars.begin_step()
        self._is_done = True
        self._run()
        if self._is_done:
            iterations = self._optimizer.iterations._array
            iterations[()] = iterations.item() + 1
        return self._is_done

    def _note_apart(self) -> None:
        self._is_done = False

    def calls(self, apart: Callable[[], object]) -> Calls:
        """The same as kernel calls, iterations counted; none where Python has to be asked for a hyper-parameter.

        Args:
            apart: What is to be done if ranks have ceased to share memory; only `finish` was done then.
        """
        begin = begin_calls(self._optimizer, self._scalars)
        return self._calls(begin, apart) if begin else []

    def _calls(self, begin: Calls, apart: Callable[[], object]) -> Calls:
        group, reducer = self._part.group, self._reducer
        if reducer is not group.reducer or not reducer.takes_rules or reducer.sums_at_once:
            return []
        parts, scalars = reducer.portions(self._part.runs, None), self._scalars[group.dtype]
        return reducer.exchange_calls(self._rule, group.arrays, parts, scalars, begin, apart)
