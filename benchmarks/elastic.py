"""What it costs that a step can be run again: steps of elastic ranks against those of others, with the same weights.

    python -m benchmarks.elastic            2 ranks: usual ones, with weights of their own, and elastic

Each way trains in a job of its own, a dense network of each size, fed from memory; the ways take turns, and printed are
the medians over the rounds of what rank 0 took for a step. With more ranks than idle cores the figures say nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from benchmarks.step_time import processor

WAYS = {"shared weights": [], "weights of their own": ["--no-shared-arenas"], "elastic": ["--elastic"]}
SIZES = (64, 512, 1400)  # units of two hidden layers: 13 k, 0.7 M and 4.3 M weights and slots thrice that


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way, flags in WAYS.items():
            found[way].append(run(options.ranks, flags))
    print(f"{options.ranks} ranks, {processor()}\nweights   " + "".join(f"{way:>22}" for way in WAYS))
    for count in found["elastic"][0]:
        medians = [statistics.median(times[count] for times in found[way]) for way in WAYS]
        print(f"{int(count):>9}" + "".join(f"{seconds * 1e3:>19.3f} ms" for seconds in medians))


def run(ranks: int, flags: list[str]) -> dict[str, float]:
    """Seconds of a step, by the number of weights."""
    command = [sys.executable, "-m", "distkeras", "run", *flags, "-n", str(ranks), "--threads", "1", "-m"]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    command += ["benchmarks.elastic", "train"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith("seconds ")]
    if not told:
        raise SystemExit(done.stdout + done.stderr)
    return json.loads(told[0].removeprefix("seconds "))


def train() -> None:
    """As a rank: time steps of each size."""
    import numpy as np

    import distkeras as tf

    class Timed(tf.keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.times: list[float] = []

        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            self.times.append(time.perf_counter())

    strategy = tf.distribute.MirroredStrategy()
    random = np.random.default_rng(0)
    x, y = random.random((64 * 60, 64), dtype="float32"), random.integers(0, 10, 64 * 60)
    seconds = {}
    for units in SIZES:
        with strategy.scope():
            dense = tf.keras.layers.Dense
            hidden = [dense(units, activation="relu", input_shape=(64,)), dense(units, activation="relu")]
            model = tf.keras.Sequential([*hidden, dense(10, activation="softmax")])
            model.compile("adam", "sparse_categorical_crossentropy")
        timed = Timed()
        model.fit(x, y, batch_size=64, epochs=2, verbose=0, callbacks=[timed])
        seconds[model.count_params()] = statistics.median(np.diff(timed.times[10:]))
    if strategy.rank == 0:
        print("seconds", json.dumps(seconds), flush=True)


if __name__ == "__main__":
    train() if sys.argv[1:] == ["train"] else main()
