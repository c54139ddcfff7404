"""Names that have little to do here: operations run in the order in which they are written."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from distkeras.core.primitive import PRIMITIVES, bind
from distkeras.core.tensor import Tensor, to_tensor


@contextlib.contextmanager
def control_dependencies(control_inputs: Any) -> Iterator[None]:
    """Operations run in the order in which they are written: what `control_inputs` name has been done before."""
    for item in control_inputs or ():
        if callable(item):
            item()
    yield


def no_op(name: str | None = None) -> None:
    """Nothing."""


def group(*inputs: Any, **kwargs: Any) -> None:
    """Nothing: the operations given have been run already, or recorded."""
    if unknown := set(kwargs) - {"name"}:
        raise ValueError(f"Unknown keyword arguments: {sorted(unknown)}.")


def identity_n(input: Sequence[Any], name: str | None = None) -> list[Tensor]:
    """Each of several tensors, copied."""
    return [bind(PRIMITIVES["identity"], to_tensor(item)) for item in input]


def get_logger() -> logging.Logger:
    """The logger of distkeras."""
    return logging.getLogger("distkeras")


def gradients(*args: Any, **kwargs: Any) -> Any:
    """Belongs to TF 1.

    Raises:
        RuntimeError: Always.
    """
    raise RuntimeError("tf.gradients is not supported when eager execution is enabled. Use tf.GradientTape instead.")
