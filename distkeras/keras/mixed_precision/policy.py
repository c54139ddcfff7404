"""Policies: of which element types a layer's variables and its computations are."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from typing import Any

from distkeras import _config
from distkeras.core.spec import as_dtype
from distkeras.keras.mixed_precision import loss_scale as loss_scales
from distkeras.keras.mixed_precision.loss_scale import LossScale

_FLOATS = ("float16", "float32", "float64")
# What configs call a policy: TensorFlow 2's, and Keras 3's.
CLASS_NAMES = ("Policy", "DTypePolicy", "FloatDTypePolicy")
_global: Policy | None = None


class Policy:
    """The element types of a layer: that of its variables, and that in which it computes.

    A layer casts floating-point inputs to the type in which it computes. Where variables are of another one, they are
    cast when `call` reads them; what is trained, stored and saved is the variable.

    float16 is computed as described in `distkeras.ops.half`: it halves memory, and is slower than float32 on CPUs.

    Args:
        name: An element type for both; 'mixed_float16': variables are float32, computations float16; or 'infer': both
            are of the type of the first floating-point input.
        loss_scale: What a model's `compile` makes of its optimizer a `LossScaleOptimizer` with: a number, 'dynamic', a
            LossScale, or None for nothing. 'auto' is 'dynamic' for 'mixed_float16' and None for others.

    Raises:
        TypeError: The name is no text.
        ValueError: There is no such policy, or the loss scale cannot be understood.

    >>> import distkeras as tf
    >>> policy = tf.keras.mixed_precision.experimental.Policy("mixed_float16")
    >>> layer = tf.keras.layers.Dense(2, dtype=policy)
    >>> layer(tf.ones((1, 3))).dtype, layer.kernel.dtype
    (tf.float16, tf.float32)
    """

    def __init__(self, name: str, loss_scale: Any = "auto") -> None:
        if not isinstance(name, str):
            shown = f"the DType {name!r}: pass its name" if hasattr(name, "name") else repr(name)
            raise TypeError(f"'name' of a Policy must be a string, received {shown}.")
        self._name = name
        self._compute_dtype, self._variable_dtype = _types(name)
        self._is_auto = isinstance(loss_scale, str) and loss_scale == "auto"
        if self._is_auto:
            loss_scale = "dynamic" if name == "mixed_float16" else None
        self._loss_scale = loss_scales.get(loss_scale)
        if self._loss_scale is not None and self._compute_dtype not in (None, "float16"):
            warnings.warn(
                f"Policy({name!r}, loss_scale={loss_scale!r}): a loss scale is of use only where gradients are "
                "float16; leave it out.",
                stacklevel=2,
            )

    @property
    def name(self) -> str:
        return self._name

    @property
    def variable_dtype(self) -> str | None:
        """The type of variables; None if it is that of the first input."""
        return self._variable_dtype

    @property
    def compute_dtype(self) -> str | None:
        """The type in which layers compute; None if it is that of the first input."""
        return self._compute_dtype

    @property
    def should_cast_variables(self) -> bool:
        """Whether variables are cast when they are read."""
        return self._variable_dtype != self._compute_dtype

    @property
    def loss_scale(self) -> LossScale | None:
        """What `compile` scales losses by; each model takes a copy."""
        return self._loss_scale

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config: dict[str, Any] = {"name": self._name}
        if not self._is_auto:
            config["loss_scale"] = loss_scales.serialize(self._loss_scale)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Policy:
        """The inverse of `get_config`."""
        settings = dict(config)
        if isinstance(settings.get("loss_scale"), Mapping):
            settings["loss_scale"] = loss_scales.deserialize(settings["loss_scale"])
        return cls(**settings)

    def __repr__(self) -> str:
        return f'<Policy "{self._name}", loss_scale={self._loss_scale}>'


def _types(name: str) -> tuple[str | None, str | None]:
    if name == "mixed_float16":
        return "float16", "float32"
    if name == "infer":
        return None, None
    if "bfloat16" in name:
        raise ValueError(
            f"Policy({name!r}): NumPy has no bfloat16, so there are no such tensors. Use 'mixed_float16', or "
            "leave the policy out: float32 is the fastest type on CPUs."
        )
    try:
        kind = as_dtype(name).name
    except TypeError:
        raise ValueError(
            f"Cannot convert value {name!r} to a mixed precision Policy. Valid policies are 'mixed_float16', 'infer' "
            f"and the names of element types, such as {', '.join(_FLOATS)}."
        ) from None
    return kind, kind


@functools.lru_cache
def _plain(name: str) -> Policy:
    return Policy(name)


def global_policy() -> Policy:
    """The policy of layers that are made without `dtype`: the one set, else that of `floatx()`.

    >>> import distkeras as tf
    >>> tf.keras.mixed_precision.experimental.global_policy()
    <Policy "float32", loss_scale=None>
    """
    return _plain(_config.floatx()) if _global is None else _global


def set_policy(policy: Policy | str | None) -> None:
    """Set the policy of layers that are made without `dtype` from now on.

    Args:
        policy: A policy or its name; None for that of `floatx()`.

    >>> import distkeras as tf
    >>> tf.keras.mixed_precision.experimental.set_policy("mixed_float16")
    >>> tf.keras.layers.Dense(2)(tf.ones((1, 3))).dtype
    tf.float16
    >>> tf.keras.mixed_precision.experimental.set_policy(None)
    """
    global _global
    _global = policy if policy is None or isinstance(policy, Policy) else Policy(policy)


def get(identifier: Any) -> Policy:
    """The policy meant by what a layer is given as `dtype`: a policy, its config or name, an element type, or None."""
    if identifier is None:
        return global_policy()
    if isinstance(identifier, Policy):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    is_policy = isinstance(identifier, str) and (identifier == "infer" or identifier.startswith("mixed_"))
    return Policy(identifier) if is_policy else _plain(as_dtype(identifier).name)


def inferred(policy: Policy, dtype: str | None) -> Policy:
    """What an 'infer' policy becomes for inputs of an element type, None for that of `floatx()`."""
    name = _config.floatx() if dtype is None else dtype
    return _plain(name) if policy._is_auto else Policy(name, policy.loss_scale)


def serialize(policy: Policy) -> Any:
    """What stands for a policy in a layer's config: an element type, None for 'infer', else class name and config."""
    config = policy.get_config()
    if policy.should_cast_variables or "loss_scale" in config:
        return {"class_name": "Policy", "config": config}
    return None if policy.compute_dtype is None else policy.name


def deserialize(config: Mapping[str, Any]) -> Policy:
    """The policy of a config, of any Keras version.

    Raises:
        ValueError: It is a config of something else.
    """
    if config.get("class_name") not in CLASS_NAMES:
        raise ValueError(f"Expected the config of a Policy as a layer's dtype, received {dict(config)!r}.")
    return Policy.from_config(config["config"])
