"""Steps on single batches, for training loops of one's own, and the older names for data from generators."""

from __future__ import annotations

from typing import Any

from distkeras import _nest
from distkeras.data.ragged import RaggedArray
from distkeras.data.sequence import Sequence
from distkeras.keras.training.compile import BATCH_LOSS
from distkeras.keras.training.feeding import Feeding


class Batchwise(Feeding):
    """The part of a model that runs one step at a time."""

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        reset_metrics: bool = True,
    ) -> Any:
        """One step of training.

        Args:
            x, y, sample_weight, class_weight: As for `fit`, holding one global batch: of several ranks each takes its
                rows.
            reset_metrics: Whether the metrics begin anew after it; the loss returned is always this batch's.

        Returns:
            The loss, or a list of the loss and the metrics in the order of `metrics_names`.

        Raises:
            RuntimeError: The model was not compiled.
            ValueError: Data does not fit the model.
        """
        return self._on_batch("train", (x, y, sample_weight), class_weight, reset_metrics)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, reset_metrics: bool = True) -> Any:
        """The loss and the metrics of one batch, which leaves the weights alone.

        Args:
            x, y, sample_weight: As for `evaluate`, holding one global batch.
            reset_metrics: Whether the metrics begin anew after it; the loss returned is always this batch's.

        Returns:
            The loss, or a list of the loss and the metrics in the order of `metrics_names`.

        Raises:
            RuntimeError: The model was not compiled.
            ValueError: Data does not fit the model.
        """
        return self._on_batch("test", (x, y, sample_weight), None, reset_metrics)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch.

        Args:
            x: As for `predict`, holding one global batch: of several ranks each takes its rows.

        Returns:
            An ndarray, or the structure of them that the model gives; of all rows, on every rank. What the model gives
            as ragged tensors are RaggedTensors.

        Raises:
            ValueError: Data does not fit the model.
        """
        batch = self._single_batch("predict", (x, None, None))
        found = self._runner("predict")(batch)
        return _nest.map_structure(lambda leaf: leaf.tensor() if isinstance(leaf, RaggedArray) else leaf, found)

    def _on_batch(self, kind: str, data: tuple, class_weight: Any, reset_metrics: bool) -> Any:
        self.compiled  # noqa: B018  raises if there is nothing to train with
        batch = self._single_batch(kind, data, class_weight)
        runner = self._runner(kind)
        logs = runner(batch)
        if BATCH_LOSS in logs:
            logs["loss"] = logs.pop(BATCH_LOSS)
        if reset_metrics:
            runner.reset_metrics()
        return self._in_order(kind, logs)

    def _in_order(self, kind: str, logs: dict[str, float]) -> Any:
        """Logs as `evaluate` returns them: one number, or a list in the order of `metrics_names`."""
        if len(logs) == 1:
            return next(iter(logs.values()))
        names = dict.fromkeys([*(metric.name for metric in self._runner(kind).metrics), *logs])
        return [logs[name] for name in names if name in logs]

    # --- generators

    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Any = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        validation_freq: Any = 1,
        class_weight: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> Any:
        """`fit` on a generator or Sequence; see there for the arguments.

        Raises:
            ValueError: A generator was given without `steps_per_epoch`.
        """
        _check_steps("steps_per_epoch", generator, steps_per_epoch)
        return self.fit(
            generator,
            steps_per_epoch=steps_per_epoch,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
            class_weight=class_weight,
            max_queue_size=max_queue_size,
            workers=workers,
            use_multiprocessing=use_multiprocessing,
            shuffle=shuffle,
            initial_epoch=initial_epoch,
        )

    def evaluate_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
    ) -> Any:
        """`evaluate` on a generator or Sequence; see there for the arguments.

        Raises:
            ValueError: A generator was given without `steps`.
        """
        _check_steps("steps", generator, steps)
        return self.evaluate(
            generator,
            steps=steps,
            callbacks=callbacks,
            max_queue_size=max_queue_size,
            workers=workers,
            use_multiprocessing=use_multiprocessing,
            verbose=verbose,
        )

    def predict_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
    ) -> Any:
        """`predict` on a generator or Sequence; see there for the arguments.

        Raises:
            ValueError: A generator was given without `steps`.
        """
        _check_steps("steps", generator, steps)
        return self.predict(
            generator,
            steps=steps,
            callbacks=callbacks,
            max_queue_size=max_queue_size,
            workers=workers,
            use_multiprocessing=use_multiprocessing,
            verbose=verbose,
        )


def _check_steps(name: str, generator: Any, steps: int | None) -> None:
    if steps is None and not isinstance(generator, Sequence):
        raise ValueError(
            f"`{name}=None` is only valid for a generator based on the `keras.utils.Sequence` class. "
            f"Please specify `{name}` or use the `keras.utils.Sequence` class."
        )
