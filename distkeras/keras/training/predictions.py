"""Collecting the predictions of batch after batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.data.ragged import RaggedArray, joined_ragged


class Predictions:
    """Joins batches of predictions along their first axis.

    Args:
        num_samples: How many there will be, None if not known; if it is, they are written in place and exist once.

    >>> predictions = Predictions(3)
    >>> predictions.add([np.zeros((2, 1))])
    >>> predictions.add([np.ones((1, 1))])
    >>> predictions.result()[0].ravel().tolist()
    [0.0, 0.0, 1.0]
    """

    def __init__(self, num_samples: int | None = None) -> None:
        self._num_samples = num_samples
        self._structure: Any = None
        self._columns: list[_Column] = []

    def add(self, outputs: Any) -> None:
        """Add a batch: a structure of arrays, the same for all batches."""
        leaves = _nest.flatten(outputs)
        if not self._columns:
            self._structure = outputs
            self._columns = [_Column(self._num_samples) for _ in leaves]
        for column, leaf in zip(self._columns, leaves, strict=True):
            column.add(leaf if isinstance(leaf, RaggedArray) else np.asarray(leaf))

    def result(self) -> Any:
        """All predictions, in the structure of one batch."""
        return _nest.pack(self._structure, [column.result() for column in self._columns])


class _Column:
    def __init__(self, num_samples: int | None) -> None:
        self._num_samples = num_samples
        self._whole: np.ndarray | None = None
        self._filled = 0
        self._parts: list[Any] = []

    def add(self, part: np.ndarray | RaggedArray) -> None:
        if isinstance(part, RaggedArray):
            self._num_samples = None
            self._parts.append(part)
            return
        part = part if part.ndim else part.reshape(1)
        if self._num_samples is None:
            self._parts.append(np.array(part))
            return
        if self._whole is None:
            self._whole = np.empty((self._num_samples, *part.shape[1:]), part.dtype)
        stop = self._filled + part.shape[0]
        if part.shape[1:] != self._whole.shape[1:] or stop > self._num_samples:
            # Outputs that are not one row per sample, or of a length of their own per batch: join what there is.
            self._parts = [self._whole[: self._filled].copy(), np.array(part)]
            self._num_samples = self._whole = None
            return
        self._whole[self._filled : stop] = part
        self._filled = stop

    def result(self) -> np.ndarray | RaggedTensor:
        if self._num_samples is not None:
            return self._whole[: self._filled]
        if isinstance(self._parts[0], RaggedArray):
            return joined_ragged(self._parts).tensor()
        shapes = sorted({part.shape[1:] for part in self._parts})
        if len(shapes) > 1:
            raise ValueError(
                f"The predictions of the batches cannot be joined: apart from the samples they have shapes {shapes}. "
                "Use predict_on_batch, batch by batch."
            )
        return np.concatenate(self._parts)
