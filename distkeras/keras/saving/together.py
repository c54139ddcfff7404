"""What ranks do together with files: one writes, all read, and if one fails, all of them raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def write_once(strategy: Any, path: Any, write: Callable[[], None]) -> None:
    """Call `write` on rank 0; all ranks return, or raise, when it has ended.

    Args:
        strategy: Whose ranks all call this.
        path: What is written, for the error of the other ranks.
        write: Makes the file.

    Raises:
        OSError: On the other ranks, if rank 0 could not write. Rank 0 raises what `write` did.
    """
    generation = None
    # If ranks were lost meanwhile, rank 0 may have been one of them: whoever is rank 0 now writes it again.
    while generation != strategy.communicator.generation:
        generation, failure = strategy.communicator.generation, None
        with strategy.shards.whole():
            if strategy.rank == 0:
                try:
                    write()
                except Exception as error:
                    failure = error
        message = strategy.agree(None if failure is None else f"{type(failure).__name__}: {failure}")
    if failure is not None:
        raise failure
    if message is not None:
        raise OSError(f"Rank 0 could not write {path!r}: {message}")


def read_together(strategy: Any, path: Any, read: Callable[[], Any]) -> Any:
    """Call `read` on every rank and return what it gives, if all of them could.

    Raises:
        OSError: Another rank could not read. A rank that fails raises what `read` did.
    """
    failure, result = None, None
    try:
        result = read()
    except Exception as error:
        failure = error
    message = None if failure is None else f"{type(failure).__name__}: {failure}"
    messages = strategy.communicator.allgather_object(message)
    if failure is not None:
        raise failure
    for rank, text in enumerate(messages):
        if text is not None:
            raise OSError(f"Rank {rank} could not read {path!r}: {text}")
    return result
