"""How a step is run: compiled into a plan for each shape of data, or op by op; on one rank or many.

Batch --> [eager] step.py op by op ------------------------------.
     \\--> [plan]  traced once per shapes, then copy in and replay -+--> logs of the global batch
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError
from distkeras.core import context
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.random_state import global_seed
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.data.forms import plain_form
from distkeras.data.ragged import RaggedArray, tensor_of
from distkeras.distribute import timeline
from distkeras.distribute.replica import StrategyReplica
from distkeras.distribute.strategies import warn_if_ranks_are_unused
from distkeras.graph.function import place_of
from distkeras.graph.ir import written_variables
from distkeras.graph.plan import Plan
from distkeras.graph.rows import Cut, cut_rows
from distkeras.graph.trace import trace
from distkeras.keras.training import step as steps
from distkeras.keras.training.elastic import way_to_run
from distkeras.keras.training.inspection import inspection
from distkeras.kernels.compile import cache_directory

_MOST_PLANS = 32
SHARE = ASKED = TensorSpec((), "float32")
RANDOM_STATE = TensorSpec((3,), "int64")
_NO_KEY = object()
# Evaluation and prediction draw from steps of their own, so that they do not repeat what training drew.
_PHASES = {"train": 0, "test": 1 << 60, "predict": 1 << 61}


class Runner:
    """Runs a model's train, test or predict step on batches.

    Args:
        model: The model; compiled, unless `kind` is 'predict'.
        kind: 'train', 'test' or 'predict'.
    """

    def __init__(self, model: Any, kind: str) -> None:
        self._model = model
        self._kind = kind
        self._strategy = model.distribute_strategy
        self._plans: OrderedDict[Any, StepPlan] = OrderedDict()
        self._latest: tuple[Any, StepPlan | None] = _NO_KEY, None
        self._is_eager = False
        self._metrics: list = []
        self._is_prepared = False
        self._falls_back = False
        self._steps = 0
        self._number = 0
        self._iterations: int | None = None
        self._function: Any = None
        self._phase = _PHASES[kind]
        self.asked = False
        self._inspection = inspection(model, kind)
        self._timed_run = timeline.current().timed("step", self._run_batch, f"{kind} step")
        self._way = way_to_run(model, lambda: self._metrics)
        self._strategy.communicator.on_loss(self._forget_plans)

    @property
    def metrics(self) -> list:
        """What the steps update."""
        return list(self._metrics)

    @property
    def counts(self) -> tuple[int, int, int | None]:
        """What random numbers of steps depend on beside the seed."""
        return self._steps, self._number, self._iterations

    def set_counts(self, counts: tuple[int, int, int | None]) -> None:
        """Go on from what `counts` was."""
        self._steps, self._number, self._iterations = counts

    def reset(self) -> None:
        """Start an epoch: metrics begin anew, and what the model consists of is looked up again."""
        self.refresh()
        self.reset_metrics()

    def reset_metrics(self) -> None:
        """Let the metrics begin anew."""
        for metric in self._metrics:
            metric.reset_states()
        self._way.begin_anew()

    def refresh(self) -> None:
        """Look up again which metrics there are, and whether steps run op by op."""
        self._metrics = self._model._step_metrics if self._kind != "predict" else []
        self._is_eager = self._model.run_eagerly

    def __call__(self, batch: Any, asked: bool = False) -> Any:
        """Run one step.

        Args:
            batch: This rank's rows of a global batch (`data.handler.Batch`).
            asked: Whether this rank was asked to stop; afterwards `asked` tells whether any rank was.

        Returns:
            For 'train' and 'test' the running loss and metrics of all ranks by name, as floats; for 'predict' the
            predictions for the global batch, in order, in the structure of the model's outputs.
        """
        if not self._is_prepared:
            with timeline.current().span("prepare", "compare models, broadcast weights"):
                self._prepare(batch.global_size)
        step = self._strategy.communicator.step = self._step_number()
        self._steps += 1
        if self._inspection is not None:
            self._inspection.before()
        results, seen = self._way.run(lambda batch: self._attempt(batch, float(asked), step), batch)
        if self._inspection is not None:
            self._inspection.after(results, *seen)
        if self._kind != "predict":
            self.asked = results.pop(steps.ASKED) > 0.0
        return results

    def _attempt(self, batch: Any, asked: float, step: int) -> tuple[Any, tuple]:
        """The results of a step, and what they were made of."""
        data = batch.data
        form = plain_form(data)
        if form is None:
            data = _nest.map_structure(_as_value, data)
        floats = _share_of(batch), asked
        state = global_seed(), self._phase + step, batch.first_sample
        results = self._timed_run(batch, data, form, floats, state)
        if self._kind == "predict":
            results = _nest.map_structure(self._gathered, results)
        return results, (data, (floats[0], state))

    def _gathered(self, result: Any) -> Any:
        gather = self._strategy.gather
        return result.map(gather) if isinstance(result, RaggedArray) else gather(result)

    def _step_number(self) -> int:
        """The optimizer's count of batches, so that a resumed training draws on; or a count of its own beside it."""
        if self._kind != "train":
            return self._steps
        iterations = self._model.optimizer.batches_taken
        # Steps of one's own may use other optimizers: random numbers must not repeat all the same.
        self._number = self._number + 1 if iterations == self._iterations else iterations
        self._iterations = iterations
        return self._number

    # --- one step

    def _run_batch(
        self, batch: Any, data: Any, form: tuple | None, floats: tuple[float, float], state: tuple[int, int, int]
    ) -> Any:
        """Run a step on this rank's rows of a batch.

        Args:
            batch: The batch.
            data: Its rows, as arrays.
            form: Their `plain_form`.
            floats: This rank's share of the global batch, and 1 if this rank was asked to stop, else 0.
            state: What random numbers are drawn from: the seed, the step, the first of the rows.
        """
        return self._run(data, form, floats, state)

    def _run(self, data: Any, form: tuple | None, floats: tuple[float, float], state: tuple[int, int, int]) -> Any:
        if not (self._is_eager or self._falls_back):
            try:
                plan = self._plan_for(data, form)
                self._way.before(plan.writes)
                return plan.run(data, form is not None, floats, state)
            except CaptureError as error:
                self._fall_back(error)
        self._way.before(None)
        return self._run_eagerly(data, floats, state)

    def _run_eagerly(self, data: Any, floats: tuple[float, float], state: tuple[int, int, int]) -> Any:
        tensors = _nest.map_structure(lambda leaf: None if leaf is None else tensor_of(leaf), data)
        share, asked = (Tensor(np.array(value, np.float32)) for value in floats)
        results = self._step(share, asked, Tensor(np.array(state, np.int64)), tensors)
        return _nest.map_structure(_value_of, results)

    def _step(self, share: Tensor, asked: Tensor, state: Tensor, data: Any) -> Any:
        """The step as it is run op by op or traced."""
        model = self._model
        with context.on_replica(StrategyReplica(self._strategy, share, state)), model._trainable_as_compiled():
            batches = iter([steps.packed(*data)])
            if self._kind == "predict":
                return self._function(batches)
            compiled = model.compiled
            compiled.computed.clear()
            logs = steps.with_loss(compiled, _checked_logs(self._function(batches), model, self._kind))
            return self._merged(logs, asked)

    def _merged(self, logs: dict[str, Any], asked: Tensor) -> dict[str, Tensor]:
        """The logs of a step for all ranks."""
        return steps.merge(self._strategy, logs, asked, self._way.wanted, self._model.compiled.computed)

    def _plan_for(self, data: Any, form: tuple | None) -> StepPlan:
        key = self._key(data, form)
        if key == self._latest[0] and self._latest[1].is_current:
            return self._latest[1]  # the usual case: no key is hashed
        plan = self._plans.get(key)
        if plan is None or not plan.is_current:
            with warnings.catch_warnings(), timeline.current().span("prepare", "trace and compile"):
                if self._plans:  # said when the first plan was made
                    warnings.filterwarnings("ignore", message="Gradients do not exist for variables")
                plan = self._plans[key] = self._new_plan(data)
            if len(self._plans) > _MOST_PLANS:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        self._latest = key, plan
        return plan

    def _key(self, data: Any, form: tuple | None) -> Any:
        """What a plan is made for."""
        return form_of(data) if form is None else form

    def _new_plan(self, data: Any) -> StepPlan:
        return StepPlan(self._step, data)

    def _forget_plans(self) -> None:
        """Make plans anew: how many ranks there are is part of them."""
        self._plans.clear()
        self._latest = _NO_KEY, None

    def _fall_back(self, error: CaptureError) -> None:
        if self._model._wants_plan:
            raise error
        self._falls_back = True
        where = place_of(error) or type(self._model).__name__
        warnings.warn(
            f"The model cannot be compiled and is trained step by step, which is slower. At {where}\n{error}",
            stacklevel=5,
        )

    # --- before the first step

    def _prepare(self, global_batch: int) -> None:
        """Let all ranks start from the weights of rank 0, with what belongs to them in arenas."""
        model = self._model
        self._function = getattr(model, f"make_{self._kind}_function")()
        warn_if_ranks_are_unused(self._strategy)
        variables = list(model.weights)
        if self._kind == "train":
            with context.on_replica(StrategyReplica(self._strategy)), model._trainable_as_compiled():
                model.optimizer.build(model.trainable_variables)
            variables += model.optimizer.replicated_weights
            self._strategy.shards.release()
            self._strategy.announce(global_batch, cache_directory())
        self._strategy.check_alike(self._fingerprint(), "The model")
        self._strategy.broadcast_variables(variables)
        self.refresh()
        self._is_prepared = True

    def _fingerprint(self) -> dict[str, Any]:
        """What must be the same on all ranks for their steps to match, in words a user can find."""
        model = self._model
        fields: dict[str, Any] = {"kind of step": self._kind, "class": type(model).__name__}
        for i, variable in enumerate(model.weights):
            fields[f"weight {i}"] = (variable.name, tuple(variable.shape), variable.dtype.name, variable.trainable)
        if self._kind != "predict":
            fields["metrics"] = list(model.compiled.metrics_names)
            fields["losses"] = [getattr(loss, "name", None) for loss in model.compiled.losses]
        if self._kind == "train":
            fields["optimizer"] = type(model.optimizer).__name__
        return fields


