"""Forms of batches, their shapes and types, that were found to be what a model takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_MOST_FORMS = 64  # batches of ever new sizes are not worth remembering


class KnownForms:
    """Forms that batches came in and that were found to fit.

    Whether data fits depends on its shapes and types, so that is checked, which takes long, once for each of them.

    Args:
        check_targets: Raises ValueError for a list of targets with values that do not fit; called for each batch.
    """

    def __init__(self, check_targets: Callable[[list], None] = lambda targets: None) -> None:
        self._check_targets = check_targets
        self._shapes: dict[tuple, tuple] = {}

    def parts(self, data: tuple) -> tuple | None:
        """Data in the form that the model takes; None where that is not known.

        Raises:
            ValueError: Values of targets do not fit.
        """
        shapes = self._shapes.get(plain_form(data)) if self._shapes else None
        if shapes is None:
            return None
        parts = tuple(
            [
                None if shape is None else part if part.shape == shape else part.reshape(shape)
                for part, shape in zip(data, shapes)  # noqa: B905  of one length, and checked at every step it would cost
            ]
        )
        if parts[1] is not None:
            self._check_targets([parts[1]])
        return parts

    def add(self, data: tuple, parts: tuple, float_type: str) -> None:
        """Note what was made of data that fits, if that is only another view of it."""
        form = plain_form(data)
        if form is None or plain_form(parts) is None:
            return
        pairs = [(given, part) for given, part in zip(data, parts, strict=True) if part is not None]
        if all(part.dtype.kind != "f" or part.dtype == float_type for _, part in pairs) and all(
            given is not None and np.may_share_memory(given, part) for given, part in pairs
        ):
            if len(self._shapes) >= _MOST_FORMS:
                self._shapes.clear()
            self._shapes[form] = tuple([None if part is None else part.shape for part in parts])


def plain_form(data: Any) -> tuple | None:
    """Shapes and types of data that is a tuple of arrays, the usual case, which needs no walk; None for other data."""
    if type(data) is not tuple:
        return None
    form = []
    for leaf in data:
        if leaf is None:
            form.append(None)
        elif type(leaf) is np.ndarray:
            form.append((leaf.shape, leaf.dtype))
        else:
            return None
    return tuple(form)
