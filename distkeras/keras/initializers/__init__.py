"""Initializers: the first values of weights.

Each is called with a shape and an element type. One that was given a seed draws the same values whenever it is called
with the same shape; one without draws new ones, which `tf.random.set_seed` makes repeatable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distkeras.keras.initializers.base import INITIALIZERS, Initializer
from distkeras.keras.initializers.fixed import Constant, Identity, Ones, Zeros
from distkeras.keras.initializers.random import Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from distkeras.keras.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    VarianceScaling,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
)
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object


def serialize(initializer: Any) -> Any:
    """What stands for an initializer in a config."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer that a config stands for."""
    return deserialize_keras_object(config, INITIALIZERS, custom_objects, "initializer")


def get(identifier: Any) -> Any:
    """The initializer meant by a name, a config, a class, a function or an initializer itself, or None.

    Raises:
        ValueError: There is no such initializer.

    >>> from distkeras.keras import initializers
    >>> initializers.get("he_normal").get_config()["scale"]
    2.0
    """
    if isinstance(identifier, str):  # a config without settings: `he_normal` is a function that makes the initializer
        found = deserialize(identifier)
        custom = INITIALIZERS.get(identifier) is None
        return found if custom or isinstance(found, Initializer) else found()
    return identifier() if isinstance(identifier, type) else deserialize(identifier)


zeros = Zeros
ones = Ones
constant = Constant
random_uniform = RandomUniform
random_normal = RandomNormal
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform = GlorotUniform
glorot_normal = GlorotNormal
HeNormal = he_normal
HeUniform = he_uniform
LecunNormal = lecun_normal
LecunUniform = lecun_uniform
orthogonal = Orthogonal
identity = Identity
