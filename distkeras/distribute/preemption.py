"""Being asked to stop: by a signal, by the job's time limit, or by a limit of one's own.

    SIGUSR1, SIGTERM ---> a flag of this process      any rank's flag is every rank's: it is summed over the
    the time is up   ---> (`Preemption.is_asked`)     ranks in the message that a step's metrics need anyway

A handler only sets the flag: the step that is under way ends as usual, and what follows is up to the training loop.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from types import FrameType

from distkeras import _settings
from distkeras.distribute.run_folder import has_note

EXIT_CODE = 85
"""What a program ends with that was asked to stop and saved its state: start it again and it goes on."""

UNSAVED = 128 + signal.SIGTERM
"""What a program ends with that a signal asked to stop and that saves no state, as if the signal had ended it."""

GROW, STOPPED, RESUMABLE = "grow", "stopped", "resumable"
"""Notes in the run folder: of the launcher, to stop after an epoch; of rank 0, that it did (with its exit code), and
that it would."""

TIME_LIMIT = "the time limit"
"""The reason of a `Preemption` whose time is up."""

SIGNALS = (signal.SIGUSR1, signal.SIGTERM)
_BEGUN = time.time()


class Preemption:
    """Whether this process was asked to stop.

    Args:
        deadline: When the time is up, in seconds since 1970; None for never.

    Attributes:
        reason: What asked for it, for people; None if nothing did.

    >>> Preemption(deadline=time.time() - 1).is_asked
    True
    """

    def __init__(self, deadline: float | None = None) -> None:
        self.reason: str | None = None
        # Clocks may be set; what is left of the time is not changed by that.
        self._deadline = float("inf") if deadline is None else time.monotonic() + deadline - time.time()

    @property
    def is_asked(self) -> bool:
        """Whether to stop after this step."""
        if self.reason is None and time.monotonic() >= self._deadline:
            self.reason = TIME_LIMIT
        return self.reason is not None

    @property
    def is_asked_after_epoch(self) -> bool:
        """Whether to stop after this epoch: also if the launcher waits for that, to start more ranks."""
        if self.reason is None and has_note(GROW):
            self.reason = "ranks that were lost can join again"
        return self.is_asked

    @contextlib.contextmanager
    def listening(self) -> Iterator[Preemption]:
        """Take signals as requests while the block runs.

        A signal that the program handles itself stays the program's, and signals are only heard in the main thread.
        """
        taken = {}
        if threading.current_thread() is threading.main_thread():
            free = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
            taken = {number: signal.signal(number, self._on_signal) for number in free}
        try:
            yield self
        finally:
            for number, previous in taken.items():
                signal.signal(number, previous)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.reason is not None and number == signal.SIGTERM:
            # Asked twice, as by a person who does not want to wait.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.reason = self.reason or signal.Signals(number).name


def preemption() -> Preemption:
    """The requests to stop that this process may get, with the time limit that is in force."""
    return Preemption(deadline(_settings.current(), os.environ))


def deadline(settings: _settings.Settings, variables: Mapping[str, str]) -> float | None:
    """When training should stop, in seconds since 1970: by the setting `time_limit`, and before Slurm's limit.

    Args:
        settings: `time_limit` in seconds since the program began, and `time_margin`, how long before Slurm's limit.
        variables: The environment, where Slurm says when the job will end.

    >>> deadline(_settings.resolve({"time_margin": 60}, {}), {"SLURM_JOB_END_TIME": "1000"})
    940.0
    """
    ends = [] if settings.time_limit is None else [_BEGUN + settings.time_limit]
    job_end = variables.get("SLURM_JOB_END_TIME", "")
    if job_end.isdigit():
        ends.append(int(job_end) - settings.time_margin)
    return min(ends, default=None)


def say(text: str) -> None:
    """A line for people, on stderr."""
    if _settings.says("warning"):
        print(f"distkeras: {text}", file=sys.stderr, flush=True)
