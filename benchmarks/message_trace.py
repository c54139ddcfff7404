"""Which messages a training step sends, and when: measured on one core, as if there were a second rank.

    OMP_NUM_THREADS=1 python -m benchmarks.message_trace   all models; writes benchmarks/message_traces.json
    python -m benchmarks.message_trace --model cnn         one of them, the others in the file stay

The communicator is one that does nothing but note the time: what is measured is when each bucket of gradients is ready,
and how long computing alone takes, in processor time of the thread that computes, so that other work on the machine
does not count. `benchmarks.scaling_model` predicts from it what many ranks would do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import distkeras as tf
from benchmarks.step_time import processor
from distkeras.distribute import environment
from distkeras.distribute.communicator import SerialCommunicator
from distkeras.distribute.strategies import Strategy

FILE = Path(__file__).with_name("message_traces.json")


class Message(NamedTuple):
    """What a rank sends in a step.

    Attributes:
        at: Seconds from the beginning of the step.
        nbytes: What each rank gives.
        kind: "allreduce" or "allgather".
        overlaps: Whether computing goes on meanwhile.
    """

    at: float
    nbytes: int
    kind: str
    overlaps: bool


class Recorder(SerialCommunicator):
    """Two ranks, each on a node of its own, of which the other gives the same and costs nothing.

    Attributes:
        noted: Messages with absolute times.
    """

    size = num_nodes = 2

    def __init__(self) -> None:
        self.noted: list[Message] = []
        self._main = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._main)

    def now(self) -> float:
        """Processor time of the thread that computes."""
        return time.clock_gettime(self._clock)

    def _note(self, kind: str, array: np.ndarray) -> None:
        overlaps = threading.get_ident() != self._main
        self.noted.append(Message(self.now(), array.nbytes, kind, overlaps))

    def allreduce_(self, array: np.ndarray, purpose: str = "") -> None:
        self._note("allreduce", array)

    def allgather(self, array: np.ndarray, purpose: str = "") -> list[np.ndarray]:
        self._note("allgather", array)
        return [np.array(array, order="C") for _ in range(2)]

    def allgather_object(self, value: Any, purpose: str = "") -> list[Any]:
        return [value, value]


def cnn() -> tuple[Any, tuple[int, ...], int, int]:
    """The convolutional network of the other benchmarks, on 28 x 28 images."""
    layers = tf.keras.layers
    body = [layers.Conv2D(32, 3, activation="relu", input_shape=(28, 28, 1)), layers.MaxPooling2D()]
    body += [layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()]
    body += [layers.Dense(128, activation="relu"), layers.Dense(10)]
    return tf.keras.Sequential(body), (28, 28, 1), 10, 128


def resnet50() -> tuple[Any, tuple[int, ...], int, int]:
    """ResNet-50, on images of 224 x 224."""
    shape = (224, 224, 3)
    body = tf.keras.applications.ResNet50(include_top=False, pooling="avg", weights=None, input_shape=shape)
    return tf.keras.Sequential([body, tf.keras.layers.Dense(1000)]), shape, 1000, 8


def lstm() -> tuple[Any, tuple[int, ...], int, int]:
    """Two LSTMs of 512 units over 50 steps of 256 features, and 10,000 classes."""
    layers = tf.keras.layers
    body = [layers.LSTM(512, return_sequences=True, input_shape=(50, 256)), layers.LSTM(512), layers.Dense(10_000)]
    return tf.keras.Sequential(body), (50, 256), 10_000, 32


MODELS = {"cnn": cnn, "resnet50": resnet50, "lstm": lstm}


def trace(make: Any, steps: int) -> dict[str, Any]:
    """Train a model and note one step's messages: medians over the steps.

    Args:
        make: Gives model, shape of a sample, number of classes and samples per rank.
        steps: How many to take, after three that are not counted.
    """
    environment.use_one_thread()
    recorder = Recorder()
    with Strategy(recorder).scope():
        model, shape, classes, batch = make()
        model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    random = np.random.default_rng(0)
    x = random.standard_normal((2 * batch, *shape)).astype("float32")
    y = random.integers(0, classes, 2 * batch)
    found = [_one_step(model, recorder, x, y) for _ in range(steps + 3)][3:]
    kinds = {tuple(message[1:] for message in messages) for _, messages in found}
    assert len(kinds) == 1, "steps send different messages"
    times = [statistics.median(each) for each in zip(*([m.at for m in messages] for _, messages in found), strict=True)]
    messages = sorted([round(at, 6), *message[1:]] for at, message in zip(times, found[0][1], strict=True))
    return {
        "batch": batch,
        "parameters": model.count_params(),
        "step": round(statistics.median(seconds for seconds, _ in found), 6),
        "spread": round(float(np.std([seconds for seconds, _ in found]) / np.mean([s for s, _ in found])), 4),
        "messages": messages,
        "measured": f"{processor()}, one thread, median of {steps} steps",
    }


def _one_step(model: Any, recorder: Recorder, x: np.ndarray, y: np.ndarray) -> tuple[float, list[Message]]:
    recorder.noted.clear()
    begun = recorder.now()
    model.train_on_batch(x, y)
    seconds = recorder.now() - begun
    messages = [message._replace(at=message.at - begun) for message in recorder.noted]
    return seconds, sorted(messages, key=lambda message: message.overlaps)  # each thread's in their order


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, action="append", help="only this one; may be repeated")
    parser.add_argument("--steps", type=int, default=15)
    options = parser.parse_args()
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in options.model or MODELS:
        known[name] = trace(MODELS[name], options.steps)
        sent = sum(message[1] for message in known[name]["messages"])
        print(
            f"{name}: {known[name]['step'] * 1e3:.1f} ms, {len(known[name]['messages'])} messages, {sent / 1e6:.2f} MB"
        )
        FILE.write_text(
            json.dumps(known, indent=None).replace('"messages"', '\n "messages"').replace("}, ", "},\n") + "\n"
        )


if __name__ == "__main__":
    main()