class StepPlan:
    """A step traced for one structure and shape of data.

    Args:
        step: The step.
        data: Data of that structure.
        cut: How the batch is cut, if the step is written for a whole one of which `data` is this rank's part.
    """

    def __init__(self, step: Any, data: Any, cut: Cut | None = None) -> None:
        specs = _nest.map_structure(lambda leaf: spec_of(leaf, cut and cut.samples), data)
        graph, self._structure = trace(step, (SHARE, ASKED, RANDOM_STATE, specs))
        if any(isinstance(leaf, RaggedTensor) for leaf in _nest.flatten(self._structure)):
            raise CaptureError("Ragged tensors are computed: the lengths of their rows have no place in a plan.")
        is_cut = [False] * 3 + [True] * (len(graph.inputs) - 3)
        self._plan = Plan(graph, cut and (lambda whole: cut_rows(whole, is_cut, cut)))
        self._share, self._asked, self._state, *inputs = self._plan.inputs
        self._floats: tuple[float, float] | None = None
        places = [place for place, leaf in enumerate(_nest.flatten(data)) if leaf is not None]
        self._fed = list(zip(places, inputs, strict=True))
        # Logs, the usual result, are given without walking through a structure.
        packed = _nest.pack(self._structure, self._plan.outputs)
        is_flat = type(packed) is dict and all(isinstance(value, np.ndarray) for value in packed.values())
        self._readers = [(name, _reader_of(buffer)) for name, buffer in packed.items()] if is_flat else None
        self.writes = [variable for equation in self._plan.graph.equations for variable in written_variables(equation)]

    @property
    def is_current(self) -> bool:
        return self._plan.is_current

    def run(self, data: Any, is_plain: bool, floats: tuple[float, float], state: tuple[int, int, int]) -> Any:
        if floats != self._floats:
            self._share[()], self._asked[()] = self._floats = floats
        self._state[0], self._state[1], self._state[2] = state  # in a third of the time of a slice
        leaves = data if is_plain else _nest.flatten(data)
        for place, buffer in self._fed:
            buffer[...] = leaves[place]  # in less time than np.copyto
        self._plan.run()
        if self._readers is not None:
            return {name: read() for name, read in self._readers}
        return _nest.pack(self._structure, [_result(buffer) for buffer in self._plan.outputs])


