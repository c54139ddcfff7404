"""Reading ahead: threads that fetch batches while the step computes.

    source -> [threads] -> queue of at most `depth` batches, in order -> the training loop

An exception in a thread is raised where its batch would have come.
"""

from __future__ import annotations

import collections
import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_END = object()


def read_ahead(source: Iterator, depth: int) -> Iterator:
    """The items of `source`, of which one thread keeps up to `depth` ready.

    The thread ends when the source does, or when the returned iterator is closed.

    >>> list(read_ahead(iter("abc"), depth=2))
    ['a', 'b', 'c']
    """
    ready: queue.Queue = queue.Queue(maxsize=depth)
    stopping = threading.Event()

    def put(item: Any) -> bool:
        while not stopping.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return True
        return False

    def read() -> None:
        try:
            for item in source:
                if not put((item, None)):
                    return
        except BaseException as error:  # it belongs to the thread that consumes
            put((_END, error))
        else:
            put((_END, None))

    thread = threading.Thread(target=read, name="distkeras-read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stopping.set()
        thread.join(timeout=5.0)


def map_ahead(function: Callable[[Any], Any], arguments: Iterable, workers: int, depth: int) -> Iterator:
    """`function` of each argument, in order, computed by `workers` threads up to `depth` items ahead.

    It goes on after an error of the function, if it is asked to.

    >>> list(map_ahead(lambda number: number * number, range(4), workers=2, depth=3))
    [0, 1, 4, 9]
    """
    return map(Future.result, _futures(function, arguments, workers, depth))


def _futures(function: Callable[[Any], Any], arguments: Iterable, workers: int, depth: int) -> Iterator[Future]:
    pending: collections.deque[Future] = collections.deque()
    arguments = iter(arguments)
    with ThreadPoolExecutor(workers, thread_name_prefix="distkeras-read-ahead") as pool:
        try:
            while True:
                while len(pending) < max(depth, 1):
                    argument = next(arguments, _END)
                    if argument is _END:
                        break
                    pending.append(pool.submit(function, argument))
                if not pending:
                    return
                yield pending.popleft()
        finally:
            for future in pending:
                future.cancel()
