"""Generated kernels: each a module file named by its content, compiled once for all processes.

Numba can keep machine code only of functions that live in files, and tells functions apart by file and name: so every
kernel has a file and a name of its own, `k_<digest>.py` with the function `k_<digest>`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from distkeras.kernels.compile import ELEMENTWISE_FLAGS, cache_directory, compile_kernel

_loaded: dict[str, Callable] = {}


def load(source: str, signature: str) -> Callable:
    """The compiled kernel for a source with `{name}` in place of its name; from memory, disk, or the compiler."""
    name = "k_" + hashlib.sha256(f"{signature}\n{source}".encode()).hexdigest()[:16]
    if name not in _loaded:
        function = _function(name, source.replace("{name}", name))
        _loaded[name] = compile_kernel(function, signature, **ELEMENTWISE_FLAGS)
    return _loaded[name]


def _function(name: str, source: str) -> Callable:
    path = cache_directory() / f"{name}.py"
    if not path.exists():
        _write(path, source)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: Numba looks the module up by name
    spec.loader.exec_module(module)
    return getattr(module, name)


def _write(path: Path, source: str) -> None:
    """Appear all at once: other ranks may be looking."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
        file.write(source)
    os.replace(file.name, path)
