"""Functions of elements that cannot be traced: called as they are, in this process or in data workers.

elements --> (leaves, draw) --slot--> a worker: function --same slot--> leaves, copied out: a shuffle after it may
                                                                        hold thousands of elements
"""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import distkeras.ops  # noqa: F401  gives tensors their operators, also in a worker
from distkeras import _nest
from distkeras.core.context import Replica, on_replica, tracing
from distkeras.core.random_state import global_seed
from distkeras.core.tensor import Tensor
from distkeras.data.dataset.structure import Leaves, as_result, call, unwrap, wrap
from distkeras.data.pool import WorkerPool

# Bit 61 keeps draws for elements apart from training steps, which count from 0, and from single draws (bit 62).
FIRST_DRAW = 1 << 61


class UntracedFunction:
    """A function of elements that is called as it is.

    Args:
        function: Takes the parts of an element that is a tuple, else the element.
        what: The transformation that it was given to, for messages.
        structure: How an element's leaves are nested.
    """

    def __init__(self, function: Callable, what: str, structure: Any) -> None:
        self._function, self._what, self._structure = function, what, structure

    def __call__(self, argument: tuple[Leaves, int]) -> Any:
        """The arrays of the result, in its structure.

        Args:
            argument: The leaves of an element, and the number that its random numbers are functions of.
        """
        leaves, draw = argument
        element = _nest.pack(self._structure, [wrap(leaf) for leaf in leaves])
        state = Tensor(np.array([global_seed(), FIRST_DRAW + draw, 0], np.int64))
        with on_replica(Replica(random_state=state)), tracing(None):
            result = as_result(call(self._function, element), self._what, traced=False)
        return _nest.map_structure(unwrap, result)


class CallingProcesses:
    """Worker processes that call one function.

    Args:
        workers: How many.
        depth: For how many elements ahead.
    """

    def __init__(self, workers: int, depth: int) -> None:
        self._workers, self._depth = workers, depth
        self._pool: WorkerPool | None = None
        self._is_refused = False

    def map(self, function: UntracedFunction, arguments: Iterator[tuple[Leaves, int]], key: tuple) -> Iterator | None:
        """What the function gives for each argument, in order; None, with a warning, if it cannot be pickled.

        Args:
            function: The same one each time.
            arguments: What to call it with.
            key: Ints that NumPy's and Python's global generators are seeded from, with an element's number.
        """
        if self._pool is None and not self._is_refused:
            try:
                self._pool = WorkerPool(function, self._workers, self._depth, "what Dataset.map() gives")
            except pickle.PicklingError as error:
                self._is_refused = True
                warnings.warn(
                    "use_multiprocessing=True: threads call the function given to Dataset.map(), for it cannot be sent "
                    f"to processes: {error.__cause__ or error}. Define it at the top level of a module.",
                    stacklevel=2,
                )
        if self._is_refused:
            return None
        return (_copied(parcel.open()) for parcel in self._pool.call(arguments, key))

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.close()
        self._pool = None


def _copied(structure: Any) -> Any:
    return _nest.map_structure(lambda leaf: leaf.copy(), structure)


def in_processes(stage: Any, workers: int, depth: int) -> tuple[Any, list[CallingProcesses]]:
    """The same dataset, whose functions that run as Python and may be called in parallel are called in processes.

    Args:
        stage: The dataset.
        workers, depth: As of CallingProcesses, for each function.

    Returns:
        The dataset, and what is to be closed after it was read.
    """
    if stage.goes_on_after_errors:  # which a pass over worker processes does not
        return stage, []
    changed, opened = copy.copy(stage), []
    inputs = [in_processes(source, workers, depth) for source in stage.inputs]
    if inputs:
        changed.inputs = tuple(source for source, _ in inputs)
        opened = [processes for _, found in inputs for processes in found]
    if getattr(stage, "may_call_in_parallel", False):
        changed.processes = CallingProcesses(workers, depth)
        opened.append(changed.processes)
    return (changed, opened) if opened else (stage, [])
