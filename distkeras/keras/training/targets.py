"""Whether targets fit the output and the loss that they are for, and what to do where they do not."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.keras.training import resolve
from distkeras.kernels.gather import count_outside


def check_target(loss: Any, target: tuple, output: tuple, name: str) -> None:
    """Raise ValueError unless a loss can compare targets of a shape with the output.

    Args:
        loss: The output's loss.
        target, output: Shapes; sizes of the output may be None.
        name: The output's, for the message.
    """
    if resolve.is_categorical(loss) and target[-1] == 1:
        raise ValueError(
            f"You are passing a target array of shape {target} for the output {name} of shape {output} while using as "
            "loss `categorical_crossentropy`, which expects one-hot targets of shape (samples, classes). For integer "
            "classes use `sparse_categorical_crossentropy`, or convert them with `tf.keras.utils.to_categorical(y)`."
        )
    if resolve.is_sparse_categorical(loss):
        _check_shape(loss, target, [output[:-1], (*output[:-1], 1)], name, "integer classes, one for each prediction")
    elif resolve.is_categorical(loss) or resolve.is_binary(loss) or resolve.is_mean_squared(loss):
        _check_shape(loss, target, [output], name, "targets of the shape of the output")


def check_classes(target: np.ndarray, count: int, name: str) -> None:
    """Raise ValueError if there are classes that the output has no probability for."""
    if target.dtype == np.int64 and target.flags.carray:  # the usual case, at every step of small ones
        if not count_outside[np.int64](target.reshape(-1), count):
            return
    elif not target.size:
        return
    lowest, highest = target.min(), target.max()
    if not (lowest >= 0 and highest < count):  # NaN is no class either
        raise ValueError(
            f"The targets for the output {name} must be classes from 0 to {count - 1}, for it has {count} values for "
            f"each sample; received classes from {lowest} to {highest}."
        )


def _check_shape(loss: Any, target: tuple, expected: list[tuple], name: str, what: str) -> None:
    def fits(shape: tuple) -> bool:
        return all(size is None or size == given for size, given in zip(shape[1:], target[1:], strict=False))

    if not any(fits(shape) for shape in expected if len(shape) == len(target) or shape is expected[-1]):
        raise ValueError(
            f"A target array with shape {target} was passed for the output {name}, while using as loss `{loss.name}`. "
            f"This loss expects {what}: shape {expected[-1]}.{_target_advice(loss, target, expected[-1])}"
        )


def _target_advice(loss: Any, target: tuple, expected: tuple) -> str:
    if len(expected) > max(len(target), 2):
        return (
            " The output has more axes than the targets: is a Flatten or a pooling layer missing before the last one?"
        )
    if resolve.is_sparse_categorical(loss) and target[-1] > 1:
        return " For one-hot targets use `categorical_crossentropy`."
    if resolve.is_binary(loss) and target[-1] == 1:
        return " For one class of several use `sparse_categorical_crossentropy` and softmax, or convert the targets."
    return ""
