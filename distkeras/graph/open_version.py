"""Versions of functions, and those for sizes that are not yet known: a plan is made for each size that comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras import _nest
from distkeras.core.spec import TensorSpec


class FunctionVersion:
    """What versions of a function say of themselves.

    Args:
        function: What is called.
        args, kwargs: Its arguments, with a TensorSpec in place of every tensor.
    """

    def __init__(self, function: Callable, args: Any, kwargs: dict[str, Any]) -> None:
        self._function = function
        self._arguments = args, kwargs

    @property
    def name(self) -> str:
        return getattr(self._function, "__name__", "function")

    @property
    def inputs(self) -> list[TensorSpec]:
        """The specs of the tensors it takes."""
        return [leaf for leaf in _nest.flatten(self._arguments) if isinstance(leaf, TensorSpec)]

    @property
    def structured_input_signature(self) -> tuple[tuple, dict[str, Any]]:
        """The arguments it is for, by position and by name, with a TensorSpec for every tensor."""
        args, kwargs = self._arguments
        return tuple(args), kwargs


class OpenVersion(FunctionVersion):
    """A function for arguments some of whose sizes are open, as `get_concrete_function` gives it.

    Args:
        function: Called with arguments of known sizes; has a plan for each.
        args, kwargs: Its arguments, with a TensorSpec in place of every tensor.
        fit: (argument, spec) -> the argument as a tensor that fits, or ValueError.
    """

    def __init__(self, function: Callable, args: Any, kwargs: dict[str, Any], fit: Callable[[Any, Any], Any]) -> None:
        super().__init__(function, list(args), kwargs)
        self._fit = fit

    @property
    def python_function(self) -> Callable:
        """What is traced."""
        return self._function.python_function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run with tensors that fit; other arguments may be left out."""
        leaves, given = _nest.flatten(self._arguments), _nest.flatten((args, kwargs))
        if len(given) == len(self.inputs) != len(leaves):
            following = iter(given)
            given = [next(following) if isinstance(leaf, TensorSpec) else leaf for leaf in leaves]
        if len(given) != len(leaves):
            raise TypeError(f"This version takes {len(self.inputs)} tensors, {self.inputs}; {len(given)} were given.")
        pairs = zip(given, leaves, strict=True)
        fitted = [self._fit(value, leaf) if isinstance(leaf, TensorSpec) else leaf for value, leaf in pairs]
        args, kwargs = _nest.pack(self._arguments, fitted)
        return self._function(*args, **kwargs)
