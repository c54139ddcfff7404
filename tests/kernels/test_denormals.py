"""Denormal numbers are zero between `flush_denormals` and `restore_denormals`, and only there."""

import numpy as np
import pytest

from distkeras.kernels import denormals
from distkeras.kernels.denormals import flush_denormals, restore_denormals
from distkeras.kernels.update import scale


def scaled(value, factor):
    array = np.full(40, value, np.float32)
    scale[np.float32](array, np.float32(factor))
    return array


@pytest.mark.skipif(not denormals._IS_X86, reason="only x86 has the mode")
def test_denormals_are_zero_while_flushed_and_kept_otherwise():
    assert np.all(scaled(1e-38, 0.01) > 0)
    before = flush_denormals[np.float32]()
    try:
        assert np.all(scaled(1e-38, 0.01) == 0)
        assert np.all(scaled(np.float32(1e-40), 1e5) == 0)
        assert np.isnan(scaled(np.nan, 0.5)).all() and np.isinf(scaled(np.inf, 0.5)).all()
        assert np.all(scaled(2.0, 0.5) == 1)
    finally:
        restore_denormals[np.float32](before)
    assert np.all(scaled(1e-38, 0.01) > 0)
