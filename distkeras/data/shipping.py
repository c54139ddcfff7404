"""Data on its way to another process: pickled, with its large arrays in shared memory and its files opened anew there.

    process that trains                                     data worker
    data --> [setup | pickle | arrays ...] in a slot  -->   the script imported if data needs it, data unpickled;
                                                            arrays are views of the slot, copied where written to

A worker is a new Python, not a fork: a process that has started MPI, or threads, must not be forked. What the data
consists of is therefore imported there by name.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import mmap
import os
import pickle
import sys
import types
from typing import Any, NamedTuple

import numpy as np

from distkeras.data.hdf5 import open_to_read
from distkeras.data.packing import pack, unpack
from distkeras.data.ring import Slot, anonymous_file

_importing_script = False


class Setup(NamedTuple):
    """What a worker must do before it can unpickle data.

    Attributes:
        arguments: The script's `sys.argv`.
        script: Path and package of the script, if data is of classes that it defines; else None.
    """

    arguments: list[str]
    script: tuple[str, str | None] | None


class ScriptLeftError(BaseException):
    """Ends the import of a script that has come to its training; no script catches it by accident."""


def ship(data: Any, what: str) -> Slot:
    """Data in a slot from which any number of processes can `receive` it.

    Args:
        data: Any object.
        what: How messages call it.

    Raises:
        pickle.PicklingError: It cannot be pickled.
    """
    pickler = None

    def make_pickler(*args: Any, **options: Any) -> _Pickler:
        nonlocal pickler
        pickler = _Pickler(*args, **options)
        return pickler

    try:
        parts = pack(data, make_pickler)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise pickle.PicklingError(_cannot_pickle(data, what, error)) from error
    script = _script(data, what) if pickler.needs_script else None
    slot = Slot(anonymous_file())
    slot.write([pickle.dumps(Setup(list(sys.argv), script)), *parts])
    return slot


def receive(slot: Slot) -> Any:
    """The data in a slot, in another process than that which shipped it."""
    setup, *parts = slot.read()
    setup = pickle.loads(setup)
    sys.argv[:] = setup.arguments
    if setup.script is not None and "__mp_main__" not in sys.modules:
        import_script(*setup.script)
    return unpack(parts)


def import_script(path: str, package: str | None) -> None:
    """Run a script as the module `__mp_main__`, as far as its first training, so that its classes can be found.

    With `if __name__ == "__main__":` before what it does, nothing is done here; a script without is left where it would
    train. It prints nothing.
    """
    global _importing_script
    module = types.ModuleType("__mp_main__")
    module.__dict__.update(__file__=path, __package__=package, __builtins__=builtins)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    _importing_script = True
    try:
        with contextlib.suppress(ScriptLeftError), contextlib.redirect_stdout(io.StringIO()):
            exec(code, module.__dict__)
    finally:
        _importing_script = False


def leave_script() -> None:
    """Called where training begins: a process that only imports the script goes no further."""
    if _importing_script:
        raise ScriptLeftError


class _Pickler(pickle.Pickler):
    """Pickles open HDF5 files and memory maps as the places where they are found."""

    needs_script = False

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (type, types.FunctionType)):
            self.needs_script |= value.__module__ == "__main__"
        elif isinstance(value, np.memmap):
            return _reduce_memmap(value)
        elif type(value).__module__.startswith("h5py."):
            return _reduce_hdf5(value)
        return NotImplemented


def _reduce_memmap(array: np.memmap) -> Any:
    root = array
    while isinstance(root.base, np.memmap):
        root = root.base
    from_file = isinstance(root.base, mmap.mmap) and root.filename is not None and array.mode != "c"
    if not (from_file and array.flags.c_contiguous and array.size):
        return NotImplemented
    offset = root.offset + array.ctypes.data - root.ctypes.data
    return _open_memmap, (os.fspath(root.filename), array.dtype, array.mode, offset, array.shape)


def _open_memmap(path: str, dtype: np.dtype, mode: str, offset: int, shape: tuple[int, ...]) -> np.memmap:
    return np.memmap(path, dtype, "r+" if mode == "w+" else mode, offset, shape)


def _reduce_hdf5(value: Any) -> Any:
    h5py = sys.modules["h5py"]
    if isinstance(value, (h5py.Dataset, h5py.Group)):
        return _open_hdf5, (os.path.abspath(value.file.filename), value.name)
    return NotImplemented


def _open_hdf5(path: str, name: str) -> Any:
    file = open_to_read(path)
    return file if name == "/" else file[name]


def _script(data: Any, what: str) -> tuple[str, str | None]:
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None or not os.path.isfile(path):
        raise pickle.PicklingError(
            f"{what} is of {type(data).__qualname__}, which is defined in an interactive session, where no other "
            "process can import it from. Define its class in a .py file and import it, or use "
            "use_multiprocessing=False."
        )
    sys.modules.setdefault("__mp_main__", main)  # under which name workers know it
    return os.path.abspath(path), main.__package__


def _cannot_pickle(data: Any, what: str, error: Exception) -> str:
    return (
        f"{what} of type {type(data).__qualname__} cannot be sent to another process: {error}. With "
        "use_multiprocessing=True it must be picklable: define its class at the top level of a module, keep no locks, "
        "generators, lambdas or connections as its attributes (make them when __getitem__ is first called); or read "
        "with threads: use_multiprocessing=False."
    )
