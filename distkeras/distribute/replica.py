"""A rank of a strategy inside a step: what layers, losses and metrics ask of the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from distkeras import _nest
from distkeras.core import context
from distkeras.core.primitive import PRIMITIVES, bind
from distkeras.core.tensor import to_tensor
from distkeras.distribute.moments import merge_moments

if TYPE_CHECKING:
    from distkeras.distribute.strategies import Strategy


class StrategyReplica(context.Replica):
    """A rank of a strategy inside a step."""

    def __init__(self, strategy: Strategy, share: Any = None, state: Any = None) -> None:
        super().__init__(share, state)
        self.strategy = strategy
        self.num_replicas_in_sync = strategy.num_replicas_in_sync
        self.replica_id_in_sync_group = strategy.replicas.rank
        self._communicator = strategy.replicas

    def allreduce(self, array: np.ndarray) -> None:
        self._communicator.allreduce_(array, "sums over the batch")

    def merge_moments(self, parts: np.ndarray) -> np.ndarray:
        """Merged around the common mean by two small sums, whose cost grows with the logarithm of the ranks' number."""
        mine = merge_moments(parts)
        count, mean, spread = np.split(mine, [1, 1 + mine.size // 2])
        sums = np.concatenate([count, count * mean])
        self._communicator.allreduce_(sums, "moments over the batch")
        center = sums[1:] / max(sums[0], 1.0)
        spread = spread + count * np.square(mean - center)
        self._communicator.allreduce_(spread, "moments over the batch")
        return np.concatenate([sums[:1], center, spread])

    def sum_parts(self, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total = parts[0].copy()
        self.allreduce(total)
        return total, parts[0]

    def all_reduce(self, reduce_op: Any, value: Any, experimental_hints: Any = None) -> Any:
        """The sum ('SUM') or mean ('MEAN') over all ranks of each tensor of a structure, on every rank.

        `experimental_hints` says how to pack what is sent; it changes nothing here.

        Raises:
            ValueError: The operation is another one.
        """
        kind = kind_of(reduce_op)

        def reduced(leaf: Any) -> Any:
            total = bind(PRIMITIVES["sum_over_replicas"], to_tensor(leaf), replica=self)
            return total / self.num_replicas_in_sync if kind == "MEAN" else total

        return _nest.map_structure(reduced, value)

    def merge_call(self, merge_fn: Callable, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Call `merge_fn(strategy, *args, **kwargs)`: every rank makes the call for its own values."""
        return merge_fn(self.strategy, *args, **(kwargs or {}))


def kind_of(reduce_op: Any) -> str:
    """'SUM' or 'MEAN', from one of these or a `tf.distribute.ReduceOp`.

    Raises:
        ValueError: It is another operation.
    """
    kind = str(getattr(reduce_op, "name", reduce_op)).upper()
    if kind not in ("SUM", "MEAN"):
        raise ValueError(f"reduce_op must be 'SUM' or 'MEAN', received {reduce_op!r}.")
    return kind
