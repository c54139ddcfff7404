"""`tf.io.gfile`: files and folders of this machine, and those it has mounted."""

from __future__ import annotations

import contextlib
import glob as _glob
import os
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

from distkeras._errors import InvalidArgumentError, NotFoundError

__all__ = [
    "GFile",
    "copy",
    "exists",
    "glob",
    "isdir",
    "listdir",
    "makedirs",
    "mkdir",
    "remove",
    "rename",
    "rmtree",
    "stat",
    "walk",
]


class FileStatistics(NamedTuple):
    """What `stat` gives: the size in bytes, when it was last changed in nanoseconds, and whether it is a folder."""

    length: int
    mtime_nsec: int
    is_directory: bool


def _path(value: Any) -> str:
    value = value.numpy() if hasattr(value, "numpy") else value
    path = os.fsdecode(value)
    scheme, mark, _ = path.partition("://")
    if mark and scheme != "file":
        raise InvalidArgumentError(
            f"tf.io.gfile works on local files, received {path!r}: mount that storage, or copy the file here first."
        )
    return path.removeprefix("file://")


@contextlib.contextmanager
def _found(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"{path}; No such file or directory.") from error


def exists(path: Any) -> bool:
    """Whether there is such a file or folder."""
    return os.path.exists(_path(path))


def isdir(path: Any) -> bool:
    """Whether there is such a folder."""
    return os.path.isdir(_path(path))


def glob(pattern: Any) -> list[str]:
    """The files and folders that match a pattern, or any of a list of them, in order."""
    patterns = pattern if isinstance(pattern, (list, tuple)) else [pattern]
    return sorted({path for each in patterns for path in _glob.glob(_path(each))})


def listdir(path: Any) -> list[str]:
    """The names in a folder, in order.

    Raises:
        NotFoundError: There is no such folder.
    """
    path = _path(path)
    with _found(path):
        return sorted(os.listdir(path))


def makedirs(path: Any) -> None:
    """Make a folder and those it is in, unless they are there."""
    os.makedirs(_path(path), exist_ok=True)


def mkdir(path: Any) -> None:
    """Make a folder inside of one that is there."""
    path = _path(path)
    with _found(path):
        os.mkdir(path)


def remove(path: Any) -> None:
    """Delete a file."""
    path = _path(path)
    with _found(path):
        os.remove(path)


def rmtree(path: Any) -> None:
    """Delete a folder and all that is in it."""
    path = _path(path)
    with _found(path):
        shutil.rmtree(path)


def copy(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Copy a file.

    Raises:
        NotFoundError: There is no such file.
        FileExistsError: There is a file at `dst` already, and it may not be replaced.
    """
    source, target = _path(src), _path(dst)
    _may_be_written(target, overwrite)
    with _found(source):
        shutil.copyfile(source, target)


def rename(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Move a file or folder; errors as for `copy`."""
    source, target = _path(src), _path(dst)
    _may_be_written(target, overwrite)
    with _found(source):
        os.replace(source, target)


def _may_be_written(path: str, overwrite: bool) -> None:
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"{path} exists already: pass overwrite=True to replace it.")


def stat(path: Any) -> FileStatistics:
    """What is known of a file or folder."""
    path = _path(path)
    with _found(path):
        found = os.stat(path)
    return FileStatistics(found.st_size, found.st_mtime_ns, os.path.isdir(path))


def walk(top: Any, topdown: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """(folder, folders in it, files in it) for a folder and all inside of it, in order of their names."""
    top = _path(top)
    entries = sorted(os.scandir(top), key=lambda entry: entry.name) if os.path.isdir(top) else []
    folders = [entry.name for entry in entries if entry.is_dir()]
    here = (top, folders, [entry.name for entry in entries if not entry.is_dir()])
    if topdown:
        yield here
    for folder in folders:
        yield from walk(os.path.join(top, folder), topdown)
    if not topdown:
        yield here


class GFile:
    """A file, opened when it is first used.

    Args:
        name: The path.
        mode: As Python's `open` takes it; text is UTF-8.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/notes.txt"
    >>> with GFile(path, "w") as file:
    ...     file.write("two lines\\nof text")
    >>> GFile(path).read(), GFile(path, "rb").size(), list(GFile(path))
    ('two lines\\nof text', 17, ['two lines\\n', 'of text'])
    """

    _file: Any = None

    def __init__(self, name: Any, mode: str = "r") -> None:
        if not set(mode) <= set("rwab+") or sum(letter in mode for letter in "rwa") != 1:
            raise InvalidArgumentError(f"GFile: mode must be 'r', 'w' or 'a', with 'b' or '+', received {mode!r}.")
        self.name = _path(name)
        self.mode = mode

    def _opened(self) -> Any:
        if self._file is None:
            encoding = None if "b" in self.mode else "utf-8"
            with _found(self.name):
                self._file = open(self.name, self.mode, encoding=encoding, newline=None if "b" in self.mode else "\n")
        return self._file

    def read(self, n: int = -1) -> Any:
        """n bytes or characters, all by default."""
        return self._opened().read(n)

    def readline(self) -> Any:
        """The next line, with its end."""
        return self._opened().readline()

    def readlines(self) -> list:
        """The lines that are left, with their ends."""
        return self._opened().readlines()

    def write(self, file_content: Any) -> None:
        """Add text, or bytes if the mode says so."""
        self._opened().write(file_content)

    def seek(self, offset: int, whence: int = 0) -> None:
        """Go to a place."""
        self._opened().seek(offset, whence)

    def tell(self) -> int:
        """The place."""
        return self._opened().tell()

    def size(self) -> int:
        """The length in bytes."""
        return stat(self.name).length

    def flush(self) -> None:
        """Hand what was written to the system."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close it; it is opened anew if it is used again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> GFile:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def __iter__(self) -> Iterator:
        try:
            yield from self._opened()
        finally:
            self.close()

    def __del__(self) -> None:
        self.close()