def _share_of(batch: Any) -> float:
    """This rank's part of a global batch."""
    return batch.local_size / batch.global_size if batch.global_size else 1.0


def _checked_logs(logs: Any, model: Any, kind: str) -> dict[str, Any]:
    if isinstance(logs, dict):
        return logs
    raise TypeError(
        f"{type(model).__name__}.{kind}_step must return a dict of what is to be logged, such as "
        f"{{'loss': loss}}; received {logs!r} of type {type(logs).__name__}."
    )


def _as_value(leaf: Any) -> Any:
    """A leaf of a batch as an ndarray; None stays None."""
    if leaf is None or isinstance(leaf, (np.ndarray, RaggedArray)):
        return leaf
    return to_tensor(leaf)._array


def form_of(data: Any) -> tuple:
    """Structure, shapes and types of data of any structure."""
    leaves = _nest.flatten(data)
    return _nest.structure_key(data), tuple(None if leaf is None else (leaf.shape, leaf.dtype) for leaf in leaves)


def _result(array: np.ndarray) -> Any:
    """A copy of an output; a scalar as a Python number."""
    return _reader_of(array)()


def _reader_of(array: np.ndarray) -> Callable[[], Any]:
    """What gives the `_result` of an output."""
    return array.copy if array.ndim else array.item


def spec_of(leaf: np.ndarray | None, samples: int | None = None) -> TensorSpec | None:
    """The spec of a leaf of a batch, with so many samples instead of its own."""
    if leaf is None:
        return None
    if isinstance(leaf, RaggedArray):
        raise CaptureError("Ragged batches have rows of other lengths in each step, and no plan fits them all.")
    return TensorSpec(leaf.shape if samples is None else (samples, *leaf.shape[1:]), leaf.dtype)


def _value_of(tensor: Tensor | RaggedTensor) -> Any:
    """A result of a step that was run op by op."""
    return RaggedArray.of(tensor) if isinstance(tensor, RaggedTensor) else _result(tensor._array)
