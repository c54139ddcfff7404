"""Tensors and variables have their operators from the first use of the package on, whatever is used first."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "program",
    [
        "v = tf.Variable([3.0]); assert float((v * 2)[0]) == 6",
        "assert tf.function(lambda x: x // 2)(np.int32([7])).numpy().tolist() == [3]",
        "assert (tf.Tensor(np.float32([1])) + 1).numpy().tolist() == [2]",
        "x = tf.Variable(3.0)\nwith tf.GradientTape() as tape: y = x * x\nassert float(tape.gradient(y, x)) == 6",
    ],
)
def test_operators_are_there(program):
    source = f"import numpy as np\nimport distkeras as tf\n{program}"
    subprocess.run([sys.executable, "-c", source], check=True, timeout=120)
