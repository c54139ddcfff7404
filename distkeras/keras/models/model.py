"""Model: layers put together, with training and inference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from distkeras.keras import layers as keras_layers
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.models.network import Network
from distkeras.keras.saving.translate import plain_config
from distkeras.keras.training.trainer import Trainer


@LAYERS.register(aliases=("Functional",))
class Model(Trainer, Network):
    """Layers grouped into an object that can be trained, evaluated, used and saved.

    With the functional API, `Model(inputs, outputs, name=...)`: everything between symbolic tensors.

    >>> import distkeras as tf
    >>> inputs = tf.keras.Input(shape=(3,))
    >>> x = tf.keras.layers.Dense(4, activation=tf.nn.relu)(inputs)
    >>> outputs = tf.keras.layers.Dense(5, activation=tf.nn.softmax)(x)
    >>> model = tf.keras.Model(inputs=inputs, outputs=outputs)
    >>> model(tf.ones((2, 3))).shape
    TensorShape([2, 5])

    By subclassing: layers are made in `__init__`, the forward pass is `call`, which may take `training`.

    >>> class MyModel(tf.keras.Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.dense1 = tf.keras.layers.Dense(4, activation=tf.nn.relu)
    ...         self.dense2 = tf.keras.layers.Dense(5, activation=tf.nn.softmax)
    ...     def call(self, inputs):
    ...         return self.dense2(self.dense1(inputs))
    >>> MyModel()(tf.ones((2, 3))).shape
    TensorShape([2, 5])
    """


def model_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A new model from `{"class_name": ..., "config": ...}`.

    Raises:
        TypeError: No dict was given; a Sequential model's layers, a list, are for `Sequential.from_config`.
        ValueError: A class is unknown.
    """
    if isinstance(config, list):
        raise TypeError(
            "`model_from_config` expects a dictionary, not a list. "
            "Maybe you meant to use `Sequential.from_config(config)`?"
        )
    if not isinstance(config, Mapping):
        raise TypeError(f"A model's config is a dictionary with 'class_name' and 'config', received {config!r}.")
    return keras_layers.deserialize(plain_config(config), custom_objects)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A new model, with new weights, from what `to_json` gave.

    Args:
        json_string: The config.
        custom_objects: Classes and functions of your own that it mentions, by name.

    >>> import distkeras as tf
    >>> model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
    >>> tf.keras.models.model_from_json(model.to_json()).output_shape
    (None, 2)
    """
    return model_from_config(json.loads(json_string), custom_objects)


def model_from_yaml(yaml_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A new model, with new weights, from what `to_yaml` gave; arguments as for `model_from_json`.

    The file is read safely: tags that would make Python objects are refused.
    """
    import yaml

    return model_from_config(yaml.safe_load(yaml_string), custom_objects)
