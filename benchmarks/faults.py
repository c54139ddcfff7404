"""Ranks of an elastic training are killed (-9) at random moments: does it come to its end, when, with which bits?

    python -m benchmarks.faults                     20 kills, one of 4 ranks each: in compute, in sums over the ranks,
                                                    in validation, while a checkpoint is written
    python -m benchmarks.faults --deterministic     the same; weights must be those of the undisturbed run
    python -m benchmarks.faults --trials 4 --ranks 3 --first 20         other moments
    python -m benchmarks.faults --way stop          SIGSTOP; exit: os._exit; found after --silence seconds (2)
    python -m benchmarks.faults --hosts 2           ranks on two hosts, made of namespaces: as root

Prints a table: fault, times tried, times survived, the most extra seconds of `fit`, times with the same bits. Seconds
are those of a machine that does nothing else; with more ranks than cores a lost rank may even save some.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.step_time import processor

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("compute", "sums", "validation", "checkpoint")
SECONDS = 240

TRAIN = """
import json, os, random, signal, sys, threading, time
import numpy as np
import distkeras as tf
from distkeras.distribute.agreement import digest
from distkeras.keras.saving.backup_folder import BackupFolder

place, victim, chance = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3]))
strategy = tf.distribute.MirroredStrategy(deterministic=sys.argv[4] == "True")
communicator = strategy.communicator
is_victim = communicator.rank == victim
when = chance.randint(5, 45)  # which step, sum, or batch of validation it is

def die(pause):
    time.sleep(pause)
    if sys.argv[5] == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGSTOP if sys.argv[5] == "stop" else signal.SIGKILL)

def die_soon(most):
    # Whatever the main thread does then: a moment between two instructions of Python would be no random one.
    threading.Thread(target=die, args=(chance.uniform(0, most),)).start()

class Counted:
    def __init__(self, name, most):
        self.name, self.most, self.count = name, most, 0

    def __call__(self):
        self.count += 1
        if is_victim and place == self.name and self.count == when:
            die_soon(self.most)

class Hooks(tf.keras.callbacks.Callback):
    step, validated = Counted("compute", 0.01), Counted("validation", 0.003)

    def on_train_batch_begin(self, batch, logs=None):
        self.step()

    def on_test_batch_begin(self, batch, logs=None):
        self.validated()

def counting(function, counted):
    def call(*args, **kwargs):
        counted()
        return function(*args, **kwargs)
    return call

communicator.allreduce_ = counting(communicator.allreduce_, sums := Counted("sums", 0.001))
communicator.allgather = counting(communicator.allgather, sums)
when_written = Counted("checkpoint", 0.01)
if place == "checkpoint":
    when = 1 + when % 5
BackupFolder.write = counting(BackupFolder.write, when_written)

