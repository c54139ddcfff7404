"""`tf.summary.experimental`: the step that summaries have where they are given none."""

from __future__ import annotations

from typing import Any

from distkeras.summary.writer import current


def get_step() -> Any:
    """The default step, None if there is none."""
    return current.step


def set_step(step: Any) -> None:
    """Set the default step: a number, or a variable that is read whenever a summary is written."""
    current.step = step
