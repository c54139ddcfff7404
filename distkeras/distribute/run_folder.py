"""The folder of a run, in which ranks leave notes for the launcher and for each other."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distkeras.distribute.board import Board, end_processes

RUN_DIRECTORY = "DISTKERAS_RUN_DIR"
"""Where rank 0 notes that the job started and that every rank reached its end; set by the launcher, which looks there.

mpirun's exit code is not enough: after the loss of a node it is 0."""

HERE = "here-"
"""What the name of a note begins with that a rank leaves before it starts MPI; its number follows."""


def leave_note(event: str, text: str = "") -> None:
    """Leave a note for the launcher, if `distkeras run` is it and its folder is seen from here."""
    with contextlib.suppress(OSError):
        if folder := os.environ.get(RUN_DIRECTORY):
            Path(folder, event).write_text(text)


def has_note(event: str) -> bool:
    """Whether the launcher has left a note."""
    return RUN_DIRECTORY in os.environ and Path(os.environ[RUN_DIRECTORY], event).exists()


class RunFolder:
    """The launcher's folder; where a bare mpirun started the ranks, one that they make and remove themselves.

    Args:
        path: Its place.
        is_launchers: Whether the launcher made it, and will remove it.

    Attributes:
        is_usable: Whether this rank can write there.
    """

    def __init__(self, path: Path, is_launchers: bool) -> None:
        self.path = path
        self.is_usable = os.access(path, os.W_OK)
        self._is_launchers = is_launchers

    @classmethod
    def of_all(cls, comm: Any) -> RunFolder:
        """The folder of the ranks of an mpi4py communicator; all must call."""
        given = os.environ.get(RUN_DIRECTORY)
        made = tempfile.mkdtemp(prefix="distkeras-run-") if comm.rank == 0 and not given else None
        path = comm.bcast(given or made)
        return cls(Path(path), bool(given))

    def board(self, rank: int) -> Board:
        """A new board of this rank; one that nobody else sees where the folder cannot be used."""
        if self.is_usable:
            with contextlib.suppress(OSError):
                return Board(self.path / f"position-{rank}")
        return Board()

    def note(self, event: str, text: str) -> None:
        """Leave a note for the launcher, if there is one."""
        if self._is_launchers:
            (self.path / event).write_text(text)

    def end_lost(self, ranks: Iterable[int]) -> None:
        """Kill those of this host that others go on without: one that was stopped must not write any more."""
        end_processes(self.path / f"position-{rank}" for rank in ranks)

    def note_lost(self, ranks: Iterable[int]) -> None:
        """Let the watchdogs know of ranks that the others go on without."""
        with contextlib.suppress(OSError):
            for rank in ranks:
                (self.path / f"gone-{rank}").touch()

    def remove(self) -> None:
        """Remove the folder, unless that is up to the launcher."""
        if not self._is_launchers:
            shutil.rmtree(self.path, ignore_errors=True)
