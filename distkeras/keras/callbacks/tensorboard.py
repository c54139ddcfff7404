"""Training shown by TensorBoard."""

from __future__ import annotations

import numbers
import os
import warnings
from typing import Any

import numpy as np

from distkeras.keras.callbacks.base import Callback, Logs
from distkeras.keras.callbacks.event_file import EventFile

_NOT_METRICS = ("batch", "size", "num_steps")
_OF_KERAS_BEFORE = ("batch_size", "write_grads", "embeddings_layer_names", "embeddings_data")


class TensorBoard(Callback):
    """Writes files that `tensorboard --logdir logs` shows: losses and metrics, weights, and the model's graph.

    The run 'train' holds the logs of training, 'validation' those whose names begin with 'val_', each by epoch as
    'epoch_...', and by batch as 'batch_...' if that is wanted. Rank 0 writes.

    Args:
        log_dir: The folder.
        histogram_freq: After every how many epochs to write histograms of the weights; 0 for never.
        write_graph: Whether to write the graph of a model that has a config.
        write_images: Whether to write weights as images too, whenever histograms are written.
        update_freq: 'epoch', 'batch', or after how many samples to write a batch's logs.
        profile_batch: 2, TensorFlow's default, or 0: nothing is profiled.
        embeddings_freq, embeddings_metadata: Must be left as they are: embeddings are not written.
        **kwargs: `batch_size`, `write_grads`, `embeddings_layer_names` and `embeddings_data` of Keras before TensorFlow
            2.0, which change nothing, with a warning.

    Raises:
        ValueError: Something is wanted that cannot be written, or an argument is unknown.

    >>> import distkeras as tf
    >>> callback = tf.keras.callbacks.TensorBoard("logs", histogram_freq=1)
    """

    state_names = ("_batches", "_samples_since_last_write")

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 2,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        is_count = isinstance(update_freq, numbers.Integral) and not isinstance(update_freq, bool) and update_freq > 0
        if update_freq not in ("batch", "epoch") and not is_count:
            raise ValueError(
                f"`update_freq` must be 'batch', 'epoch' or a positive number of samples, received {update_freq!r}."
            )
        if not isinstance(histogram_freq, numbers.Integral) or histogram_freq < 0:
            raise ValueError(f"`histogram_freq` must be a number of epochs, 0 for never, received {histogram_freq!r}.")
        if profile_batch not in (0, 2):
            raise ValueError(f"profile_batch={profile_batch!r}: steps cannot be profiled; leave it out.")
        if embeddings_freq or embeddings_metadata is not None:
            raise ValueError("Embeddings are not written: leave `embeddings_freq` and `embeddings_metadata` out.")
        for name in _OF_KERAS_BEFORE:
            if kwargs.get(name):
                warnings.warn(f"`{name}` is ignored by the `TensorBoard` Callback, as in TensorFlow 2.0.", stacklevel=2)
        unknown = sorted(set(kwargs) - set(_OF_KERAS_BEFORE))
        if unknown:
            raise ValueError(f"Unrecognized arguments in `TensorBoard` Callback: {unknown}.")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._files: dict[str, EventFile] = {}
        self._batches = 0
        self._samples_since_last_write = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        if self._writes and self.write_graph:
            try:
                self._run("train").keras_model(self.model.to_json())
            except NotImplementedError:  # a model that is defined by its code has no config
                pass

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        logs = logs or {}
        self._samples_since_last_write += logs.get("size", 1)
        if self.update_freq != "epoch" and self._samples_since_last_write >= self.update_freq:
            self._samples_since_last_write = 0
            for name, value in logs.items():
                if name not in _NOT_METRICS:
                    self._scalar("train", f"batch_{name}", value, self._batches)
        self._batches += 1

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        for name, value in (logs or {}).items():
            run, bare = ("validation", name[len("val_") :]) if name.startswith("val_") else ("train", name)
            self._scalar(run, f"epoch_{bare}", value, epoch)
        if self._writes and self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        for file in self._files.values():
            file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}

    def _run(self, name: str) -> EventFile:
        if name not in self._files:
            self._files[name] = EventFile(os.path.join(self.log_dir, name))
        return self._files[name]

    def _scalar(self, run: str, tag: str, value: Any, step: int) -> None:
        if self._writes and np.ndim(value) == 0:
            self._run(run).scalar(tag, float(value), step)

    def _write_weights(self, epoch: int) -> None:
        for layer in self.model.layers:
            for weight in layer.weights:
                tag, values = weight.name.replace(":", "_"), weight.numpy()
                self._run("train").histogram(tag, values, epoch)
                images = as_images(values) if self.write_images else None
                if images is not None:
                    self._run("train").images(tag, images, epoch)


def as_images(weight: np.ndarray) -> np.ndarray | None:
    """A weight as images (images, height, width, channels); None if it has too many axes.

    Kernels are shown whole and lying on their longer side, those with three axes slice by slice.

    >>> as_images(np.zeros((5, 2))).shape
    (1, 2, 5, 1)
    """
    weight = np.squeeze(weight)
    if weight.ndim <= 1:
        return weight.reshape(1, 1, -1, 1)
    if weight.ndim == 2:
        return (weight.T if weight.shape[0] > weight.shape[1] else weight)[np.newaxis, ..., np.newaxis]
    if weight.ndim == 3:
        return weight.transpose(2, 0, 1)[..., np.newaxis]
    return weight if weight.ndim == 4 and weight.shape[-1] in (1, 3, 4) else None
