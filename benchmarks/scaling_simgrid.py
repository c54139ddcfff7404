"""Checks the model of scaling against SimGrid, which simulates every message of every rank.

    apt-get install libsimgrid-dev && python -m benchmarks.scaling_simgrid --hosts 16 64 256

The messages of a measured step are replayed by `smpirun -replay`, one rank a host, computing and sending in turns, over
links of their own to one switch. Without SimGrid nothing can be checked, and that is said. Times of SimGrid 3.32.

Source: Casanova et al., "Versatile, scalable, and accurate simulation of distributed applications and platforms", 2014.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.message_trace import FILE, Message
from benchmarks.scaling_model import NETWORKS, Network, Step

ALGORITHMS = {"ring": "lr", "halving": "rab", "doubling": "rdb"}  # ours, and SimGrid's names
SPEED = 1e9  # flops of a simulated host

PLATFORM = """<?xml version='1.0'?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <zone id="all" routing="Full">
    <cluster id="hosts" prefix="host" suffix="" radical="0-{last}" speed="{speed}f" bw="{bandwidth}Bps" lat="{latency}s"
             sharing_policy="SPLITDUPLEX"/>
  </zone>
</platform>
"""


def simulated(messages: list[Message], seconds: float, hosts: int, network: Network, algorithm: str) -> float:
    """The time of a step whose messages do not overlap with computing, by SimGrid.

    Args:
        messages: What is sent, and when.
        seconds: The time of the step on a rank that is alone.
        hosts: How many, with a rank on each.
        network: Latency is that of two links, to the switch and from it.
        algorithm: One of `ALGORITHMS`.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        platform = PLATFORM.format(
            last=hosts - 1, speed=SPEED, bandwidth=network.bandwidth, latency=network.latency / 2
        )
        (folder / "platform.xml").write_text(platform)
        (folder / "hosts").write_text("".join(f"host{rank}\n" for rank in range(hosts)))
        actions = _actions(messages, seconds, hosts, network)
        for rank in range(hosts):
            (folder / f"rank{rank}").write_text("".join(f"{rank} {action}\n" for action in actions))
        (folder / "traces").write_text("".join(f"{folder}/rank{rank}\n" for rank in range(hosts)))
        plain = ("smpi/bw-factor:0:1", "smpi/lat-factor:0:1", f"smpi/allreduce:{ALGORITHMS[algorithm]}")
        command = ["smpirun", "-np", str(hosts), "-platform", folder / "platform.xml", "-hostfile", folder / "hosts"]
        command += ["-replay", folder / "traces", *(f"--cfg={option}" for option in plain)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    found = re.search(r"Simulation time ([\d.]+)", done.stdout + done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"smpirun failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return float(found[1])


def _actions(messages: list[Message], seconds: float, hosts: int, network: Network) -> list[str]:
    """What a rank does: 5 is SimGrid's number for float32."""
    actions, now = ["init"], 0.0
    for message in messages:
        actions.append(f"compute {(message.at - now) * SPEED:.0f}")
        now = message.at
        if message.kind == "allreduce":
            added = message.nbytes * (hosts - 1) / hosts * network.add * SPEED
            actions.append(f"allreduce {max(1, message.nbytes // 4)} {added:.0f} 5")
        else:
            count = max(1, message.nbytes // 4)
            actions.append(f"allgather {count} {count} 5 5")
    return [*actions, f"compute {(seconds - now) * SPEED:.0f}", "finalize"]


def modelled(messages: list[Message], seconds: float, hosts: int, network: Network, algorithm: str) -> float:
    """The same by the model."""
    total = seconds
    for message in messages:
        if message.kind == "allreduce":
            total += network.times(message.nbytes, hosts)[algorithm]
        else:
            total += network.allgather(message.nbytes, hosts)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--model", action="append", help="only this one; may be repeated")
    parser.add_argument("--algorithm", choices=ALGORITHMS, action="append")
    options = parser.parse_args()
    if not shutil.which("smpirun"):
        raise SystemExit("there is no smpirun: apt-get install libsimgrid-dev. The model itself does not need it")
    entries = json.loads(FILE.read_text())
    print("| model | network | hosts | allreduce | communication by the model, ms | by SimGrid, ms | difference |")
    print("|---|---|---:|---|---:|---:|---:|")
    for name in options.model or entries:
        step = Step.of(entries[name])
        for network in NETWORKS:
            for hosts in options.hosts:
                # SimGrid's ring takes another way with fewer numbers than hosts, and so would anybody.
                messages = [message for message in step.messages if message.nbytes >= 4 * hosts]
                for algorithm in options.algorithm or ("ring", "halving"):
                    given = messages, step.seconds, hosts, network, algorithm
                    ours, theirs = (1e3 * (time(*given) - step.seconds) for time in (modelled, simulated))
                    row = f"| {name} | {network.name} | {hosts} | {algorithm} | {ours:.2f} | {theirs:.2f} "
                    print(f"{row}| {100 * (ours - theirs) / theirs:+.1f} % |", flush=True)


if __name__ == "__main__":
    main()