random_state = np.random.RandomState(0)
x = random_state.randn(640, 64).astype("float32")
y = (x[:, :3].sum(1) > 0).astype("int64")
tf.random.set_seed(1)
layers = tf.keras.layers
with strategy.scope():
    first = layers.Dense(256, activation="relu", input_shape=(64,))
    model = tf.keras.Sequential([first, layers.Dropout(0.2), layers.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
callbacks = [
    Hooks(),
    tf.keras.callbacks.EarlyStopping(monitor="val_loss", patience=3),
    tf.keras.callbacks.BackupAndRestore("backups", save_freq=10),
]
begun = time.perf_counter()
options = {"validation_data": (x[:320], y[:320]), "callbacks": callbacks, "verbose": 0}
history = model.fit(x, y, batch_size=32, epochs=5, **options).history
seconds = time.perf_counter() - begun
if communicator.rank == 0:
    result = {
        "seconds": seconds,
        "ranks": communicator.size,
        "steps": int(model.optimizer.iterations),
        "weights": digest(variable._array for variable in model.weights),
        "history": {name: [float(value) for value in values] for name, values in history.items()},
    }
    print("result", json.dumps(result), flush=True)
"""


class Here:
    """Where trainings run: on this machine, as it is.

    Args:
        silence: Seconds after which a rank that is not heard of is lost.
    """

    def __init__(self, silence: float = 2.0) -> None:
        self.flags = ["--elastic", "--elastic-silence", str(silence)]

    def run(self, folder: Path, arguments: Sequence[object]) -> tuple[int, str]:
        """`distkeras run --elastic ARGUMENTS` in a folder: exit code and output."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith("DISTKERAS_")}
        variables |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "distkeras", "run", *self.flags, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        return done.returncode, done.stdout + done.stderr


class OnHosts(Here):
    """Where trainings run: on hosts made of namespaces.

    Args:
        hosts: The `tests.system.hosts.Hosts`.
        silence: As for `Here`.
    """

    def __init__(self, hosts: Any, silence: float = 2.0) -> None:
        super().__init__(silence)
        self._hosts = hosts

    def run(self, folder: Path, arguments: Sequence[object]) -> tuple[int, str]:
        """As `Here.run`, with as many slots on each host as there are ranks."""
        named = ",".join(f"{name}:{math.ceil(arguments[1] / len(self._hosts.names))}" for name in self._hosts.names)
        job = self._hosts.start(folder, "run", *self.flags, "-H", named, *arguments)
        return job.ends(SECONDS), job.output()


def train(
    ranks: int,
    place: str = "",
    victim: int = -1,
    seed: int = 0,
    deterministic: bool = False,
    way: str = "kill",
    where: Here | None = None,
) -> dict[str, Any]:
    """Train in a folder of its own, with a kill or without; what came out, or an AssertionError with all output."""
    with tempfile.TemporaryDirectory(prefix="distkeras-faults-") as folder:
        Path(folder, "train.py").write_text(TRAIN)
        program = ["train.py", place or "none", victim, seed, deterministic, way]
        code, output = (where or Here()).run(Path(folder), ["-n", ranks, *program])
    told = [line for line in output.splitlines() if line.startswith("result ")]
    assert code == 0 and len(told) == 1, output
    found = json.loads(told[0].removeprefix("result "))
    found["was_lost"], found["was_restarted"] = "was lost at" in output, "starting again" in output
    return found


def victim_of(place: str, ranks: int, seed: int) -> int:
    """Who is killed: checkpoints are written by rank 0."""
    return 0 if place == "checkpoint" else random.Random(seed).randrange(ranks)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial, which its moment follows from")
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--deterministic", action="store_true")
    parser.add_argument("--way", choices=("kill", "stop", "exit"), default="kill")
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--silence", type=float, default=2.0)
    options = parser.parse_args(arguments)
    if options.hosts == 1:
        return report(options, Here(options.silence))
    from tests.system.hosts import Hosts

    with Hosts(options.hosts) as hosts:
        report(options, OnHosts(hosts, options.silence))


def report(options: argparse.Namespace, where: Here) -> None:
    """Do the trials, and print what came of them."""
    undisturbed = train(options.ranks, deterministic=options.deterministic, where=where)
    print(f"{processor()}; undisturbed {undisturbed['seconds']:.2f} s, {undisturbed['steps']} steps")
    tried: dict[str, list[dict[str, Any] | None]] = {place: [] for place in PLACES}
    for trial in range(options.first, options.first + options.trials):
        place = PLACES[trial % len(PLACES)]
        victim = victim_of(place, options.ranks, trial)
        try:
            found = train(options.ranks, place, victim, trial, options.deterministic, options.way, where)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            print(f"trial {trial}, in {place}: {error}", file=sys.stderr)
            found = None
        tried[place].append(found)
    print(table(tried, undisturbed))


def table(tried: dict[str, list[dict[str, Any] | None]], undisturbed: dict[str, Any]) -> str:
    """The table of faults."""
    lines = ["fault         tried  survived  lost in it  most extra s  same bits"]
    for place, results in tried.items():
        found = [result for result in results if result is not None]
        extra = max((result["seconds"] - undisturbed["seconds"] for result in found), default=float("nan"))
        lost = sum(result["was_lost"] for result in found)
        same = sum(result["weights"] == undisturbed["weights"] for result in found)
        lines.append(f"{place:<12}  {len(results):>5}  {len(found):>8}  {lost:>10}  {extra:>12.2f}  {same:>9}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
