"""How well predicted regions cover those wanted."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras import ops
from distkeras._errors import InvalidArgumentError
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.keras.metrics.base import METRICS, Metric


@METRICS.register()
class MeanIoU(Metric):
    """Intersection over union of predicted and wanted elements, averaged over the classes that occur.

    Args:
        num_classes: The number of classes.
        name: The metric's name.
        dtype: The element type of its state.

    Raises:
        ValueError: There is no class, or (when run step by step) a label is not in [0, num_classes).

    >>> import distkeras as tf
    >>> round(float(tf.keras.metrics.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(self, num_classes: int, name: str | None = None, dtype: Any = None) -> None:
        if not (isinstance(num_classes, (int, np.integer)) and num_classes >= 1):
            raise ValueError(f"MeanIoU: num_classes must be an integer of at least 1, received {num_classes!r}.")
        super().__init__(name=name, dtype=dtype)
        self.num_classes = num_classes
        self.total_cm = self.add_weight("total_confusion_matrix", (num_classes, num_classes))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add integer labels and predicted labels of one shape; weights are broadcast to them."""
        y_pred = to_tensor(y_pred)
        rows, columns = self._one_hot(y_true), self._one_hot(y_pred)
        if rows.shape != columns.shape:
            raise ValueError(
                f"MeanIoU: expected as many labels as predicted labels, received {rows.shape[0]} and "
                f"{columns.shape[0]}."
            )
        if sample_weight is not None:
            weights = ops.broadcast_to(self.cast(sample_weight), y_pred.shape)
            columns = columns * ops.reshape(weights, [-1, 1])
        self.total_cm.assign_add(ops.matmul(rows, columns, transpose_a=True))

    def _one_hot(self, labels: Any) -> Tensor:
        flat = ops.reshape(ops.cast(to_tensor(labels), "int64"), [-1])
        if not isinstance(flat, SymbolicTensor):
            array = flat.numpy()
            if array.size and not (array.min() >= 0 and array.max() < self.num_classes):
                raise InvalidArgumentError(
                    f"MeanIoU: labels must be in [0, {self.num_classes}), received values from {array.min()} to "
                    f"{array.max()}."
                )
        return ops.one_hot(flat, self.num_classes, dtype=self.dtype)

    def result(self) -> Tensor:
        """The mean over classes so far."""
        matrix = self.total_cm.value()
        hits = ops.reduce_sum(matrix * ops.eye(self.num_classes, dtype=matrix.dtype), axis=0)
        union = ops.reduce_sum(matrix, axis=0) + ops.reduce_sum(matrix, axis=1) - hits
        occurring = ops.reduce_sum(ops.cast(ops.not_equal(union, 0.0), matrix.dtype))
        return ops.divide_no_nan(ops.reduce_sum(ops.divide_no_nan(hits, union)), occurring)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
