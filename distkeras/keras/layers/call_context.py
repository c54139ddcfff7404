"""What a layer's call knows of the calls around it: the training flag, and whether it is the outermost one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

_learning_phase: Any = None


def learning_phase() -> Any:
    """0 (inference) or 1 (training): what layers do that were not told; 0 unless set."""
    return 0 if _learning_phase is None else _learning_phase


def set_learning_phase(value: Any) -> None:
    """Set what layers do that are not told whether they train.

    Raises:
        ValueError: The value is neither 0 nor 1.
    """
    global _learning_phase
    if value not in (0, 1):
        raise ValueError(f"Expected learning phase to be 0 or 1, received {value!r}.")
    _learning_phase = int(value)


def clear_learning_phase() -> None:
    """Leave the choice to the layers again."""
    global _learning_phase
    _learning_phase = None


@contextlib.contextmanager
def learning_phase_scope(value: Any) -> Iterator[None]:
    """Set the learning phase inside of a `with` block."""
    global _learning_phase
    previous = _learning_phase
    set_learning_phase(value)
    try:
        yield
    finally:
        _learning_phase = previous


class CallContext(threading.local):
    """The layer calls under way in this thread.

    Attributes:
        layer: The innermost layer being called, None outside of calls.
        training: The flag that the calls around pass on, None where none gave one.
        frozen: Whether a layer around is not trainable, so that updates are left out.
        compute_dtype: The type to which the innermost layer's variables are cast, None for none.
        watcher: Called with each layer and its outputs when its call ends, if there is one.
    """

    layer: Any = None
    training: Any = None
    frozen: bool = False
    compute_dtype: Any = None
    watcher: Callable[[Any, Any], None] | None = None

    @contextlib.contextmanager
    def enter(self, layer: Any, training: Any) -> Iterator[None]:
        """A call of `layer` with `training`."""
        previous = self.layer, self.training, self.frozen, self.compute_dtype
        self.layer, self.training, self.frozen = layer, training, self.frozen or not layer.trainable
        self.compute_dtype = layer._compute_dtype
        try:
            yield
        finally:
            self.layer, self.training, self.frozen, self.compute_dtype = previous


call_context = CallContext()


def resolve_training(training: Any) -> Any:
    """The flag that holds: the one given, else that of the calls around, else the learning phase, else None."""
    if training is not None:
        return training
    return call_context.training if call_context.training is not None else _learning_phase


def is_training(training: Any = None) -> bool:
    """The flag that holds, as a bool; False where nobody gave one.

    Raises:
        TypeError: The flag is a tensor without a value.
    """
    training = resolve_training(training)
    return False if training is None else bool(training)
