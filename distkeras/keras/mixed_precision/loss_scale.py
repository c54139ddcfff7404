"""Loss scales: factors that keep small float16 gradients from becoming zero.

loss * scale --> backward --> gradients / scale --> summed over the ranks --> all finite? --> update
                                                                            `--> no: left out, and the scale halved
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from distkeras import _nest, ops
from distkeras.core.host import HostCall, host_call
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.trackable import AutoTrackable
from distkeras.core.variable import Variable

_LARGEST = float(np.finfo(np.float32).max)


class LossScale(AutoTrackable):
    """Base of loss scales: `FixedLossScale` and `DynamicLossScale`.

    Calling one gives the factor, a float32 tensor.
    """

    @property
    def weights(self) -> list[Variable]:
        """The variables that it changes."""
        return []

    def __call__(self) -> Tensor:
        """The factor now."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__().")

    def record(self, is_finite: bool) -> bool:
        """Take account of a step.

        Args:
            is_finite: Whether all gradients were finite, on all ranks.

        Returns:
            Whether they are to be applied.
        """
        raise NotImplementedError(f"{type(self).__name__} must define record(is_finite).")

    def update(self, grads: Any) -> tuple[None, Tensor]:
        """Take account of gradients.

        Args:
            grads: Gradients, None among them for none.

        Returns:
            None, where graphs of TensorFlow have an operation, and whether the gradients are to be applied.
        """
        present = [to_tensor(gradient) for gradient in _nest.flatten(grads) if gradient is not None]
        flags = [ops.reduce_all(ops.is_finite(gradient)) for gradient in present]
        finite = np.array(True)

        def run(out: np.ndarray) -> None:
            out[...] = self.record(bool(finite))

        call = HostCall("loss_scale.update", run, [finite], output_specs=[TensorSpec((), "bool")], writes=self.weights)
        return None, host_call(call, ops.reduce_all(ops.stack(flags)) if flags else to_tensor(True))[0]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(f"{type(self).__name__} must define get_config().")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LossScale:
        """The inverse of `get_config`."""
        return cls(**config)


class FixedLossScale(LossScale):
    """A factor that stays as it is; gradients that are not finite are applied.

    Args:
        loss_scale_value: The factor, at least 1; a power of two loses nothing by rounding.

    Raises:
        ValueError: It is no number, or less than 1.

    >>> import distkeras as tf
    >>> tf.train.experimental.FixedLossScale(8)().numpy().item()
    8.0
    """

    def __init__(self, loss_scale_value: float) -> None:
        if not isinstance(loss_scale_value, (int, float)) or isinstance(loss_scale_value, bool):
            raise ValueError(f"loss_scale_value must be a Python int or float, received {loss_scale_value!r}.")
        if not 1 <= loss_scale_value < math.inf:
            raise ValueError(f"loss_scale_value must be at least 1, and finite; received {loss_scale_value}.")
        self._loss_scale_value = float(loss_scale_value)

    def __call__(self) -> Tensor:
        return ops.constant(self._loss_scale_value, "float32")

    def record(self, is_finite: bool) -> bool:
        return True

    def get_config(self) -> dict[str, Any]:
        return {"loss_scale_value": self._loss_scale_value}

    def __repr__(self) -> str:
        return f"FixedLossScale({self._loss_scale_value})"


