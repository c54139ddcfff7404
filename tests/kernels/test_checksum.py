import numpy as np
import pytest

from distkeras.kernels.checksum import crc32c_tables, crc32c_update
from tests.kernels import naive_checksum as naive


def crc32c(data: np.ndarray, before: int = 0) -> int:
    out = np.array([before ^ 0xFFFFFFFF], np.uint32)
    crc32c_update[np.uint8](data, crc32c_tables(), out)
    return int(out[0]) ^ 0xFFFFFFFF


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16, 31, 1000])
def test_crc32c(size):
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    assert crc32c(data) == naive.crc32c(data.tobytes())
    assert crc32c(data[size // 3 :], crc32c(data[: size // 3])) == naive.crc32c(data.tobytes())


def test_known_values():
    """Those of RFC 3720, B.4."""
    assert crc32c(np.zeros(32, np.uint8)) == 0x8A9136AA
    assert crc32c(np.full(32, 255, np.uint8)) == 0x62A8AB43
    assert crc32c(np.arange(32, dtype=np.uint8)) == 0x46DD794E
