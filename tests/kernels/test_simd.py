import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distkeras.kernels import simd
from distkeras.kernels.transpose_matrices import transpose_matrices
from tests.kernels import guarded

HERE = Path(__file__).parent


def test_the_widest_instruction_set_is_chosen():
    usable = [s for s in simd.INSTRUCTION_SETS if simd.is_available(s)]
    assert simd.choose_instruction_set() == max(usable, key=lambda s: (s.vector_bytes, s.matrix_unit))
    assert simd.choose_instruction_set("portable").name == "portable"


def test_an_instruction_set_the_cpu_lacks_is_an_error():
    missing = [s.name for s in simd.INSTRUCTION_SETS if not simd.is_available(s)]
    assert missing, "no CPU has both AVX and NEON"
    for name in [*missing, "sse9"]:
        with pytest.raises(ValueError, match=rf"DISTKERAS_SIMD={name} cannot be used here: expected one of .*portable"):
            simd.choose_instruction_set(name)


def test_tiles_fit_the_registers():
    for instructions in simd.INSTRUCTION_SETS:
        registers = 32 if instructions.name in ("amx", "avx512", "neon") else 16
        for vectors, rows in enumerate(instructions.tile_rows):
            assert rows * max(vectors, 1) + max(vectors, 1) + 1 <= registers
        assert (instructions.tile_rows[0] == 0) == instructions.masked


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(1, 16, 16), (2, 33, 50), (3, 8, 4), (1, 1, 40), (2, 40, 1), (0, 3, 4), (2, 0, 3)], ids=str
)
def test_transpose_matrices(shape, dtype):
    matrices = guarded.normal(np.random.default_rng(0), shape, dtype)
    out = guarded.empty((shape[0], shape[2], shape[1]), dtype)
    transpose_matrices[dtype](matrices, out)
    np.testing.assert_array_equal(out, matrices.transpose(0, 2, 1))


@pytest.mark.parametrize("name", [s.name for s in simd.INSTRUCTION_SETS])
def test_products_and_convolutions_with_other_instructions(name):
    """Everything else in this folder runs with the widest; the slower sets must be as right."""
    instructions = next(s for s in simd.INSTRUCTION_SETS if s.name == name)
    if not simd.is_available(instructions):
        pytest.skip(f"this CPU has no {name}")
    if instructions == simd.HOST:
        pytest.skip("these are the instructions of the other tests")
    chosen = "float32 and (test_matmul or test_forward or gradient)"
    files = [str(HERE / "test_gemm.py"), str(HERE / "test_conv.py"), str(HERE / "test_depthwise.py")]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, *files],
        cwd=HERE.parent.parent,
        env={**os.environ, "DISTKERAS_SIMD": name},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "passed" in run.stdout
