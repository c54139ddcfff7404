"""Replaying a plan's calls: runs of kernels without the interpreter between them, the rest one by one.

    kernel kernel kernel | host call | kernel kernel          calls, as lowered
    [  one native run  ]   host call   [ native run ]          what is replayed

Calling a kernel from Python takes a fraction of a microsecond, as long as a small one runs; and each call lets go of
the interpreter's lock and takes it again, which a communication thread then contends for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras.core.host import Attempt
from distkeras.graph.kernel_cache import load
from distkeras.kernels import native_call
from distkeras.kernels.compile import Calls
from distkeras.kernels.copy import copy

_CALLER = """
from distkeras.kernels.native_call import call_form


def {name}(function, words):
    return call_form("%s", function, words)
"""


def compile_calls(calls: Calls) -> Calls:
    """The same calls with neighbouring kernels joined into native runs."""
    joined: Calls = []
    waiting: list[tuple[tuple[Callable, tuple], tuple[str, np.ndarray]]] = []
    for call in [*(_as_kernel(call) for call in calls), None]:
        packed = _packed(call) if call is not None else None
        if packed is not None:
            waiting.append((call, packed))
            continue
        if len(waiting) > 1 or (waiting and _needs_run(*waiting[0])):
            joined.append((NativeRun([call for call, _ in waiting], [packed for _, packed in waiting]), ()))
        else:
            joined += [call for call, _ in waiting]
        waiting = []
        if call is not None:
            joined.append(call)
    return joined


def _needs_run(call: tuple[Callable, tuple], packed: tuple[str, np.ndarray]) -> bool:
    """Whether the interpreter could not make the call: some numbers are looked up, or it is an attempt."""
    return isinstance(call[0], Attempt) or any(letter in native_call.LOOKED_UP for letter in packed[0])


def _packed(call: tuple[Callable, tuple]) -> tuple[str, np.ndarray] | None:
    return native_call.pack(_kernel_of(call[0]), call[1])


def _kernel_of(function: Callable) -> Callable:
    return function.kernel if isinstance(function, Attempt) else function


def _as_kernel(call: tuple[Callable, tuple]) -> tuple[Callable, tuple]:
    """NumPy's copy as a kernel, where there is one for it."""
    function, arguments = call
    if function is not np.copyto or len(arguments) > 2:
        return call
    out, x = arguments
    return next(iter(copy(x, out) or [call]))


class NativeRun:
    """Kernel calls that follow each other.

    Args:
        calls: What to call, in order.
        packed: Form and words of each call.
    """

    def __init__(self, calls: Calls, packed: list[tuple[str, np.ndarray]]) -> None:
        self._calls = calls
        self._words = [words for _, words in packed]
        callers = [native_call.address_of(_caller(form)) for form, _ in packed]
        functions = [native_call.address_of(_kernel_of(function)) for function, _ in calls]
        places = [words.ctypes.data for words in self._words]
        self._table = np.array([callers, functions, places], np.int64).T.copy()
        self._place, self._count = self._table.ctypes.data, len(calls)
        self._call_all = native_call.call_all[np.int64]

    @classmethod
    def of(cls, calls: Calls) -> NativeRun | None:
        """A run of all these calls; None if there are none, or the interpreter has to make one of them."""
        packed = [_packed(call) for call in calls]
        return cls(calls, packed) if calls and None not in packed else None

    def __call__(self) -> None:
        done = self._call_all(self._place, self._count, 0)
        while done < self._count:
            function, arguments = self._calls[done]
            done += 1
            if isinstance(function, Attempt):
                done += function.instead()
            else:  # the kernel has raised: the interpreter calls it again, to raise in its turn
                function(*arguments)
            done = self._call_all(self._place, self._count, done)


def _caller(form: str) -> Any:
    return load(_CALLER % form, "int64(int64, int64)")
