"""Strategies: how a model is trained by several ranks together. `with strategy.scope():` is all a script says.

Here is what a strategy does, and which is in force; those over the ranks of a job are in `distribute.mirrored`.

One process is the same code over a `SerialCommunicator`: nothing here or elsewhere asks whether there are ranks.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from distkeras import _nest, _settings
from distkeras.core import context
from distkeras.core.primitive import PRIMITIVES, bind
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.distribute import environment, timeline
from distkeras.distribute.agreement import agree
from distkeras.distribute.banner import banner, show
from distkeras.distribute.communicator import Communicator, SerialCommunicator
from distkeras.distribute.compression import Float16Sums, check_compression
from distkeras.distribute.distributed_data import DistributedBatches, InputContext
from distkeras.distribute.micro_shards import MicroShards, bounds
from distkeras.distribute.node import Node, Sharing
from distkeras.distribute.options import check_local_steps, check_shard, check_sharded_state, why_apart
from distkeras.distribute.reducers import GradientReducer, LocalReducer, NothingToReduce, SummedAlready, sum_over
from distkeras.distribute.replica import StrategyReplica, kind_of
from distkeras.distribute.sharded_state import ScatteredSums, ShardReducer, Shards
from distkeras.distribute.shared_arena import SharedReducer
from distkeras.distribute.summed_arena import SummedReducer


class Strategy:
    """A group of ranks that train one model on slices of each global batch.

    Args:
        communicator: How they talk; a process that runs alone uses a `SerialCommunicator`.
        deterministic: Whether training gives the same bits for any number of ranks; see `distribute.micro_shards`.
            The setting of that name by default.
        compression: 'float16' lets sums of float32 gradients travel as float16, see `distribute.compression`; 'none'
            leaves them as they are. The setting of that name by default.
        shard: How `keras.utils.Sequence`s are shared out. 'slice': each rank takes its rows of every batch. 'stride':
            whole batches are dealt to the ranks in turn, so that a step takes as many of them as there are ranks. The
            setting of that name by default.
        local_steps: With more than 1 ranks do not exchange gradients: each takes so many steps by itself, then weights
            and optimizer state are averaged over the ranks (local SGD). N ranks are then no longer one process.
        shard_optimizer_state: Whether each rank keeps a part of the optimizer's slots only, updates the weights they
            belong to, and gives them to the others (ZeRO, stage 1); see `distribute.sharded_state`.

    Attributes:
        communicator: The ranks.
        replicas: Those among which a model's mathematics is divided: the ranks. In deterministic mode there is one
            replica, which has the whole batch; how the ranks share its work is below what a step can see.
        micro_shards: How batches are cut in deterministic mode, None otherwise.
        shards: What the ranks have divided among them.

    Raises:
        ValueError: An option is not what it must be, or options do not go together.

    Source: Stich, "Local SGD converges fast and communicates little", 2019.
    """

    def __init__(
        self,
        communicator: Communicator,
        deterministic: bool | None = None,
        compression: str | None = None,
        shard: str | None = None,
        local_steps: int = 1,
        shard_optimizer_state: bool = False,
    ) -> None:
        self.communicator = communicator
        settings = _settings.current()
        self._compression = settings.compression if compression is None else compression
        self.shard = settings.shard if shard is None else shard
        deterministic = bool(settings.deterministic if deterministic is None else deterministic)
        check_shard(self.shard, deterministic, communicator.is_elastic)
        check_compression(self._compression, deterministic)
        check_local_steps(local_steps, self._compression, deterministic, communicator.is_elastic)
        check_sharded_state(
            shard_optimizer_state,
            {
                f"compression={self._compression!r}": self._compression != "none",
                f"local_steps={local_steps}": local_steps > 1,
                "deterministic=True": deterministic,
                "elastic ranks, for what a lost rank had nobody else has": communicator.is_elastic,
            },
        )
        self.replicas = communicator
        self.micro_shards: MicroShards | None = None
        if deterministic:
            self.replicas = SerialCommunicator()
            self.micro_shards = MicroShards(communicator, settings.micro_shards, self.node)
            environment.use_one_thread()
        alone = self.replicas.size == 1
        self.shards = Shards(communicator)
        self._scattered = ScatteredSums(communicator) if shard_optimizer_state and not alone else None
        self.local_steps = 1 if alone else local_steps
        self._of_gradients = self.replicas if alone or self._compression == "none" else Float16Sums(communicator)
        together = GradientReducer if local_steps == 1 else LocalReducer
        alone_by = SummedAlready if self.micro_shards else NothingToReduce
        self._reducer = alone_by if alone else together
        apart = why_apart(communicator, deterministic, local_steps, shard_optimizer_state)
        self._sharing = Sharing(communicator, settings.shared_arenas, apart)
        self._is_announced = communicator.size == 1  # a process alone has nothing to say

    @property
    def num_replicas_in_sync(self) -> int:
        """The number of replicas: of ranks, or 1 in deterministic mode."""
        return self.replicas.size

    @property
    def rank(self) -> int:
        return self.communicator.rank

    @contextlib.contextmanager
    def scope(self) -> Iterator[Strategy]:
        """Models, optimizers and metrics made inside belong to this strategy."""
        previous = _current.strategy
        _current.strategy = self
        try:
            yield self
        finally:
            _current.strategy = previous

    # --- steps of the user's own

    def run(self, fn: Callable, args: Any = (), kwargs: dict | None = None) -> Any:
        """Call `fn` on this rank, with its own slice of distributed values."""
        with context.on_replica(StrategyReplica(self)), timeline.current().span("step", "Strategy.run"):
            return fn(*args, **(kwargs or {}))

    experimental_run_v2 = run

    def reduce(self, reduce_op: Any, value: Any, axis: int | None = None) -> Any:
        """Combine each rank's `value`: 'SUM' or 'MEAN' over the ranks, and over `axis` of the values if given.

        Args:
            reduce_op: 'SUM', 'MEAN' or `tf.distribute.ReduceOp`.
            value: A tensor, or a structure of them; each rank gives its own.
            axis: Also reduce over this dimension; a mean then counts every element once, however they are distributed.
        """
        kind = kind_of(reduce_op)
        return _nest.map_structure(lambda leaf: self._reduce_leaf(kind, to_tensor(leaf), axis), value)

    def _reduce_leaf(self, kind: str, tensor: Tensor, axis: int | None) -> Tensor:
        count = 1
        if axis is not None:
            count = tensor.shape[axis]
            tensor = bind(PRIMITIVES["reduce_sum"], tensor, axes=(axis % tensor.ndim,), keepdims=False)
        (total,) = self.all_sum([tensor])
        if kind == "SUM":
            return total
        (counted,) = self.all_sum([to_tensor(np.array(count, total.dtype.numpy))])
        return total / counted

    def all_sum(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The sum of each tensor over all replicas; recorded when a function is being traced."""
        return sum_over(self.replicas, tensors, lambda: self._sharing.made)

    def sum_over_ranks(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """`all_sum` of what each rank has of its own in deterministic mode too, where there is one replica."""
        return sum_over(self.communicator, tensors, lambda: self._sharing.made)

    def gather(self, array: np.ndarray) -> np.ndarray:
        """The replicas' arrays one after the other along the first dimension, on every rank."""
        return np.concatenate(self.replicas.allgather(array, "results"))

    def write_timeline(self) -> None:
        """Write the file of the setting `timeline` and show the report: in a loop of one's own, as `fit` does it.

        All ranks must call it.

        Raises:
            ValueError: No timeline is recorded.
        """
        timeline.current().write(self.communicator)

    # --- what Keras asks of a strategy

    def allocate(self, count: int, dtype: Any) -> np.ndarray:
        """Zeroed memory for an arena."""
        return self.communicator.allocate(count, dtype)

    def gradient_reducer(self, flat: np.ndarray, boundaries: Sequence[int]) -> Any:
        """The reducer of a gradient arena; see `GradientBuckets` for the arguments.

        Raises:
            ValueError: Gradients are to be compressed, but are not float32.
        """
        if self._compression != "none" and flat.dtype != np.float32:
            raise ValueError(
                f"compression={self._compression!r} is for float32 gradients; these are {flat.dtype}, whose precision "
                "it would not keep. Leave compression out, or train in float32."
            )
        return self._reducer(self._of_gradients, flat, boundaries)

    def average_(self, array: np.ndarray) -> None:
        """Replace an array by its mean over the ranks."""
        self.communicator.allreduce_(array, "weights of local steps")
        array /= self.num_replicas_in_sync

    @property
    def shards_state(self) -> bool:
        """Whether ranks keep parts of optimizers' slots only."""
        return self._scattered is not None

    def shard_reducer(self, flat: np.ndarray, boundaries: Sequence[int], parameters: np.ndarray) -> ShardReducer:
        """The reducer of a gradient arena that belongs to slots of which ranks keep parts; see `ShardReducer`."""
        return ShardReducer(self._scattered, flat, boundaries, parameters)

    def node(self) -> Node | None:
        """This rank's node, if its ranks share memory; all ranks ask together."""
        return self._sharing.node()

    def shared_reducer(
        self, node: Node, rows: np.ndarray, notes: np.ndarray, apart: Any, leave: Callable[[], None]
    ) -> SharedReducer:
        """The reducer of arenas that the ranks of a node share; see `SharedReducer` for the arguments.

        Where `gradients_are_summed`, `rows` is this rank's arena.
        """
        if self.micro_shards:
            return SummedReducer(node, rows, notes, leave, self.micro_shards.left_out)
        between = node.peers if self._compression == "none" else Float16Sums(node.peers)
        return SharedReducer(node, rows, notes, apart, leave, between)

    @property
    def gradients_are_summed(self) -> bool:
        """Whether each rank has the gradients of whole batches."""
        return self.micro_shards is not None

    def rows_of_rank(self, size: int) -> tuple[int, int]:
        """The rows [start, stop) of a global batch of `size` rows that are this rank's."""
        if self.micro_shards:
            return self.micro_shards.rows_of_rank(size)
        return bounds(size, self.rank, self.communicator.size)

    def agree(self, value: Any) -> Any:
        """Rank 0's value, on every rank: how decisions are taken once for all."""
        return self.communicator.broadcast_object(value, purpose="a decision")

    def collect(self, value: Any) -> list:
        """The values of all ranks in their order, on every rank."""
        return self.communicator.allgather_object(value)

    def scatter(self, values: Any) -> Any:
        """That one of rank 0's values, one for each rank, which is for this rank."""
        return self.communicator.scatter_object(values, purpose="data")

    def any(self, flag: bool) -> bool:
        """Whether the flag is raised on any rank, on every rank."""
        raised = np.array([flag], np.int32)
        self.communicator.allreduce_(raised)
        return bool(raised[0])

    def announce(self, global_batch: int, cache: Any) -> None:
        """Say once, on rank 0, what this job is: ranks, nodes, batch, threads, MPI library, kernel cache."""
        if not self._is_announced:
            threads = environment.threads_per_rank(environment.detect())
            sharing = self._sharing.described()
            show(self.communicator, banner(self.communicator, global_batch, threads, cache, self.shard, sharing))
            self._is_announced = True

    def check_alike(self, fields: dict[str, Any], what: str) -> None:
        """Raise ReplicaMismatchError unless all ranks give the same fields."""
        agree(self.communicator, fields, what)

    def broadcast_variables(self, variables: Sequence[Any]) -> None:
        """Give every rank the values of rank 0."""
        for variable in variables:
            if variable.before_write is None:
                self.communicator.broadcast_(variable._array, purpose="weights")
                continue
            value = variable._array.copy()  # others may be reading it
            self.communicator.broadcast_(value, purpose="weights")
            if value.tobytes() != variable._array.tobytes():
                variable.assign(value)

    # --- data

    def experimental_distribute_dataset(self, dataset: Any) -> Iterator[Any]:
        """An iterable over this rank's slice of each global batch that `dataset` yields.

        A `tf.data.Dataset` is shared out as its options say; see `tf.data.experimental.DistributeOptions`. In
        deterministic mode every rank is given whole batches.
        """
        if self.micro_shards:
            return dataset
        return dataset._distributed(self) if hasattr(dataset, "_distributed") else DistributedBatches(dataset, self)

    def experimental_local_results(self, value: Any) -> tuple:
        """This rank's values."""
        return (value,)

    def experimental_distribute_datasets_from_function(self, dataset_fn: Callable) -> Any:
        """What `dataset_fn(InputContext)` gives on this rank: the function does the sharding."""
        size = self.replicas.size
        return dataset_fn(InputContext(size, self.replicas.rank, size))

    @property
    def extended(self) -> Strategy:
        """The strategy itself, which has no second interface for those who extend it."""
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.communicator.size} ranks, {self.communicator.description}>"


