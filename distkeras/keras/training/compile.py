"""What a model was compiled with: losses, their weights, and metrics, for each of its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras import _nest, ops
from distkeras.core import context
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.data.standardize import Slot
from distkeras.keras import losses, metrics
from distkeras.keras.training import resolve
from distkeras.keras.training.targets import check_classes, check_target

# What steps call the loss of one batch in their logs, where 'loss' is the running mean.
BATCH_LOSS = "loss_of_batch"


class LossParts(NamedTuple):
    """The loss of a slice of the global batch, by how slices add up to the whole.

    Attributes:
        mean_part: What is a mean over the slice (and terms that do not depend on the data): to be multiplied by the
            slice's share of the global batch.
        sum_part: What is a sum over samples, which slices simply add to.
    """

    mean_part: Tensor
    sum_part: Tensor


class BatchLoss(metrics.Mean):
    """The loss of the last batch alone."""

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        self.reset_states()
        super().update_state(values, sample_weight)


class LossTracker(metrics.Mean):
    """The running loss: the mean over batches, each weighted by its size.

    In double precision, because an epoch may have very many batches.

    Attributes:
        batch_loss: A metric that keeps the last batch's loss.
    """

    def __init__(self) -> None:
        super().__init__(name="loss", dtype="float64")
        self.batch_loss = BatchLoss(name=BATCH_LOSS)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        super().update_state(values, sample_weight)
        self.batch_loss.update_state(values, sample_weight)


class Compiled:
    """The arguments of `Model.compile`, resolved.

    A model built by subclassing has no outputs before it has seen data: until `bind` only what does not depend on
    outputs has been checked.

    Args:
        loss: Name, function or `losses.Loss`; or a list or dict by output of these.
        metrics: List of names, functions or `metrics.Metric`; or a list of lists, or a dict by output.
        loss_weights: List or dict by output of numbers.
        sample_weight_mode: None, 'temporal', or a list or dict by output of these.
        weighted_metrics: As `metrics`, but weighted by sample and class weights.
        target_tensors: Targets that need not be given with the data: a tensor, or a list or dict by output of tensors.
        has_own_steps: Whether the model's own steps compute the loss: then metrics need none that is compiled.

    Raises:
        ValueError: Something is unknown.
        TypeError: Something has a form that cannot be understood.
    """

    def __init__(
        self,
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        sample_weight_mode: Any = None,
        weighted_metrics: Any = None,
        target_tensors: Any = None,
        has_own_steps: bool = False,
    ) -> None:
        self._has_own_steps = has_own_steps
        resolve.check_target_tensors(target_tensors)
        self._target_tensors = target_tensors
        self._given = {
            "loss": loss,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "sample_weight_mode": sample_weight_mode,
            "loss_weights": loss_weights,
        }
        for identifier in _nest.flatten(loss) if not _is_loss_config(loss) else [loss]:
            resolve.loss_object(identifier)
        resolve.check_metrics(metrics)
        resolve.check_metrics(weighted_metrics)
        for mode in _nest.flatten(sample_weight_mode):
            resolve.check_mode(mode)
        self.is_bound = False
        self.computed: list = []  # of the running step: this rank's parts of the losses
        self.output_names: list[str] = []
        self.losses: list = []
        self.loss_weights: list[float] = []
        self.weight_modes: list[str | None] = []
        self.target_tensors: dict[str, Any] = {}
        self.loss_tracker = LossTracker()
        self.output_losses: list = []
        self.metrics: list = []
        self._shapes: list = []
        self._classes: list = []
        self._updates: list[tuple[int, Any, bool]] = []

    def get_config(self) -> dict[str, Any]:
        """The arguments as they were given."""
        return dict(self._given)

    # --- outputs

    @property
    def depends_on_outputs(self) -> bool:
        """Whether there is anything to be resolved for each output."""
        return any(self._given[key] for key in ("loss", "metrics", "weighted_metrics"))

    def bind(self, output_names: Sequence[str], output_shapes: Sequence) -> None:
        """Resolve the arguments for these outputs.

        Args:
            output_names: The outputs' names.
            output_shapes: Their shapes, None where a size is open.
        """
        given = self._given
        self.output_names, self._shapes = list(output_names), [tuple(shape) for shape in output_shapes]
        self.losses = resolve.losses_by_output(given["loss"], self.output_names)
        for loss in self.losses:
            if isinstance(loss, losses.Loss):
                loss.is_compiled = True
        self.loss_weights = resolve.weights_by_output(given["loss_weights"], self.output_names)
        self.weight_modes = resolve.modes_by_output(given["sample_weight_mode"], self.output_names, self.losses)
        self.target_tensors = resolve.target_tensors_by_output(self._target_tensors, self.output_names)
        plain, weighted = (
            resolve.metrics_by_output(given[key], self.output_names, self._shapes, self.losses)
            for key in ("metrics", "weighted_metrics")
        )
        self.output_losses = self._new_output_losses()
        self.metrics, self._updates = [], []
        for index in self.measured:
            for weigh, by_name in ((False, plain[index]), (True, weighted[index])):
                for name, metric in by_name.items():
                    self._add_metric(index, name, metric, weigh)
        # For each target how many classes it may name, None where that is open, and what messages call it.
        self._classes = [
            (self._shapes[i][-1] if resolve.is_sparse_categorical(self.losses[i]) else None, self.output_names[i])
            for i in self.trained
        ]
        self.is_bound = True

    @property
    def trained(self) -> list[int]:
        """Indices of the outputs that have a loss; the others take no targets and have no metrics."""
        return [index for index, loss in enumerate(self.losses) if loss is not None]

    @property
    def measured(self) -> list[int]:
        """Indices of the outputs that have metrics: those that have a loss, or all where own steps make do without."""
        return self.trained or (list(range(len(self.output_names))) if self._has_own_steps else [])

    def _new_output_losses(self) -> list:
        """Each output's mean loss is reported where there are several."""
        if len(self.output_names) == 1:
            return []
        return [metrics.Mean(name=f"{self.output_names[index]}_loss") for index in self.trained]

    def _add_metric(self, index: int, name: str, metric: Any, weigh: bool) -> None:
        if len(self.output_names) > 1:
            name = f"{self.output_names[index]}_{name}"
        unique, count = name, 0
        while unique in self.metrics_names:
            count += 1
            unique = f"{name}_{count}"
        metric._name = unique
        self.metrics.append(metric)
        self._updates.append((index, metric, weigh))

    @property
    def metrics_names(self) -> list[str]:
        """'loss', each output's loss where there are several, then the metrics."""
        return ["loss", *(metric.name for metric in [*self.output_losses, *self.metrics])]

    @property
    def state(self) -> list:
        """The metric objects that hold running values: the loss, the last batch's, the outputs' losses, the metrics."""
        return [self.loss_tracker, self.loss_tracker.batch_loss, *self.output_losses, *self.metrics]

    def reset_states(self) -> None:
        """Set all running values to their start."""
        for metric in self.state:
            metric.reset_states()

    # --- targets

    @property
    def target_slots(self) -> tuple[Slot, ...]:
        """The outputs that targets are needed for; their shapes are checked by `check_targets`, knowing the loss."""
        return tuple(
            Slot(self.output_names[index], (None,) if len(self._shapes[index]) == 1 else None) for index in self.trained
        )

    def targets_with_tensors(self, y: Any) -> Any:
        """Targets as they were given, with the tensors of `compile` in the places of those that were not."""
        if self._target_tensors is None or not self.is_bound:
            return self._target_tensors if y is None else y
        names = [self.output_names[index] for index in self.trained]
        missing = [name for name in names if name not in self.target_tensors]
        if y is None:
            y = {}
        elif not isinstance(y, Mapping):
            values = y if isinstance(y, (list, tuple)) and len(y) == len(missing) else [y]
            if len(values) != len(missing):
                return y
            y = dict(zip(missing, values, strict=True))
        return {name: value for name, value in self.target_tensors.items() if name in names} | dict(y)

    def check_targets(self, targets: Sequence) -> None:
        """Raise ValueError unless targets have shapes that their losses can take.

        Args:
            targets: Arrays of shape (samples, ...), one for each output that has a loss.
        """
        for index, target in zip(self.trained, targets, strict=True):
            loss, shape, name = self.losses[index], self._shapes[index], self.output_names[index]
            check_target(loss, tuple(target.shape), shape, name)
        self.check_classes(targets)

    def check_classes(self, targets: Sequence) -> None:
        """Raise ValueError if targets of shapes that fit have values that their losses cannot take."""
        # A step of one's own may take more targets, or fewer.
        for (count, name), target in zip(self._classes, targets, strict=False):
            if count is not None and isinstance(target, np.ndarray):
                check_classes(target, count, name)

    # --- computation

    def total_loss(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Sequence[Tensor] = ()
    ) -> LossParts:
        """The loss to be minimized, of this rank's slice; also updates the means of the outputs' losses.

        Args:
            y_true: Targets of the outputs that have a loss, in a list or alone.
            y_pred: The model's outputs.
            sample_weight: Weights in the structure of `y_true`, None where there are none.
            regularization_losses: Scalars to be added, once for all ranks.

        Raises:
            ValueError: There is nothing to minimize, or the numbers of targets and outputs differ.
        """
        pairs = self._pairs(self.trained, y_true, y_pred, sample_weight)
        if not pairs and not regularization_losses:
            raise ValueError(
                "The model cannot be trained because it has no loss to optimize: pass `loss` to compile(), or add one "
                "with add_loss()."
            )
        mean_part = sum_part = None
        for position, (index, target, output, weight) in enumerate(pairs):
            loss = self.losses[index]
            value = loss(target, output, sample_weight=_masked(weight, output))
            is_sum = getattr(loss, "reduction", None) in (losses.Reduction.SUM, losses.Reduction.NONE)
            if is_sum and value.ndim:
                value = ops.reduce_sum(value)
            if self.output_losses:
                _update_output_loss(self.output_losses[position], value, output.shape[0], is_sum)
            value = value if self.loss_weights[index] == 1.0 else value * self.loss_weights[index]
            if is_sum:
                sum_part = value if sum_part is None else sum_part + value
            else:
                mean_part = value if mean_part is None else mean_part + value
        for value in regularization_losses:
            mean_part = value if mean_part is None else mean_part + ops.cast(value, mean_part.dtype)
        zero = ops.zeros([], (sum_part if mean_part is None else mean_part).dtype)
        return LossParts(zero if mean_part is None else mean_part, zero if sum_part is None else sum_part)

    def update_metrics(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Let the metrics see a batch: arguments as for `total_loss`."""
        if not self._updates:
            return
        by_output = {index: rest for index, *rest in self._pairs(self.measured, y_true, y_pred, sample_weight)}
        for index, metric, weigh in self._updates:
            target, output, weight = by_output[index]
            metric.update_state(target, output, sample_weight=_masked(weight if weigh else None, output))

    def _pairs(
        self, indices: list[int], y_true: Any, y_pred: Any, sample_weight: Any
    ) -> list[tuple[int, Tensor, Tensor, Any]]:
        """(output's index, target, prediction, weight) of some outputs, which the targets are for."""
        outputs = _nest.flatten(y_pred)
        if len(outputs) != len(self.output_names):
            raise ValueError(
                f"The model gave {len(outputs)} outputs, but was compiled for {len(self.output_names)}: "
                f"{self.output_names}. Compile it again if it has changed."
            )
        if not indices:
            return []
        targets = _nest.flatten(y_true)
        weights = [None] * len(targets) if sample_weight is None else _nest.flatten(sample_weight)
        if not len(targets) == len(weights) == len(indices):
            raise ValueError(
                f"Expected targets for the outputs {[self.output_names[index] for index in indices]}, received "
                f"{len(targets)} targets and {len(weights)} sample weights."
            )
        return [
            (index, to_tensor(target), to_tensor(outputs[index]), None if weight is None else to_tensor(weight))
            for index, target, weight in zip(indices, targets, weights, strict=True)
        ]


def _is_loss_config(loss: Any) -> bool:
    return isinstance(loss, dict) and set(loss) >= {"class_name", "config"}


def _masked(weight: Tensor | None, output: Tensor) -> Tensor | None:
    """Weights times the mask that the output carries."""
    mask = getattr(output, "_keras_mask", None)
    if mask is None:
        return weight
    mask = ops.cast(mask, output.dtype)
    if weight is None:
        return mask
    weight = ops.cast(weight, output.dtype)
    for _ in range(mask.ndim - weight.ndim):
        weight = ops.expand_dims(weight, -1)
    for _ in range(weight.ndim - mask.ndim):
        mask = ops.expand_dims(mask, -1)
    return weight * mask


def _update_output_loss(metric: Any, value: Tensor, local_size: int, is_sum: bool) -> None:
    """Average an output's loss over batches, each weighted by its size.

    A sum over the slice counts for the whole global batch, a mean over the slice for the slice's rows only.
    """
    if not local_size:
        return
    share = context.state.replica.share
    if is_sum and share is not None:
        value = ops.divide_no_nan(value, ops.cast(share, value.dtype))
    metric.update_state(value, sample_weight=float(local_size))
