"""Entries of HDF5 files - lists of names, texts and arrays - written as Keras writes them, and read with suspicion.

A reader never follows an entry out of the file, and never allocates what a header claims: an array is read into the
shape that the model expects, a list or text only if the file is large enough to hold it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import numpy as np

from distkeras._errors import FileFormatError
from distkeras.keras.saving.files import making_of_config

# An object header holds at most 64 KB; HDF5 needs some of that itself.
ATTRIBUTE_LIMIT = 64512
_MOST_CHUNKS = 4096
_KINDS = "biuf"
# Deflate makes at most 1032 bytes of one.
_MOST_COMPRESSION = 1032


@contextlib.contextmanager
def reading(group: h5py.Group, name: str) -> Iterator[None]:
    """Turn what h5py raises about a broken entry into a FileFormatError that names file and entry."""
    try:
        yield
    except FileFormatError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, UnicodeError) as error:
        raise FileFormatError(f"{_where(group, name)} cannot be read: {error}. The file is damaged.") from error


def reading_config(group: h5py.Group, name: str) -> contextlib.AbstractContextManager[None]:
    """`making_of_config` for an entry."""
    return making_of_config(_where(group, name))


def broken(group: h5py.Group, name: str, what: str) -> FileFormatError:
    """The error for an entry that is not what it should be."""
    return FileFormatError(f"{_where(group, name)} {what}.")


def _where(group: h5py.Group, name: str) -> str:
    try:
        return f"{group.file.filename}: entry {group.name.rstrip('/')}/{name}"
    except (ValueError, RuntimeError, OSError):
        return f"entry {name}"


# --- groups


def child(group: h5py.Group, name: str) -> h5py.Group:
    """The group `name` inside of `group`.

    Raises:
        FileFormatError: There is none, or it lies in another file.
    """
    found = _member(group, name)
    if not isinstance(found, h5py.Group):
        raise broken(group, name, "is missing" if found is None else "is no group")
    return found


def _member(group: h5py.Group, name: str) -> Any:
    """What a path leads to, None for nothing; only links within the file are followed."""
    found: Any = group
    with reading(group, name):
        for part in filter(None, name.split("/")):
            if not isinstance(found, h5py.Group) or part not in found:
                return None
            if not isinstance(found.get(part, getlink=True), h5py.HardLink):
                raise broken(found, part, "is a link, which files of models do not have")
            found = found[part]
    return found


# --- arrays


def write_array(group: h5py.Group, name: str, value: np.ndarray) -> None:
    """Store an array; no time is stored with it, so that equal arrays make equal files.

    Raises:
        ValueError: There is such an entry already.
    """
    if name in group:
        raise ValueError(
            f"Two weights are called {name!r} in {group.name}, and a file can hold only one of them: give the layers, "
            "or the weights, different names."
        )
    group.create_dataset(name, data=np.asarray(value), track_times=False)


def array_shape(group: h5py.Group, name: str) -> tuple[int, ...]:
    """The shape that a stored array claims to have.

    Raises:
        FileFormatError: There is no array of numbers that lies in this file.
    """
    return _dataset(group, name).shape


def read_array(group: h5py.Group, name: str, shape: Sequence[int]) -> np.ndarray:
    """A stored array that is known to have this shape.

    Raises:
        FileFormatError: There is no such array of numbers, or it has another shape.
    """
    dataset = _dataset(group, name)
    if dataset.shape != tuple(shape):
        raise broken(group, name, f"has the shape {dataset.shape}, expected {tuple(shape)}")
    with reading(group, name):
        return np.asarray(dataset[()])


def _dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    found = _member(group, name)
    if not isinstance(found, h5py.Dataset):
        raise broken(group, name, "is missing" if found is None else "is no array")
    with reading(group, name):
        if found.shape is None or found.dtype.kind not in _KINDS:
            raise broken(group, name, f"holds {found.dtype}, expected numbers")
        if found.external or found.is_virtual:
            raise broken(group, name, "takes its content from another file, which files of models do not do")
        if found.nbytes > _stored_bytes(found):
            raise broken(group, name, f"claims {found.nbytes} bytes, more than are stored")
    return found


def _stored_bytes(dataset: h5py.Dataset) -> int:
    """The most bytes that what the file holds of a dataset can stand for."""
    stored = dataset.id.get_storage_size()
    available = _file_size(dataset)
    compression = 1 if dataset.id.get_create_plist().get_nfilters() == 0 else _MOST_COMPRESSION
    return (stored if available is None else min(stored, available)) * compression


# --- texts and lists of names, kept as attributes


def write_text(group: h5py.Group, name: str, text: str) -> None:
    """Store an ASCII text, as bytes: TensorFlow 2.0 cannot read str."""
    group.attrs[name] = text.encode("ascii")


def read_text(group: h5py.Group, name: str) -> str | None:
    """A stored text, whichever way it is stored; None if there is none.

    Raises:
        FileFormatError: It is no text.
    """
    value = _attribute(group, name)
    if isinstance(value, (bytes, np.bytes_)):
        with reading(group, name):
            return bytes(value).decode("utf-8")
    if value is not None and not isinstance(value, str):
        raise broken(group, name, f"is of type {type(value).__name__}, expected a text")
    return value


def read_json(group: h5py.Group, name: str) -> Any:
    """What a stored JSON text says; None if there is none.

    Raises:
        FileFormatError: It is not JSON.
    """
    text = read_text(group, name)
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise broken(group, name, f"is not JSON: {error}") from error


def write_names(group: h5py.Group, name: str, names: Sequence[str]) -> None:
    """Store a list of names, split over attributes name0, name1, ... if it is too long for one.

    Raises:
        ValueError: One name alone is too long.
    """
    encoded = [entry.encode("utf-8") for entry in names]
    too_long = [entry for entry in names if len(entry.encode("utf-8")) > ATTRIBUTE_LIMIT]
    if too_long:
        raise ValueError(f"An HDF5 file cannot hold names of over {ATTRIBUTE_LIMIT} bytes: {too_long[0][:80]}...")
    # An empty list becomes float64, as in the files of Keras.
    array = np.asarray(encoded)
    if array.nbytes <= ATTRIBUTE_LIMIT:
        group.attrs[name] = array
        return
    chunks = 2
    while any(part.nbytes > ATTRIBUTE_LIMIT for part in np.array_split(array, chunks)):
        chunks += 1
    for index, part in enumerate(np.array_split(array, chunks)):
        group.attrs[f"{name}{index}"] = part


def read_names(group: h5py.Group, name: str) -> list[str]:
    """A stored list of names, also one that is split.

    Raises:
        FileFormatError: There is none, or it is no list of names.
    """
    whole = _attribute(group, name)
    if whole is not None:
        return _as_names(group, name, whole)
    names: list[str] = []
    for index in range(_MOST_CHUNKS):
        part = _attribute(group, f"{name}{index}")
        if part is None and index == 0:
            raise broken(group, name, "is missing: the file holds no Keras model or weights")
        if part is None:
            break
        names += _as_names(group, f"{name}{index}", part)
    return names


def _as_names(group: h5py.Group, name: str, value: Any) -> list[str]:
    if not isinstance(value, np.ndarray) or value.ndim != 1:
        raise broken(group, name, "is no list of names")
    entries = value.tolist()
    with reading(group, name):
        names = [entry.decode("utf-8") if isinstance(entry, bytes) else entry for entry in entries]
    if not all(isinstance(entry, str) for entry in names):
        raise broken(group, name, "is no list of names")
    return names


def _attribute(group: h5py.Group, name: str) -> Any:
    with reading(group, name):
        if name not in group.attrs:
            return None
        stored = group.attrs.get_id(name)
        claimed = math.prod(stored.shape or ()) * stored.dtype.itemsize
        if claimed > (_file_size(group) or claimed):
            raise broken(group, name, f"claims {claimed} bytes, more than the file has")
        return group.attrs[name]


def _file_size(entry: Any) -> int | None:
    """Bytes of the file; None if it is in memory, or being written and so not to be measured by what is on disk."""
    if entry.file.mode != "r":
        return None
    try:
        return os.path.getsize(entry.file.filename)
    except OSError:
        return None
