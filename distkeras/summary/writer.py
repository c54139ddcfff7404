"""Writers of summaries, and which of them is written to."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from distkeras.distribute import environment
from distkeras.keras.callbacks.event_file import EventFile


class _Current(threading.local):
    def __init__(self) -> None:
        self.writer: SummaryWriter | None = None
        self.step: Any = None
        self.condition: Any = True


current = _Current()


class SummaryWriter:
    """Where summaries go while it is the default; of several ranks, the first alone writes.

    Args:
        folder: The run, as TensorBoard calls it; None to write nothing.
        max_queue: After how many summaries readers see them at the latest.
    """

    def __init__(self, folder: str | None, max_queue: int = 10) -> None:
        self._file = EventFile(folder) if folder is not None and environment.detect().rank == 0 else None
        self._max_queue, self._waiting, self._is_closed = max_queue, 0, False

    @contextlib.contextmanager
    def as_default(self) -> Iterator[SummaryWriter]:
        """A context in which `tf.summary.scalar` and the others write to it; at its end, readers see everything."""
        self._check_open()
        previous, current.writer = current.writer, self
        try:
            yield self
        finally:
            current.writer = previous
            if not self._is_closed:
                self.flush()

    def set_as_default(self) -> None:
        """Let `tf.summary.scalar` and the others write to it from now on."""
        self._check_open()
        current.writer = self

    def write(self, put: Callable[[EventFile], Any]) -> None:
        """Let `put` add to the file."""
        self._check_open()
        if self._file is None:
            return
        put(self._file)
        self._waiting += 1
        if self._waiting > self._max_queue:
            self.flush()

    def flush(self) -> None:
        """Let readers see what was written."""
        self._check_open()
        self._waiting = 0
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """End the file; nothing can be written to it afterwards."""
        if not self._is_closed:
            self._is_closed = True
            if self._file is not None:
                self._file.close()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.close()

    def init(self) -> None:
        """Files are made with the writer: this does nothing."""

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("SummaryWriter is already closed")


def create_file_writer(
    logdir: Any,
    max_queue: int | None = None,
    flush_millis: int | None = None,
    filename_suffix: str | None = None,
    name: str | None = None,
) -> SummaryWriter:
    """A writer to a folder, which is made if need be; see `tf.summary`.

    Args:
        logdir: The folder: one for each run to be compared.
        max_queue: After how many summaries readers see them at the latest, by default 10.
        flush_millis: Accepted: summaries are seen after `max_queue`, `flush`, and at the end of `as_default`.
        filename_suffix: Must be None or '.v2', which names end with.
        name: Accepted.

    Raises:
        ValueError: There is another suffix, or no folder.
    """
    if logdir is None:
        raise ValueError("create_file_writer: logdir must be a folder, received None.")
    if filename_suffix not in (None, ".v2"):
        raise ValueError(f"create_file_writer: file names end with '.v2', not {filename_suffix!r}: leave it out.")
    return SummaryWriter(os.fspath(logdir), 10 if max_queue is None else max_queue)


def create_noop_writer() -> SummaryWriter:
    """A writer that writes nothing: for scripts that write on a condition."""
    return SummaryWriter(None)


def flush(writer: SummaryWriter | None = None, name: str | None = None) -> None:
    """Let readers see what was written to a writer, by default the current one."""
    writer = current.writer if writer is None else writer
    if writer is not None:
        writer.flush()


@contextlib.contextmanager
def record_if(condition: Any) -> Iterator[None]:
    """A context in which summaries are written only where `condition`, a bool or a function that gives one, is true."""
    previous, current.condition = current.condition, condition
    try:
        yield
    finally:
        current.condition = previous
