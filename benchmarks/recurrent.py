"""Time of recurrent layers over sequences of 50 steps, 64 features and 128 units, against PyTorch or TensorFlow.

    DISTKERAS_BENCH_TORCH=/envs/torch/bin/python python -m benchmarks.recurrent
    DISTKERAS_BENCH_TF=/envs/tf/bin/python       python -m benchmarks.recurrent --peer tf
    python -m benchmarks.recurrent --peer none                  distkeras alone

`gradients` is forward and backward, for inputs and weights; `train` is a step of Adam on the squared error. Processes,
turns and ratios are as in `benchmarks.step_time`.
"""

from __future__ import annotations

import argparse
import statistics

from benchmarks.peers import RECURRENT
from benchmarks.step_time import Contestant, Worker, add_simd_option, heading, restrict

VARIANTS = ("gradients", "train")


def measure(peer: str, case: str, variant: str, batch_size: int, rounds: int, seconds: float) -> None:
    """Print a line: the time of distkeras, and how much longer the other takes."""
    peers = ["distkeras"] if peer == "none" else ["distkeras", peer]
    field: list[Worker] = []
    try:
        for name in peers:
            field.append(Worker(Contestant(name, variant), case, batch_size))
        times = take_turns(field, rounds, seconds)
    finally:
        for worker in field:
            worker.close()
    ours = statistics.median(times[0]) * 1e6
    ratio = statistics.median(b / a for a, b in zip(times[0], times[-1], strict=True))
    print(f"{case:<12}{variant:<12}batch {batch_size:<6}{ours:>8.0f} us{ratio:>8.2f}x {peers[-1]}", flush=True)


def take_turns(field: list[Worker], rounds: int, seconds: float) -> list[list[float]]:
    """Seconds per step of each contestant in each round; the first of them warms up and is not counted."""
    steps = [max(2, round(seconds / worker.seconds_per_step(5))) for worker in field]
    times: list[list[float]] = [[] for _ in field]
    for number in range(rounds + 1):
        for index in range(len(field)) if number % 2 else reversed(range(len(field))):
            measured = field[index].seconds_per_step(steps[index])
            if number:
                times[index].append(measured)
    return times


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", choices=("torch", "tf", "none"), default="torch")
    parser.add_argument("--case", choices=tuple(RECURRENT), action="append", help="only this layer; may be repeated")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="few and short rounds, to see that it works")
    add_simd_option(parser)
    options = parser.parse_args(arguments)
    rounds, seconds = (3, 0.05) if options.quick else (options.rounds, 0.4)
    restrict(options.simd)
    print(heading(options.simd, rounds))
    for case in options.case or RECURRENT:
        for variant in VARIANTS:
            measure(options.peer, case, variant, options.batch_size, rounds, seconds)


if __name__ == "__main__":
    main()
