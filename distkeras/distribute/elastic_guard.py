"""The end of an elastic job: ranks that are lost are not waited for, and a failure still ends all.

Open MPI's own means do not serve here: with fault tolerance on, MPI_Abort leaves the other ranks running and
MPI_Finalize may wait for ever. So a rank that fails revokes the guard's communicator, which the others look at several
times a second; and ranks that come to their end together leave MPI as it is.
"""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Any

from distkeras import _settings
from distkeras._errors import RankLostError
from distkeras.distribute import pmix
from distkeras.distribute.abort import END, LEFT, TICK, Guard
from distkeras.distribute.elastic import ElasticCommunicator
from distkeras.distribute.journal import Journal
from distkeras.distribute.recovery import failed_ranks, tells_of_loss
from distkeras.distribute.run_folder import RunFolder
from distkeras.distribute.silence import SilenceWatch

_TIME_TO_BE_HEARD = 0.3
_PATIENCE = 10.0


class ElasticGuard(Guard):
    """Makes a failure of this rank the end of the job, but not its loss.

    Args:
        comm: An mpi4py communicator of all ranks that nothing else uses; it keeps the numbers that they began with.
        journal: The process's collectives.
        folder: Where the ranks' files are.
        communicator: The one that recovers.
    """

    def __init__(self, comm: Any, journal: Journal, folder: RunFolder, communicator: ElasticCommunicator) -> None:
        super().__init__(comm, journal, folder)
        self._communicator = communicator
        self._is_lost = False
        self._silence: SilenceWatch | None = None
        if limit := _settings.current().elastic_silence:
            pmix.library()
            self._silence = SilenceWatch(comm.Dup(), limit, end=lambda: os._exit(1))

    def install(self) -> None:
        super().install()
        if self._silence:
            self._silence.start()

    def alive(self) -> list[int]:
        """The ranks that are not known to be lost."""
        lost = failed_ranks(self._comm)
        return [rank for rank in range(self._comm.size) if rank not in lost]

    # --- failure

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self._is_lost = isinstance(error, RankLostError)  # the program may be started again
        super()._on_exception(kind, error, trace)

    def _note_failure(self, code: int) -> None:
        if not self._is_lost:
            super()._note_failure(code)
        elif self._communicator.rank == 0:
            self._folder.note("lost", f"{code}\n")

    def _end(self, code: int) -> None:
        self._comm.Revoke()
        deadline = time.monotonic() + _TIME_TO_BE_HEARD
        while time.monotonic() < deadline:
            self._receive()
            time.sleep(0.01)
        sys.stdout.flush()
        os._exit(code)

    def _look_around(self) -> None:
        """End this process if another rank has failed."""
        self._receive()
        if self._comm.Is_revoked():
            sys.stdout.flush()
            os._exit(1)

    # --- departure

    def _depart(self) -> None:
        """Leave when all who are left have come to their end, and take part in recoveries until then."""
        me, told, heard = self._comm.rank, None, set()
        deadline = float("inf")
        while not self._ended:
            alive = self.alive()
            first = alive[0]
            if first and told == 0:  # rank 0 was lost meanwhile: ranks that it has let go cannot be heard
                deadline = min(deadline, time.monotonic() + _PATIENCE)
            if first == me and (self._left >= set(alive) or time.monotonic() > deadline):
                self._tell(END, alive)
                self._folder.note("finished", f"{self._comm.size}\n")
                break
            if first == me and heard != self._left:
                heard = set(self._left)
                self._tell(LEFT, [rank for rank in alive if rank not in heard])
            if first != me and told != first:
                told = first
                self._tell(LEFT, [first])
            self._poll_until(lambda: self._ended or self._attended(), limit=TICK)
        self._flush()
        if self._silence:
            self._silence.stop()
        if first == me:
            self._folder.remove()

    def _attended(self) -> bool:
        self._communicator.attend()
        if self._comm.Is_revoked():
            os._exit(1)
        return False

    def _tell(self, tag: int, ranks: list[int]) -> None:
        for rank in ranks:
            if rank != self._comm.rank:
                try:
                    self._send(rank, tag)
                except Exception as error:
                    if not tells_of_loss(error):
                        raise

    def _flush(self) -> None:
        """Wait a little for messages that are still on their way."""
        deadline = time.monotonic() + _TIME_TO_BE_HEARD
        for request in self._requests:
            try:
                while not request.Test() and time.monotonic() < deadline:
                    time.sleep(0.001)
            except Exception as error:
                if not tells_of_loss(error):
                    raise

    def _receive(self) -> bool:
        try:
            return super()._receive()
        except Exception as error:
            if not tells_of_loss(error):
                raise
        if not self._comm.Is_revoked():
            self._comm.Ack_failed()  # or every look for messages from anyone would fail
        return False
