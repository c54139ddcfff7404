"""`fit`, `evaluate` and `predict`: the only loop over epochs and batches.

what   data/            global batches, this rank's rows of each
maths  training/step    one step on them
how    training/runner  compiled or step by step, on one rank or many
loop   here
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from distkeras.data.handler import Batch, DataHandler
from distkeras.data.shipping import leave_script
from distkeras.distribute import timeline
from distkeras.keras.callbacks import CallbackList, History, ProgbarLogger
from distkeras.keras.training import arguments
from distkeras.keras.training.batchwise import Batchwise
from distkeras.keras.training.compile import BATCH_LOSS
from distkeras.keras.training.own_steps import OwnSteps
from distkeras.keras.training.predictions import Predictions
from distkeras.keras.training.run_state import RunState
from distkeras.keras.training.runner import Runner


class Trainer(OwnSteps, Batchwise):
    """What `tf.keras.Model` can do besides being a layer: compile, fit, evaluate, predict.

    `train_step`, `test_step` and `predict_step` may be overridden, and so may the functions that call them.
    """

    history: History | None = None
    stop_training = False

    # --- fit

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_freq: Any = 1,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        **kwargs: Any,
    ) -> History:
        """Train the model.

        Args:
            x: An array, a list of arrays or a dict of them by input name; or a Sequence, generator or other iterable
                of batches (x, y) or (x, y, sample_weight).
            y: The targets, in the same forms; not with data that comes in batches.
            batch_size: Samples per step, over all ranks; 32 by default. Not with data that comes in batches.
            epochs: Number of the epoch before which to stop.
            verbose: 0 prints nothing, 1 a progress bar, 2 one line per epoch.
            callbacks: List of `tf.keras.callbacks.Callback`.
            validation_split: Fraction of the samples, the last ones before shuffling, to validate on.
            validation_data: (x, y), (x, y, sample_weight), or data that comes in batches; takes the place of
                `validation_split`.
            shuffle: Whether to take the samples in a new order in each epoch; 'batch' keeps runs of a batch's length
                together, for HDF5 data. Of a Sequence it is the batches. No effect with `steps_per_epoch`.
            class_weight: Dict class -> factor of the loss, for training only.
            sample_weight: Factors of the samples' losses, of shape (samples,), or (samples, timesteps) if the model
                was compiled with sample_weight_mode='temporal'.
            initial_epoch: Number of the epoch to begin with, to resume a training.
            steps_per_epoch: Batches per epoch; by default as many as there are.
            validation_steps: Batches to validate on; by default as many as there are.
            validation_freq: After every how many epochs to validate, or the numbers of these epochs, from 1.
            max_queue_size: How many batches of a generator or Sequence are read ahead.
            workers: How many threads or processes read them ahead; 0 reads them between steps. A generator is read by
                one of them.
            use_multiprocessing: Whether these are processes. A Sequence must then be picklable; a generator is read by
                a thread all the same. Of a dataset they call functions of `map` that run as Python.
            **kwargs: `nb_epoch`, an older name of `epochs`.

        Returns:
            A `History`; its `history` holds the loss and metrics of each epoch by name, its `report` how long each
            took and how long it waited for data.

        Raises:
            RuntimeError: The model was not compiled, or data ran out; as DataWorkerError, a worker died.
            ValueError: Data does not fit the model, or arguments do not go together.
            TypeError: An argument is of the wrong type.
        """
        leave_script()  # before backups are looked at: a worker that tidied up would delete the one being written
        epochs = self._renamed_epochs(kwargs, epochs)
        self.compiled  # noqa: B018  raises if there is nothing to train with
        verbose = arguments.check_verbose(verbose)
        epochs = arguments.check_integer("epochs", epochs, 0)
        initial_epoch = arguments.check_integer("initial_epoch", initial_epoch, 0)
        validation_freq = arguments.check_validation_freq(validation_freq)
        run = RunState(self, CallbackList(callbacks))
        reading = {"max_queue_size": max_queue_size, "workers": workers, "use_multiprocessing": use_multiprocessing}
        run.read()
        training, validation = self._open_training(
            (x, y, sample_weight),
            validation_data,
            arguments.check_validation_split(validation_split),
            arguments.check_integer("validation_steps", validation_steps, 1, optional=True),
            batch_size=batch_size,
            steps=arguments.check_integer("steps_per_epoch", steps_per_epoch, 1, optional=True),
            shuffle=shuffle,
            class_weight=class_weight,
            epoch=initial_epoch,
            place=run.data_place,
            **reading,
        )
        run.check_data(training)
        history = History()
        callback_list = self._callback_list(callbacks, verbose, training, history, epochs, validation)
        self.history = history
        with (
            contextlib.closing(training),
            contextlib.closing(validation or training),
            run.listening(),
            timeline.written(self.distribute_strategy.communicator),
        ):
            self._announce(verbose, training, validation)
            self._train(run, training, validation, callback_list, range(initial_epoch, epochs), validation_freq)
        return history

    def _announce(self, verbose: int, training: DataHandler, validation: DataHandler | None) -> None:
        sizes = [f"Train {_size(training)}", *([f"validate {_size(validation)}"] if validation is not None else [])]
        if verbose and self.distribute_strategy.rank == 0 and all("None" not in size for size in sizes):
            print(", ".join(sizes))

    def _callback_list(
        self,
        callbacks: Any,
        verbose: int,
        handler: DataHandler,
        history: History | None = None,
        epochs: int = 1,
        validation: DataHandler | None = None,
    ) -> CallbackList:
        """The user's callbacks, then the history, then the progress bar, which all get to know the run."""
        names = [] if self._compiled is None else self.metrics_names
        names = [*names, *(f"val_{name}" for name in names if validation is not None)]
        added = [] if history is None else [history]
        if verbose:
            count_mode = "steps" if handler.num_samples is None else "samples"
            added.append(ProgbarLogger(count_mode, stateful_metrics=[name for name in names if name != "loss"]))
        callback_list = CallbackList([*CallbackList(callbacks), *added])
        callback_list.set_model(self)
        callback_list.set_params(
            {
                "batch_size": handler.adapter.batch_size,
                "epochs": epochs,
                "steps": handler.steps,
                "samples": handler.num_samples,
                "verbose": verbose,
                "do_validation": validation is not None,
                "metrics": names,
            }
        )
        return callback_list

    @staticmethod
    def _renamed_epochs(kwargs: dict[str, Any], epochs: int) -> int:
        epochs = kwargs.pop("nb_epoch", epochs)
        if kwargs:
            raise TypeError(f"Unrecognized keyword arguments: {sorted(kwargs)}.")
        return epochs

    def _train(
        self,
        run: RunState,
        training: DataHandler,
        validation: DataHandler | None,
        callbacks: CallbackList,
        epochs: range,
        validation_freq: Any,
    ) -> None:
        runner = self._runner("train")
        runner.refresh()
        self.stop_training = False
        callbacks.call("on_train_begin")
        run.restore(runner, callbacks)
        self.optimizer.share_again()
        epochs = run.rest_of(epochs)
        for epoch in epochs:
            if epoch > epochs.start and training.is_over(epoch):
                break
            runner.reset()
            callbacks.params["steps"] = training.steps
            callbacks.call("on_epoch_begin", epoch)
            logs = run.go_on(epoch, runner, callbacks)
            logs = self._run_epoch("train", runner, training, callbacks, epoch, run, logs)
            self.optimizer.finalize_variable_values(self.trainable_variables)
            if not run.ends(epoch):
                self.history.report.append(training.times)
                training.warn_if_waiting()
            self._count_epoch(epoch)
            if validation is not None and arguments.is_validated(validation_freq, epoch) and not run.stops():
                results = self._test(validation, callbacks)
                logs.update({f"val_{name}": value for name, value in results.items()})
            callbacks.call("on_epoch_end", epoch, logs)
            if run.after_epoch(runner, training, callbacks, epoch) or training.has_ended:
                break
        callbacks.call("on_train_end")
        run.finish()

    def _run_epoch(
        self,
        kind: str,
        runner: Runner,
        handler: DataHandler,
        callbacks: CallbackList,
        epoch: int = 0,
        run: RunState | None = None,
        results: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Run the steps of an epoch, or those that are left of it; the logs of all of them together."""
        results = results or {}
        is_announced = False
        begin, end = f"on_{kind}_batch_begin", f"on_{kind}_batch_end"
        is_heard = callbacks.listens(begin) or callbacks.listens(end)  # else steps need no logs
        logs: dict[str, Any] = {}
        for batch in () if run is not None and run.ends(epoch) else handler.epoch(epoch):
            if is_heard:
                logs = {"batch": batch.step, "size": batch.global_size}
                callbacks.call(begin, batch.step, logs)
            results = runner(batch, run is not None and run.is_asked)
            batch_loss = results.pop(BATCH_LOSS, None)
            if not is_announced:
                self._announce_logs(kind, results, callbacks)
                is_announced = True
            if is_heard:
                logs.update(results)
                if batch_loss is not None:
                    logs["loss"] = batch_loss
                callbacks.call(end, batch.step, logs)
            if run is not None and run.after_step(runner, handler, callbacks, (epoch, batch.step + 1), results):
                break
        return results

    @staticmethod
    def _announce_logs(kind: str, results: Mapping[str, Any], callbacks: CallbackList) -> None:
        """Let callbacks know of what only a step of one's own reports."""
        known, prefix = callbacks.params["metrics"], ""
        if kind == "test" and callbacks.params["do_validation"]:
            prefix = "val_"
        known += [prefix + name for name in results if prefix + name not in known]

    def _test(self, handler: DataHandler, callbacks: CallbackList) -> dict[str, float]:
        runner = self._runner("test")
        runner.reset()
        callbacks.call("on_test_begin")
        logs = self._run_epoch("test", runner, handler, callbacks)
        callbacks.call("on_test_end", dict(logs))
        return logs

    # --- evaluate and predict

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int = 1,
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
    ) -> Any:
        """The loss and the metrics on data.

        Args:
            x, y, batch_size, sample_weight: As for `fit`.
            verbose: 0 prints nothing, 1 a progress bar, 2 one line.
            steps: Batches to evaluate on; by default as many as there are.
            callbacks: List of `tf.keras.callbacks.Callback`.
            max_queue_size, workers, use_multiprocessing: As for `fit`.

        Returns:
            The loss, or a list of the loss and the metrics in the order of `metrics_names`.

        Raises:
            RuntimeError, ValueError, TypeError: As for `fit`.
        """
        self.compiled  # noqa: B018
        verbose = arguments.check_verbose(verbose)
        handler = self._open(
            "test",
            (x, y, sample_weight),
            batch_size=batch_size,
            steps=arguments.check_integer("steps", steps, 1, optional=True),
            max_queue_size=max_queue_size,
            workers=workers,
            use_multiprocessing=use_multiprocessing,
        )
        with contextlib.closing(handler):
            logs = self._test(handler, self._callback_list(callbacks, verbose, handler))
        return self._in_order("test", logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int = 0,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
    ) -> Any:
        """The model's outputs for data.

        Args:
            x, batch_size: As for `fit`; of batches with targets, the targets are not used.
            verbose: 0 prints nothing, 1 a progress bar.
            steps: Batches to predict for; by default as many as there are.
            callbacks: List of `tf.keras.callbacks.Callback`.
            max_queue_size, workers, use_multiprocessing: As for `fit`.

        Returns:
            An ndarray with a row per sample, in order; for several outputs a list of them. The same on every rank.

        Raises:
            ValueError, TypeError: As for `fit`.
        """
        verbose = arguments.check_verbose(verbose)
        handler = self._open(
            "predict",
            (x, None, None),
            batch_size=batch_size,
            steps=arguments.check_integer("steps", steps, 1, optional=True),
            max_queue_size=max_queue_size,
            workers=workers,
            use_multiprocessing=use_multiprocessing,
        )
        callback_list = self._callback_list(callbacks, verbose, handler)
        runner = self._runner("predict")
        runner.refresh()
        predictions = Predictions(handler.num_samples)
        with contextlib.closing(handler):
            callback_list.call("on_predict_begin")
            for batch, outputs in self._predict_batches(handler, runner, callback_list):
                predictions.add(outputs)
                callback_list.call(
                    "on_predict_batch_end",
                    batch.step,
                    {"batch": batch.step, "size": batch.global_size, "outputs": outputs},
                )
            callback_list.call("on_predict_end")
        return predictions.result()

    @staticmethod
    def _predict_batches(handler: DataHandler, runner: Runner, callbacks: CallbackList) -> Iterator[tuple[Batch, Any]]:
        for batch in handler.epoch():
            callbacks.call("on_predict_batch_begin", batch.step, {"batch": batch.step, "size": batch.global_size})
            yield batch, runner(batch)


def _size(handler: DataHandler) -> str:
    if handler.num_samples is not None:
        return f"on {handler.num_samples} samples"
    return f"for {handler.steps} steps"
