"""Steps that give the same bits for any number of ranks: each is one process's step on the whole batch, shared out.

rank's rows --> plan: the step traced for the whole batch, cut to the rank's rows (`graph.rows`) --> logs,
           '--> step by step: the whole batch on each rank                               the same on all
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.core.tensor import Tensor
from distkeras.data.forms import plain_form
from distkeras.distribute.micro_shards import BatchCut
from distkeras.keras.training import runner
from distkeras.keras.training import step as steps


class MicroShardRunner(runner.Runner):
    """A Runner for a strategy with `deterministic=True`."""

    _cut: BatchCut

    def __init__(self, model: Any, kind: str) -> None:
        super().__init__(model, kind)
        self._memory = self._strategy.micro_shards.memory()

    def _run_batch(
        self, batch: Any, data: Any, form: tuple | None, floats: tuple[float, float], state: tuple[int, int, int]
    ) -> Any:
        cut = self._strategy.micro_shards.cut(batch.global_size, self._memory)
        data = _given_rows(batch, data, cut)
        if form is not None:
            form = plain_form(data)
        self._cut = cut
        return self._run(data, form, (1.0, floats[1]), (*state[:2], 0))

    def _key(self, data: Any, form: tuple | None) -> Any:
        return super()._key(data, form), self._cut.samples, self._cut.place

    def _new_plan(self, data: Any) -> runner.StepPlan:
        return runner.StepPlan(self._step, data, self._cut)

    def _run_eagerly(self, data: Any, *others: Any) -> Any:
        """Every rank runs the step on the whole batch."""
        whole = _nest.map_structure(lambda leaf: None if leaf is None else _joined(self._cut, leaf), data)
        return super()._run_eagerly(whole, *others)

    def _merged(self, logs: dict[str, Any], asked: Tensor) -> dict[str, Tensor]:
        """The logs are those of the whole batch; which rank was asked to stop, only that one knows."""
        (asked,) = self._strategy.sum_over_ranks([asked])
        return steps.merge(self._strategy, logs, asked, self._way.wanted)


def _joined(cut: BatchCut, rows: np.ndarray) -> np.ndarray:
    return np.concatenate(cut.gathered(rows))


def _given_rows(batch: Any, data: Any, cut: BatchCut) -> Any:
    """This rank's rows of a batch; those that other ranks were given, as datasets are shared out, are sent to it."""
    expected = cut.start, cut.stop
    given = batch.first_sample, batch.first_sample + batch.local_size
    if batch.is_dealt and not cut.fits(given == expected):
        return _nest.map_structure(lambda leaf: None if leaf is None else _joined(cut, leaf)[slice(*expected)], data)
    return data
