"""A folder with the last backups of a run: `backup-00000003.npz` is the third that was written."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from typing import Any

import numpy as np

from distkeras._errors import FileFormatError
from distkeras.keras.saving.backup_file import read_backup, write_backup

_NAME = re.compile(r"backup-(\d{8,})\.npz")
_UNFINISHED = re.compile(r"\.backup-\d{8,}\.npz\.[0-9a-f]{32}\.tmp")


class BackupFolder:
    """Writes backups and finds the newest good one; to be used by the one rank that writes.

    Args:
        path: The folder, which is made if need be.
        keep: How many backups to keep.

    >>> import tempfile
    >>> folder = BackupFolder(tempfile.mkdtemp(), keep=1)
    >>> folder.write({"epoch": 1}, {}), folder.write({"epoch": 2}, {})
    (1, 2)
    >>> folder.newest(), folder.read(2)[0]
    (2, {'epoch': 2})
    """

    def __init__(self, path: str, keep: int = 2) -> None:
        self.path = path
        self._keep = keep

    def numbers(self) -> list[int]:
        """The numbers of the backups that there are, oldest first."""
        names = os.listdir(self.path) if os.path.isdir(self.path) else []
        return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))

    def file(self, number: int) -> str:
        """The path of a backup."""
        return os.path.join(self.path, f"backup-{number:08d}.npz")

    def write(self, values: Any, arrays: dict[str, np.ndarray]) -> int:
        """Write a backup, then delete those that are not to be kept.

        Returns:
            Its number.

        Raises:
            OSError, TypeError: As for `write_backup`; the earlier backups are left as they are.
        """
        os.makedirs(self.path, exist_ok=True)
        earlier = self.numbers()
        number = earlier[-1] + 1 if earlier else 1
        write_backup(self.file(number), values, arrays)
        for old in [*earlier, number][: -self._keep]:
            os.remove(self.file(old))
        return number

    def newest(self) -> int | None:
        """The newest backup that can be read, None if there is none; what is damaged is warned about.

        What writers left that were killed is deleted.

        Raises:
            FileFormatError: There are backups, but all of them are damaged.
        """
        self.tidy()
        numbers = self.numbers()
        for number in reversed(numbers):
            try:
                self.read(number)
                return number
            except FileFormatError as error:
                warnings.warn(f"{error}. The backup before it is taken.", stacklevel=2)
        if numbers:
            raise FileFormatError(f"All {len(numbers)} backups in {self.path} are damaged: delete them to begin anew.")
        return None

    def read(self, number: int) -> tuple[Any, dict[str, np.ndarray]]:
        """The values and arrays of a backup; see `read_backup`."""
        return read_backup(self.file(number))

    def tidy(self) -> None:
        """Delete what writers left that were killed."""
        names = os.listdir(self.path) if os.path.isdir(self.path) else []
        for name in filter(_UNFINISHED.fullmatch, names):
            os.remove(os.path.join(self.path, name))

    def clear(self) -> None:
        """Delete all backups, and the folder if nothing else is in it."""
        self.tidy()
        for number in self.numbers():
            os.remove(self.file(number))
        with contextlib.suppress(OSError):
            os.rmdir(self.path)
