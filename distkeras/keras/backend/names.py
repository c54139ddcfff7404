"""Operations under the argument names of `tf.keras.backend`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def renamed(operation: Callable, names: str) -> Callable:
    """An operation whose first arguments can be given under other names too.

    Args:
        operation: The operation.
        names: The other names of its first arguments, in their order.

    Returns:
        A function that passes everything on, and tells the new names as its signature.

    >>> import distkeras as tf
    >>> renamed(tf.reduce_sum, "x axis")(x=tf.ones((2, 3)), axis=1).numpy().tolist()
    [3.0, 3.0]
    """
    parameters = list(inspect.signature(operation).parameters.values())
    others = {name: parameter.name for name, parameter in zip(names.split(), parameters, strict=False)}

    @functools.wraps(operation)
    def call(*args: Any, **kwargs: Any) -> Any:
        return operation(*args, **{others.get(name, name): value for name, value in kwargs.items()})

    firsts = [parameter.replace(name=name) for name, parameter in zip(others, parameters, strict=False)]
    call.__signature__ = inspect.Signature([*firsts, *parameters[len(firsts) :]])
    return call
