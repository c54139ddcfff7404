"""Pickles of which nothing but arrays, lists and numbers is read: a pickle can name any function."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras._errors import FileFormatError

PICKLE_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
)


def read_npz(path: str, names: Sequence[str]) -> list[np.ndarray]:
    """Arrays of an .npz file; those of lists are pickles in it.

    Raises:
        FileFormatError: The file is damaged, lacks one of them, or names anything else in a pickle.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [_read_array(archive, f"{name}.npy") for name in names]
    except (*PICKLE_ERRORS, OSError, zipfile.BadZipFile) as error:
        reason = f"{type(error).__name__}: {error}"
        raise FileFormatError(f"{path} does not hold the arrays {', '.join(names)}: {reason}.") from error


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        _, _, dtype = read_header(file)
        if dtype.hasobject:
            return np.asarray(ArraysOnly(file).load(), object)
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


class ArraysOnly(pickle.Unpickler):
    """Reads a pickle of dicts, lists, bytes and arrays, and refuses every other class."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module.removeprefix("numpy."), name) in (
            ("core.multiarray", "_reconstruct"),
            ("_core.multiarray", "_reconstruct"),
        ):
            return np._core.multiarray._reconstruct if hasattr(np, "_core") else np.core.multiarray._reconstruct
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is not needed for arrays")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    return text.encode(encoding)
