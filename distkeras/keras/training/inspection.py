"""Debug mode: after each training step, do the ranks still hold the same, and are all numbers finite?

copy the weights -> step -> every k steps: compare digests of weights and slots over the ranks
                         -> NaN or infinity in loss, gradients, weights? run the step again from the copy, op by op,
                            looking at what each layer gives: the first one on any rank is told of
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras import _nest, _settings
from distkeras.core import context
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.distribute.agreement import check_replicas
from distkeras.distribute.replica import StrategyReplica
from distkeras.keras.layers.call_context import call_context
from distkeras.keras.training import step as steps


class Finding(NamedTuple):
    """Where a rank met the first number that is not finite: a place in the order of a step, and words."""

    order: int
    text: str


_FOUND_NOTHING = Finding(1 << 30, "nowhere in the model's own forward and backward pass")


class Inspection:
    """Looks at a model before and after each training step.

    Args:
        model: A compiled model.
        every: After how many steps the replicas are compared.
    """

    def __init__(self, model: Any, every: int) -> None:
        self._model = model
        self._strategy = model.distribute_strategy
        self._every = every
        self._steps = 0
        self._copies: list[tuple[Any, np.ndarray]] = []

    def before(self) -> None:
        """Keep the weights as they are before the step."""
        self._copies = [(variable, variable._array.copy()) for variable in self._model.weights]

    def after(self, results: Any, data: Any, place: tuple[float, tuple[int, int, int]]) -> None:
        """Compare replicas when it is time to, and tell where NaN and infinities came from.

        Args:
            results: What the step gave.
            data: This rank's rows.
            place: The rank's share of the global batch and its random state.

        Raises:
            ReplicaMismatchError: On every rank, if their weights or slots differ.
        """
        self._steps += 1
        communicator, optimizer = self._strategy.communicator, self._model.optimizer
        if self._steps % self._every == 0:
            check_replicas(communicator, [*self._model.weights, *optimizer.weights], self._steps)
        if self._model._non_finite_origin or not any(communicator.allgather_object(self._is_bad(results), "NaN seen")):
            return
        findings = communicator.allgather_object(self._find(data, *place), "where NaN was seen")
        self._tell(findings)

    def _is_bad(self, results: Any) -> bool:
        gradients = [group.gradients.flat for group in self._model.optimizer.groups]
        return not _are_finite([*_nest.flatten(results), *gradients, *(v._array for v in self._model.weights)])

    def _tell(self, findings: Sequence[Finding]) -> None:
        first = min(findings)
        ranks = ", ".join(str(rank) for rank, finding in enumerate(findings) if finding == first)
        text = f"NaN or infinity, first on rank {ranks}, {first.text}"
        self._model._non_finite_origin = text
        if self._strategy.rank == 0:
            warnings.warn(f"step {self._steps}: {text}", RuntimeWarning, stacklevel=5)

    # --- finding the place

    def _find(self, data: Any, share: float, state: tuple[int, int, int]) -> Finding:
        """Run the step again from the weights that it began with; all ranks do, for layers may wait for each other."""
        replica = StrategyReplica(self._strategy, Tensor(np.array(share, np.float32)), Tensor(np.array(state)))
        with self._as_before(), context.on_replica(replica), self._model._trainable_as_compiled():
            x, y, sample_weight = steps.unpack(_nest.map_structure(_as_tensor, data))
            for name, leaves in (("inputs", x), ("targets", y), ("sample weights", sample_weight)):
                if not _are_finite(_nest.flatten(leaves)):
                    return Finding(-1, f"in the {name} of the batch")
            return self._look_at_layers(x, y, sample_weight)

    @contextlib.contextmanager
    def _as_before(self) -> Iterator[None]:
        """Weights and metrics as before the step inside, as they are now afterwards."""
        now = [(variable, variable._array.copy()) for variable in self._model.weights]
        now += [(v, v._array.copy()) for metric in self._model._step_metrics for v in metric.weights]
        _restore(self._copies)
        try:
            yield
        finally:
            _restore(now)

    def _look_at_layers(self, x: Any, y: Any, sample_weight: Any) -> Finding:
        model, watcher = self._model, _Watcher()
        with GradientTape() as tape, watcher:
            y_pred = model(x, training=True)
            loss = model.compiled_loss(y, y_pred, sample_weight, regularization_losses=model.losses)
        if watcher.finding:
            return watcher.finding
        if not _are_finite([loss]):
            return Finding(watcher.calls, "in the loss, computed from finite outputs")
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        # Backward begins at the last layer.
        for order, (gradient, variable) in enumerate(reversed(list(zip(gradients, variables, strict=True)))):
            values = getattr(gradient, "values", gradient)
            if values is not None and not _are_finite([values]):
                return Finding(watcher.calls + 1 + order, f"in the gradient of {variable.name!r}; the loss is finite")
        return _FOUND_NOTHING


class _Watcher:
    """Sees the layers' calls inside of a `with` block, and keeps the first that made a number that is not finite."""

    def __init__(self) -> None:
        self.finding: Finding | None = None
        self.calls = 0

    def __enter__(self) -> _Watcher:
        call_context.watcher = self._see
        return self

    def __exit__(self, *error: Any) -> None:
        call_context.watcher = None

    def _see(self, layer: Any, outputs: Any) -> None:
        self.calls += 1
        if self.finding is None and not _are_finite(_nest.flatten(outputs)):
            bad = [weight.name for weight in layer.weights if not _are_finite([weight._array])]
            why = f", whose weights {bad} are not finite" if bad else ""
            self.finding = Finding(self.calls, f"in the output of layer {layer.name!r} ({type(layer).__name__}){why}")


def inspection(model: Any, kind: str) -> Inspection | None:
    """What is to run beside the steps of a kind, by the settings; None where nobody debugs."""
    settings = _settings.current()
    return Inspection(model, settings.debug_every) if settings.debug and kind == "train" else None


def _restore(copies: list[tuple[Any, np.ndarray]]) -> None:
    for variable, values in copies:
        variable.assign(values)


def _as_tensor(leaf: Any) -> Tensor | None:
    return None if leaf is None else to_tensor(leaf)


def _are_finite(leaves: Sequence[Any]) -> bool:
    arrays = (np.asarray(getattr(leaf, "_array", leaf)) for leaf in leaves if leaf is not None)
    return all(np.isfinite(array).all() for array in arrays if array.dtype.kind in "fc")
