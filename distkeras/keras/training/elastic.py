"""What a step needs to be run again when a rank was lost in it: the state before it, and other rows.

    before    the variables that the step writes are copied
    lost      copies back; metrics go on from what all ranks, the lost one too, had counted after the last whole step
    again     traced for as many ranks as are left, with this rank's new rows of the same global batch

A metric's state is the sum of what each rank holds, so the lost rank's part must be known to the others: the sums that
every step makes for its logs are kept. They are the model's, for its runners share metrics.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import RankLostError
from distkeras.core.primitive import Calls
from distkeras.core.variable import Variable
from distkeras.graph.replay import compile_calls
from distkeras.keras.metrics.base import merging_of
from distkeras.keras.saving.tf_graph import gather
from distkeras.keras.training.step import STATE, merged_variables


class RunOnce:
    """How steps are run where no rank can be lost without the others."""

    def run(self, attempt: Callable[[Any], Any], batch: Any) -> Any:
        """Run a step on a batch: `attempt(batch)`."""
        return attempt(batch)

    def before(self, writes: Sequence[Variable] | None) -> None:
        """Called by the attempt before it changes variables; None for any that the model has."""

    def begin_anew(self) -> None:
        """Told that metrics have been reset."""

    @property
    def wanted(self) -> list:
        """The metrics whose merged state a step is to give."""
        return []


class RunWhole(RunOnce):
    """How steps are run on an `ElasticCommunicator`.

    Args:
        model: The model.
        metrics: Gives the metrics that the steps update.
    """

    def __init__(self, model: Any, metrics: Callable[[], list]) -> None:
        self._model = model
        self._metrics = metrics
        self._communicator = model.distribute_strategy.communicator
        self._totals = totals_of(model)
        self._copies: dict[Variable, np.ndarray] = {}
        self._saving: dict[tuple[Variable, ...], Calls] = {}
        self._is_kept = False

    def run(self, attempt: Callable[[Any], Any], batch: Any) -> Any:
        losses = self._communicator.losses
        current = batch

        def undo() -> None:
            nonlocal current
            current = current.again()
            if self._is_kept:
                for variable, copy in self._copies.items():
                    np.copyto(variable._array, copy)
            self._is_kept = False
            self._totals.share_out()

        self._is_kept = False
        results, seen = self._communicator.whole(lambda: attempt(current), undo)
        if isinstance(results, dict):
            self._take(results)
        if self._communicator.losses != losses:
            self._totals.share_out()
        return results, seen

    def before(self, writes: Sequence[Variable] | None) -> None:
        if self._is_kept:
            return
        if writes is None:
            writes = [entry for entry in gather(self._model).objects if isinstance(entry, Variable)]
            writes += [v for metric in self._metrics() for v in metric.weights]
        for function, arguments in self._saving_calls(tuple(dict.fromkeys(writes))):
            function(*arguments)
        self._is_kept = True

    def _saving_calls(self, writes: tuple[Variable, ...]) -> Calls:
        """Copies of variables as kernels that follow each other."""
        places = tuple(variable._array.ctypes.data for variable in writes)
        if (writes, places) not in self._saving:
            self._copies = {v: np.empty_like(v._array) for v in writes}
            pairs = [(copy, variable._array) for variable, copy in self._copies.items()]
            self._saving = {(writes, places): compile_calls([(np.copyto, pair) for pair in pairs])}
        return self._saving[writes, places]

    # --- metrics

    def begin_anew(self) -> None:
        self._note({variable: variable._array for metric in self._metrics() for variable in metric.weights})

    def _note(self, values: dict[Variable, np.ndarray]) -> None:
        """Keep what metrics have counted on all ranks together."""
        self._totals.values.update({variable: np.array(value) for variable, value in values.items()})

    @property
    def wanted(self) -> list:
        return self._metrics()

    def _take(self, results: dict[str, Any]) -> None:
        """Take the merged state out of the logs of a step."""
        names = [name for name in results if name.startswith(STATE)]
        if names:
            values = [results.pop(name) for name in names]
            self._note(dict(zip(merged_variables(self.wanted), values, strict=True)))


class Totals:
    """What the metrics of a model have counted on all ranks together, after the last whole step.

    Attributes:
        values: By variable.
    """

    def __init__(self, model: Any) -> None:
        self._model = weakref.ref(model)
        self._strategy = model.distribute_strategy
        self.values: dict[Variable, np.ndarray] = {}
        self._strategy.communicator.on_loss(self.share_out)

    def share_out(self) -> None:
        """Give the metrics of this rank a part of the totals, such that those of all ranks add up to them."""
        model = self._model()
        layers = () if model is None or self._strategy.micro_shards else model._flatten_layers()
        if any(getattr(layer, "stateful", False) for layer in layers):  # in deterministic mode every rank has all
            raise RankLostError(
                "a rank was lost that held the states of stateful layers for its rows of each batch; the others cannot "
                "go on without them, but distkeras run --elastic starts the program again from its last backup"
            )
        for variable, total in self.values.items():
            is_sum = merging_of(variable.aggregation) == "SUM"
            variable._array[...] = 0 if is_sum and self._strategy.replicas.rank else total


_totals: weakref.WeakKeyDictionary[Any, Totals] = weakref.WeakKeyDictionary()


def totals_of(model: Any) -> Totals:
    """The totals of a model's metrics."""
    if model not in _totals:
        _totals[model] = Totals(model)
    return _totals[model]


def way_to_run(model: Any, metrics: Callable[[], list]) -> RunOnce:
    """How steps of a model are to be run."""
    return RunWhole(model, metrics) if model.distribute_strategy.communicator.is_elastic else RunOnce()
