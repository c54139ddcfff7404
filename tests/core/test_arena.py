from __future__ import annotations

import numpy as np
import pytest

from distkeras.core.arena import Arena, Layout, allocate


@pytest.mark.parametrize("count", [0, 1, 15, 16, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_allocations_are_zero_and_aligned(count, dtype):
    block = allocate(count, dtype)
    assert block.shape == (count,) and block.dtype == dtype and not block.any()
    assert block.flags.writeable and (count == 0 or block.ctypes.data % 64 == 0)


def test_arrays_lie_one_after_the_other_each_on_a_line():
    arena = Arena(Layout([(3, 5), (), (0, 2), (16,), (1,)], "float32"))
    assert [view.shape for view in arena.views] == [(3, 5), (), (0, 2), (16,), (1,)]
    assert [part.start for part in arena.layout.slices] == [0, 16, 32, 32, 48]
    assert arena.layout.size == 64 and arena.flat.shape == (64,)
    for number, view in enumerate(arena.views, 1):
        view[...] = number
    assert [arena.flat[part].tolist() for part in arena.layout.slices[:2]] == [[1] * 15, [2]]
    assert arena.flat.sum() == 15 + 2 + 4 * 16 + 5 and arena.flat[15] == 0  # the gaps stay zero


def test_memory_can_come_from_elsewhere():
    shared = np.zeros(100, np.float64)
    arena = Arena(Layout([(2, 2)], "float64"), allocate=lambda count, dtype: shared[:count])
    arena.views[0][...] = 1
    assert shared[:4].sum() == 4 and arena.layout.size == 8
