"""The mathematics of one step on a rank's slice of a global batch. It is run op by op, or traced into a plan.

N ranks give what one gives because of two rules. The loss that is differentiated is the slice's mean times its share of
the global batch, so that gradients *summed* over ranks are those of the global batch's mean. And metrics are never
averaged: their states are summed over the ranks, and the result is taken from the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras import _nest, ops
from distkeras.core import context
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.keras.layers.contributions import metric_of
from distkeras.keras.metrics.base import state_parts

ASKED = "asked to stop"
STATE = "state after merging "


def train_step(model: Any, data: Any) -> dict[str, Tensor]:
    """Forward, loss, backward, update.

    Args:
        model: A compiled model.
        data: (x, y, sample_weight), or a shorter tuple, holding this rank's rows.

    Returns:
        The running loss and metrics since they were last reset, by name.
    """
    x, y, sample_weight = unpack(data)
    with GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = model.compiled_loss(y, y_pred, sample_weight, regularization_losses=model.losses)
    model.optimizer.minimize(loss, model.trainable_variables, tape=tape)
    model.compiled_metrics.update_state(y, y_pred, sample_weight)
    return results(model)


def test_step(model: Any, data: Any) -> dict[str, Tensor]:
    """Forward and loss; arguments and result as for `train_step`."""
    x, y, sample_weight = unpack(data)
    y_pred = model(x, training=False)
    model.compiled_loss(y, y_pred, sample_weight, regularization_losses=model.losses)
    model.compiled_metrics.update_state(y, y_pred, sample_weight)
    return results(model)


def predict_step(model: Any, data: Any) -> Any:
    """The model's outputs for x."""
    return model(unpack(data)[0], training=False)


def unpack(data: Any) -> tuple[Any, Any, Any]:
    """x, y, sample_weight from a tuple that may leave out the last ones."""
    if not isinstance(data, tuple):
        data = (data,)
    if not 1 <= len(data) <= 3:
        raise ValueError(f"Expected data as (x,), (x, y) or (x, y, sample_weight), received a tuple of {len(data)}.")
    return (*data, *(None,) * (3 - len(data)))


def packed(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What `train_step` is given: (x, y, sample_weight) without what there is none of; x alone if that is a tensor."""
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if _nest.is_nested(x) else x


def results(model: Any) -> dict[str, Tensor]:
    """The model's metrics so far, by name."""
    return {metric.name: metric.result() for metric in model._step_metrics}


def with_loss(compiled: Any, logs: dict[str, Any]) -> dict[str, Any]:
    """Logs of a step of one's own, with the running loss put first if the step used it and did not report it."""
    if compiled.computed and compiled.loss_tracker.name not in logs:
        return {**{metric.name: metric.result() for metric in compiled.state[:2]}, **logs}
    return logs


def merge(
    strategy: Any, logs: dict[str, Any], asked: Tensor, wanted: Sequence[Any] = (), parts: Sequence[Tensor] = ()
) -> dict[str, Tensor]:
    """Logs for the global batch: metrics from states summed over ranks, other numbers averaged by the ranks' shares.

    Args:
        strategy: Whose ranks to merge over.
        logs: What a step returned on this rank.
        asked: 1 if this rank was asked to stop, else 0; the sum over the ranks is added to the logs as `ASKED`, in the
            message that the metrics need anyway.
        wanted: Metrics whose merged state is to be added too: see `merged_variables`.
        parts: Values that are this rank's part of a number already, and are summed.
    """
    by_name = {name: metric for name, value in logs.items() if (metric := metric_of(value)) is not None}
    states = state_parts(dict.fromkeys([*by_name.values(), *wanted]), strategy)
    asked = ops.cast(asked, next(iter(states.values())).dtype) if states else asked
    *sums, asked = strategy.all_sum([*states.values(), asked])
    merged = dict(zip(states, sums, strict=True))
    with context.reading(merged):
        totals = {name: to_tensor(metric.result()) for name, metric in by_name.items()}
    others = {
        name: value if any(value is part for part in parts) else shared(to_tensor(value))
        for name, value in logs.items()
        if name not in totals
    }
    totals.update(zip(others, strategy.all_sum(list(others.values())), strict=True))
    after = {f"{STATE}{place}": merged[variable] for place, variable in enumerate(merged_variables(wanted))}
    return {**{name: totals[name] for name in logs}, ASKED: asked, **after}


def merged_variables(metrics: Sequence[Any]) -> list[Variable]:
    """The variables whose merged state `merge` adds to the logs, as `STATE` and a number from 0."""
    return [variable for metric in metrics if metric.merge == "sum" for variable in metric.weights]


def shared(value: Tensor) -> Tensor:
    """A number of this rank's slice, weighted by its share of the global batch."""
    share = context.state.replica.share
    value = ops.cast(value, "float32")
    return value if share is None else value * share
