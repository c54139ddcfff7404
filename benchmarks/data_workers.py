"""Data workers: how fast batches come through shared memory, and what a second worker brings.

    python -m benchmarks.data_workers

Printed are medians over rounds. For comparison the same batches go through `multiprocessing.Queue`, as pickles.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time

import numpy as np

import distkeras as tf
from distkeras.data.pool import WorkerPool


class Large(tf.keras.utils.Sequence):
    """Batches that cost nothing to make.

    Args:
        megabytes: Size of a batch.
    """

    def __init__(self, megabytes: float) -> None:
        self._batch = np.ones((64, int(megabytes * 1e6) // 256), "float32")

    def __len__(self) -> int:
        return 1 << 20

    def __getitem__(self, index: int) -> np.ndarray:
        return self._batch


class Slow(tf.keras.utils.Sequence):
    """Small batches that take long.

    Args:
        length: How many.
        seconds: How long each takes.
        busy: Whether the time is spent computing in Python, or waiting as for a disk.
    """

    def __init__(self, length: int, seconds: float, busy: bool) -> None:
        self._length, self._seconds, self._busy = length, seconds, busy

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        end = time.thread_time() + self._seconds
        while self._busy and time.thread_time() < end:
            pass
        if not self._busy:
            time.sleep(self._seconds)
        return np.ones((32, 16), "float32"), np.ones(32, "float32")


def bandwidth(megabytes: float, rounds: int, workers: int = 1) -> float:
    """GB/s of batches through shared memory."""
    pool = WorkerPool(Large(megabytes), workers, depth=3)
    items = pool.map(range(1 << 20))
    for _ in range(8):  # each slot's memory is given when it is first written to
        next(items)
    seconds = [_time_of(lambda: next(items)) for _ in range(rounds)]
    items.close()
    pool.close()
    return megabytes / 1e3 / statistics.fmean(seconds)


def bandwidth_of_queue(megabytes: float, rounds: int) -> float:
    """GB/s of the same batches through a queue of pickles."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue(maxsize=3)
    process = context.Process(target=_fill, args=(queue, megabytes), daemon=True)
    process.start()
    queue.get(), queue.get()
    seconds = [_time_of(queue.get) for _ in range(rounds)]
    process.kill()
    process.join()
    return megabytes / 1e3 / statistics.fmean(seconds)


def _fill(queue: object, megabytes: float) -> None:
    data = Large(megabytes)
    while True:
        queue.put(data[0])


def _time_of(function) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def time_of_epoch(length: int, seconds: float, busy: bool, **reading) -> tuple[float, float]:
    """Seconds of a training's second epoch, and the share of it spent waiting for data."""
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(16,))])
    model.compile("sgd", "mse")
    times = model.fit(Slow(length, seconds, busy), epochs=2, verbose=0, **reading).report[1]
    return times.seconds, times.data_share


def main(arguments: list[str] | None = None) -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=50.0)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=0.02)
    parser.add_argument("--spent", nargs="*", choices=("waiting", "computing"), default=("waiting", "computing"))
    given = parser.parse_args(arguments)
    print(f"batches of {given.megabytes:g} MB, one worker")
    print(f"  shared memory   {bandwidth(given.megabytes, given.rounds):6.2f} GB/s")
    print(f"  queue           {bandwidth_of_queue(given.megabytes, max(given.rounds // 4, 1)):6.2f} GB/s")
    for spent in given.spent:
        print(f"items of {given.seconds * 1e3:g} ms spent {spent}")
        alone = None
        for workers, processes in ((0, False), (2, False), (1, True), (2, True)):
            reading = {"workers": workers, "use_multiprocessing": processes}
            seconds, share = time_of_epoch(given.items, given.seconds, spent == "computing", **reading)
            alone = seconds if (workers, processes) == (1, True) else alone
            gain = f", {alone / seconds:.2f} times one" if (workers, processes) == (2, True) else ""
            kind = "processes" if processes else "threads"
            print(f"  {workers} {kind:9} {seconds:6.2f} s, {share:4.0%} of it waiting for data{gain}")


if __name__ == "__main__":
    main()
