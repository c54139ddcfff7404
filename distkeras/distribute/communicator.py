"""What ranks can do together, and the null object for a process that runs alone.

Everything above this file is written for a `Communicator`; one process is a world of size 1, so there is no
`if distributed:` anywhere. Methods with a trailing underscore work in place, as in `x.allreduce_()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike

from distkeras.core import arena

REDUCIBLE = frozenset(np.dtype(name) for name in ("float16", "float32", "float64", "int32", "int64"))


@runtime_checkable
class Communicator(Protocol):
    """The ranks of one job. Every method but `allocate` and `abort` must be called by all ranks in the same order.
    What a collective is for may be said in words, `purpose`: they appear in messages about ranks that do not come.

    Attributes:
        rank: This process, from 0 to `size - 1`.
        size: Number of ranks.
        local_rank: This process among those of its node.
        local_size: Number of ranks on this node.
        num_nodes: Number of nodes.
        description: Library and version, for people.
        step: The step of training that this rank is at, for messages; set by whoever runs steps.
        is_elastic: Whether the ranks may become fewer: see `elastic.ElasticCommunicator`, which has more to it.
        generation: How often they had when the last collective was made; the same on all ranks.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    num_nodes: int
    description: str
    step: int
    is_elastic: bool
    generation: int

    def allreduce_(self, array: np.ndarray, purpose: str = "") -> None:
        """Replace `array` by its sum over all ranks; the bytes are the same on every rank.

        Args:
            array: C-contiguous and writeable, of float16, float32, float64, int32 or int64; the same shape on all
                ranks.

        Raises:
            TypeError: For any other dtype.
            ValueError: If the array is not contiguous or not writeable.
        """

    def broadcast_(self, array: np.ndarray, root: int = 0, purpose: str = "") -> None:
        """Replace `array` by that of rank `root`. The same conditions as for `allreduce_`, but of any plain dtype."""

    def allgather(self, array: np.ndarray, purpose: str = "") -> list[np.ndarray]:
        """One array from each rank, in rank order. Shapes may differ, also in being empty; the dtype may not.

        Raises:
            ReplicaMismatchError: On every rank, if dtypes differ.
        """

    def allgather_(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> None:
        """Replace each rank's part of `array` by what that rank has there.

        Args:
            array: One-dimensional, C-contiguous and writeable, of any plain dtype; the same size on all ranks.
            parts: Where each rank's part begins, ascending from 0, and then the array's size; the same on all ranks.

        Raises:
            TypeError, ValueError: As for `allreduce_`, or if `parts` do not cut up the array.
        """

    def reduce_scatter_(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> None:
        """Replace this rank's part of `array` by the sum of all ranks' there; the rest of it stays as it is.

        Args:
            array: As for `allreduce_`, one-dimensional.
            parts: As for `allgather_`.
        """

    def alltoall(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> np.ndarray:
        """What all ranks have in this rank's part of `array`: [ranks, length of the part]. As for `allgather_`."""

    def allgather_object(self, value: Any, purpose: str = "") -> list[Any]:
        """One picklable object from each rank, in rank order."""

    def broadcast_object(self, value: Any, root: int = 0, purpose: str = "") -> Any:
        """The picklable object of rank `root`; what the other ranks pass is ignored."""

    def scatter_object(self, values: Any, root: int = 0, purpose: str = "") -> Any:
        """That one of a list of picklable objects, one for each rank, which rank `root` holds for this rank."""

    def barrier(self) -> None:
        """Return when every rank has called."""

    def allocate(self, count: int, dtype: DTypeLike) -> np.ndarray:
        """A zeroed one-dimensional array of `count` elements, aligned to 64 bytes, suited to this communicator."""

    def duplicate(self) -> Communicator:
        """The same ranks with a separate order of collectives, for use by another thread. Close it when done."""

    def on_loss(self, method: Callable[[], object]) -> None:
        """Have a method called, as long as its object lives, whenever ranks were lost; by elastic ones only."""

    def of_node(self) -> Communicator:
        """The ranks of this rank's node."""

    def of_place(self) -> Communicator:
        """The ranks that have this one's `local_rank` on their nodes, in the order of the nodes."""

    def enter(self, name: str, purpose: str = "") -> None:
        """Note that this thread is going to wait for the other ranks in other ways than the methods above."""

    def leave(self) -> None:
        """Note that it waits no longer."""

    def counted(self, name: str, purpose: str) -> tuple[np.ndarray, np.ndarray, int]:
        """What a kernel needs to note the same; see `Journal.counted`."""

    def abort(self, code: int) -> None:
        """End the whole job at once with this exit code; never returns."""

    def close(self) -> None:
        """Free what `duplicate` made. Further collectives are errors; closing twice is not."""


class SerialCommunicator:
    """A world of one rank.

    >>> communicator = SerialCommunicator()
    >>> gradients = communicator.allocate(3, np.float32)
    >>> gradients += 2
    >>> communicator.allreduce_(gradients)
    >>> gradients, communicator.size
    (array([2., 2., 2.], dtype=float32), 1)
    """

    rank = 0
    size = 1
    local_rank = 0
    local_size = 1
    num_nodes = 1
    description = "one process, without MPI"
    step = 0
    is_elastic = False
    generation = 0

    def allreduce_(self, array: np.ndarray, purpose: str = "") -> None:
        check_reducible(array)

    def broadcast_(self, array: np.ndarray, root: int = 0, purpose: str = "") -> None:
        check_root(root, 1)
        check_buffer(array)

    def allgather(self, array: np.ndarray, purpose: str = "") -> list[np.ndarray]:
        return [np.array(array, order="C")]

    def allgather_(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> None:
        check_parts(array, parts, 1)

    def reduce_scatter_(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> None:
        check_reducible(array)
        check_parts(array, parts, 1)

    def alltoall(self, array: np.ndarray, parts: Sequence[int], purpose: str = "") -> np.ndarray:
        check_parts(array, parts, 1)
        return array.reshape(1, -1).copy()

    def allgather_object(self, value: Any, purpose: str = "") -> list[Any]:
        return [value]

    def broadcast_object(self, value: Any, root: int = 0, purpose: str = "") -> Any:
        check_root(root, 1)
        return value

    def scatter_object(self, values: Any, root: int = 0, purpose: str = "") -> Any:
        check_root(root, 1)
        return values[0]

    def barrier(self) -> None:
        return

    def allocate(self, count: int, dtype: DTypeLike) -> np.ndarray:
        return arena.allocate(count, dtype)

    def duplicate(self) -> SerialCommunicator:
        return self

    def on_loss(self, method: Callable[[], object]) -> None:
        return

    def of_node(self) -> SerialCommunicator:
        return self

    def of_place(self) -> SerialCommunicator:
        return self

    def enter(self, name: str, purpose: str = "") -> None:
        return

    def leave(self) -> None:
        return

    def counted(self, name: str, purpose: str) -> tuple[np.ndarray, np.ndarray, int]:
        return np.zeros(8, np.int64), np.zeros(1, np.int64), 0

    def abort(self, code: int) -> None:
        raise SystemExit(code)

    def close(self) -> None:
        return


def check_buffer(array: np.ndarray) -> None:
    """Raise unless ranks can exchange `array`'s memory as it lies."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected an ndarray to work on in place, received {type(array).__name__}")
    if array.dtype.hasobject or array.dtype.kind not in "biufc":
        raise TypeError(f"dtype {array.dtype} cannot be sent between ranks as it is; use a numeric dtype")
    if not (array.flags.c_contiguous and array.flags.writeable):
        raise ValueError(
            f"expected a C-contiguous writeable array, received one of shape {array.shape} with strides "
            f"{array.strides} and writeable={array.flags.writeable}; pass a copy, then copy the result back"
        )


def check_reducible(array: np.ndarray) -> None:
    """Raise unless `array` can be summed over ranks in place."""
    check_buffer(array)
    if array.dtype not in REDUCIBLE:
        names = ", ".join(sorted(dtype.name for dtype in REDUCIBLE))
        raise TypeError(f"sums over ranks are defined for {names}; received {array.dtype}. Cast it first")


def check_parts(array: np.ndarray, parts: Sequence[int], size: int) -> None:
    """Raise unless `parts` cut a flat array up for `size` ranks."""
    check_buffer(array)
    ascending = all(low <= high for low, high in zip(parts, parts[1:], strict=False))
    if array.ndim != 1 or len(parts) != size + 1 or parts[0] != 0 or parts[-1] != array.size or not ascending:
        raise ValueError(
            f"parts must be {size + 1} numbers that ascend from 0 to the {array.size} elements of a one-dimensional "
            f"array; received {list(parts)[:8]} for shape {array.shape}"
        )


def check_root(root: int, size: int) -> None:
    """Raise unless `root` is a rank of a world of `size`."""
    if not 0 <= root < size:
        raise ValueError(f"root must be a rank from 0 to {size - 1}, received {root}")
