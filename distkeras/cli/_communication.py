"""What `distkeras bench comm` runs on each rank: measure, and on rank 0 print and save."""

from __future__ import annotations

import sys

from distkeras.cli import bench
from distkeras.distribute import measurement
from distkeras.distribute.communicator import Communicator
from distkeras.distribute.mpi import world

_SMALLEST = 4


def main(largest_mb: str, seconds: str, path: str) -> None:
    """Measure messages of up to `largest_mb`, each size for `seconds`; save the tuning to `path` unless it is empty."""
    communicator = world()
    sizes = [_SMALLEST]
    while sizes[-1] * 8 <= float(largest_mb) * 2**20:
        sizes.append(sizes[-1] * 8)
    lines = {}
    say = print if communicator.rank == 0 else lambda *text, **kwargs: None
    say(f"{communicator.size} ranks on {communicator.num_nodes} node(s), {communicator.description}", flush=True)
    for operation in measurement.OPERATIONS:
        lines[operation] = _measured(communicator, operation, sizes, float(seconds), say)
    line = lines["allreduce"]
    cap = measurement.bucket_cap_mb(line)
    say(f"bucket_cap_mb: {cap} suits this, where sums reach nine tenths of the bandwidth")
    if path and communicator.rank == 0:
        origin = f"{communicator.size} ranks on {communicator.num_nodes} node(s), {communicator.description}"
        bench.save(path, "bucket_cap_mb", cap, f"distkeras bench comm, {origin}: allreduce {_described(line)}")


def _measured(communicator: Communicator, operation: str, sizes: list[int], seconds: float, say) -> measurement.Line:
    say(f"\n{operation:<12}{'bytes':>12}{'us':>12}{'MB/s':>12}")
    times = measurement.measure(communicator, operation, sizes, seconds)
    for size, taken in zip(sizes, times, strict=True):
        say(f"{'':<12}{size:>12}{1e6 * taken:>12.1f}{size / taken / 1e6:>12.1f}")
    line = measurement.fit(sizes, times)
    say(f"{'':<12}{_described(line)}", flush=True)
    return line


def _described(line: measurement.Line) -> str:
    return f"{1e6 * line.latency:.1f} us + bytes / ({line.bandwidth / 1e6:.4g} MB/s)"


if __name__ == "__main__":
    main(*sys.argv[1:])
