"""What steps of one's own call: what was compiled, as `model.compiled_loss` and `model.compiled_metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distkeras import _nest, ops
from distkeras.core import context
from distkeras.core.tensor import Tensor
from distkeras.keras.training.compile import Compiled, LossParts


class CompiledLoss:
    """The loss that a model was compiled with, as a function of targets and outputs.

    Args:
        compiled: What the model was compiled with.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Sequence[Tensor] | None = None
    ) -> Tensor:
        """The loss to differentiate; the running loss that is logged sees it too.

        Args:
            y_true: Targets of the outputs that have a loss, this rank's rows.
            y_pred: The model's outputs.
            sample_weight: Weights in the structure of `y_true`, None for ones.
            regularization_losses: Scalars to be added, usually `model.losses`.

        Returns:
            A scalar: this rank's part of the global batch's loss, so that gradients add up over ranks.

        Raises:
            ValueError: There is nothing to minimize, or the numbers of targets and outputs differ.
        """
        parts = self._compiled.total_loss(y_true, y_pred, sample_weight, regularization_losses or ())
        rows = _nest.flatten(y_pred)[0].shape[0]
        share = context.state.replica.share
        if share is None:
            total = parts.mean_part + parts.sum_part
            self._compiled.loss_tracker.update_state(total, sample_weight=float(rows))
            return self._noted(total)
        share = ops.cast(share, parts.mean_part.dtype)
        if not rows:
            parts = _without_rows(parts, share)
        local = parts.mean_part + ops.divide_no_nan(parts.sum_part, share)
        self._compiled.loss_tracker.update_state(local, sample_weight=float(rows))
        return self._noted(parts.mean_part * share + parts.sum_part)

    def _noted(self, loss: Tensor) -> Tensor:
        self._compiled.computed.append(loss)
        return loss

    @property
    def metrics(self) -> list:
        """The running loss, and those of the outputs where there are several."""
        return [self._compiled.loss_tracker, *self._compiled.output_losses]


def _without_rows(parts: LossParts, share: Tensor) -> LossParts:
    """A mean over no rows is NaN, which zero times does not make zero.

    The loss stays connected to the weights, so that this rank takes part in the collectives of the backward pass.
    """
    return parts._replace(mean_part=ops.where(share > 0, parts.mean_part, 0.0))


class CompiledMetrics:
    """The metrics that a model was compiled with.

    Args:
        compiled: What the model was compiled with.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Let all metrics see a batch; arguments as for `CompiledLoss`."""
        self._compiled.update_metrics(y_true, y_pred, sample_weight)

    @property
    def metrics(self) -> list:
        """The metric objects."""
        return list(self._compiled.metrics)
