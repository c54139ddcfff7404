"""Whether LLVM turned a kernel's loops into vector instructions."""

import llvmlite.binding
import numba
import numpy as np
import pytest

from distkeras.kernels.compile import Kernel


def assert_vectorised(kernel: Kernel, instruction: str, dtype=np.float32) -> None:
    """Fails unless `instruction` (such as "mulps") works on ymm or zmm registers; skips where the CPU has none.

    The kernel is compiled afresh: Numba does not show the assembly of code from its cache.
    """
    if not llvmlite.binding.get_host_cpu_features().get("avx2"):
        pytest.skip("this CPU has no AVX2")
    compiled = numba.njit(kernel.signature.format(t=np.dtype(dtype).name), **kernel.flags)(kernel.python)
    lines = "".join(compiled.inspect_asm().values()).splitlines()
    vector = [line for line in lines if "ymm" in line or "zmm" in line]
    assert any(instruction in line for line in vector), f"{kernel.__name__}: no {instruction} on vector registers"
