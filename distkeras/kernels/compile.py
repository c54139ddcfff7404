"""How kernels are compiled: explicit signatures, once per element type, kept on disk.

A kernel is a short function over ndarrays whose last argument is the output. `@kernel` takes its Numba signature with
`{t}` for the element type; nothing is compiled until an element type is first asked for, so importing costs nothing:

>>> import numpy as np
>>> @kernel("void({t}[::1], {t}[::1])")
... def double(x, out):
...     for i in range(x.size):
...         out[i] = x[i] + x[i]
>>> out = np.empty(3, np.float32)
>>> double[np.float32](np.arange(3, dtype=np.float32), out)
>>> out
array([0., 2., 4.], dtype=float32)

Machine code is kept in a folder named by the digest of the kernel files it is compiled from, the imported ones too:
Numba's own index looks at a kernel's file alone, and an edit to a function it calls would go on running the old code.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import caching

# Linking reaches into Numba: versions later than those tried compile functions as they do by themselves, which takes
# longer.
LINKS = numba.version_info.short <= (0, 68)
if LINKS:
    from distkeras.kernels.linking import linked
else:
    linked = numba.njit

# contract + reassoc + nsz keep NaN and Inf, and are as fast as full fastmath on sums; 'numpy' division is 8x 'python'.
# Nothing calls a kernel through C: without an entry for that it compiles faster.
FLAGS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz"},
    "no_cfunc_wrapper": True,
}
# Where there are no sums nothing is gained by fastmath, and an element's bits would depend on whether it is done in the
# vector loop or is left over: on how many elements there are, and on how near to each other arrays happen to lie.
ELEMENTWISE_FLAGS: dict[str, Any] = {"fastmath": False}

_PACKAGE = __name__.rpartition(".")[0]

# What a lowering returns, to be run in order, and what hands it working memory: scratch(shape, dtype).
Calls = list[tuple[Callable, tuple]]
Scratch = Callable[[Any, Any], np.ndarray]


def inlined(function: Callable) -> Callable:
    """Make `function` callable from kernels; it is compiled into each of its callers.

    Inlining is forced: a loop around a call that remains is not vectorised, and its array arguments are counted.
    """
    return linked(function, **FLAGS, forceinline=True)


def kernel(signature: str, **flags: Any) -> Callable[[Callable], Kernel]:
    """Declare a kernel by its Numba signature, `{t}` standing for the element type."""
    return lambda function: Kernel(function, signature, **flags)


class Kernel:
    """One kernel source, compiled for an element type when it is first indexed with it.

    `kernel[np.float32]` is the compiled function: call it with exactly the declared types (77 ns a call and about 50 ns
    an array). It releases the GIL.
    """

    def __init__(self, function: Callable, signature: str, **flags: Any) -> None:
        functools.update_wrapper(self, function)
        self.python = function
        self.signature = signature
        self.flags = {**FLAGS, **flags}
        self._compiled: dict[np.dtype, Callable] = {}

    def __getitem__(self, dtype: Any) -> Callable:
        try:
            return self._compiled[dtype]
        except KeyError:
            return self._compiled.setdefault(dtype, self._compile(np.dtype(dtype)))

    def _compile(self, dtype: np.dtype) -> Callable:
        return compile_kernel(self.python, self.signature.format(t=dtype.name), **self.flags)

    def __repr__(self) -> str:
        return f"<kernel {self.__name__} {self.signature}>"


def compile_kernel(function: Callable, signature: str, **flags: Any) -> Callable:
    """Compile `function` for one signature, or load it from the disk cache; other argument types are refused."""
    dispatcher = numba.njit(**{**FLAGS, **flags})(function)
    if not numba.config.DISABLE_JIT:
        dispatcher._cache = _KernelCache(function)
        name = f"{function.__module__}.{function.__qualname__}"
        with contextlib.nullcontext() if _is_kept(dispatcher, signature) else _one_process_at_a_time(name):
            dispatcher.compile(signature)
        dispatcher.disable_compile()
    return dispatcher


def _is_kept(dispatcher: Any, signature: str) -> bool:
    """Whether the disk cache has the kernel: there is nobody to wait for then."""
    cache = dispatcher._cache
    return cache._index_key(signature, dispatcher.targetctx.codegen()) in cache._cache_file._load_index()


@contextlib.contextmanager
def _one_process_at_a_time(name: str) -> Iterator[None]:
    """Ranks that meet an empty cache together: one compiles a kernel, the others wait and load what it has kept."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a file system without locks: all compile
            file = stack.enter_context(open(cache_directory() / f"{name}.lock", "w"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.cache
def cache_directory() -> Path:
    """The folder that holds compiled kernels: DISTKERAS_CACHE_DIR, else XDG_CACHE_HOME, else ~/.cache; it is created.

    Where that cannot be written, a folder of the user's own in the temporary directory is used.
    """
    configured = os.environ.get("DISTKERAS_CACHE_DIR")
    root = configured or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "distkeras")
    fallback = os.path.join(tempfile.gettempdir(), f"distkeras-{os.getuid()}")
    for candidate in (root, fallback):
        path = Path(candidate) / f"kernels-{_compiler_digest()}"
        try:
            path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path).close()
        except OSError:
            continue
        return path
    raise OSError(
        f"no folder for compiled kernels can be written: tried {root} and {fallback}. "
        "Set DISTKERAS_CACHE_DIR to a writable folder."
    )


