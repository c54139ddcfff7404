"""Steps that give the same bits for any number of ranks: each micro-shard is a step of its own up to the update.

rank's rows --cut--> micro-shard: metrics at zero, forward, backward, metrics --> gradients kept, metrics kept
                     ..
                     the last one --> gradients added up over the tree, update --> metrics added up over the tree
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import DistributionError
from distkeras.core import context
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.distribute.micro_shards import TreeSum
from distkeras.distribute.strategies import StrategyReplica
from distkeras.graph.ir import Graph, assign_variable
from distkeras.graph.plan import Plan
from distkeras.graph.trace import trace
from distkeras.keras.layers.contributions import metric_of
from distkeras.keras.metrics.base import merging_of
from distkeras.keras.training import runner
from distkeras.keras.training import step as steps
from distkeras.keras.training.compile import BatchLoss


class MicroShardRunner(runner.Runner):
    """A Runner for a strategy with `deterministic=True`."""

    def __init__(self, model: Any, kind: str) -> None:
        super().__init__(model, kind)
        self._shards = self._strategy.micro_shards
        self._sum = TreeSum(self._shards)
        self._names: dict[str, Any] = {}
        self._checked: set[Any] = set()
        self._plan_of_results: Plan | None = None

    def _run_batch(self, batch: Any, data: Any, form: Any, asked: float, state: tuple[int, int, int]) -> Any:
        self._check_rows(batch)
        states = self._states()
        before = self._counted(states)
        outputs = []
        with self._shards.step(batch.global_size) as shards:
            for shard in shards:
                rows = slice(shard.start - batch.first_sample, shard.stop - batch.first_sample)
                part = _nest.map_structure(lambda leaf, rows=rows: None if leaf is None else leaf[rows], data)
                self._check(part)
                for variable in states:
                    variable._array.fill(0)
                share = (shard.stop - shard.start) / max(1, batch.global_size)
                results = self._run(part, runner.plain_form(part), (share, asked), (*state[:2], shard.start))
                outputs.append(results)
                if self._kind != "predict":
                    parts = [np.asarray(results[name]) for name in sorted(results)]
                    self._sum.add([*(variable._array for variable in states), *parts])
            if self._kind == "predict":
                return _nest.map_structure(lambda *leaves: np.concatenate(leaves), *outputs)
            return self._total(states, before, outputs[-1])

    def _states(self) -> dict[Variable, Any]:
        """The variables in which metrics add up, with their metrics."""
        return {variable: metric for metric in self._metrics for variable in metric.weights}

    def _total(self, states: dict[Variable, Any], before: list[np.ndarray], last: dict[str, Any]) -> dict[str, Any]:
        """The logs; leaves what all ranks have counted in the metrics of rank 0, for who reads them adds ranks up."""
        names = sorted(last)
        likes = [*(variable._array for variable in states), *(np.asarray(last[name]) for name in names)]
        sums = self._sum.result(likes)
        for (variable, metric), start, total in zip(states.items(), before, sums, strict=False):
            np.copyto(variable._array, total if isinstance(metric, BatchLoss) else start + total)
        others = dict(zip(names, sums[len(states) :], strict=True))
        others.update(self._results())
        self._way.counted({variable: variable._array for variable in states})
        if self._strategy.rank:
            for variable in states:
                variable._array.fill(0)
        logged = [*self._names, steps.ASKED]
        return {name: others[name] if others[name].ndim else others[name].item() for name in logged}

    def _counted(self, states: dict[Variable, Any]) -> list[np.ndarray]:
        """What metrics have counted before a step, on all ranks together."""
        mine = [variable._array.copy() for variable in states]
        communicator = self._strategy.communicator
        if communicator.size == 1 or not mine:
            return mine
        return [sum(parts) for parts in zip(*communicator.allgather_object(mine, "what metrics hold"), strict=True)]

    def _forget_plans(self) -> None:
        super()._forget_plans()
        self._plan_of_results = None

    def _results(self) -> dict[str, np.ndarray]:
        """What the metrics give for the state that they hold."""
        metrics = {name: metric for name, metric in self._names.items() if metric is not None}
        if self._plan_of_results is None or not self._plan_of_results.is_current:
            with context.on_replica(StrategyReplica(self._strategy)):  # each rank takes them from the totals it has
                graph, _ = trace(lambda: [to_tensor(metric.result()) for metric in metrics.values()], ())
            self._plan_of_results = Plan(graph)
        self._plan_of_results.run()
        return {name: output.copy() for name, output in zip(metrics, self._plan_of_results.outputs, strict=True)}

    def _merged(self, logs: dict[str, Any], asked: Tensor) -> dict[str, Tensor]:
        """Of a micro-shard: only what no metric gives, weighted by its share."""
        self._names = {name: metric_of(value) for name, value in logs.items()}
        others = {name: steps.shared(to_tensor(value)) for name, value in logs.items() if self._names[name] is None}
        return {**others, steps.ASKED: asked}

    # --- what cannot be cut

    def _prepare(self, global_batch: int) -> None:
        if self._model.run_eagerly:
            raise DistributionError(
                "deterministic=True needs compiled steps: step by step, results depend on where in memory arrays "
                "happen to lie. Leave out run_eagerly=True, or deterministic=True."
            )
        super()._prepare(global_batch)

    def _check_rows(self, batch: Any) -> None:
        """Raise DistributionError, on every rank, if the data has given this one other rows than its micro-shards."""
        given = batch.first_sample, batch.first_sample + batch.local_size
        expected = self._strategy.rows_of_rank(batch.global_size)
        communicator = self._strategy.communicator
        if communicator.size > 1 and any(communicator.allgather_object(given != expected, "whether rows fit")):
            raise DistributionError(
                f"deterministic=True: the dataset gives rank {communicator.rank} rows {given[0]} to {given[1]} of a "
                f"batch of {batch.global_size}, its micro-shards are rows {expected[0]} to {expected[1]}. Use a number "
                f"of ranks that divides {self._shards.most} (the setting micro_shards), or pass arrays or a Sequence, "
                "which are cut as is needed."
            )

    def _check(self, part: Any) -> None:
        """Raise DistributionError if the step does something else than adding up gradients and metrics."""
        form = runner.form_of(part)
        if form in self._checked:
            return
        specs = _nest.map_structure(runner.spec_of, part)
        graph, _ = trace(self._step, (runner.SHARE, runner.ASKED, runner.RANDOM_STATE, specs))
        self._check_graph(graph)
        for metric in self._metrics:
            if metric.merge != "sum" or not all(
                merging_of(variable.aggregation) == "SUM" for variable in metric.weights
            ):
                raise DistributionError(
                    f"deterministic=True adds up what metrics count; the state of {metric.name!r} is merged otherwise."
                )
        self._checked.add(form)

    def _check_graph(self, graph: Graph) -> None:
        known = set(self._states())
        updates = [equation for equation in graph.equations if getattr(equation.params.get("host"), "writes", ())]
        if len(updates) > 1:
            raise DistributionError(
                "deterministic=True allows for one apply_gradients in a step, which comes after all micro-shards; "
                f"{type(self._model).__name__}.train_step makes {len(updates)}."
            )
        for equation in graph.equations:
            if isinstance(equation.params.get("replica"), StrategyReplica):
                raise DistributionError(_NO_BATCH_STATISTICS)
            if equation.primitive is assign_variable and equation.params["variable"] not in known:
                raise DistributionError(
                    f"deterministic=True: the step assigns {equation.params['variable'].name!r}, which each "
                    "micro-shard would do anew. Only metrics, and optimizers with an `update` kernel, may change "
                    "variables. Train without deterministic=True: ranks then agree but for rounding."
                )


_NO_BATCH_STATISTICS = (
    "deterministic=True computes each part of a batch alone, and cannot normalise over the whole batch: leave out "
    "BatchNormalization, or call it with training=False, or train without deterministic=True: ranks then agree but "
    "for rounding."
)
