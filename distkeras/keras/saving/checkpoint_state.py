"""The file `checkpoint` in a folder of checkpoints, which says which of them is the latest, and what reads by it.

model_checkpoint_path: "ckpt-3"
all_model_checkpoint_paths: "ckpt-2"
all_model_checkpoint_paths: "ckpt-3"
all_model_checkpoint_timestamps: 1570000000.5
last_preserved_timestamp: 1569990000.0
"""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from distkeras.core.spec import as_dtype
from distkeras.keras.saving.files import written_atomically
from distkeras.keras.saving.tf_bundle import TYPES, Bundle, index_path

_FILE = "checkpoint"
_LINE = re.compile(r'(\w+)\s*:\s*(?:"((?:[^"\\]|\\.)*)"|([-+.\dEe]+))')
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))")
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


@dataclass
class CheckpointState:
    """What is known of the checkpoints in a folder.

    Attributes:
        model_checkpoint_path: The latest.
        all_model_checkpoint_paths: All that are kept, oldest first.
        all_model_checkpoint_timestamps: When they were written, in seconds; may be empty.
        last_preserved_timestamp: When the latest of those was written that are kept for good.
    """

    model_checkpoint_path: str = ""
    all_model_checkpoint_paths: list[str] = field(default_factory=list)
    all_model_checkpoint_timestamps: list[float] = field(default_factory=list)
    last_preserved_timestamp: float = 0.0


def write_state(folder: str, state: CheckpointState, latest_filename: str | None = None) -> None:
    """Write the file; checkpoints within the folder are named relative to it, so that it can be moved."""

    def relative(path: str) -> str:
        return os.path.relpath(path, folder or ".") if os.path.isabs(path) == os.path.isabs(folder) else path

    lines = [f'model_checkpoint_path: "{_escaped(relative(state.model_checkpoint_path))}"']
    lines += [f'all_model_checkpoint_paths: "{_escaped(relative(p))}"' for p in state.all_model_checkpoint_paths]
    lines += [f"all_model_checkpoint_timestamps: {time!r}" for time in state.all_model_checkpoint_timestamps]
    if state.last_preserved_timestamp:
        lines.append(f"last_preserved_timestamp: {state.last_preserved_timestamp!r}")
    with written_atomically(os.path.join(folder, latest_filename or _FILE)) as path, open(path, "x") as file:
        file.write("\n".join(lines) + "\n")


def record_latest(prefix: str) -> None:
    """Make a checkpoint the latest of its folder, and the only one that is known there."""
    write_state(os.path.dirname(prefix), CheckpointState(prefix, [prefix]))


def get_checkpoint_state(checkpoint_dir: Any, latest_filename: str | None = None) -> CheckpointState | None:
    """What the file `checkpoint` in a folder says; None if there is none.

    Args:
        checkpoint_dir: The folder.
        latest_filename: Another name of the file.

    A file that cannot be understood is warned about, and ignored as TensorFlow does.
    """
    folder = os.fspath(checkpoint_dir)
    path = os.path.join(folder, latest_filename or _FILE)
    if not os.path.isfile(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            state = _parsed(file.read())
    except ValueError as error:
        warnings.warn(f"{path} cannot be understood and is ignored: {error}", stacklevel=2)
        return None
    state.model_checkpoint_path = os.path.join(folder, state.model_checkpoint_path)
    state.all_model_checkpoint_paths = [os.path.join(folder, entry) for entry in state.all_model_checkpoint_paths]
    return state


def _parsed(text: str) -> CheckpointState:
    state = CheckpointState()
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"the line {line!r} is not of the form `name: value`")
        name, quoted, number = match.groups()
        if name in ("model_checkpoint_path", "last_preserved_timestamp"):
            setattr(state, name, _unescaped(quoted) if quoted is not None else float(number))
        elif name == "all_model_checkpoint_paths" and quoted is not None:
            state.all_model_checkpoint_paths.append(_unescaped(quoted))
        elif name == "all_model_checkpoint_timestamps" and number is not None:
            state.all_model_checkpoint_timestamps.append(float(number))
    if not isinstance(state.model_checkpoint_path, str) or not state.model_checkpoint_path:
        raise ValueError("it does not name a model_checkpoint_path")
    return state


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _unescaped(text: str) -> str:
    def plain(match: re.Match) -> bytes:
        octal, hexadecimal, letter = match.groups()
        if letter is not None:
            return _CONTROLS.get(letter, letter)
        return bytes([int(octal, 8) & 255 if octal is not None else int(hexadecimal, 16)])

    return _ESCAPE.sub(plain, text.encode()).decode()


