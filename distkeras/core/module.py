"""Modules: objects that own variables, and find them."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from distkeras import _nest
from distkeras.core.scopes import name_scope
from distkeras.core.trackable import AutoTrackable
from distkeras.core.variable import Variable

_WORD_START = re.compile(r"(?<=.)(?=[A-Z][a-z0-9])|(?<=[a-z0-9])(?=[A-Z])")


class Module(AutoTrackable):
    """A named object that finds the variables among its attributes, in lists and dicts, and in other such objects.

    Args:
        name: By default the class in snake case.

    >>> import distkeras as tf
    >>> class Linear(tf.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.w = tf.Variable([[2.0]], name="w")
    ...     def __call__(self, x):
    ...         return x @ self.w
    >>> Linear().trainable_variables[0].name
    'w:0'
    """

    def __init__(self, name: str | None = None) -> None:
        name = _WORD_START.sub("_", type(self).__name__).lower() if name is None else name
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(f"{name!r} is not a valid module name: it must be a valid Python identifier.")
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def name_scope(self) -> contextlib.AbstractContextManager[str]:
        """A scope: variables made inside are called `name/...`."""
        return name_scope(self.name)

    @classmethod
    def with_name_scope(cls, method: Callable) -> Callable:
        """Let a method run in the module's name scope."""

        @functools.wraps(method)
        def scoped_method(self: Module, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return scoped_method

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All variables, each once: its own by attribute name, then those of the objects it holds."""
        return tuple(unique(_variables(self, set())))

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        """Those of `variables` that are trainable."""
        return tuple(variable for variable in self.variables if variable.trainable)

    @property
    def submodules(self) -> tuple[Any, ...]:
        """All modules and layers that it holds, at any depth."""
        return tuple(unique(_submodules(self, {id(self)})))


def unique(items: Iterable[Any]) -> list[Any]:
    """Each object once, in order; by identity, since tensors and variables compare element by element."""
    return list({id(item): item for item in items}.values())


def _held(module: Any) -> list[Any]:
    return [leaf for key in sorted(vars(module)) for leaf in _nest.flatten(vars(module)[key])]


def _is_module(value: Any) -> bool:
    """Layers and models, too, have `variables`."""
    return not isinstance(value, (type, Variable)) and (
        isinstance(value, Module) or hasattr(value, "trainable_variables")
    )


def _variables(module: Any, seen: set[int]) -> Iterator[Variable]:
    seen.add(id(module))
    held = _held(module)
    yield from (leaf for leaf in held if isinstance(leaf, Variable))
    for leaf in held:
        if isinstance(leaf, Module) and id(leaf) not in seen:
            yield from _variables(leaf, seen)
        elif _is_module(leaf) and not isinstance(leaf, Module):
            yield from leaf.variables


def _submodules(module: Any, seen: set[int]) -> Iterator[Any]:
    for leaf in _held(module):
        if _is_module(leaf) and id(leaf) not in seen:
            seen.add(id(leaf))
            yield leaf
            yield from _submodules(leaf, seen)
