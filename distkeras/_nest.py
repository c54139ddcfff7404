"""Nested structures: lists, tuples, named tuples and dicts (in key order) around leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def is_nested(structure: Any) -> bool:
    """Whether `structure` is a list, tuple or dict (of anything) and not a leaf."""
    return isinstance(structure, (list, dict)) or (isinstance(structure, tuple) and not hasattr(structure, "as_list"))


def _children(structure: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(structure, dict):
        return ((key, structure[key]) for key in sorted_keys(structure))
    return enumerate(structure)


def sorted_keys(mapping: dict) -> list:
    """The keys of a dict in the order in which its leaves are flattened."""
    try:
        return sorted(mapping)
    except TypeError:  # keys of mixed types have no order: keep that of insertion
        return list(mapping)


def flatten(structure: Any) -> list:
    """The leaves in order; dicts by sorted key.

    >>> flatten({"b": [1, 2], "a": (3,)})
    [3, 1, 2]
    """
    if not is_nested(structure):
        return [structure]
    return [leaf for _, child in _children(structure) for leaf in flatten(child)]


def flatten_with_paths(structure: Any, path: str = "") -> list[tuple[str, Any]]:
    """(path, leaf) pairs, the path written as in Python: `['b'][0]`."""
    if not is_nested(structure):
        return [(path, structure)]
    return [pair for key, child in _children(structure) for pair in flatten_with_paths(child, f"{path}[{key!r}]")]


def pack(structure: Any, leaves: Any) -> Any:
    """`leaves` arranged as `structure` is; the inverse of `flatten`."""
    leaves = iter(leaves)
    packed = _pack(structure, leaves)
    if next(leaves, leaves) is not leaves:
        raise ValueError(f"There are more leaves than the structure {structure!r} has places.")
    return packed


def _pack(structure: Any, leaves: Iterator) -> Any:
    if not is_nested(structure):
        try:
            return next(leaves)
        except StopIteration:
            raise ValueError("There are fewer leaves than the structure has places.") from None
    packed = {key: _pack(child, leaves) for key, child in _children(structure)}
    if isinstance(structure, dict):
        return type(structure)((key, packed[key]) for key in structure) if packed else type(structure)()
    if hasattr(structure, "_fields"):
        return type(structure)(*packed.values())
    return type(structure)(packed.values())


def map_structure(function: Callable, *structures: Any) -> Any:
    """`function` applied leaf by leaf over structures of the same form.

    >>> map_structure(lambda a, b: a + b, [1, (2, 3)], [10, (20, 30)])
    [11, (22, 33)]
    """
    for other in structures[1:]:
        assert_same_structure(structures[0], other)
    return pack(structures[0], [function(*leaves) for leaves in zip(*map(flatten, structures), strict=True)])


def assert_same_structure(expected: Any, received: Any, path: str = "") -> None:
    """Raise ValueError, naming the place, unless both nest alike."""
    if is_nested(expected) != is_nested(received):
        raise ValueError(f"The structures differ at {path or 'the top'}: expected {expected!r}, received {received!r}.")
    if not is_nested(expected):
        return
    if isinstance(expected, dict) != isinstance(received, dict) or (
        list(key for key, _ in _children(expected)) != list(key for key, _ in _children(received))
    ):
        raise ValueError(f"The structures differ at {path or 'the top'}: expected {expected!r}, received {received!r}.")
    for (key, left), (_, right) in zip(_children(expected), _children(received), strict=True):
        assert_same_structure(left, right, f"{path}[{key!r}]")


def structure_key(structure: Any) -> Any:
    """A hashable value, equal for structures that nest alike; leaves do not count."""
    if isinstance(structure, dict):
        return ("dict", tuple((key, structure_key(child)) for key, child in _children(structure)))
    if is_nested(structure):
        return (type(structure).__name__, tuple(structure_key(child) for child in structure))
    return "leaf"
