import numpy as np
import pytest

from distkeras.kernels import gather
from tests.kernels import naive_gather as naive
from tests.kernels.assembly import assert_vectorised

CASES = [(5, 3, 4), (1, 1, 1), (7, 64, 100), (10, 33, 17), (4, 0, 3), (4, 8, 0), (0, 8, 3)]  # rows, columns, ids


@pytest.fixture(params=[np.float32, np.float64, np.int32], ids=lambda dtype: dtype.__name__)
def dtype(request):
    return request.param


def _data(case, dtype):
    rows, columns, count = case
    generator = np.random.default_rng(0)
    table = (generator.normal(size=(rows, columns)) * 8).astype(dtype)
    updates = (generator.normal(size=(count, columns)) * 8).astype(dtype)
    return table, updates, generator.integers(-1, rows + 1, count)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_add_rows(case, dtype):
    table, updates, ids = _data(case, dtype)
    out, bad = table.copy(), np.full(1, -1)
    gather.add_rows[dtype](ids, updates, out, bad)
    np.testing.assert_array_equal(out, naive.add_rows(ids, updates, table))
    assert bad[0] == np.sum((ids < 0) | (ids >= case[0]))


def test_far_ids_are_not_followed(dtype):
    ids, bad = np.array([2**62, -(2**62), 1]), np.zeros(1, np.int64)
    table, updates = np.ones((2, 4), dtype), np.ones((3, 4), dtype)
    gather.add_rows[dtype](ids, updates, table, bad)
    assert bad[0] == 2 and table.sum() == 12


def test_is_vectorised():
    assert_vectorised(gather.add_rows, "vaddps")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sum_rows(case, dtype):
    _, updates, ids = _data(case, dtype)
    places, rows, out, counts = (
        np.zeros(case[0], np.int64),
        np.full_like(ids, 9),
        np.full_like(updates, 9),
        np.full(2, -1),
    )
    gather.sum_rows[dtype](ids, updates, places, rows, out, counts)
    expected_rows, expected, inside = naive.sum_rows(ids, updates, case[0])
    assert counts.tolist() == [len(expected_rows), case[2] - inside] and not places.any()
    np.testing.assert_array_equal(rows[: counts[0]], expected_rows)
    np.testing.assert_allclose(out[: counts[0]], expected, rtol=1e-5)


@pytest.mark.parametrize("ids", [[], [0, 4], [5, 0, -1], [2**63 - 1, -(2**63), 3]], ids=str)
def test_ids_outside_are_counted(ids):
    expected = sum(not 0 <= number < 5 for number in ids)
    assert gather.count_outside[np.int64](np.array(ids, np.int64), 5) == expected
