"""HDF5 files as data: opened by many processes to read, on any file system."""

from __future__ import annotations

import os
from typing import Any


def open_to_read(path: Any, locking: Any = False) -> Any:
    """An `h5py.File` that is only read, and takes no lock.

    Many file systems of clusters have no locks, where HDF5 would refuse to open a file, and readers need none among
    themselves. The environment's HDF5_USE_FILE_LOCKING comes first, as always; and a file that this process has open
    already can only be opened once more as it was then.

    Args:
        path: The file.
        locking: As for `h5py.File`, for who must not read what is being written: 'best-effort' locks where locks are.

    Raises:
        OSError: There is no such file, or it is no HDF5 file.
    """
    import h5py

    wanted = [locking, *(other for other in (False, "best-effort", True) if other != locking)]
    for choice in wanted:
        try:
            return h5py.File(os.fspath(path), "r", locking=choice)
        except OSError as error:
            if choice is wanted[-1] or "flag values don't match" not in str(error):
                raise


def place_of(array: Any) -> str:
    """Where rows that are read from a file lie, for messages: the dataset and its file, as far as that is known."""
    dataset = _dataset_of(array)
    return f"a {type(array).__qualname__}" if dataset is None else f"{dataset.name!r} in {dataset.file.filename}"


def check_is_whole(array: Any) -> None:
    """Raise OSError if a file has been cut short: HDF5 then gives zeros for rows that do not lie in chunks.

    Args:
        array: A dataset, or what reads from one; anything else is whole.
    """
    dataset = _dataset_of(array)
    begin = None if dataset is None or dataset.file.mode != "r" else dataset.id.get_offset()
    if begin is None or not os.path.exists(dataset.file.filename):
        return  # being written, in chunks, in memory, or deleted but still open
    size, needed = os.path.getsize(dataset.file.filename), begin + dataset.id.get_storage_size()
    if size < needed:
        raise OSError(f"the file has {size} bytes, of which {needed} are needed")


def is_only_read(array: Any) -> bool:
    """Whether an array reads from a dataset of a file that is open to read only."""
    dataset = _dataset_of(array)
    return dataset is not None and dataset.file.mode == "r"


def chunk_rows(array: Any) -> tuple[int, int]:
    """How many rows lie in a chunk of the dataset that an array reads from, 1 if there are no chunks; and its row 0."""
    first = 0
    for name, start in (("_array", "_start"), ("data", "start")):
        first += getattr(array, start, 0)
        array = getattr(array, name, array)
    return (array.chunks or (1,))[0], first


def is_in_chunks(array: Any) -> bool:
    """Whether an array reads from a dataset that is only read, by whole chunks of several rows."""
    return is_only_read(array) and (_dataset_of(array).chunks or (1,))[0] > 1


def _dataset_of(array: Any) -> Any:
    """The h5py.Dataset that an array is, or reads from; None if there is none."""
    for name in ("_array", "_array", "data"):  # of chunked rows, of a range of rows, of an HDF5Matrix
        array = getattr(array, name, array)
    return array if type(array).__module__.startswith("h5py.") else None
