"""Scaling: samples per second of 1, 2, ... ranks, with as many samples per step for each, or for all together.

    python -m benchmarks.scaling                 weak: the MNIST CNN on 1 and 2 ranks, 128 samples per rank and step
    python -m benchmarks.scaling --strong        strong: 128 samples per step, shared out among 1, 2 and 4 ranks
    python -m benchmarks.scaling --ranks 1 2 4 --case mlp --batch 32
    python -m benchmarks.scaling --independent   beside each job as many processes that train models of their own

Each job is one thread per rank. Jobs take turns over several rounds; printed are medians of the ratio to one rank
within a round. Where all jobs train the same batches (--strong) it is also said how far the losses of the first steps
are from those of one rank; with more ranks than cores the rates say nothing. Processes that have nothing to do with
each other show what the machine gives: cores share its memory and third-level cache, and perhaps its clock.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.step_time import processor

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, nargs="+", help="numbers of ranks; the first is the base")
    parser.add_argument("--strong", action="store_true", help="share one batch out, however many ranks there are")
    parser.add_argument("--case", choices=("cnn", "mlp"), default="cnn")
    parser.add_argument("--batch", type=int, default=128, help="samples per rank and step; with --strong per step")
    parser.add_argument("--steps", type=int, default=200, help="steps that are timed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--independent", action="store_true", help="also time processes that do not train together")
    parser.add_argument("--as-rank", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.ranks = options.ranks or ([1, 2, 4] if options.strong else [1, 2])
    if options.strong and options.independent:
        parser.error("--independent processes share no batch out: leave --strong out")
    if options.as_rank:
        found = measure(options.case, options.batch, options.steps, options.strong, options.independent)
        if found is not None:
            print(json.dumps(found), flush=True)
        return
    jobs = [(ranks, False) for ranks in options.ranks]
    jobs += [(ranks, True) for ranks in options.ranks if ranks > 1 and options.independent]
    rounds = [{job: run_job(*job, options) for job in jobs} for _ in range(options.rounds)]
    cores = len(os.sched_getaffinity(0))
    each = "step" if options.strong else "rank and step"
    print(f"{options.case}, {options.batch} samples per {each}, {cores} cores, {processor()}")
    for job in jobs:
        ranks, independent = job
        rate = statistics.median(results[job][0] for results in rounds)
        ratio = statistics.median(results[job][0] / results[jobs[0]][0] for results in rounds)
        line = f"{ranks:3d} {'independent' if independent else 'rank(s)':11}  {rate:10.0f} samples/s  {ratio:5.2f}x"
        print(line + f"  losses differ by {difference(rounds, jobs[0], job):.1e}" * options.strong)


def difference(rounds: list[dict], base: tuple, job: tuple) -> float:
    """The largest relative difference between the losses of two jobs."""
    pairs = [pair for results in rounds for pair in zip(results[base][1], results[job][1], strict=True)]
    return max(abs(one - other) / abs(one) for one, other in pairs)


def run_job(ranks: int, independent: bool, options: argparse.Namespace) -> tuple[float, list[float]]:
    """Samples per second of a job of its own, and the losses of its first steps."""
    arguments = ["--as-rank", "--case", options.case, "--batch", str(options.batch), "--steps", str(options.steps)]
    arguments += ["--independent"] * independent + ["--strong"] * options.strong
    command = [sys.executable, "-m", "distkeras", "run", "-n", str(ranks), "--threads", "1", "-m", "benchmarks.scaling"]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return tuple(json.loads(done.stdout.strip().splitlines()[-1]))


def measure(
    case: str, batch: int, steps: int, strong: bool = False, independent: bool = False
) -> tuple[float, list[float]] | None:
    """Train in this process as one rank of a job.

    Args:
        case: Which network.
        batch, steps: Samples per rank and step, and steps.
        strong: The samples are those of all ranks together.
        independent: Each rank trains a model of its own. They begin together, and the last one ends the time.

    Returns:
        The job's samples per second, and the losses of its first steps; of the first rank only, which speaks for all.
    """
    import numpy as np

    import distkeras as tf

    layers = tf.keras.layers
    everyone = tf.distribute.MirroredStrategy()
    strategy = tf.distribute.OneDeviceStrategy() if independent else everyone
    tf.random.set_seed(0)
    with strategy.scope():
        if case == "cnn":
            shape = (28, 28, 1)
            body = [
                layers.Conv2D(32, 3, activation="relu", input_shape=shape),
                layers.MaxPooling2D(),
                layers.Conv2D(64, 3, activation="relu"),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(128, activation="relu"),
            ]
        else:
            shape = (784,)
            body = [layers.Dense(512, activation="relu", input_shape=shape), layers.Dense(512, activation="relu")]
        model = tf.keras.Sequential([*body, layers.Dense(10)])
        model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    total = batch if strong else batch * strategy.num_replicas_in_sync
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((total, *shape)).astype("float32"), rng.integers(0, 10, total)
    losses = [float(model.train_on_batch(x, y)) for _ in range(5)]
    everyone.communicator.barrier()
    start = time.perf_counter()
    for _ in range(steps):
        model.train_on_batch(x, y)
    everyone.communicator.barrier()
    elapsed = time.perf_counter() - start
    trained = total * steps * (everyone.num_replicas_in_sync if independent else 1)
    return (trained / elapsed, losses) if everyone.rank == 0 else None


if __name__ == "__main__":
    main()
