"""The strategies over all ranks of a job, which scripts choose by TensorFlow's names."""

from __future__ import annotations

import warnings
from typing import Any

from distkeras.core import random_state
from distkeras.distribute.mpi import world
from distkeras.distribute.strategies import Strategy


class _MpiStrategy(Strategy):
    """All ranks that the launcher started; a process that runs alone is a job of one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(world(), **options)
        random_state.rank_zero_seed(self.communicator)


class MirroredStrategy(_MpiStrategy):
    """Data-parallel training over all ranks of the job: gradients are summed, every rank holds the same weights.

    Args:
        devices, cross_device_ops: Accepted for TensorFlow's sake; the launcher decides how many ranks there are, and
            the MPI library how they reduce.
        **options: `deterministic`, whether weights after training are the same bits for any number of ranks;
            `compression`, 'float16' to sum gradients with half the bytes; `shard`, 'stride' to deal whole batches of
            a Sequence to the ranks in turn; `local_steps`, how many steps ranks take between averages of their weights.
            `shard_optimizer_state`, True to keep an N-th of the optimizer's state on each of N ranks. See `Strategy`.

    >>> import distkeras as tf
    >>> strategy = tf.distribute.MirroredStrategy()
    >>> strategy.num_replicas_in_sync
    1
    """

    def __init__(self, devices: Any = None, cross_device_ops: Any = None, **options: Any) -> None:
        super().__init__(**options)
        if devices is not None and len(devices) != self.communicator.size:
            warnings.warn(
                f"MirroredStrategy(devices={devices!r}): the launcher started {self.communicator.size} rank(s), and "
                f"that is what is used. Start the script with `distkeras run -n {len(devices)}` for as many "
                "replicas.",
                stacklevel=2,
            )


class MultiWorkerMirroredStrategy(_MpiStrategy):
    """The same as `MirroredStrategy`: ranks may be on one node or many.

    Args:
        communication: Accepted for TensorFlow's sake: the MPI library chooses the algorithm.
        **options: As for `MirroredStrategy`.
    """

    def __init__(self, communication: Any = None, cluster_resolver: Any = None, **options: Any) -> None:
        super().__init__(**options)
