"""Time of a training step of typical small networks, against PyTorch or TensorFlow.

    DISTKERAS_BENCH_TORCH=/envs/torch/bin/python python -m benchmarks.networks
    DISTKERAS_BENCH_TORCH=/envs/torch/bin/python python -m benchmarks.networks --simd avx2
    DISTKERAS_BENCH_TF=/envs/tf/bin/python       python -m benchmarks.networks --peer tf
    python -m benchmarks.networks --peer none                   distkeras alone

Texts are 100 (transformer: 64) of 10,000 words, each a vector of 64; images are 32 x 32. All train by Adam, with Keras'
`fit` where there is one. Processes, turns and ratios are as in `benchmarks.step_time`.
"""

from __future__ import annotations

import argparse
import statistics

from benchmarks import step_time
from benchmarks.network_peers import INPUTS, OF_IMAGES
from benchmarks.recurrent import take_turns


class Worker(step_time.Worker):
    """A contestant's process."""

    program = "network_peers.py"


def contestants(peer: str, case: str) -> list[step_time.Contestant]:
    """distkeras first, then whom it is compared with."""
    variants = {"torch": ["eager", *(["channels_last"] if case in OF_IMAGES else [])], "tf": ["fit"], "none": []}
    found = [step_time.Contestant("distkeras", "fit")]
    return found + [step_time.Contestant(peer, variant) for variant in variants[peer]]


def measure(peer: str, case: str, batch_size: int, rounds: int, seconds: float) -> None:
    """Print a line: the time of distkeras, and how much longer the others take."""
    field: list[Worker] = []
    try:
        for contestant in contestants(peer, case):
            field.append(Worker(contestant, case, batch_size))
        times = take_turns(field, rounds, seconds)
    finally:
        for worker in field:
            worker.close()
    ratios = [statistics.median(b / a for a, b in zip(times[0], theirs, strict=True)) for theirs in times[1:]]
    others = "".join(f"{ratio:>9.2f}x {worker.contestant}" for ratio, worker in zip(ratios, field[1:], strict=True))
    memory = " ".join(f"{worker.peak_memory / 2**20:.0f}" for worker in field)
    print(f"{case:<15}{statistics.median(times[0]) * 1e6:>9.0f} us{others}   memory {memory} MB", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", choices=("torch", "tf", "none"), default="torch")
    parser.add_argument("--case", choices=tuple(INPUTS), action="append", help="only this network; may be repeated")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="few and short rounds, to see that it works")
    step_time.add_simd_option(parser)
    options = parser.parse_args(arguments)
    rounds, seconds = (3, 0.05) if options.quick else (options.rounds, 0.3)
    step_time.restrict(options.simd)
    print(step_time.heading(options.simd, rounds))
    for case in options.case or INPUTS:
        measure(options.peer, case, options.batch_size, rounds, seconds)


if __name__ == "__main__":
    main()
