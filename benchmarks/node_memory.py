"""Memory of weights and optimizer state on a node, for several numbers of ranks.

    python -m benchmarks.node_memory                        1, 2 and 4 ranks, 40 MB of weights, Adam
    python -m benchmarks.node_memory --ranks 1 2 --megabytes 200
    python -m benchmarks.node_memory --apart                each rank with a copy of its own

Each job makes one variable, updates it once, and adds up the proportional set size (PSS) of its ranks: a page that n
processes map counts a part of n in each. Printed is what has come since before the variable was made: weights and two
slots once for each copy, and a gradient for each rank.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import distkeras as tf
from distkeras.core import context
from distkeras.distribute.replica import StrategyReplica

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--megabytes", type=float, default=40.0, help="of weights")
    parser.add_argument("--apart", action="store_true", help="share no memory")
    parser.add_argument("--as-rank", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_rank:
        measure(options.megabytes)
        return
    print(f"{options.megabytes:g} MB of weights, Adam: MB on the node, all ranks together")
    print(f"{'ranks':>5}{'all':>10}{'gradients':>12}{'weights and slots':>20}")
    for ranks in options.ranks:
        total = run_job(ranks, options)
        gradients = ranks * options.megabytes
        print(f"{ranks:5d}{total:10.1f}{gradients:12.1f}{total - gradients:20.1f}", flush=True)


def run_job(ranks: int, options: argparse.Namespace) -> float:
    """Megabytes that a job of its own takes for what it trains."""
    command = [sys.executable, "-m", "distkeras", "run", "-n", str(ranks), "--threads", "1"]
    command += ["--no-shared-arenas"] if options.apart else []
    command += ["-m", "benchmarks.node_memory", "--as-rank", "--megabytes", str(options.megabytes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def measure(megabytes: float) -> None:
    """Take part in a job; rank 0 prints what its ranks have taken."""
    strategy = tf.distribute.MirroredStrategy()
    update(strategy, 1)  # loads what is loaded once
    before = of_node(strategy)
    kept = update(strategy, round(megabytes * 2**20 / 4))
    after = of_node(strategy)
    del kept
    if strategy.rank == 0:
        print(json.dumps((after - before) / 2**20), flush=True)


def update(strategy: tf.distribute.Strategy, size: int) -> tuple:
    """A variable of float32 after one update by Adam, with what belongs to it."""
    with strategy.scope():
        variable, optimizer = tf.Variable(np.zeros(size, np.float32)), tf.keras.optimizers.Adam()
    with context.on_replica(StrategyReplica(strategy)):
        optimizer.apply_gradients([(tf.ones(size), variable)])
    return variable, optimizer


def of_node(strategy: tf.distribute.Strategy) -> int:
    """Bytes of all ranks, which call together: what they share is counted once."""
    strategy.communicator.barrier()
    total = sum(strategy.collect(proportional_set_size()))
    strategy.communicator.barrier()
    return total


def proportional_set_size() -> int:
    """Bytes of this process, a page that several have counted in parts."""
    for line in Path(f"/proc/{os.getpid()}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/smaps_rollup has no line Pss")


if __name__ == "__main__":
    main()
