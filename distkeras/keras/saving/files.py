"""Files that are either there as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import uuid
from collections.abc import Iterator

from distkeras._errors import FileFormatError


@contextlib.contextmanager
def written_atomically(path: str) -> Iterator[str]:
    """A temporary path beside `path`, renamed to it when the block has ended well.

    Whenever the process ends, by a kill even, `path` holds either what it held before or all that was written.

    Args:
        path: The file to make or to replace; a symbolic link is followed.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            errno.ENOENT, f"Cannot write {name!r}: its folder does not exist; make it with os.makedirs", folder
        )
    temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def _sync(path: str) -> None:
    """Wait until the disk has it: without this, a rename can outlive a power cut that the content does not."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def may_write(path: str, overwrite: bool) -> bool:
    """Whether a file may be written; asks at the terminal if it exists and `overwrite` is False.

    Raises:
        FileExistsError: The file exists, `overwrite` is False, and there is nobody to ask.
    """
    if overwrite or not os.path.exists(path):
        return True
    if sys.stdin is None or not sys.stdin.isatty():
        raise FileExistsError(
            errno.EEXIST, "The file exists already and is not replaced; pass overwrite=True to replace it", path
        )
    answer = ""
    while answer not in ("y", "n"):
        answer = input(f"[WARNING] {path} already exists - overwrite? [y/n]").strip().lower()
    return answer == "y"


@contextlib.contextmanager
def making_of_config(where: str) -> Iterator[None]:
    """Turn what a senseless config makes classes raise into a FileFormatError.

    A ValueError, such as for a class that is not known, says enough and stays.

    Args:
        where: The file, and the entry in it, for the message.
    """
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError, MemoryError, OverflowError) as error:
        raise FileFormatError(
            f"{where} describes nothing that can be built: {type(error).__name__}: {error}"
        ) from error
