"""A function of elements called for several at a time, where that gives the same and reads no more than it may."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator

from distkeras.data.dataset.functions import ElementFunction
from distkeras.data.dataset.stage import Stage
from distkeras.data.dataset.structure import Leaves

_MOST, _GROWTH = 64, 4
# Elements and results of a call stay in the cache: large ones, such as batches, are faster one by one.
_MOST_BYTES = 1 << 18


class Together(Iterator):
    """The results for the elements of a pass, in order. After an error it goes on with the next element.

    The first element is called for alone, then so many more each time: what is read and not asked for are never more
    than a few times the elements that were.

    Args:
        function: The function.
        source: Where the elements come from.
        pairs: The elements, each with what its random numbers are functions of.
        in_threads: Calls it for what is left of `pairs`, where it runs as Python; None to do without.
    """

    def __init__(
        self,
        function: ElementFunction,
        source: Stage,
        pairs: Iterator[tuple[Leaves, int]],
        in_threads: Callable[[Iterator], Iterator] | None,
    ) -> None:
        self._function, self._source, self._pairs, self._in_threads = function, source, pairs, in_threads
        self._size = 1
        self._ready: deque[Leaves | Exception] = deque()
        self._rest: Iterator[Leaves] | None = None

    def __next__(self) -> Leaves:
        if self._rest is None and not self._ready:
            self._read()
        if self._rest is not None:
            return next(self._rest)
        result = self._ready.popleft()
        if isinstance(result, Exception):
            raise result
        return result

    def _read(self) -> None:
        """Get the results for some elements; StopIteration if there is no element."""
        pairs: list[tuple[Leaves, int]] = []
        error: Exception | None = None
        try:
            pairs.append(next(self._pairs))
            pairs.extend(itertools.islice(self._pairs, self._size - 1))
        except StopIteration:
            raise
        except Exception as found:
            error = found
        if pairs and self._in_threads is not None and error is None and self._runs_python_for(pairs[0][0]):
            self._rest = self._in_threads(itertools.chain(pairs, self._pairs))
            return
        if pairs:
            self._ready.extend(self._results(pairs))
        if error is not None:
            self._ready.append(error)

    def _results(self, pairs: list[tuple[Leaves, int]]) -> list[Leaves | Exception]:
        structure, first = self._source.known_spec, pairs[0][0]
        results = None
        if len(pairs) > 1:
            try:
                results = self._function.call_together(structure, [leaves for leaves, _ in pairs])
            except Exception:  # found anew below, at the element whose it is
                results = None
        if results is None:
            results = [self._alone(leaves, draw) for leaves, draw in pairs]
        if isinstance(results[-1], Exception):
            return results
        if self._function.can_call_together(structure, first) and self._source.reads_without_python:
            room = _MOST_BYTES // max(1, sum(leaf.nbytes for leaf in (*first, *results[-1])))
            self._size = max(1, min(_GROWTH * self._size, _MOST, room))
        return results

    def _runs_python_for(self, leaves: Leaves) -> bool:
        return self._function.runs_python_for(self._source.known_spec, leaves)

    def _alone(self, leaves: Leaves, draw: int) -> Leaves | Exception:
        try:
            return self._function(self._source.known_spec, leaves, draw)
        except Exception as error:
            return error
