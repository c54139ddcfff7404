"""A callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras.keras.callbacks.base import Callback

_HOOKS = frozenset(name for name in dir(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback whose hooks are given as functions.

    Args:
        on_epoch_begin, on_epoch_end: Functions of (epoch, logs).
        on_batch_begin, on_batch_end: Functions of (batch, logs), for steps of training.
        on_train_begin, on_train_end: Functions of (logs).
        **kwargs: Any other hook by name, or other attributes of the callback.

    >>> callback = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    >>> callback.on_epoch_end(0, {"loss": 1.0})
    0 {'loss': 1.0}
    """

    def __init__(
        self,
        on_epoch_begin: Callable | None = None,
        on_epoch_end: Callable | None = None,
        on_batch_begin: Callable | None = None,
        on_batch_end: Callable | None = None,
        on_train_begin: Callable | None = None,
        on_train_end: Callable | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_batch_begin": on_batch_begin,
            "on_batch_end": on_batch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            **kwargs,
        }
        for name, function in hooks.items():
            if name.startswith("on_") and name not in _HOOKS:
                raise ValueError(f"LambdaCallback: there is no hook {name!r}. Known: {', '.join(sorted(_HOOKS))}.")
            if name.startswith("on_") and function is not None and not callable(function):
                raise TypeError(f"LambdaCallback: {name} must be a function, received {function!r}.")
            if function is not None:
                setattr(self, name, function)
