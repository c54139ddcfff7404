"""What `distkeras bench comm` runs on each rank: measure, and on rank 0 print and save.

Ranks of a node and ranks of one place on all nodes are groups of their own: those that an exchange in shared memory
consists of. All groups of a kind measure at once, as they would sum at once, and share what there is of the network.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from distkeras.cli import bench
from distkeras.distribute import measurement
from distkeras.distribute.communicator import Communicator
from distkeras.distribute.measurement import Line
from distkeras.distribute.mpi import world
from distkeras.distribute.node import Node, NoSharedMemory

_SMALLEST = 4


def main(largest_mb: str, seconds: str, path: str) -> None:
    """Measure messages of up to `largest_mb`, each size for `seconds`; save the tuning to `path` unless it is empty."""
    communicator = world()
    say = print if communicator.rank == 0 else lambda *text, **kwargs: None
    chosen = measured(communicator, float(largest_mb), float(seconds), say)
    if path and communicator.rank == 0:
        for name, (value, reason) in chosen.items():
            bench.save(path, name, value, f"distkeras bench comm, {_origin(communicator)}: {reason}")


def measured(
    communicator: Communicator, largest_mb: float, seconds: float, say: Callable
) -> dict[str, tuple[object, str]]:
    """Measure all groups of ranks, which call together; the settings that suit them, and why."""
    sizes = [_SMALLEST]
    while sizes[-1] * 8 <= largest_mb * 2**20:
        sizes.append(sizes[-1] * 8)
    say(_origin(communicator), flush=True)
    groups = {"all ranks": communicator}
    if communicator.num_nodes > 1:
        groups["inside a node"] = communicator.of_node()
        groups["between nodes, ranks of the same place on each"] = communicator.of_place()
    lines: dict[str, Line] = {}
    for name, group in groups.items():
        if group.size == 1 and group is not communicator:
            continue
        say(f"\n{name}: {group.size}")
        for operation in measurement.OPERATIONS:
            times = measurement.measure(group, operation, sizes, seconds)
            line = _told(operation, sizes, times, say)
            lines.setdefault(operation, line)
    cap = measurement.bucket_cap_mb(lines["allreduce"])
    say(f"\nbucket_cap_mb: {cap} suits ranks that keep their weights apart: sums reach nine tenths of the bandwidth")
    chosen: dict[str, tuple[object, str]] = {"bucket_cap_mb": (cap, f"allreduce {_described(lines['allreduce'])}")}
    if communicator.size > communicator.num_nodes:
        chosen |= _in_shared_memory(communicator, sizes, seconds, lines["allreduce"], say)
    return chosen


def _in_shared_memory(
    communicator: Communicator, sizes: list[int], seconds: float, allreduce: Line, say: Callable
) -> dict[str, tuple[object, str]]:
    """Sum in the memory of the nodes: whether they are to have one."""
    try:
        node = Node(communicator)
        times = measurement.measure_in_memory(communicator, node, sizes, seconds)
    except NoSharedMemory as error:
        say(f"\nno memory can be shared: {error}")
        return {}
    say("\nall ranks, in memory that those of a node share" + ("" if node.spans_job else ", and between nodes"))
    line = _told("sum", sizes, times, say)
    is_faster = line.seconds(sizes[-1]) <= allreduce.seconds(sizes[-1])
    say(f"\nshared_arenas: {str(is_faster).lower()}, for sums of {sizes[-1]} bytes", flush=True)
    return {"shared_arenas": (str(is_faster).lower(), f"sums in shared memory {_described(line)}")}


def _told(operation: str, sizes: list[int], times: list[float], say: Callable) -> Line:
    say(f"{operation:<12}{'bytes':>12}{'us':>12}{'MB/s':>12}")
    for size, taken in zip(sizes, times, strict=True):
        say(f"{'':<12}{size:>12}{1e6 * taken:>12.1f}{size / taken / 1e6:>12.1f}")
    line = measurement.fit(sizes, times)
    say(f"{'':<12}{_described(line)}", flush=True)
    return line


def _origin(communicator: Communicator) -> str:
    return f"{communicator.size} ranks on {communicator.num_nodes} node(s), {communicator.description}"


def _described(line: Line) -> str:
    return f"{1e6 * line.latency:.1f} us + bytes / ({line.bandwidth / 1e6:.4g} MB/s)"


if __name__ == "__main__":
    main(*sys.argv[1:])
