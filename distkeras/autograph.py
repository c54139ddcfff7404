"""`tf.autograph`: Python is not rewritten here. It runs while a function is traced; see `tf.function`."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

__all__ = ["experimental", "set_verbosity", "to_code", "to_graph", "trace"]


def _refuse(name: str, advice: str) -> Callable:
    def function(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"tf.autograph.{name}: Python code is not rewritten by distkeras. {advice}")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Raises NotImplementedError: there is no code generated from Python."
    return function


to_code = _refuse("to_code", "print(f.get_concrete_function(...).graph) shows what tf.function has made of f.")
to_graph = _refuse("to_graph", "tf.function(f).get_concrete_function(...).graph is the graph of f.")


def do_not_convert(func: Callable | None = None) -> Any:
    """The function itself: none is ever converted."""
    return func if func is not None else lambda inner: inner


def set_loop_options(
    parallel_iterations: int | None = None,
    swap_memory: bool | None = None,
    maximum_iterations: Any = None,
    shape_invariants: Any = None,
) -> None:
    """Accepted in the body of a loop: loops run as Python, where tensors may change their shapes.

    Raises:
        ValueError: `maximum_iterations` is given: it would end the loop.
    """
    if maximum_iterations is not None:
        raise ValueError("set_loop_options: there is no maximum_iterations for loops of Python; count, and use break.")


def set_verbosity(level: int, alsologtostdout: bool = False) -> None:
    """Accepted: there is no conversion to report on."""


def trace(*args: Any) -> None:
    """Print `args` while a function is traced."""
    print(*args)


experimental = types.SimpleNamespace(do_not_convert=do_not_convert, set_loop_options=set_loop_options)