def checkpoint_exists(prefix: Any) -> bool:
    """Whether there is a checkpoint of this name."""
    return os.path.isfile(index_path(os.fspath(prefix)))


def latest_checkpoint(checkpoint_dir: Any, latest_filename: str | None = None) -> str | None:
    """The path of the latest checkpoint in a folder, to give to `restore` or `load_weights`; None if there is none.

    Args:
        checkpoint_dir: The folder.
        latest_filename: Another name of the file that knows.

    >>> import distkeras as tf, os, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> checkpoint = tf.train.Checkpoint(v=tf.Variable(1.0))
    >>> _ = checkpoint.save(os.path.join(folder, "ckpt")), checkpoint.save(os.path.join(folder, "ckpt"))
    >>> os.path.basename(tf.train.latest_checkpoint(folder))
    'ckpt-2'
    """
    state = get_checkpoint_state(checkpoint_dir, latest_filename)
    if state is None or not checkpoint_exists(state.model_checkpoint_path):
        return None
    return state.model_checkpoint_path


# --- arrays by name


class CheckpointReader:
    """Looks into a checkpoint without the objects that it was made of."""

    def __init__(self, prefix: str) -> None:
        self._bundle = Bundle(prefix)

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shape of each array, by name."""
        return {name: list(entry.shape) for name, entry in self._bundle.entries.items()}

    def get_variable_to_dtype_map(self) -> dict[str, Any]:
        """The element type of each array, by name."""
        entries = self._bundle.entries.items()
        return {name: as_dtype(entry.type_name) for name, entry in entries if entry.type_number in TYPES}

    def has_tensor(self, tensor_str: str) -> bool:
        """Whether there is an array of this name."""
        return tensor_str in self._bundle.entries

    def get_tensor(self, tensor_str: str) -> Any:
        """An array (a NumPy scalar for a scalar); strings are bytes.

        Raises:
            KeyError: There is none of this name.
            FileFormatError: It is damaged.
        """
        return self._bundle.read(tensor_str)[()]

    def debug_string(self) -> bytes:
        """A line for each array: name, type, shape."""
        entries = sorted(self._bundle.entries.items())
        lines = [f"{name} (DT_{entry.type_name.upper()}) {list(entry.shape)}" for name, entry in entries]
        return "\n".join(lines).encode()


def load_checkpoint(ckpt_dir_or_file: Any) -> CheckpointReader:
    """A reader of a checkpoint's arrays.

    Args:
        ckpt_dir_or_file: The checkpoint's path, or a folder whose latest is meant.

    Raises:
        ValueError: There is none in the folder.
        FileNotFoundError: There is no such checkpoint.
    """
    path = os.fspath(ckpt_dir_or_file)
    if os.path.isdir(path):
        latest = latest_checkpoint(path)
        if latest is None:
            raise ValueError(f"Couldn't find 'checkpoint' file or checkpoints in given directory {path}")
        path = latest
    return CheckpointReader(path)


def load_variable(ckpt_dir_or_file: Any, name: str) -> np.ndarray:
    """An array of a checkpoint, by its name as `list_variables` gives it; arguments as for `load_checkpoint`."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


def list_variables(ckpt_dir_or_file: Any) -> list[tuple[str, list[int]]]:
    """Name and shape of everything in a checkpoint; the argument as for `load_checkpoint`.

    >>> import distkeras as tf, os, tempfile
    >>> path = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0])).write(os.path.join(tempfile.mkdtemp(), "ckpt"))
    >>> tf.train.list_variables(path)
    [('_CHECKPOINTABLE_OBJECT_GRAPH', []), ('v/.ATTRIBUTES/VARIABLE_VALUE', [2])]
    """
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())
