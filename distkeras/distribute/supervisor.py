"""Starting a program again when too many of its ranks are lost to go on, and when lost ones can join again.

    ranks finish, or fail by their own doing       --> that is the end
    ranks, hosts or mpirun are lost                --> again, on the hosts that are left, from the last backup
    fewer ranks than wanted go on, and rejoin is on --> asked to stop after the epoch, saved; again with all ranks

What happened is read from notes of the ranks, never from mpirun's exit code: after the loss of a host it may be 0.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from distkeras._settings import Settings
from distkeras.distribute import hosts, launcher
from distkeras.distribute.preemption import EXIT_CODE, GROW, RESUMABLE, STOPPED

ATTEMPT = "DISTKERAS_ATTEMPT"
"""How often the program was started before, for the ranks."""

_SECONDS_TO_ANSWER, _TIMES_ASKED, _ANSWER = 7.0, 3, "distkeras-is-here"
_MOST_AT_ONCE = 16
_SECONDS_BETWEEN_LOOKS = 30.0


def run(program: Sequence[str], settings: Settings, shared_folder: str | None = None) -> int:
    """Run a program until its ranks finish, fail, or were lost too often.

    Args:
        program: As for `launcher.plan`.
        settings: `elastic_restarts` and `elastic_rejoin`, and all that `launcher.plan` needs.
        shared_folder: As for `launcher.run`.

    Returns:
        0 if all ranks that were left reached their end, else as `launcher.run`.
    """
    lost = started = 0
    has_begun = False
    chosen = settings
    while True:
        plan = launcher.plan(program, chosen)
        plan.variables[ATTEMPT] = os.environ[ATTEMPT] = str(started)
        regrowth = Regrowth(settings, chosen)
        ended = launcher.run_once(plan, shared_folder, regrowth.watch)
        started += 1
        has_begun = has_begun or "started" in ended.notes
        if STOPPED in ended.notes:
            if not regrowth.is_asked or ended.was_asked:
                return int(ended.notes[STOPPED] or EXIT_CODE)
            _say(f"starting again with {settings.ranks} ranks")
            chosen = settings
            continue
        if "finished" in ended.notes:
            return 0 if "ranks" in ended.notes else ended.code
        if "failed" in ended.notes or not has_begun or ended.was_asked:
            return ended.code or 1
        lost += 1
        if lost > settings.elastic_restarts:
            _say(f"ranks were lost {lost} times, more often than the setting elastic_restarts allows for")
            return ended.code or 1
        chosen = left_of(settings)
        where = f" on {chosen.hosts}" if chosen is not settings else ""
        _say(f"ranks were lost that the others cannot do without; starting again with {chosen.ranks} ranks{where}")


class Regrowth:
    """Asks a job that has lost ranks to stop after its epoch, once all that were wanted can be had.

    Args:
        wanted: The settings with all ranks and hosts.
        given: Those that the job was started with.
    """

    def __init__(self, wanted: Settings, given: Settings) -> None:
        self._wanted = wanted
        self._started_with = given.ranks
        self._next_look = 0.0
        self.is_asked = False

    def watch(self, folder: Path) -> None:
        """Look at the notes of the ranks, and leave one."""
        if self.is_asked or not self._wanted.elastic_rejoin or not (folder / RESUMABLE).exists():
            return
        is_short = self._started_with < self._wanted.ranks or (folder / "ranks").exists()
        if not is_short or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        if left_of(self._wanted).ranks == self._wanted.ranks:
            self.is_asked = True
            (folder / GROW).touch()


def left_of(settings: Settings) -> Settings:
    """The settings with the hosts that answer, and no more ranks than these have slots; all of them if none does."""
    slots = hosts.slots_by_host(settings)
    if not slots:
        return settings
    with ThreadPoolExecutor(min(_MOST_AT_ONCE, len(slots))) as pool:
        found = list(pool.map(lambda name: answers(name, settings), slots))
    answering = {name: count or 1 for (name, count), good in zip(slots.items(), found, strict=True) if good}
    if not answering or len(answering) == len(slots):
        return settings
    named = ",".join(f"{name}:{count}" for name, count in answering.items())
    ranks = min(settings.ranks, sum(answering.values()))
    return settings.replaced(hosts=named, hostfile=None, ranks=ranks)


def answers(host: str, settings: Settings) -> bool:
    """Whether mpirun can start something on a host.

    It is asked again if it does not say: an mpirun that starts a single process on another host hangs now and then.
    """
    plan = launcher.plan([], settings.replaced(hosts=f"{host}:1", hostfile=None, ranks=1, elastic=False))
    command = [*plan.command[:-1], "echo", _ANSWER]
    for _ in range(_TIMES_ASKED):
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **plan.variables},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                preexec_fn=launcher.before_mpirun,
                timeout=_SECONDS_TO_ANSWER,
                check=False,
            )
            return done.returncode == 0
        except subprocess.TimeoutExpired as late:
            if _ANSWER.encode() in (late.stdout or b""):
                return True
        except OSError:
            return False
    return False


def _say(text: str) -> None:
    print(f"distkeras: {text}", file=sys.stderr, flush=True)
