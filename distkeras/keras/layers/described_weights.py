"""Weights that arguments describe: a layer with a kernel has `kernel_initializer`, `kernel_regularizer` and so on."""

from __future__ import annotations

from typing import Any

from distkeras.core.variable import Variable
from distkeras.keras import constraints, initializers, regularizers
from distkeras.keras.layers.base import Layer

_PARTS = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}


class DescribedWeights(Layer):
    """Base of layers whose kinds of weights, 'kernel' or 'bias' for instance, each have such arguments."""

    def _describe_weight(self, kind: str, initializer: Any, regularizer: Any, constraint: Any) -> None:
        for (part, module), given in zip(_PARTS.items(), (initializer, regularizer, constraint), strict=True):
            setattr(self, f"{kind}_{part}", module.get(given))

    def _description(self, kind: str) -> dict[str, Any]:
        return {part: getattr(self, f"{kind}_{part}") for part in _PARTS}

    def _make_weight(self, kind: str, shape: Any, name: str | None = None, **options: Any) -> Variable:
        return self.add_weight(name or kind, shape, trainable=True, **{**self._description(kind), **options})

    def _make_bias(self, *shape: int) -> Variable | None:
        return self._make_weight("bias", shape) if self.use_bias else None

    def _weight_config(self, *kinds: str, activity: bool = False) -> dict[str, Any]:
        """What a config says of these weights, and of the activity, in the order that Keras has for it."""
        config = {}
        for part, module in _PARTS.items():
            names = [f"{kind}_{part}" for kind in kinds]
            names += ["activity_regularizer"] if activity and part == "regularizer" else []
            config |= {name: module.serialize(getattr(self, name)) for name in names}
        return config