class OneDeviceStrategy(Strategy):
    """This process alone, whatever the launcher started.

    Args:
        device: Accepted for TensorFlow's sake: there are only CPUs.
        deterministic: Whether to compute as any number of ranks would with `deterministic=True`, bit by bit.
    """

    def __init__(self, device: str = "/cpu:0", deterministic: bool | None = None) -> None:
        super().__init__(SerialCommunicator(), deterministic)


class _DefaultStrategy(Strategy):
    """In force outside of any scope: the process trains alone."""

    def __init__(self) -> None:
        super().__init__(SerialCommunicator(), deterministic=False)


class _Current:
    def __init__(self) -> None:
        self.default = _DefaultStrategy()
        self.strategy: Strategy = self.default


_current = _Current()


def get_strategy() -> Strategy:
    """The strategy whose scope we are in, or the default one of a single process."""
    replica = context.state.replica
    return replica.strategy if isinstance(replica, StrategyReplica) else _current.strategy


def has_strategy() -> bool:
    """Whether we are inside a strategy's scope."""
    return get_strategy() is not _current.default


def in_cross_replica_context() -> bool:
    """Whether we are in a scope, but not in a step that `run` calls."""
    return has_strategy() and not isinstance(context.state.replica, StrategyReplica)


def get_replica_context() -> context.Replica | None:
    """This rank's place in the step, None in a scope outside of a step."""
    return None if in_cross_replica_context() else context.state.replica


def warn_if_ranks_are_unused(strategy: Strategy) -> None:
    """Say so when a launcher started several ranks but the model was made outside of a strategy's scope."""
    launch = environment.detect()
    if launch.size > 1 and isinstance(strategy, _DefaultStrategy):
        warnings.warn(
            f"{launch.size} ranks run this script, but the model was made outside of a strategy's scope: every rank "
            "trains it alone. Make and compile it under `with tf.distribute.MirroredStrategy().scope():`.",
            stacklevel=4,
        )
