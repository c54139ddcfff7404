"""Windows of a time series, batch by batch."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from distkeras.core.random_state import global_seed, new_stream
from distkeras.data.sequence import Sequence


class TimeseriesGenerator(Sequence):
    """Windows of the data, each with the target that follows it.

    Window i ends before step e = start_index + length + i * stride and holds the steps e - length, e - length +
    sampling_rate, ...; its target is targets[e].

    Args:
        data: Steps along the first axis.
        targets: As long as the data.
        length: Steps that a window spans.
        sampling_rate: Distance of the steps in a window.
        stride: Distance of windows.
        start_index: The first step that is used.
        end_index: The last step that is used.
        shuffle: Whether batches are drawn at random, with repetition, instead of in order.
        reverse: Whether windows run backwards in time.
        batch_size: Windows in a batch.

    >>> import numpy as np
    >>> windows = TimeseriesGenerator(np.arange(6), np.arange(6), length=3, batch_size=2)
    >>> x, y = windows[0]
    >>> x.tolist(), y.tolist(), len(windows)
    ([[0, 1, 2], [1, 2, 3]], [3, 4], 2)
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
    ) -> None:
        if len(data) != len(targets):
            raise ValueError(
                f"Data and targets have to be of same length. Data length is {len(data)} while target length is "
                f"{len(targets)}."
            )
        self.data = data
        self.targets = targets
        self.length = length
        self.sampling_rate = sampling_rate
        self.stride = stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle = shuffle
        self.reverse = reverse
        self.batch_size = batch_size
        self._stream = new_stream()
        self._epoch = 0
        if self.start_index > self.end_index:
            raise ValueError(
                f"`start_index+length={self.start_index} > end_index={self.end_index}` is disallowed, as no part of "
                "the sequence would be left to be used as current step."
            )

    def __len__(self) -> int:
        span = self.batch_size * self.stride
        return (self.end_index - self.start_index + span) // span

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        samples = np.array([self._window(row) for row in self._rows(index)])
        targets = np.array([self.targets[row] for row in self._rows(index)])
        return (samples[:, ::-1, ...] if self.reverse else samples), targets

    def on_epoch_end(self) -> None:
        self._epoch += 1

    def _rows(self, index: int) -> np.ndarray:
        """The steps that the windows of a batch end before: a function of seed, epoch and batch if they are drawn."""
        if self.shuffle:
            key = np.random.SeedSequence([global_seed(), self._stream, self._epoch, index])
            generator = np.random.Generator(np.random.Philox(key))
            return generator.integers(self.start_index, self.end_index + 1, self.batch_size)
        first = self.start_index + self.batch_size * self.stride * index
        return np.arange(first, min(first + self.batch_size * self.stride, self.end_index + 1), self.stride)

    def _window(self, end: int) -> Any:
        return self.data[end - self.length : end : self.sampling_rate]

    def get_config(self) -> dict[str, Any]:
        """The arguments, with data and targets as JSON text."""
        return {
            "data": _as_json(self.data),
            "targets": _as_json(self.targets),
            "length": self.length,
            "sampling_rate": self.sampling_rate,
            "stride": self.stride,
            "start_index": self.start_index,
            "end_index": self.end_index,
            "shuffle": self.shuffle,
            "reverse": self.reverse,
            "batch_size": self.batch_size,
        }

    def to_json(self, **kwargs: Any) -> str:
        """The class's name and `get_config`, as JSON; `kwargs` go to `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def _as_json(values: Any) -> str:
    return json.dumps(values.tolist() if isinstance(values, np.ndarray) else values)
