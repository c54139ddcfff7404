"""What a run says of itself when it starts, once, on rank 0."""

from __future__ import annotations

import os
import sys

from distkeras import _settings
from distkeras.distribute.communicator import Communicator


def banner(
    communicator: Communicator,
    global_batch: int | None = None,
    threads: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    shard: str = "slice",
    sharing: str = "",
) -> str:
    """Describe the job in a few lines.

    Args:
        communicator: The ranks.
        global_batch: Samples of one optimizer step over all ranks, if known.
        threads: Threads per rank, if known.
        cache: Folder of compiled kernels, if known.
        shard: How Sequences are shared out; said if it is not as usual.
        sharing: Whether the ranks of a node share memory, if there is something to say of it.

    >>> from distkeras.distribute.communicator import SerialCommunicator
    >>> print(banner(SerialCommunicator(), global_batch=32, threads=2))
    distkeras: 1 rank on 1 node, one process, without MPI
      global batch 32 = 1 rank x 32
      2 threads per rank
    """
    size = communicator.size
    lines = [
        f"distkeras: {_count(size, 'rank')} on {_count(communicator.num_nodes, 'node')}, {communicator.description}"
    ]
    if global_batch is not None:
        lines.append(f"  global batch {global_batch} = {_shares(global_batch, size)}")
    if threads is not None:
        lines.append(f"  {_count(threads, 'thread')} per rank")
    if cache is not None:
        lines.append(f"  compiled kernels in {os.fspath(cache)}")
    if shard == "stride":
        lines.append(
            f"  shard=stride: a step takes {_count(size, 'whole batch', 'es')} of a Sequence, one on each rank"
        )
    if sharing:
        lines.append(f"  {sharing}")
    return "\n".join(lines)


def show(communicator: Communicator, text: str) -> None:
    """Write `text` to stderr on rank 0, unless the setting `log_level` is above `info`."""
    if communicator.rank == 0 and _settings.says("info"):
        print(text, file=sys.stderr, flush=True)


def _shares(global_batch: int, size: int) -> str:
    share, larger = divmod(global_batch, size)
    if not larger:
        return f"{_count(size, 'rank')} x {share}"
    return f"{_count(larger, 'rank')} x {share + 1} + {_count(size - larger, 'rank')} x {share}"


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"
