"""How fast data is: `tf.data` pipelines against TensorFlow, batches of data workers, and what they cost a training.

    DISTKERAS_BENCH_TF=/envs/tf/bin/python python -m benchmarks.data
    python -m benchmarks.data --peer none                       distkeras alone
    python -m benchmarks.data --case map                        one pipeline and nothing else

Without `--case` what `benchmarks.data_workers` and `benchmarks.data_training` measure follows.

Each contestant is a process with one thread for operations; they take turns as in `benchmarks.step_time`. CPU time is
what counts, that of threads which read ahead included.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics

from benchmarks import data_training, data_workers
from benchmarks.step_time import Contestant, Worker, processor

CASES = ("map", "shuffle", "batch then map", "map, not element-wise", "records")


class Reader(Worker):
    """A contestant's process, which reads batches."""

    program = "data_peers.py"


def measure(peers: list[str], case: str, batch_size: int, rounds: int, seconds: float) -> None:
    """Print samples per second for one pipeline.

    Args:
        peers: Libraries, distkeras first.
        case: One of CASES.
        batch_size: Samples per batch.
        rounds: How often each contestant takes its turn.
        seconds: How long a turn should take.
    """
    with contextlib.ExitStack() as stack:
        field = []
        for peer in peers:
            field.append(Reader(Contestant(peer, ""), case, batch_size))
            stack.callback(field[-1].close)
        steps = [max(2, round(seconds / reader.seconds_per_step(20))) for reader in field]
        times: list[list[float]] = [[] for _ in field]
        for number in range(rounds + 1):
            for turn in range(len(field)):
                index = (turn + number) % len(field)
                measured = field[index].seconds_per_step(steps[index])
                if number:  # the first round warms up
                    times[index].append(measured)
    for peer, mine in zip(peers, times, strict=True):
        ratio = statistics.median(a / b for a, b in zip(mine, times[0], strict=True))
        print(f"{case:<24}{peer:<12}{batch_size / statistics.median(mine):>12.0f} samples/s{ratio:>8.2f}x", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", choices=("tf", "none"), default="tf")
    parser.add_argument("--case", choices=CASES, action="append", help="only this pipeline; may be repeated")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="few and short rounds, to see that it works")
    options = parser.parse_args(arguments)
    rounds, seconds = (2, 0.02) if options.quick else (options.rounds, 0.4)
    print(f"{processor()}, one thread; medians over {rounds} rounds; 'x' is how much longer than distkeras it takes")
    for case in options.case or CASES:
        peers = ["distkeras"] + (["tf"] if options.peer == "tf" else [])
        measure(peers, case, options.batch_size, rounds, seconds)
    if options.case is None:
        print()
        data_workers.main("--megabytes 1 --rounds 4 --items 4 --seconds 0.002".split() if options.quick else [])
        print()
        data_training.main(["--quick"] if options.quick else [])


if __name__ == "__main__":
    main()
