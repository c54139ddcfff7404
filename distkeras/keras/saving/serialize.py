"""Configs: how Keras objects are written as plain dicts and found again by name.

A class is written as `{"class_name": ..., "config": ...}`, a function as its name. When a name is read, it is looked up
in the objects given by the caller, then among those announced globally, then in the family's registry. Nothing else is
ever imported or executed, so reading a config cannot run code that the program did not name itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from distkeras.core.spec import DType, TensorShape

_custom_objects: dict[str, Any] = {}
_registered_names: dict[int, str] = {}


def get_custom_objects() -> dict[str, Any]:
    """The dict of globally announced classes and functions; writing to it announces more.

    >>> import distkeras as tf
    >>> tf.keras.utils.get_custom_objects()["twice"] = lambda x: 2 * x
    >>> tf.keras.activations.get("twice")(3)
    6
    >>> del tf.keras.utils.get_custom_objects()["twice"]
    """
    return _custom_objects


class CustomObjectScope:
    """Announces classes and functions by name inside of a `with` block.

    Args:
        *objects: Dicts name -> class or function.

    >>> import distkeras as tf
    >>> with tf.keras.utils.custom_object_scope({"twice": lambda x: 2 * x}):
    ...     layer = tf.keras.layers.Dense(3, activation="twice")
    """

    def __init__(self, *objects: Mapping[str, Any]) -> None:
        wrong = [entry for entry in objects if not isinstance(entry, Mapping)]
        if wrong:
            raise TypeError(
                f"Custom objects are given as dicts of classes and functions by name, received {wrong[0]!r}."
            )
        self.custom_objects = objects
        self._before: list[dict[str, Any]] = []

    def __enter__(self) -> CustomObjectScope:
        self._before.append(_custom_objects.copy())
        for objects in self.custom_objects:
            _custom_objects.update(objects)
        return self

    def __exit__(self, *error: Any) -> None:
        _custom_objects.clear()
        _custom_objects.update(self._before.pop())


def custom_object_scope(*objects: Mapping[str, Any]) -> CustomObjectScope:
    """A scope in which names in configs also mean the given objects; see `CustomObjectScope`."""
    return CustomObjectScope(*objects)


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[Any], Any]:
    """A decorator that announces a class or function, so that files that mention it need no `custom_objects`.

    Args:
        package: Keeps equal names of different libraries apart; configs say `package>name`.
        name: The name in configs, `__name__` by default.

    Raises:
        ValueError: The class has no `get_config`, or the name is taken by another object.
    """

    def register(entry: Any) -> Any:
        registered = f"{package}>{name or entry.__name__}"
        if inspect.isclass(entry) and not hasattr(entry, "get_config"):
            raise ValueError(f"Cannot register {entry.__name__}: a class in a config must have a get_config() method.")
        if _custom_objects.get(registered, entry) is not entry:
            raise ValueError(f"{registered!r} has already been registered to {_custom_objects[registered]!r}.")
        _custom_objects[registered] = entry
        _registered_names[id(entry)] = registered
        return entry

    return register


def get_registered_name(entry: Any) -> str:
    """The name that configs give a class or function: the registered one, else `__name__`."""
    return _registered_names.get(id(entry)) or getattr(entry, "__name__", None) or str(entry)


def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Any = None
) -> Any:
    """The class or function that configs call `name`, None if there is no such.

    Args:
        name: The name in configs.
        custom_objects, module_objects: Where to look before and after what is announced globally.
    """
    for objects in (custom_objects, _custom_objects, module_objects):
        if objects is not None and name in objects:
            return objects[name]
    return None


def serialize_keras_object(instance: Any) -> Any:
    """What stands for `instance` in a config: None, its name (functions, strings), or class name and config.

    Raises:
        ValueError: It has neither a `get_config` method nor a name.
    """
    if instance is None or isinstance(instance, str):
        return instance
    if hasattr(instance, "get_config") and not inspect.isclass(instance):
        return {"class_name": get_registered_name(type(instance)), "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ValueError(
        f"Cannot serialize {instance!r}: expected an object with a get_config() method, or a function with a name."
    )


def deserialize_keras_object(
    identifier: Any,
    module_objects: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object that a config, a name or the object itself stands for.

    Args:
        identifier: None, a `{"class_name", "config"}` dict, a name, or a callable, which is returned as it is.
        module_objects: The family's Registry (or a dict) of known classes and functions.
        custom_objects: More of them, which take precedence.
        printable_module_name: The family's name in error messages, such as "optimizer".

    Raises:
        ValueError: The name is unknown, or the dict is no config.
    """
    if identifier is None:
        return None
    if isinstance(identifier, Mapping):
        return _from_config(identifier, module_objects, custom_objects, printable_module_name)
    if isinstance(identifier, str):
        found = _find(identifier, module_objects, custom_objects, printable_module_name)
        return found() if inspect.isclass(found) else found
    if callable(identifier):
        return identifier
    raise ValueError(
        f"Could not interpret {printable_module_name} identifier {identifier!r} of type {type(identifier).__name__}: "
        "expected a name, a config dict or an object."
    )


def _from_config(config: Mapping, registry: Any, custom_objects: Mapping[str, Any] | None, kind: str) -> Any:
    if "class_name" not in config or "config" not in config:
        raise ValueError(
            f"Improper config format for {kind}: expected the keys 'class_name' and 'config', received {config!r}."
        )
    found, settings = _find(config["class_name"], registry, custom_objects, kind), config["config"]
    with CustomObjectScope(custom_objects or {}):
        if not hasattr(found, "from_config"):
            return found if not settings and _takes_tensors(found) else found(**settings)
        if "custom_objects" in inspect.signature(found.from_config).parameters:
            return found.from_config(settings, custom_objects={**_custom_objects})
        return found.from_config(settings)


def _takes_tensors(function: Any) -> bool:
    """Whether a function is meant itself, for it cannot be called without arguments, rather than what it makes."""
    parameters = inspect.signature(function).parameters.values()
    return any(
        parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        for parameter in parameters
    )


def _find(name: str, registry: Any, custom_objects: Mapping[str, Any] | None, kind: str) -> Any:
    found = get_registered_object(name, custom_objects, registry)
    if found is None:
        known = f" Known: {', '.join(map(repr, sorted(registry)))}." if registry is not None else ""
        raise ValueError(
            f"Unknown {kind}: {name!r}. If it is your own, pass it as custom_objects={{{name!r}: ...}} or inside of "
            f"tf.keras.utils.custom_object_scope.{_suggestion(name, registry)}{known}"
        )
    return found


def _suggestion(name: Any, registry: Any) -> str:
    import difflib

    near = difflib.get_close_matches(str(name), list(registry or ()), n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def json_value(value: Any) -> Any:
    """What JSON writes for an object in a config that it has no form for; for `json.dumps(..., default=json_value)`.

    Raises:
        TypeError: There is nothing to write for it.
    """
    if hasattr(value, "get_config") and not inspect.isclass(value):
        return {"class_name": get_registered_name(type(value)), "config": value.get_config()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) or hasattr(value, "numpy") and not isinstance(value, DType):
        return np.asarray(value).tolist()
    if isinstance(value, TensorShape):
        return list(value)
    if isinstance(value, (DType, np.dtype)):
        return value.name
    if callable(value):
        return get_registered_name(value)
    raise TypeError(f"Not JSON serializable: {value!r} of type {type(value).__name__}.")
