"""What is written: numbers, distributions, images, texts. Inside of a traced function, whenever it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.scopes import scoped
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.callbacks.event_file import EventFile
from distkeras.ops.recording import record
from distkeras.summary.writer import current

Put = Callable[[EventFile, np.ndarray, int], Any]


def _write(data: Tensor, step: Any, put: Put) -> Tensor:
    """Write if there is a writer and nothing forbids it; whether that is so."""
    writer, condition = current.writer, current.condition
    condition = condition() if callable(condition) else condition
    if writer is None or condition is False:
        return ops.constant(False)
    step = current.step if step is None else step
    if step is None:
        raise ValueError(
            "No step set. Please specify one either through the `step` argument or through "
            "tf.summary.experimental.set_step()"
        )

    def receive(value: np.ndarray, number: np.ndarray, wanted: np.ndarray) -> None:
        if wanted:
            writer.write(lambda file: put(file, value, int(number)))

    wanted = ops.cast(to_tensor(condition), "bool")
    record(receive, data, ops.cast(to_tensor(step), "int64"), wanted)
    return wanted


def scalar(name: str, data: Any, step: Any = None, description: str | None = None) -> Tensor:
    """Write a number.

    Args:
        name: What it is called; the open name scopes are put before it.
        data: The number.
        step: When it was: a number, by default that of `tf.summary.experimental.set_step`.
        description: Accepted; it is not written.

    Returns:
        bool: whether it is written; False where no writer is the default.

    Raises:
        ValueError: There is no step, or more than one number.
    """
    value = to_tensor(data)
    if value.ndim:
        raise ValueError(f"tf.summary.scalar: expected a scalar, received shape {value.shape}.")
    tag = scoped(name)
    return _write(value, step, lambda file, array, number: file.scalar(tag, float(array), number))


def histogram(
    name: str, data: Any, step: Any = None, buckets: int | None = None, description: str | None = None
) -> Tensor:
    """Write how numbers are distributed, in so many `buckets`, by default 30; other arguments are those of `scalar`."""
    tag, count = scoped(name), 30 if buckets is None else int(buckets)
    return _write(to_tensor(data), step, lambda file, array, number: file.histogram(tag, array, number, count))


def image(name: str, data: Any, step: Any = None, max_outputs: int = 3, description: str | None = None) -> Tensor:
    """Write images.

    Args:
        name, step, description: As for `scalar`.
        data: [images, height, width, channels], of 1, 3 or 4 channels: floating-point numbers in [0, 1], or integers of
            uint8 in [0, 255].
        max_outputs: How many of them.

    Raises:
        ValueError: It has another form.
    """
    value, tag = to_tensor(data), scoped(name)
    if value.ndim != 4 or value.shape[3] not in (1, 3, 4):
        raise ValueError(
            f"tf.summary.image: expected images [images, height, width, 1, 3 or 4], received shape {value.shape}."
        )
    value = ops.cast(value, "float32") / 255.0 if value.dtype.is_integer else value
    return _write(value, step, lambda file, array, number: file.images(tag, array, number, int(max_outputs)))


def text(name: str, data: Any, step: Any = None, description: str | None = None) -> Tensor:
    """Write texts, which TensorBoard shows as Markdown; the arguments are those of `scalar`."""
    value, tag = to_tensor(data), scoped(name)
    if value.dtype != "string":
        raise ValueError(f"tf.summary.text: expected texts, received dtype {value.dtype.name}.")
    return _write(value, step, lambda file, array, number: file.texts(tag, array, number))
