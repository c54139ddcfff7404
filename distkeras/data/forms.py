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
        self._changes: dict[tuple, list[tuple[int, tuple | None]]] = {}

    def parts(self, data: tuple) -> tuple | None:
        """Data in the form that the model takes; None where that is not known.

        Raises:
            ValueError: Values of targets do not fit.
        """
        changes = self._changes.get(plain_form(data)) if self._changes else None
        if changes is None:
            return None
        if changes:
            parts = list(data)
            for place, shape in changes:
                parts[place] = None if shape is None else data[place].reshape(shape)
            data = tuple(parts)
        if data[1] is not None:
            self._check_targets([data[1]])
        return data

    def add(self, data: tuple, parts: tuple, float_type: str) -> None:
        """Note what was made of data that fits, if that is only another view of it."""
        form = plain_form(data)
        if form is None or plain_form(parts) is None:
            return
        pairs = [(given, part) for given, part in zip(data, parts, strict=True) if part is not None]
        if all(part.dtype.kind != "f" or part.dtype == float_type for _, part in pairs) and all(
            given is not None and np.may_share_memory(given, part) for given, part in pairs
        ):
            if len(self._changes) >= _MOST_FORMS:
                self._changes.clear()
            shapes = [None if part is None else part.shape for part in parts]
            self._changes[form] = [
                (place, shape)
                for place, (shape, given) in enumerate(zip(shapes, data, strict=True))
                if shape != (None if given is None else given.shape)
            ]


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
