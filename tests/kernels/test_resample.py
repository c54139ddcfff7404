import numpy as np
import pytest

from distkeras.kernels.resample import resample
from tests.kernels import naive_resample as naive
from tests.kernels.assembly import assert_vectorised


@pytest.mark.parametrize("shape", [(2, 5, 3), (1, 4, 40), (3, 1, 1), (0, 4, 2)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
def test_resample(shape, dtype):
    generator = np.random.default_rng(1)
    starts = np.array([0, 2, 2, 5, 6])  # the second place has no weights: zeros
    places, weights = generator.integers(0, shape[1], 6), generator.normal(size=6).astype(dtype)
    x = generator.normal(size=shape).astype(dtype)
    out = np.full((shape[0], 4, shape[2]), np.nan, dtype)
    resample[dtype](x, starts, places, weights, out)
    np.testing.assert_allclose(out, naive.resample(x, starts, places, weights), rtol=1e-5, atol=1e-6)


def test_is_vectorised():
    assert_vectorised(resample, "vfmadd")
