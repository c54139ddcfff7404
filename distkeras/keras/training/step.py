"""The mathematics of one step on a rank's slice of a global batch. It is run op by op, or traced into a plan.

N ranks give what one gives because of two rules. The loss that is differentiated is the slice's mean times its share of
the global batch, so that gradients *summed* over ranks are those of the global batch's mean. And metrics are never
averaged: their states are summed over the ranks, and the result is taken from the sum.
"""

from __future__ import annotations

from typing import Any

from distkeras import _nest, ops
from distkeras.core import context
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import Tensor, to_tensor


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
        loss = _share_of_loss(model, y, y_pred, sample_weight)
    variables = model.trainable_variables
    model.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    model.compiled.update_metrics(y, y_pred, sample_weight)
    return results(model)


def test_step(model: Any, data: Any) -> dict[str, Tensor]:
    """Forward and loss; arguments and result as for `train_step`."""
    x, y, sample_weight = unpack(data)
    y_pred = model(x, training=False)
    _share_of_loss(model, y, y_pred, sample_weight)
    model.compiled.update_metrics(y, y_pred, sample_weight)
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


def results(model: Any) -> dict[str, Tensor]:
    """The model's metrics so far, by name."""
    return {metric.name: metric.result() for metric in model.step_metrics}


def _share_of_loss(model: Any, y: Any, y_pred: Any, sample_weight: Any) -> Tensor:
    """This rank's part of the global batch's loss; the running loss sees the slice's own mean."""
    parts = model.compiled.total_loss(y, y_pred, sample_weight, model.losses)
    share = context.state.replica.share
    rows = _nest.flatten(y_pred)[0].shape[0]
    if share is None:
        model.loss_tracker.update_state(parts.mean_part + parts.sum_part, sample_weight=float(rows))
        return parts.mean_part + parts.sum_part
    share = ops.cast(share, parts.mean_part.dtype)
    if not rows:
        # A mean over no rows is NaN, which zero times does not make zero. The loss stays connected to the weights, so
        # that this rank takes part in the collectives of the backward pass.
        nothing = ops.where(share > 0, parts.mean_part, 0.0)
        parts = parts._replace(mean_part=nothing)
    local = parts.mean_part + ops.divide_no_nan(parts.sum_part, share)
    model.loss_tracker.update_state(local, sample_weight=float(rows))
    return parts.mean_part * share + parts.sum_part


def merge(strategy: Any, metrics: Any, logs: dict[str, Any]) -> dict[str, Tensor]:
    """Logs for the global batch: metrics from states summed over ranks, other numbers weighted by each rank's share.

    Args:
        strategy: Whose ranks to merge over.
        metrics: The metric objects that may be meant in `logs`.
        logs: What a step returned on this rank.
    """
    by_name = {metric.name: metric for metric in metrics}
    used = [by_name[name] for name in logs if name in by_name]
    place = strategy.rank, strategy.num_replicas_in_sync
    states = {v: metric.part_of_state(v, *place) for metric in used if metric.merge == "sum" for v in metric.weights}
    merged = dict(zip(states, strategy.all_sum(list(states.values())), strict=True))
    with context.reading(merged):
        totals = {metric.name: to_tensor(metric.result()) for metric in used}
    others = {name: _shared(to_tensor(value)) for name, value in logs.items() if name not in totals}
    totals.update(zip(others, strategy.all_sum(list(others.values())), strict=True))
    return {name: totals[name] for name in logs}


def _shared(value: Tensor) -> Tensor:
    share = context.state.replica.share
    value = ops.cast(value, "float32")
    return value if share is None else value * share
