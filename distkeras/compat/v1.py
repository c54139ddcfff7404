"""`tf.compat.v1`: every name of `tf`, and what scripts call to leave TF 1 behind; there is one behaviour, TF 2.0's."""

from __future__ import annotations

import importlib
import logging as _logging
import types
from collections.abc import Callable
from typing import Any

import distkeras
from distkeras.core.no_ops import no_op
from distkeras.core.random_state import set_seed as set_random_seed

__all__ = [
    "disable_eager_execution",
    "disable_v2_behavior",
    "enable_eager_execution",
    "enable_v2_behavior",
    "global_variables_initializer",
    "logging",
    "set_random_seed",
]


def _in_force(name: str) -> Callable:
    def function(*args: Any, **kwargs: Any) -> None:
        """Accepted: so it is, always."""

    function.__name__ = function.__qualname__ = name
    return function


def _refused(name: str) -> Callable:
    def function(*args: Any, **kwargs: Any) -> None:
        """Raises NotImplementedError: there is no other behaviour than TensorFlow 2.0's."""
        raise NotImplementedError(
            f"tf.compat.v1.{name}: distkeras behaves as TensorFlow 2.0; graphs and sessions of TF 1 are not available. "
            "Operations run at once, and tf.function compiles."
        )

    function.__name__ = function.__qualname__ = name
    return function


enable_eager_execution = _in_force("enable_eager_execution")
enable_v2_behavior = _in_force("enable_v2_behavior")
disable_eager_execution = _refused("disable_eager_execution")
disable_v2_behavior = _refused("disable_v2_behavior")
global_variables_initializer = no_op  # variables have values from the beginning

_logger = _logging.getLogger("distkeras")
logging = types.SimpleNamespace(
    DEBUG=_logging.DEBUG,
    INFO=_logging.INFO,
    WARN=_logging.WARNING,
    ERROR=_logging.ERROR,
    FATAL=_logging.CRITICAL,
    debug=_logger.debug,
    info=_logger.info,
    warn=_logger.warning,
    error=_logger.error,
    fatal=_logger.critical,
    set_verbosity=_logger.setLevel,
    get_verbosity=_logger.getEffectiveLevel,
)


def __getattr__(name: str) -> Any:
    return importlib.import_module("distkeras.compat.v1_data") if name == "data" else getattr(distkeras, name)
