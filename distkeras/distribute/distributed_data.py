"""Data that is not Keras' to share out: datasets that a user hands to a strategy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from distkeras import _nest
from distkeras.core.tensor import to_tensor


class InputContext:
    """Which part of the data a rank should read."""

    def __init__(self, num_input_pipelines: int, input_pipeline_id: int, num_replicas_in_sync: int) -> None:
        self.num_input_pipelines = num_input_pipelines
        self.input_pipeline_id = input_pipeline_id
        self.num_replicas_in_sync = num_replicas_in_sync

    def get_per_replica_batch_size(self, global_batch_size: int) -> int:
        """The batch size of each rank; ValueError unless the ranks divide the global one."""
        if global_batch_size % self.num_replicas_in_sync:
            raise ValueError(
                f"The global_batch_size {global_batch_size} is not divisible by num_replicas_in_sync "
                f"{self.num_replicas_in_sync}."
            )
        return global_batch_size // self.num_replicas_in_sync


class DistributedBatches:
    """This rank's slice of each global batch that `dataset` yields."""

    def __init__(self, dataset: Any, strategy: Any) -> None:
        self._dataset = dataset
        self._strategy = strategy

    def __len__(self) -> int:
        return len(self._dataset)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._dataset:
            part = slice(*self._strategy.rows_of_rank(len(_nest.flatten(batch)[0])))
            yield _nest.map_structure(lambda leaf, part=part: to_tensor(leaf)[part], batch)
