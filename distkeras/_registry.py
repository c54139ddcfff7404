"""One registry for everything that is found by name: primitives, layers, losses, optimizers, ..."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Any


class Registry:
    """Objects by name; an unknown name is refused with the nearest known ones.

    >>> shapes = Registry("shape")
    >>> @shapes.register("square", aliases=("box",))
    ... class Square: ...
    >>> shapes["box"] is Square
    True
    >>> shapes["sqare"]
    Traceback (most recent call last):
    ValueError: Unknown shape: 'sqare'. Did you mean 'square'? Known: 'box', 'square'.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Any] = {}
        self._names: dict[int, str] = {}

    def register(self, name: str | None = None, aliases: tuple[str, ...] = ()) -> Callable[[Any], Any]:
        """A decorator that enters an object under `name` (its `__name__` by default) and `aliases`."""

        def enter(entry: Any) -> Any:
            self.add(name or entry.__name__, entry, aliases)
            return entry

        return enter

    def add(self, name: str, entry: Any, aliases: tuple[str, ...] = ()) -> None:
        """Enter `entry`; a name already taken by something else is an error."""
        for key in (name, *aliases):
            if self._entries.get(key, entry) is not entry:
                raise ValueError(f"The {self.kind} name {key!r} is already taken by {self._entries[key]!r}.")
            self._entries[key] = entry
        self._names[id(entry)] = name

    def __getitem__(self, name: str) -> Any:
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise ValueError(self._unknown(name)) from None

    def get(self, name: str, default: Any = None) -> Any:
        """The entry called `name`, or `default`."""
        return self._entries.get(name, default)

    def name_of(self, entry: Any) -> str | None:
        """The first name of a registered object, None for others."""
        return self._names.get(id(entry))

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """The first names, without aliases, sorted."""
        return iter(sorted(self._names.values()))

    def __len__(self) -> int:
        return len(self._names)

    def _unknown(self, name: Any) -> str:
        near = difflib.get_close_matches(str(name), self._entries, n=2, cutoff=0.6)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        return f"Unknown {self.kind}: {name!r}.{hint} Known: {', '.join(map(repr, sorted(self._entries)))}."
