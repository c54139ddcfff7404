"""Configs of later Keras versions, put into the words of TF 2.0.

What tf_keras and Keras 3 add says where a class lives, how it was built, or the neutral value of an option that TF 2.0
does not have. The first two are dropped. A new option is dropped if it is neutral, and left in place otherwise, so that
the class refuses it by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distkeras.keras.layers.base import LAYERS
from distkeras.keras.mixed_precision import policy as policies
from distkeras.keras.saving.calls import doubled, undoubled

_RENAMED_KEYS = {"batch_shape": "batch_input_shape"}
_RENAMED_CLASSES = {"Functional": "Model"}

# Options that TF 2.0 does not have, with the values that change nothing.
_NEUTRAL: dict[str, tuple] = {
    "axes": (None,),
    "build_config": (),
    "flash_attention": (None, False),
    "global_clipnorm": (None,),
    "gradient_accumulation_steps": (None,),
    "groups": (1,),
    "input_axes": (None,),
    "is_legacy_optimizer": (False, True),
    "jit_compile": (False, True),
    "keepdims": (False,),
    "lora_alpha": (None,),
    "lora_rank": (None,),
    "loss_scale_factor": (None,),
    "optional": (False,),
    "output_axes": (None,),
    "quantization_config": (None,),
    "ragged": (False,),
    "renorm": (False,),
    "score_mode": ("dot",),
    "seed": (None,),
    "softmax_robust_masking": (False,),
    "synchronized": (False,),
    "use_cudnn": ("auto",),
    "use_ema": (False,),
    "weight_decay": (None, 0.0),
}
# Under which names layers have layers as arguments.
_PLACES_OF_LAYERS = ("layer", "backward_layer", "cell")
# Options that say how something is done that another option has switched off.
_IDLE = {
    "ema_momentum": "use_ema",
    "ema_overwrite_frequency": "use_ema",
    "renorm_clipping": "renorm",
    "renorm_momentum": "renorm",
}
# Clipping by TF 2.0's optimizers is an option only where it is given.
_ABSENT_IF_NONE = ("clipnorm", "clipvalue")


def plain_config(config: Any) -> Any:
    """A config in TF 2.0's words, made from one of any version.

    Args:
        config: Dicts, lists and plain values, as JSON gives them; not changed.

    >>> plain_config({"module": "keras.layers", "class_name": "Dense", "registered_name": None, "config": {
    ...     "units": 3, "dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}}, "lora_rank": None}})
    {'class_name': 'Dense', 'config': {'units': 3, 'dtype': 'float32'}}
    """
    if isinstance(config, list):
        return [plain_config(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    if "class_name" in config and ("config" in config or "items" in config):
        return _plain_object(config)
    return {
        _RENAMED_KEYS.get(key, key): plain_config(value)
        for key, value in config.items()
        if not _is_neutral(key, value) and config.get(_IDLE.get(key)) is not False
    }


def portable_config(config: Any) -> Any:
    """A config in TF 2.0's words that Keras 3 understands as well.

    Where a Sequential model's first layer says `batch_input_shape`, Keras 3 takes the batch for one more dimension,
    unless an InputLayer comes before it; TF 2.0 reads both. Calls of models in a model are listed twice: see `calls`.
    Of a layer in a layer Keras 3 wants to know the module. Policies go by their names, which tf_keras reads too.

    Args:
        config: Dicts, lists and plain values; not changed.
    """
    if isinstance(config, list):
        return [portable_config(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    # Keras 3 has no layers with time first, and refuses to be told that a layer is none.
    portable = {
        key: portable_config(value) for key, value in config.items() if not (key == "time_major" and value is False)
    }
    for place in _PLACES_OF_LAYERS:
        if isinstance(portable.get(place), dict) and portable[place].get("class_name") in LAYERS:
            portable[place] = {**portable[place], "module": "keras.layers", "registered_name": None}
    inner = portable.get("config")
    if portable.get("class_name") in policies.CLASS_NAMES and inner.keys() == {"name"}:
        return inner["name"]
    if portable.get("class_name") == "Sequential" and inner.get("layers"):
        inner["layers"] = _with_input_layer(inner["layers"])
    elif _is_graph(inner):
        portable["config"] = doubled(inner)
    return portable


def _is_graph(config: Any) -> bool:
    """Whether this is the config of a functional model."""
    if not isinstance(config, Mapping) or not {"layers", "input_layers", "output_layers"} <= config.keys():
        return False
    layers = config["layers"]
    return isinstance(layers, list) and all(
        isinstance(entry, Mapping) and {"name", "config", "inbound_nodes"} <= entry.keys() for entry in layers
    )


def _with_input_layer(layers: list) -> list:
    first = layers[0]["config"]
    if layers[0]["class_name"] == "InputLayer" or first.get("batch_input_shape") is None:
        return layers
    settings = {
        "batch_input_shape": first["batch_input_shape"],
        "dtype": policies.get(first.get("dtype")).variable_dtype,
        "sparse": False,
        "name": f"{first['name']}_input",
    }
    return [{"class_name": "InputLayer", "config": settings}, *layers]


def _is_neutral(key: str, value: Any) -> bool:
    if key in _ABSENT_IF_NONE:
        return value is None
    neutral = _NEUTRAL.get(key, ())
    return not isinstance(value, (list, Mapping)) and value in neutral


def _plain_object(config: Mapping[str, Any]) -> Any:
    """A class name with a config: a layer, an initializer, a dtype, a tuple, a function."""
    name, settings = config["class_name"], config.get("config")
    if name in ("__tuple__", "TensorShape"):
        return tuple(plain_config(item) for item in config["items"])
    if name in policies.CLASS_NAMES and isinstance(settings, Mapping):
        is_plain = settings.get("loss_scale") is None
        return settings.get("name") if is_plain else {"class_name": "Policy", "config": dict(settings)}
    if name == "function":
        return settings
    registered = config.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        name = registered
    plain = {"class_name": _RENAMED_CLASSES.get(name, name), "config": plain_config(settings)}
    if "name" in config:
        plain["name"] = config["name"]
    if isinstance(plain["config"], dict):
        for key in ("input_layers", "output_layers"):
            if key in plain["config"]:
                plain["config"][key] = _layer_list(plain["config"][key])
    if _is_graph(plain["config"]):
        plain["config"] = undoubled(plain["config"])
    if "inbound_nodes" in config:
        plain["inbound_nodes"] = [_inbound_node(node) for node in config["inbound_nodes"]]
    return plain


def _layer_list(given: Any) -> Any:
    """A single input or output is one triple in Keras 3, a list of one triple in TF 2.0."""
    return [given] if isinstance(given, list) and given and isinstance(given[0], str) else given


def _inbound_node(node: Any) -> Any:
    """[[layer, node, tensor, arguments], ...] from Keras 3's {args, kwargs}; other forms, by key too, as they are.

    Raises:
        ValueError: The call has arguments that TF 2.0's form has no place for.
    """
    if not (isinstance(node, Mapping) and set(node) <= {"args", "kwargs"}):
        return plain_config(node)
    first, *others = node.get("args", [])
    if others:
        raise ValueError(
            f"A layer is called with {len(others) + 1} positional arguments, which cannot be read: {node!r}."
        )
    arguments = {key: value for key, value in (node.get("kwargs") or {}).items() if value is not None}
    tensors = first if isinstance(first, list) else [first]
    return [[*_history(tensor), _plain_arguments(arguments)] for tensor in tensors]


def _history(tensor: Any) -> list:
    if not (isinstance(tensor, Mapping) and tensor.get("class_name") == "__keras_tensor__"):
        raise ValueError(f"A layer is called on {tensor!r}, which cannot be read; expected a symbolic tensor.")
    return list(tensor["config"]["keras_history"])


def _plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a call; a tensor among them is written as its history."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
            return _history(value)
        return plain_config(value)

    return {key: plain(value) for key, value in arguments.items()}
