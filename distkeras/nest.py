"""`tf.nest`: lists, tuples, named tuples and dicts around leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras import _nest
from distkeras._nest import flatten, is_nested

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]


def assert_same_structure(nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False) -> None:
    """Refuse structures that do not nest alike.

    Args:
        nest1, nest2: Any two structures.
        check_types: Whether a list and a tuple differ.
        expand_composites: Accepted: there are no tensors made of several.

    Raises:
        ValueError: They nest otherwise.
        TypeError: They do, but with other types.
    """
    _nest.assert_same_structure(nest1, nest2)
    if check_types and _nest.structure_key(nest1) != _nest.structure_key(nest2):
        raise TypeError(f"The two structures don't have the same sequence types: {nest1!r} and {nest2!r}.")


def map_structure(func: Callable, *structure: Any, **kwargs: Any) -> Any:
    """`func` applied leaf by leaf; see `assert_same_structure` for `check_types` and `expand_composites`.

    >>> import distkeras as tf
    >>> tf.nest.map_structure(lambda a, b: a + b, {"x": 1}, {"x": 2})
    {'x': 3}
    """
    if not callable(func):
        raise TypeError(f"func must be callable, got: {func!r}")
    if not structure:
        raise ValueError("Must provide at least one structure")
    checks = {key: kwargs.pop(key) for key in ("check_types", "expand_composites") if key in kwargs}
    if kwargs:
        raise ValueError(f"Only check_types and expand_composites are keyword arguments, received {sorted(kwargs)}.")
    for other in structure[1:]:
        assert_same_structure(structure[0], other, **checks)
    return _nest.map_structure(func, *structure)


def pack_sequence_as(structure: Any, flat_sequence: Any, expand_composites: bool = False) -> Any:
    """The leaves in `flat_sequence` arranged as `structure` is.

    Raises:
        ValueError: There are more, or fewer, leaves than places.
    """
    return _nest.pack(structure, flat_sequence)