@functools.cache
def _compiler_digest() -> str:
    """Sixteen hexadecimal digits over the compiler's versions and the vector width that was asked for."""
    versions = f"{numba.__version__} {llvmlite.__version__} {os.environ.get('DISTKERAS_SIMD', '')}"
    return hashlib.sha256(versions.encode()).hexdigest()[:16]


@functools.cache
def source_digest(path: Path) -> str:
    """Sixteen hexadecimal digits over the kernel files a source file is compiled from, directly or not."""
    digest = hashlib.sha256()
    for source in sorted(_kernel_files(path)):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _kernel_files(path: Path) -> set[Path]:
    """Those of this package that `path` imports, with itself where it is one; this file sets the flags of all."""
    found, waiting = {Path(__file__)}, [path, *_imported_kernels(path)]
    while waiting:
        source = waiting.pop()
        if source not in found and source.parent == Path(__file__).parent:
            found.add(source)
            waiting += _imported_kernels(source)
    return found


@functools.cache
def _imported_kernels(path: Path) -> list[Path]:
    """The kernel files that a source file names in its import statements."""
    imported: list[Path] = []
    for statement in _import_statements(path.read_text("utf-8")):
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(_PACKAGE):
            names = [f"{statement.module}.{alias.name}" for alias in statement.names] + [statement.module]
        elif isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        else:
            continue
        tails = [name.removeprefix(f"{_PACKAGE}.").split(".")[0] for name in names if name.startswith(f"{_PACKAGE}.")]
        imported += [file for tail in tails if (file := Path(__file__).with_name(f"{tail}.py")).exists()]
    return imported


def _import_statements(source: str) -> Iterator[ast.stmt]:
    """What begins a line as an import does; parsing all of a file takes fifty times as long."""
    for text in re.findall(r"^[ \t]*((?:from [\w.]+ )?import (?:\([^)]*\)|[^\n]*))", source, re.MULTILINE):
        with contextlib.suppress(SyntaxError):  # a line of prose
            yield from ast.parse(text).body


class _CacheFolder(caching._CacheLocator):
    """Puts a kernel's machine code into a folder that changes whenever a source it is compiled from does."""

    def __init__(self, function: Callable) -> None:
        self._function = function

    @classmethod
    def from_function(cls, function: Callable, source: str) -> _CacheFolder:
        return cls(function)

    def get_cache_path(self) -> str:
        source = Path(self._function.__code__.co_filename)
        if not source.exists():
            return str(cache_directory())
        stem = source.stem if source.parent == Path(__file__).parent else "generated"
        return str(cache_directory() / f"{stem}-{source_digest(source)}")

    def get_source_stamp(self) -> str:
        code = self._function.__code__
        return hashlib.sha256(code.co_code + repr(code.co_consts).encode() + repr(code.co_names).encode()).hexdigest()

    def get_disambiguator(self) -> str:
        return self._function.__module__


class _KernelCacheContents(caching.CompileResultCacheImpl):
    _locator_classes = [_CacheFolder]


class _KernelCache(caching.FunctionCache):
    _impl_class = _KernelCacheContents
