"""Objects through memory that is written again and again."""

import numpy as np
import pytest

from distkeras import _nest
from distkeras.data.ring import Ring

VALUES = {
    "batch": lambda k: (np.full((4, 3), k, "float32"), np.arange(k, k + 4), None),
    "nested": lambda k: {"a": [np.full(2, k), (np.ones((2, 2), order="F") * k, {})], "b": np.array(k)},
    "empty": lambda k: [np.zeros((0, 3)), np.full(1, k), np.zeros(0)],
    "numbers and text": lambda k: (k, f"text {k}", b"bytes", k / 2, True, np.ones(3)),
    "in the pickle": lambda k: (np.arange(20)[::k], np.array([k, None], object), np.full(3, k)),
    "of other types": lambda k: (np.float32(k), np.full(2, k).view(np.recarray), {1, k}),
    "dates": lambda k: np.array([f"2020-01-0{k}"], "datetime64[D]"),
    "structured": lambda k: np.array([(k, 0.5)], [("a", int), ("b", float)]),
    "many": lambda k: [np.full(2, number * k) for number in range(500)],
}


def same(left, right):
    _nest.assert_same_structure(left, right)
    for one, other in zip(_nest.flatten(left), _nest.flatten(right), strict=True):
        assert type(one) is type(other)
        if isinstance(one, np.ndarray):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert np.array_equal(one, other)
    return True


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("writeable", [True, False])
def test_what_is_opened_is_what_was_put(name, writeable):
    ring = Ring()
    for k in (1, 2, 3, 3):
        opened = ring.put(VALUES[name](k)).open(writeable)
        assert same(opened, VALUES[name](k))
    leaves = [leaf for leaf in _nest.flatten(opened) if isinstance(leaf, np.ndarray) and not leaf.dtype.hasobject]
    in_slot = name not in ("in the pickle", "of other types", "dates")
    assert all(leaf.flags.writeable == writeable for leaf in leaves) or not in_slot
    ring.close()


def test_what_is_like_before_is_not_unpickled(monkeypatch):
    ring = Ring()
    ring.put(VALUES["nested"](1)).open()
    monkeypatch.setattr("distkeras.data.packing.unpack", None)
    assert same(ring.put(VALUES["nested"](2)).open(), VALUES["nested"](2))
    ring.close()


def test_a_slot_is_free_when_the_last_array_in_it_is_gone():
    ring = Ring()
    for _ in range(3):  # unpickled, and then made alike
        kept = ring.put(VALUES["batch"](1)).open()[1]
        other = ring.put(VALUES["batch"](2)).open()
        assert kept.tolist() == [1, 2, 3, 4] and len(ring.slots) == 2
        del kept, other
    ring.close()


def test_ever_new_forms_are_not_kept():
    ring = Ring()
    for size in range(200):
        ring.put(np.ones(size)).open()
        ring.put("x" * 5000).open()
    assert len(ring.forms._makes) <= 64 and max(map(len, ring.forms._makes)) < 5000
    ring.close()
