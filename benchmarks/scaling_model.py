"""How training would scale to thousands of ranks: a model of the network, fed with the messages of measured steps.

    python -m benchmarks.scaling_model                                 the tables of docs/scaling.md
    python -m benchmarks.scaling_model --network mine:40:25 --ranks-per-node 32      40 us and 25 Gb/s
    python -m benchmarks.scaling_simgrid                               checks it against a simulation of every message

A message of n bytes takes latency + n / bandwidth. Allreduce of n bytes by p nodes takes the least of

    ring                    2 (p-1) latency     + 2 n (p-1)/p / bandwidth
    halving and doubling    2 log2(p) latency   + 2 n (p-1)/p / bandwidth
    doubling                log2(p) (latency    + n / bandwidth)

and adding up n (p-1)/p bytes, or n at each doubling. Efficiency is the time of a step on one rank over that on p ranks,
each with as many samples (weak scaling).

Source: Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH", 2005, for the
formulas; Hockney 1994 for the model of a message; Rajbhandari et al., "ZeRO", 2020, for the sharded update.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.message_trace import FILE, Message

RANKS = (1, 16, 64, 256, 1024, 4096)


@dataclass(frozen=True)
class Network:
    """What connects nodes.

    Attributes:
        name: For tables.
        latency: Seconds a message, through all layers.
        bandwidth: Bytes a second and direction, of a node.
        add: Seconds to add up a byte.
        memory: Bytes a second that a node's memory moves.
    """

    name: str
    latency: float
    bandwidth: float
    add: float = 1 / 8e9
    memory: float = 100e9

    def allreduce(self, nbytes: float, nodes: int) -> float:
        """Seconds until every node has the sum of what the nodes hold."""
        return min(self.times(nbytes, nodes).values())

    def times(self, nbytes: float, nodes: int) -> dict[str, float]:
        """Seconds of an allreduce by algorithm."""
        if nodes == 1:
            return {"none": 0.0}
        share, rounds = nbytes * (nodes - 1) / nodes, math.ceil(math.log2(nodes))
        moved = 2 * share / self.bandwidth + share * self.add
        return {
            "ring": 2 * (nodes - 1) * self.latency + moved,
            "halving": 2 * rounds * self.latency + moved,
            "doubling": rounds * (self.latency + nbytes / self.bandwidth + nbytes * self.add),
        }

    def allgather(self, nbytes: float, nodes: int) -> float:
        """Seconds until every node has what each of them gives."""
        return math.ceil(math.log2(nodes)) * self.latency + nbytes * (nodes - 1) / self.bandwidth


NETWORKS = (Network("10 Gb/s", 25e-6, 10e9 / 8), Network("100 Gb/s", 3e-6, 100e9 / 8))


@dataclass(frozen=True)
class Way:
    """How ranks exchange gradients.

    Attributes:
        name: For tables.
        overlap: Whether buckets travel while the backward pass goes on.
        hierarchy: Whether a node's ranks add up in its memory first, and each sends its slice of the sum.
        zero: Whether each rank updates its slice only: reduce-scatter, update, allgather.
    """

    name: str
    overlap: bool = True
    hierarchy: bool = True
    zero: bool = False


WAYS = (
    Way("ranks on their own, no overlap", overlap=False, hierarchy=False),
    Way("overlap", hierarchy=False),
    Way("hierarchy", overlap=False),
    Way("hierarchy, overlap"),
    Way("hierarchy, overlap, ZeRO-1", zero=True),
)


@dataclass(frozen=True)
class Step:
    """A measured step: its messages, and seconds until its end on a rank that is alone."""

    messages: Sequence[Message]
    seconds: float

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Step:
        """The step of a model in message_traces.json."""
        return cls([Message(*message) for message in entry["messages"]], entry["step"])

    def buckets(self) -> list[Message]:
        """The messages with gradients: those that overlap, else the largest."""
        found = [message for message in self.messages if message.overlaps]
        return found or [max(self.messages, key=lambda message: message.nbytes)]


def seconds_of_step(step: Step, ranks: int, network: Network, way: Way, ranks_per_node: int = 1) -> float:
    """The time of a step on so many ranks."""
    if ranks == 1:
        return step.seconds
    local = min(ranks, ranks_per_node)
    nodes = math.ceil(ranks / local)
    buckets = set(step.buckets())
    last = max(message.at for message in buckets)
    behind = lane = waiting = 0.0  # by how much computing is late; when the lane is free; what is left to do at the end
    for message in step.messages:
        seconds = _seconds_of(message, network, way, local, nodes, message in buckets)
        if message not in buckets:
            behind += seconds  # computing waits for it
        elif way.overlap and message.overlaps:
            lane = max(lane, message.at + behind) + seconds
        else:
            waiting += seconds
    update = step.seconds - last
    if way.zero:
        # The update is shared out; the other ranks' weights are gathered when it is done.
        update /= ranks
        waiting += sum(_gathered(message.nbytes, network, local, nodes) for message in buckets)
    return max(lane, last + behind) + waiting + update


def _seconds_of(message: Message, network: Network, way: Way, local: int, nodes: int, is_bucket: bool) -> float:
    if message.kind == "allgather":
        return network.allgather(message.nbytes * local, nodes)
    # Each rank's bytes are read and the sum is written by all; messages within a node are copied once more.
    inside = 2 * message.nbytes * local / network.memory if local > 1 else 0.0
    if not way.hierarchy:
        # A ring passes each node's card once. By halving, the ranks of a node send at the same time.
        ring = network.times(message.nbytes, nodes * local)["ring"] if nodes > 1 else 0.0
        crowded = network.times(message.nbytes * local, nodes)
        return 2 * inside + min(ring, *(seconds for name, seconds in crowded.items() if name != "ring"))
    seconds = network.allreduce(message.nbytes, nodes)
    if way.zero and is_bucket:
        seconds = seconds / 2  # the reduce-scatter is the first half of it
    return inside + seconds


def _gathered(nbytes: int, network: Network, local: int, nodes: int) -> float:
    inside = nbytes * local / network.memory if local > 1 else 0.0
    share = nbytes * (nodes - 1) / nodes / network.bandwidth if nodes > 1 else 0.0
    return inside + math.ceil(math.log2(nodes)) * network.latency + share


def efficiency(step: Step, ranks: int, network: Network, way: Way, ranks_per_node: int = 1) -> float:
    """The time of a step on one rank over that on `ranks`."""
    return step.seconds / seconds_of_step(step, ranks, network, way, ranks_per_node)


def table(entries: dict[str, Any], networks: Sequence[Network], ranks_per_node: int) -> str:
    """Efficiency in percent by model, network and way, in Markdown."""
    counts = [count for count in RANKS if count > 1]
    lines = ["| model | network | exchange | " + " | ".join(f"{count}" for count in counts) + " |"]
    lines.append("|---|---|---|" + "---:|" * len(counts))
    for name, entry in entries.items():
        step = Step.of(entry)
        for network in networks:
            for way in WAYS:
                values = [100 * efficiency(step, count, network, way, ranks_per_node) for count in counts]
                cells = " | ".join(f"{value:.1f}" for value in values)
                lines.append(f"| {name} | {network.name} | {way.name} | {cells} |")
    return "\n".join(lines)


def network_of(text: str) -> Network:
    """A network from NAME:MICROSECONDS:GIGABITS."""
    name, latency, gigabits = text.split(":")
    return Network(name, float(latency) * 1e-6, float(gigabits) * 1e9 / 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", type=network_of, action="append", metavar="NAME:US:GBITS")
    parser.add_argument("--ranks-per-node", type=int, default=16)
    options = parser.parse_args()
    entries = json.loads(FILE.read_text())
    for name, entry in entries.items():
        step = Step.of(entry)
        sent, count = sum(message.nbytes for message in step.buckets()), len(step.messages)
        print(f"{name}: {entry['batch']} samples, {step.seconds * 1e3:.0f} ms, {count} messages, {sent / 1e6:.1f} MB")
    print(f"\nWeak-scaling efficiency in percent, {options.ranks_per_node} ranks on a node, by number of ranks\n")
    print(table(entries, options.network or NETWORKS, options.ranks_per_node))


if __name__ == "__main__":
    main()
