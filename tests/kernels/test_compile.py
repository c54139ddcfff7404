"""Compiled kernels are kept on disk, once for all processes."""

import ast
import os
import subprocess
import sys

import numpy as np
import pytest
from numba.core.caching import NullCache
from numba.core.codegen import CPUCodeLibrary

from distkeras.kernels import compile
from distkeras.kernels.compile import cache_directory, compile_kernel, inlined, kernel, source_digest
from distkeras.kernels.update import scale

PROGRAM = """
import sys, time
from distkeras.kernels.update import scale
import numpy as np
print("ready", flush=True)
sys.stdin.readline()
print(sum(scale[np.float32].stats.cache_hits.values()), flush=True)
"""


def test_processes_that_start_together_compile_a_kernel_once(tmp_path):
    variables = {**os.environ, "DISTKERAS_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": variables}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    hits = sorted(int(process.communicate(timeout=120)[0]) for process in processes)
    assert hits == [0, 1, 1]


def test_other_types_than_the_declared_ones_are_refused():
    with pytest.raises(TypeError, match="No matching definition"):
        scale[np.float32](np.ones(3), np.float32(2))


@pytest.mark.skipif(not compile.LINKS, reason="this Numba is later than those tried")
def test_what_kernels_call_is_compiled_with_them_and_not_by_itself(monkeypatch):
    @inlined
    def twice(x):
        return x + x

    @inlined
    def increased(x):
        return twice(x) + 1

    @kernel("int64(int64)")
    def compute(x):
        return increased(x) * increased(x)

    monkeypatch.setattr(compile, "_KernelCache", lambda function: NullCache())
    monkeypatch.setattr(compile, "_is_kept", lambda *_: True)
    optimised, finalized = [], CPUCodeLibrary._finalize_final_module
    monkeypatch.setattr(
        CPUCodeLibrary, "_finalize_final_module", lambda self: (optimised.append(self.name), finalized(self))
    )
    assert compute[np.int64](20) == 41 * 41
    assert [name.rpartition(".")[2] for name in optimised] == ["compute"]
    assert twice.py_func(20) == 40
    with pytest.raises(TypeError, match="increased is compiled into kernels only; call .*increased.py_func"):
        increased(20)


def test_a_kernel_is_compiled_when_it_is_first_asked_for():
    @kernel("void({t}[::1])")
    def increment(x):
        for i in range(x.size):
            x[i] += 1

    assert not increment._compiled
    for dtype in (np.float32, np.float64):
        x = np.zeros(3, dtype)
        increment[dtype](x)
        np.testing.assert_array_equal(x, 1)


def test_where_nothing_can_be_locked_kernels_are_compiled_all_the_same(monkeypatch):
    import fcntl

    def refuse(file, operation):
        raise OSError("no locks on this file system")

    monkeypatch.setattr(fcntl, "flock", refuse)
    double = compile_kernel(_double, "void(float32[::1])")
    x = np.ones(2, np.float32)
    double(x)
    np.testing.assert_array_equal(x, 2)


def _double(x):
    for i in range(x.size):
        x[i] *= 2


def test_machine_code_is_keyed_by_the_sources_it_is_compiled_from(tmp_path, monkeypatch):
    package = tmp_path / "kernels"
    package.mkdir()
    for name, text in {
        "compile": "",
        "low": "x = 1",
        "high": "from distkeras.kernels import low",
        "apart": "y = 1",
    }.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.setattr(compile, "__file__", str(package / "compile.py"))

    def digests():
        source_digest.cache_clear()
        compile._imported_kernels.cache_clear()
        return [source_digest(package / f"{name}.py") for name in ("low", "high", "apart")]

    before = digests()
    (package / "low.py").write_text("x = 2")
    assert [old == new for old, new in zip(before, digests(), strict=True)] == [False, False, True]


def test_imports_are_found_as_the_parser_finds_them():
    files = sorted(compile.Path(compile.__file__).parent.glob("*.py"))
    assert len(files) > 20
    for path in files:
        tree = ast.parse(path.read_text())
        expected = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
        found = [ast.unparse(node) for node in compile._import_statements(path.read_text())]
        assert sorted(found) == sorted(map(ast.unparse, expected)), path.name


def test_the_cache_is_found_where_it_is_said_to_be():
    compile_kernel(_double, "void(float64[::1])")
    assert list(cache_directory().glob("generated-*/*_double*.nbi"))
