"""What data costs a training: fit's own time, waiting for workers, memory over many epochs, and what pools leave.

python -m benchmarks.data_training
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings

import numpy as np

import distkeras as tf
from distkeras.data.pool import WorkerPool


class Batches(tf.keras.utils.Sequence):
    """Batches that take some time to make.

    Args:
        length: How many.
        seconds: How long each takes.
        columns: Their width.
    """

    def __init__(self, length: int, seconds: float = 0.0, columns: int = 16) -> None:
        self._length, self._seconds, self._columns = length, seconds, columns

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        time.sleep(self._seconds)
        x = np.full((64, self._columns), index, "float32")
        return x / (1 + index), x[:, 0] / (1 + index)


class Resident(tf.keras.callbacks.Callback):
    """Notes the memory of this process after each epoch, in MB."""

    def __init__(self) -> None:
        super().__init__()
        self.megabytes: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        with open("/proc/self/statm") as file:
            self.megabytes.append(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)


def model_of(columns: int, units: int = 1) -> tf.keras.Model:
    """A small network that is compiled and was trained for a step."""
    layers = [tf.keras.layers.Dense(units, input_shape=(columns,)), tf.keras.layers.Dense(1)]
    model = tf.keras.Sequential(layers if units > 1 else layers[1:])
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((64, columns), "float32"), np.ones(64, "float32"))
    return model


def fit_over_train_on_batch(steps: int, rounds: int) -> float:
    """Microseconds of CPU time that a step of `fit` over arrays takes longer than `train_on_batch` on the same rows."""
    x, y = np.ones((32 * steps, 16), "float32"), np.ones(32 * steps, "float32")
    model = model_of(16)

    def bare() -> None:
        for start in range(0, len(x), 32):
            model.train_on_batch(x[start : start + 32], y[start : start + 32])

    def fitted() -> None:
        model.fit(x, y, batch_size=32, shuffle=False, verbose=0)

    times: dict = {bare: [], fitted: []}
    for number in range(rounds + 1):
        for run in times:
            began = time.process_time()
            run()
            if number:  # the first round warms up
                times[run].append(time.process_time() - began)
    return 1e6 / steps * (statistics.median(times[fitted]) - statistics.median(times[bare]))


def waiting_for_workers(steps: int) -> tuple[float, float]:
    """(milliseconds of a step, share of it spent waiting) where two workers take half as long for a batch."""
    model = model_of(4096, 512)
    x, y = Batches(1, columns=4096)[0]
    began = time.perf_counter()
    for _ in range(20):
        model.train_on_batch(x, y)
    seconds = (time.perf_counter() - began) / 20
    data = Batches(steps, seconds / 2, 4096)
    times = model.fit(data, epochs=2, workers=2, use_multiprocessing=True, verbose=0).report[1]
    return 1e3 * times.seconds / steps, times.data_share


def slope_of_memory(epochs: int) -> float:
    """MB per epoch by which this process grows after the fifth, with two workers."""
    resident = Resident()
    data = Batches(20, columns=4096)
    model_of(4096).fit(data, epochs=epochs, workers=2, use_multiprocessing=True, verbose=0, callbacks=[resident])
    return float(np.polyfit(range(epochs - 5), resident.megabytes[5:], 1)[0])


def leftovers(cycles: int) -> list[int]:
    """Processes and open files, shared memory among them, more than before so many pools were started and stopped."""

    def count() -> tuple[int, int]:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return len(file.read().split()), len(os.listdir("/proc/self/fd"))

    before = count()
    for _ in range(cycles):
        pool = WorkerPool(Batches(2), 1, depth=2)
        next(pool.map([0]))
        pool.close()
    return [after - earlier for after, earlier in zip(count(), before, strict=True)]


def main(arguments: list[str] | None = None) -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few steps of each, to see that it works")
    parser.add_argument("--cycles", type=int, default=None, help="how often to start and stop a pool: 50")
    given = parser.parse_args(arguments)
    quick, cycles = given.quick, given.cycles or (3 if given.quick else 50)
    steps, epochs = (50, 8) if quick else (2000, 50)
    warnings.filterwarnings("ignore", message="Epoch .* waited for data")  # workers take time to start
    overhead = fit_over_train_on_batch(steps, 2 if quick else 7)
    print(f"fit over train_on_batch, arrays         {overhead:8.1f} us of CPU a step", flush=True)
    step, share = waiting_for_workers(5 if quick else 200)
    print(
        f"waiting for two workers that keep up    {share:8.1%} of a step of {step:.1f} ms: {1e3 * share * step:.0f} us",
        flush=True,
    )
    print(f"memory over {epochs:2} epochs with workers      {slope_of_memory(epochs):+8.3f} MB an epoch", flush=True)
    processes, files = leftovers(cycles)
    print(f"after {cycles:3} starts and stops of a pool    {processes:3} processes and {files} open files more")


if __name__ == "__main__":
    main()
