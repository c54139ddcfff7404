import numpy as np
import pytest

from distkeras.kernels.half import add_half, decode_half, encode_half

SPECIAL = np.float32([0, -0.0, 1, -1, 65504, 65520, -7e4, 6e-8, 2e-8, 6.1e-5, 1 / 3, np.inf, -np.inf, 2049, 2051])


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
@pytest.mark.parametrize("exponent", [-20, 0, 13])
def test_conversion_is_numpys(size, exponent):
    factor = np.float32(2.0**exponent)
    numbers = np.concatenate([np.random.default_rng(size).normal(size=size).astype(np.float32), SPECIAL])
    bits = np.empty(numbers.size, np.uint16)
    encode_half[np.float32](numbers, factor, bits)
    with np.errstate(over="ignore"):
        expected = (numbers * factor).astype(np.float16)
    np.testing.assert_array_equal(bits, expected.view(np.uint16))
    decoded, total = np.empty_like(numbers), np.ones_like(numbers)
    decode_half[np.float32](bits, factor, decoded)
    np.testing.assert_array_equal(decoded, expected.astype(np.float32) * factor)
    add_half[np.float32](bits, factor, total)
    np.testing.assert_array_equal(total, 1 + decoded)


def test_nan_stays_nan():
    bits, out = np.empty(3, np.uint16), np.empty(3, np.float32)
    encode_half[np.float32](np.float32([1, np.nan, 2]), np.float32(1), bits)
    decode_half[np.float32](bits, np.float32(1), out)
    assert np.isnan(out).tolist() == [False, True, False]
