"""What arguments a layer's `call` takes besides its inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class CallSignature:
    """The arguments of a `call` method.

    Attributes:
        names: The arguments after the inputs, in order.
        takes_any: Whether it has `**kwargs`.
    """

    def __init__(self, call: Callable) -> None:
        parameters = list(inspect.signature(call).parameters.values())
        self.takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
        self.positional = [parameter.name for parameter in parameters if parameter.kind in _NAMED][1:]
        keyword_only = [item.name for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY]
        self.names = [*self.positional, *keyword_only]
        self.defaults = {item.name: item.default for item in parameters if item.default is not inspect.Parameter.empty}
        self.required = [
            item.name for item in parameters[1:] if item.name in self.names and item.name not in self.defaults
        ]

    def expects(self, name: str) -> bool:
        """Whether `call` can be given an argument of this name."""
        return name in self.names or self.takes_any

    def given(self, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The value given for an argument, None where there is none."""
        if name in kwargs:
            return kwargs[name]
        position = self._position(name, args)
        return None if position is None else args[position]

    def was_given(self, name: str, args: tuple, kwargs: dict[str, Any]) -> bool:
        """Whether an argument was given, were it None."""
        return name in kwargs or self._position(name, args) is not None

    def give(self, name: str, value: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """The arguments with this one set."""
        position = self._position(name, args)
        if position is None:
            return args, {**kwargs, name: value}
        return (*args[:position], value, *args[position + 1 :]), kwargs

    def _position(self, name: str, args: tuple) -> int | None:
        given = self.positional[: len(args)]
        return given.index(name) if name in given else None