class DynamicLossScale(LossScale):
    """A factor as large as gradients allow: it grows after many finite steps, and shrinks when one overflows.

    Args:
        initial_loss_scale: The first factor.
        increment_period: After how many finite steps in a row it is multiplied.
        multiplier: By what it is multiplied, and after a step that was not finite divided; it stays 1 or more.

    Raises:
        ValueError: A number is out of range.

    >>> import distkeras as tf
    >>> scale = tf.train.experimental.DynamicLossScale(initial_loss_scale=8)
    >>> _, is_to_be_applied = scale.update([tf.constant([1.0, float("inf")])])
    >>> bool(is_to_be_applied), scale().numpy().item()
    (False, 4.0)
    """

    def __init__(
        self, initial_loss_scale: float = 2.0**15, increment_period: int = 2000, multiplier: float = 2.0
    ) -> None:
        if not 1 <= initial_loss_scale < math.inf:
            raise ValueError(f"initial_loss_scale must be at least 1, and finite; received {initial_loss_scale}.")
        if not (isinstance(increment_period, (int, np.integer)) and increment_period >= 1):
            raise ValueError(f"increment_period must be a number of steps, 1 or more; received {increment_period!r}.")
        if not 1 < multiplier < math.inf:
            raise ValueError(f"multiplier must be more than 1, and finite; received {multiplier}.")
        self._initial_loss_scale = float(initial_loss_scale)
        self._increment_period = int(increment_period)
        self._multiplier = float(multiplier)
        self._current = Variable(np.float32(initial_loss_scale), trainable=False, name="current_loss_scale")
        self._good_steps = Variable(np.int64(0), trainable=False, name="good_steps")

    @property
    def initial_loss_scale(self) -> float:
        return self._initial_loss_scale

    @property
    def increment_period(self) -> int:
        return self._increment_period

    @property
    def multiplier(self) -> float:
        return self._multiplier

    @property
    def weights(self) -> list[Variable]:
        return [self._current, self._good_steps]

    def __call__(self) -> Tensor:
        return self._current.value()

    def record(self, is_finite: bool) -> bool:
        current, steps = self._current._array, self._good_steps._array
        if not is_finite:
            current[()] = max(current / self._multiplier, 1.0)
            steps[()] = 0
        elif steps + 1 >= self._increment_period:
            grown = current.item() * self._multiplier
            current[()] = grown if grown <= _LARGEST else current
            steps[()] = 0
        else:
            steps[()] = steps + 1
        return is_finite

    def _checkpoint_children(self, wanted: Any = ()) -> dict[str, Any]:
        return {"current_loss_scale": self._current, "good_steps": self._good_steps}

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_loss_scale": self._initial_loss_scale,
            "increment_period": self._increment_period,
            "multiplier": self._multiplier,
        }

    def __repr__(self) -> str:
        return (
            f"DynamicLossScale(current_loss_scale={self._current._array.item()}, "
            f"num_good_steps={self._good_steps._array.item()}, initial_loss_scale={self._initial_loss_scale}, "
            f"increment_period={self._increment_period}, multiplier={self._multiplier})"
        )


def get(identifier: Any) -> LossScale | None:
    """The loss scale meant by a number, 'dynamic', a config, a LossScale, or None.

    Raises:
        ValueError: It means none.
    """
    if identifier is None or isinstance(identifier, LossScale):
        return identifier
    if isinstance(identifier, (int, float)) and not isinstance(identifier, bool):
        return FixedLossScale(identifier)
    if identifier == "dynamic":
        return DynamicLossScale()
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    raise ValueError(
        f"Could not interpret loss scale identifier {identifier!r}: expected a number, 'dynamic' or a LossScale."
    )


def serialize(loss_scale: LossScale | None) -> Any:
    """What stands for a loss scale in a config."""
    if loss_scale is None:
        return None
    return {"class_name": type(loss_scale).__name__, "config": loss_scale.get_config()}


def deserialize(config: Mapping[str, Any]) -> LossScale:
    """The loss scale of a config.

    Raises:
        ValueError: It is a config of something else.
    """
    classes = {kind.__name__: kind for kind in (FixedLossScale, DynamicLossScale)}
    if config.get("class_name") not in classes:
        raise ValueError(f"Expected the config of one of {', '.join(classes)}, received {dict(config)!r}.")
    return classes[config["class_name"]].from_config(config["config"])


def copy_of(loss_scale: LossScale) -> LossScale:
    """A loss scale with the same settings and a state of its own."""
    return type(loss_scale).from_config(loss_scale.get_config())
