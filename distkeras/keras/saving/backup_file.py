"""One file with values and arrays: what a training run is saved in.

backup.npz     a zip archive without compression, which `numpy.load` reads as well
  values.json    values of Python; {"array": name} stands for an array
  NAME.npy       an array

Equal content gives equal bytes. Every entry has its checksum (CRC-32), which is compared when it is read; nothing in
the file is ever run.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from distkeras._errors import FileFormatError
from distkeras.keras.saving.files import written_atomically

_VALUES = "values.json"
_ENDING = ".npy"
_PLAIN = (type(None), bool, int, float, str)


def write_backup(path: str, values: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a file, which is there as a whole or not at all.

    Args:
        path: The file to make or to replace.
        values: Numbers, texts, None, arrays, and lists, tuples and dicts of these.
        arrays: More arrays by name.

    Raises:
        TypeError: Something else is among the values.
        OSError: The file cannot be written.
    """
    taken = {f"arrays/{name}": array for name, array in arrays.items()}
    text = json.dumps(_encoded(values, taken))
    try:
        with written_atomically(path) as temporary, zipfile.ZipFile(temporary, "x") as archive:
            archive.writestr(zipfile.ZipInfo(_VALUES), text)
            for name, array in taken.items():
                with archive.open(zipfile.ZipInfo(name + _ENDING), "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
    except OSError as error:
        needed = sum(np.asarray(array).nbytes for array in taken.values()) / 1e6
        raise OSError(
            error.errno,
            f"the backup {path} of {needed:.1f} MB cannot be written: {error.strerror}. Those that were written before "
            "are as they were: start the program again when it can",
        ) from error


def read_backup(path: str) -> tuple[Any, dict[str, np.ndarray]]:
    """The values and the arrays of a file.

    Raises:
        FileNotFoundError: There is none.
        FileFormatError: It is damaged, or no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            stored = {name: _entry(archive, name) for name in archive.namelist()}
        found = {name.removesuffix(_ENDING): _array(data) for name, data in stored.items() if name != _VALUES}
        values = _decoded(json.loads(stored[_VALUES]), found)
    except FileNotFoundError:
        raise
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        SyntaxError,
    ) as error:
        raise _broken(path, error) from error
    except (NotImplementedError, RuntimeError, RecursionError, MemoryError, OverflowError) as error:
        raise _broken(path, error) from error
    return values, {name.removeprefix("arrays/"): found[name] for name in found if name.startswith("arrays/")}


def _broken(path: str, error: Exception) -> FileFormatError:
    size = os.path.getsize(path)
    return FileFormatError(
        f"{path} is a damaged backup of {size} bytes, perhaps cut short: {type(error).__name__}: {error}"
    )


def _entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """The content of an entry; its checksum is compared."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"the entry {name!r} is compressed, as no backup is")
    return archive.read(name)


def _array(data: bytes) -> np.ndarray:
    """An array in NumPy's format; as much memory is taken as there is content."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_transposed, dtype = read_header(stream)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise ValueError(f"an array of shape {shape} and type {dtype} does not take {len(data) - stream.tell()} bytes")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if is_transposed else "C")


# --- values: as JSON, in which every container says what it is


def _encoded(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        name = f"values/{len(arrays)}"
        arrays[name] = value
        return {"scalar" if isinstance(value, np.generic) else "array": name}
    if type(value) in (list, tuple):
        return {type(value).__name__: [_encoded(part, arrays) for part in value]}
    if type(value) is dict:
        return {"dict": [[_encoded(key, arrays), _encoded(part, arrays)] for key, part in value.items()]}
    raise TypeError(
        f"{value!r} of type {type(value).__name__} cannot be saved: expected numbers, texts, None, arrays, or lists, "
        "tuples and dicts of these."
    )


def _decoded(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind in ("array", "scalar"):
        return arrays[content].copy() if kind == "array" else arrays[content][()]
    if kind == "dict":
        return {_decoded(key, arrays): _decoded(part, arrays) for key, part in content}
    return {"list": list, "tuple": tuple}[kind](_decoded(part, arrays) for part in content)
