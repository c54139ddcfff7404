"""tf.train.Checkpoint and CheckpointManager: the state of any objects, written to TensorFlow's files and read back."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from distkeras.core.context import init_scope
from distkeras.core.trackable import AutoTrackable, is_trackable
from distkeras.core.variable import Variable
from distkeras.distribute.strategies import get_strategy
from distkeras.keras.saving import tf_graph
from distkeras.keras.saving.checkpoint_state import (
    CheckpointState,
    checkpoint_exists,
    get_checkpoint_state,
    record_latest,
    write_state,
)
from distkeras.keras.saving.restoration import CheckpointLoadStatus, InitializationOnlyStatus, restore
from distkeras.keras.saving.tf_bundle import data_paths, index_path, write_bundle
from distkeras.keras.saving.together import read_together, write_once


def write_objects(root: Any, prefix: str, is_latest: bool = False) -> None:
    """Write what is reached from `root`; to be called by the one rank that writes. Missing folders are made.

    Args:
        root: A model, or another object with variables.
        prefix: The path without the endings of the files.
        is_latest: Whether `latest_checkpoint` is to find it.
    """
    os.makedirs(os.path.dirname(prefix) or ".", exist_ok=True)
    write_bundle(prefix, tf_graph.gather(root).arrays())
    if is_latest:
        record_latest(prefix)


def strategy_of(root: Any) -> Any:
    """The strategy in whose scope the objects that are reached from `root` were made; the present one by default."""
    for entry in tf_graph.gather(root).objects:
        strategy = getattr(entry, "_distribute_strategy", None) or getattr(entry, "_strategy", None)
        if strategy is not None and strategy.communicator.size > 1:
            return strategy
    return get_strategy()


class Checkpoint(AutoTrackable):
    """Saves and restores variables, layers, models and optimizers, and what these hold, by the names of attributes.

    Values are found again by these names, not by those of the variables, so that what is restored only needs the same
    structure. Objects may be restored before their variables exist; these take their values when they are made.

    Under a strategy every rank calls each method; rank 0 writes, all read.

    Args:
        **kwargs: Objects by name; they become attributes. More can be set later, lists and dicts of objects too.

    Attributes:
        save_counter: How often `save` was called, a variable that is saved as well.

    Raises:
        ValueError: An object has nothing that could be saved.

    >>> import distkeras as tf, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "training", "ckpt")
    >>> checkpoint = tf.train.Checkpoint(step=tf.Variable(0), weights=[tf.Variable([1.0, 2.0])])
    >>> path = checkpoint.save(path)
    >>> other = tf.train.Checkpoint(step=tf.Variable(5), weights=[tf.Variable([0.0, 0.0])])
    >>> _ = other.restore(path).assert_consumed()
    >>> int(other.step), other.weights[0].numpy().tolist(), int(other.save_counter)
    (0, [1.0, 2.0], 1)
    """

    def __init__(self, **kwargs: Any) -> None:
        for name, value in sorted(kwargs.items()):
            if not is_trackable(value) and value not in ([], {}, ()):
                raise ValueError(
                    f"`Checkpoint` was expecting a trackable object for {name!r}: a variable, a layer, a model, an "
                    f"optimizer, a Checkpoint, or lists or dicts of these; got {value!r}. For a number, use a "
                    "tf.Variable."
                )
        for name, value in sorted(kwargs.items()):
            setattr(self, name, value)

    @property
    def save_counter(self) -> Variable:
        counter = self.__dict__.get("_save_counter")
        if counter is None:
            with init_scope():
                counter = self._save_counter = Variable(np.int64(0), trainable=False, name="save_counter")
        return counter

    def _checkpoint_children(self, wanted: Any = ()) -> dict[str, Any]:
        if "save_counter" in wanted:
            _ = self.save_counter
        children = super()._checkpoint_children(wanted)
        return {name.removeprefix("_") if name == "_save_counter" else name: child for name, child in children.items()}

    def save(self, file_prefix: Any) -> str:
        """Write a new checkpoint, numbered by `save_counter`, and make it the latest of its folder.

        Args:
            file_prefix: A path; '-1', '-2', ... is appended. Missing folders are made.

        Returns:
            The path with the number, to be given to `restore`.

        Raises:
            OSError: It cannot be written.
        """
        self.save_counter.assign_add(1)
        path = f"{os.fspath(file_prefix)}-{int(self.save_counter)}"
        write_once(strategy_of(self), path, lambda: write_objects(self, path, is_latest=True))
        return path

    def write(self, file_prefix: Any) -> str:
        """Write a checkpoint to exactly this path, without counting; see `save`."""
        path = os.fspath(file_prefix)
        write_once(strategy_of(self), path, lambda: write_objects(self, path))
        return path

    def restore(self, save_path: Any) -> CheckpointLoadStatus | InitializationOnlyStatus:
        """Give the objects the values of a checkpoint.

        Args:
            save_path: What `save`, `write` or `tf.train.latest_checkpoint` gave. With None nothing happens.

        Returns:
            A status, whose `assert_consumed()` and `assert_existing_objects_matched()` raise AssertionError if
            something was left over.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            OSError: It is damaged (`tf.errors.FileFormatError`).
            ValueError: A value has another shape or type than its variable; nothing is changed then.
        """
        if save_path is None:
            return InitializationOnlyStatus()
        path = os.fspath(save_path)
        return read_together(strategy_of(self), path, lambda: restore(self, path))

    read = restore


class CheckpointManager:
    """Keeps the latest checkpoints of a training and deletes older ones.

    Args:
        checkpoint: The `tf.train.Checkpoint` to save.
        directory: The folder, which is made if need be. A manager goes on where an earlier one of the folder ended.
        max_to_keep: How many to keep; None keeps all.
        keep_checkpoint_every_n_hours: Besides, one checkpoint in so many hours is never deleted.
        checkpoint_name: How the files' names begin.

    Raises:
        ValueError: `max_to_keep` is not positive.

    >>> import distkeras as tf, os, tempfile
    >>> manager = tf.train.CheckpointManager(tf.train.Checkpoint(v=tf.Variable(1.0)), tempfile.mkdtemp(), max_to_keep=2)
    >>> for _ in range(3):
    ...     path = manager.save()
    >>> [os.path.basename(path) for path in manager.checkpoints]
    ['ckpt-2', 'ckpt-3']
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        directory: Any,
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None,
        checkpoint_name: str = "ckpt",
    ) -> None:
        if max_to_keep is not None and max_to_keep <= 0:
            raise ValueError(
                f"Expected a positive integer or `None` for `max_to_keep`, got {max_to_keep}: None keeps all."
            )
        self._checkpoint = checkpoint
        self._directory = os.fspath(directory)
        self._prefix = os.path.join(self._directory, checkpoint_name)
        self._max_to_keep = max_to_keep
        self._seconds = None if keep_checkpoint_every_n_hours is None else keep_checkpoint_every_n_hours * 3600.0
        # What is kept for now: path -> when it was written. What is kept for good is no longer listed.
        self._kept: dict[str, float] = {}
        self._latest: str | None = None
        self._last_preserved = self._now() - 1.0
        known = self._strategy().agree(get_checkpoint_state(self._directory))
        if known is not None:
            self._take_over(known)

    def _strategy(self) -> Any:
        return strategy_of(self._checkpoint)

    def _now(self) -> float:
        return self._strategy().agree(time.time())

    def _take_over(self, known: CheckpointState) -> None:
        """Go on with what an earlier manager has written down; clocks that went back must not delete anything."""
        now = self._last_preserved + 1.0
        self._latest = known.model_checkpoint_path
        self._last_preserved = min(known.last_preserved_timestamp, now)
        paths = known.all_model_checkpoint_paths
        times = known.all_model_checkpoint_timestamps or [now] * len(paths)
        for path, written in zip(paths, times, strict=False):
            if min(written, now) > self._last_preserved:
                self._kept[path] = min(written, now)

    @property
    def latest_checkpoint(self) -> str | None:
        """The path of the latest checkpoint, None if there is none."""
        return self._latest

    @property
    def checkpoints(self) -> list[str]:
        """The paths of those that are kept, oldest first, without those that are kept for good."""
        return list(self._kept)

    @property
    def directory(self) -> str:
        """The folder."""
        return self._directory

    def save(self, checkpoint_number: Any = None) -> str:
        """Write a checkpoint and delete what is not to be kept.

        Args:
            checkpoint_number: A number for its name; that of `save_counter`, which is counted up, by default.

        Returns:
            The path.

        Raises:
            OSError: It cannot be written.
        """
        counter = self._checkpoint.save_counter
        if checkpoint_number is None:
            counter.assign_add(1)
            checkpoint_number = counter
        path = self._checkpoint.write(f"{self._prefix}-{int(checkpoint_number)}")
        self._kept.pop(path, None)
        self._kept[path] = self._now()
        self._latest = path
        # The file that names them is written first: a process that ends in between has too many files, not too few.
        obsolete = self._obsolete()
        write_once(self._strategy(), self._directory, lambda: self._tidy(obsolete))
        return path

    def _obsolete(self) -> list[str]:
        found: list[str] = []
        while self._max_to_keep is not None and len(self._kept) > self._max_to_keep:
            path = next(iter(self._kept))
            written = self._kept.pop(path)
            if self._seconds is not None and written - self._seconds >= self._last_preserved:
                self._last_preserved = written
            else:
                found.append(path)
        return found

    def _tidy(self, obsolete: list[str]) -> None:
        state = CheckpointState(self._latest or "", self.checkpoints, list(self._kept.values()), self._last_preserved)
        write_state(self._directory, state)
        for prefix in obsolete:
            if checkpoint_exists(prefix):
                os.remove(index_path(prefix))
            for path in data_paths(prefix):
                os.remove(path)
