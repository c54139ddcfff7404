"""A training run as a backup holds it, and how `fit` saves and takes it up again.

    values["place"]        epoch, step in it, steps in all
    values["results"]      the logs of the epoch so far
    values["random"]       seed and counters
    values["callbacks"]    what each has to say for itself, the history among them
    values["metrics"]      the running epoch's state of metrics, one for each rank
    values["states"]       what stateful layers keep for the samples of a batch
    arrays                 weights, slots, hyper-parameters, by their names in the object graph

The values of variables are found again as those of a `tf.train.Checkpoint` are, so that a model which makes them when
it is first called can take up a run as well.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from distkeras.core import random_state
from distkeras.data.adapter import Place
from distkeras.data.handler import DataHandler
from distkeras.data.sharding import shard_bounds
from distkeras.distribute import preemption, timeline
from distkeras.distribute.agreement import agree, digest
from distkeras.distribute.run_folder import leave_note
from distkeras.keras.callbacks import BackupAndRestore, CallbackList
from distkeras.keras.metrics.base import merging_of
from distkeras.keras.saving.restoration import Restoration
from distkeras.keras.saving.tf_graph import GRAPH_KEY, gather
from distkeras.keras.saving.together import read_together, write_once
from distkeras.keras.training.backup_contents import (
    StoredArrays,
    by_name,
    description,
    fingerprint,
    kept_states,
    metric_states,
    metric_variables,
)


class RunState:
    """The state of one call of `fit`.

    Args:
        model: The model that is trained.
        callbacks: The user's callbacks, of which one may be a `BackupAndRestore`.

    Attributes:
        place: Where an interrupted run goes on; None for a run from the beginning.
        consumed: How many steps were taken, before an interruption too.

    Raises:
        ValueError: There is more than one `BackupAndRestore`.
    """

    def __init__(self, model: Any, callbacks: CallbackList) -> None:
        found = [callback for callback in callbacks if isinstance(callback, BackupAndRestore)]
        if len(found) > 1:
            raise ValueError(f"`callbacks` holds {len(found)} BackupAndRestore, expected at most one.")
        self._model = model
        self._backup = found[0] if found else None
        self._strategy = model.distribute_strategy
        self._requests = preemption.preemption()
        self._values: dict[str, Any] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self._is_asked = False
        self._is_late = False
        self.place: Place | None = None
        self.consumed = 0
        if self._saves_when_asked and self._strategy.rank == 0:
            leave_note(preemption.RESUMABLE)

    # --- taking up

    def read(self) -> None:
        """Read the newest backup, if there is one, and take over what decides about the order of the data.

        Raises:
            OSError: A backup cannot be read, or all of them are damaged.
            ValueError: It is of another model or another kind of training. Nothing is changed then.
        """
        if self._backup is None:
            return
        folder = self._backup.folder
        number = self._newest(folder)
        if number is None:
            return
        path = folder.file(number)
        self._values, self._arrays = read_together(self._strategy, path, lambda: folder.read(number))
        self._check_model(path)
        self.place = Place(*self._values["place"])
        self.consumed = self.place.consumed
        random_state.set_state(self._values["random"][0])  # the counters follow when the model is built
        self._model._epochs_run.clear()
        self._model._epochs_run.update(self._values["epochs_run"])
        if self._strategy.rank == 0:
            preemption.say(f"going on after step {self.place.step} of epoch {self.place.epoch + 1}, from {path}")

    def _newest(self, folder: Any) -> int | None:
        """The newest backup's number, as rank 0 finds it; another rank, should that one be lost meanwhile."""
        strategy, generation = self._strategy, None
        while generation != strategy.communicator.generation:
            generation = strategy.communicator.generation
            newest = read_together(strategy, folder.path, lambda: folder.newest() if strategy.rank == 0 else None)
            number = strategy.agree(newest)
        return number

    @property
    def data_place(self) -> Place | None:
        """The place of the first batch that is still to come."""
        if self.place is not None and self.ends(self.place.epoch):
            return Place(self.place.epoch + 1, 0, self.place.consumed)
        return self.place

    def ends(self, epoch: int) -> bool:
        """Whether all steps of an epoch were taken before the interruption, but not what follows them."""
        place = self.place
        if place is None or place.epoch != epoch or not place.step:
            return False
        return place.step == self._values["data"]["steps"]

    def rest_of(self, epochs: range) -> range:
        """The epochs that are still to be run."""
        if self.place is None:
            return epochs
        return range(0) if self._values["is_stopped"] else range(self.place.epoch, epochs.stop)

    def go_on(self, epoch: int, runner: Any, callbacks: CallbackList) -> dict[str, Any]:
        """At an epoch's beginning, put back what the callbacks have just begun anew if an earlier run began it.

        Returns:
            The logs of the steps that were taken.
        """
        if self.place is None or not self.place.step or self.place.epoch != epoch:
            return {}
        self.restore(runner, callbacks)
        return dict(self._values["results"])

    def check_data(self, training: DataHandler) -> None:
        """Check that the rest of an epoch is that of the same data.

        Raises:
            ValueError: Batches are others than when the run was saved.
        """
        if self.place is None or not self.place.step:
            return
        saved, given = self._values["data"], description(training)
        differing = [name for name in saved if saved[name] != given[name] and None not in (saved[name], given[name])]
        if differing:
            name = differing[0]
            raise ValueError(
                f"The run in {self._backup.backup_dir} was saved in the middle of epoch {self.place.epoch + 1} with "
                f"{name}={saved[name]}, and is to go on with {name}={given[name]}: the rest of the epoch would be "
                "other data. Pass the same data and `batch_size`, or another `backup_dir` to begin anew."
            )
        if training.steps is None:
            training.steps = saved["steps"]

    def restore(self, runner: Any, callbacks: CallbackList) -> None:
        """Give model, random numbers and callbacks the state that was saved; may be called again and again."""
        if self.place is None:
            return
        Restoration(self._model, StoredArrays(self._backup.backup_dir, self._arrays)).go_on()
        random_state.set_state(*self._values["random"])
        for kind, counts in self._values["runners"].items():
            self._model._runner(kind).set_counts(counts)
        for name, callback in by_name(callbacks):
            if name in self._values["callbacks"]:
                callback.set_state(copy.deepcopy(self._values["callbacks"][name]))
        for variable, value in zip(kept_states(self._model), self._values["states"], strict=False):
            variable.assign(value)
        if self.place.step and not self.ends(self.place.epoch):
            self._restore_metrics(runner)

    def _restore_metrics(self, runner: Any) -> None:
        rank, by_rank = self._strategy.replicas.rank, self._values["metrics"]
        variables = metric_variables(runner)
        if [part.shape for part in by_rank[0]] != [tuple(variable.shape) for variable in variables]:
            raise ValueError(
                f"The run in {self._backup.backup_dir} was saved with other metrics: compile the model with the same "
                "ones, or pass another `backup_dir` to begin anew."
            )
        for place, variable in enumerate(variables):
            parts = [parts[place] for parts in by_rank]
            if len(parts) == self._strategy.num_replicas_in_sync:
                variable.assign(parts[rank])
            elif (merging := merging_of(variable.aggregation)) == "SUM":
                # What is merged over ranks is the sum of their states, whoever holds it.
                total = np.sum(parts, axis=0, dtype=parts[0].dtype)
                variable.assign(total if rank == 0 else np.zeros_like(total))
            else:
                variable.assign(np.mean(parts, axis=0, dtype=parts[0].dtype) if merging == "MEAN" else parts[0])

    def _check_model(self, path: str) -> None:
        saved, model = self._values["model"], self._model
        given = fingerprint(model)
        if saved["optimizer"] != given["optimizer"]:
            differing = f"its optimizer {saved['optimizer']}, the model's {given['optimizer']}"
        elif given["weights"] and saved["weights"] != given["weights"]:
            pairs = itertools.zip_longest(saved["weights"], given["weights"])
            differing = next(
                f"its weight {place} {one}, the model's {other}"
                for place, (one, other) in enumerate(pairs)
                if one != other
            )
        else:
            return
        raise ValueError(
            f"The run in {path} is that of another model: {differing}. Build and compile the model as it was, or pass "
            "another `backup_dir` to begin anew."
        )

    # --- saving

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take signals as requests to stop while the block runs."""
        with self._requests.listening():
            yield

    def after_step(
        self, runner: Any, training: DataHandler, callbacks: CallbackList, place: tuple[int, int], results: Any
    ) -> bool:
        """What follows a step: a backup if one is due; the end of the training, or of the program, if asked for.

        Args:
            runner: What ran the step.
            training: Where its batch came from.
            callbacks: All callbacks of the run.
            place: The epoch, and how many of its steps were taken.
            results: The logs of the epoch so far.

        Returns:
            Whether to stop.
        """
        self.consumed += 1
        self._arrays = {}  # no longer needed: as much memory as the weights and slots take
        stop, is_asked = self.stops(), runner.asked and not self._is_between_updates
        if self._backup is not None and (self._is_due(ends_epoch=False) or (is_asked and self._saves_when_asked)):
            self._save(runner, training, callbacks, Place(*place, self.consumed), results)
        return (is_asked and self._ends(is_asked)) or stop

    def after_epoch(self, runner: Any, training: DataHandler, callbacks: CallbackList, epoch: int) -> bool:
        """What follows an epoch and the callbacks' hooks; see `after_step`."""
        asked = self._requests.is_asked_after_epoch if self._saves_when_asked else self._requests.is_asked
        stop, is_asked = self.stops(), self._strategy.any(asked) and not self._is_between_updates
        is_due = self._is_due(ends_epoch=True)
        if is_due or (is_asked and self._saves_when_asked):
            self._save(runner, training, callbacks, Place(epoch + 1, 0, self.consumed), {}, stop)
        return self._ends(is_asked) or stop

    def stops(self) -> bool:
        """Whether training is to stop: rank 0 says so for all, for a rank that stopped alone would leave the others."""
        return bool(self._strategy.agree(bool(self._model.stop_training)))

    @property
    def is_asked(self) -> bool:
        """Whether this rank was asked to stop."""
        return self._requests.is_asked

    def finish(self) -> None:
        """The training came to its end: delete its backups, if that is wanted."""
        if self._backup is not None and self._backup.delete_checkpoint:
            write_once(self._strategy, self._backup.backup_dir, self._backup.folder.clear)

    @property
    def _is_between_updates(self) -> bool:
        """Whether gradients are being added up, which no backup holds: it waits for the update."""
        accumulation = self._model.optimizer.accumulation
        return accumulation is not None and accumulation.taken > 0

    def _is_due(self, ends_epoch: bool) -> bool:
        if self._backup is None:
            return False
        is_due = self._is_late or self._backup.is_due(self.consumed, ends_epoch)
        self._is_late = is_due and self._is_between_updates
        return is_due and not self._is_late

    @property
    def _saves_when_asked(self) -> bool:
        return self._backup is not None and self._backup.save_before_preemption

    def _ends(self, is_asked: bool) -> bool:
        """End the program if that was asked for. If nothing is saved and only time is up, the training alone ends."""
        if not is_asked:
            return False
        reasons = [reason for reason in self._strategy.collect(self._requests.reason) if reason]
        signals = [reason for reason in reasons if reason != preemption.TIME_LIMIT]
        reason = (signals or reasons or ["a request to a rank that was lost"])[0]
        if self._backup is None and reason == preemption.TIME_LIMIT:
            self._say_once(f"training stops here: {reason}. With a BackupAndRestore callback it could go on later.")
            self._is_asked = True
            return True
        code, advice = preemption.UNSAVED, "Nothing was saved: with a BackupAndRestore callback it could go on later"
        if self._backup is not None:
            code = preemption.EXIT_CODE
            advice = f"Start the program again to go on from {self._backup.backup_dir}"
        self._say_once(f"stopped after step {self.consumed}: {reason}. {advice}; exit code {code}")
        if self._strategy.rank == 0:
            leave_note(preemption.STOPPED, str(code))
        raise SystemExit(code)

    def _say_once(self, text: str) -> None:
        if self._strategy.rank == 0 and not self._is_asked:
            preemption.say(text)

    def _save(
        self,
        runner: Any,
        training: DataHandler,
        callbacks: CallbackList,
        place: Place,
        results: dict[str, Any],
        is_stopped: bool = False,
    ) -> None:
        with timeline.current().span("checkpoint", "backup"):
            model, communicator = self._model, self._strategy.communicator
            model.optimizer.finalize_variable_values(model.trainable_variables)
            weights = digest(variable._array for variable in model.trainable_variables)
            agree(communicator, {"trained weights": weights}, "The model")
            values = {
                "place": tuple(place),
                "is_stopped": is_stopped,
                "results": results,
                "random": random_state.get_state(),
                "epochs_run": dict(model._epochs_run),
                "runners": {kind: one.counts for kind, one in model._runners_made.items()},
                "callbacks": {name: callback.get_state() for name, callback in by_name(callbacks)},
                "metrics": metric_states(self._strategy.replicas, runner),
                "states": [self._whole(variable) for variable in kept_states(model)],
                "data": description(training),
                "model": fingerprint(model),
            }
            arrays = gather(model).arrays()
            arrays[GRAPH_KEY] = np.frombuffer(arrays[GRAPH_KEY].item(), np.uint8)
            folder = self._backup.folder
            write_once(self._strategy, folder.path, lambda: folder.write(values, arrays))

    def _whole(self, variable: Any) -> np.ndarray:
        """A state with a row for each sample of a batch, of which each rank keeps those of its slice."""
        replicas = self._strategy.replicas
        start, stop = shard_bounds(variable.shape[0], replicas.rank, replicas.size)
        return self._strategy.gather(variable.numpy()[start:stop])
