import numpy as np
import pytest

from distkeras.data.sharding import BatchPlan, num_rows, part_of, permutation, shard_bounds


@pytest.mark.parametrize("num_replicas", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("size", [0, 1, 2, 5, 8, 13])
def test_the_ranks_parts_make_up_the_batch(size, num_replicas):
    parts = [shard_bounds(size, rank, num_replicas) for rank in range(num_replicas)]
    assert [row for start, stop in parts for row in range(start, stop)] == list(range(size))
    lengths = [stop - start for start, stop in parts]
    assert max(lengths) - min(lengths) <= 1


def test_a_permutation_depends_on_its_key_alone():
    first = permutation(50, (3, 7, 0))
    assert sorted(first) == list(range(50))
    np.testing.assert_array_equal(first, permutation(50, (3, 7, 0)))
    others = [permutation(50, key).tolist() for key in ((3, 8, 0), (4, 7, 0), (3, 7, 1))]
    assert first.tolist() not in others


def rows_of(plan, epoch):
    """Sample numbers of each batch."""
    return [np.arange(plan.num_samples)[rows].tolist() for rows in plan.rows(epoch)]


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_an_epoch_has_every_sample_once(shuffle):
    plan = BatchPlan(11, 4, shuffle)
    batches = rows_of(plan, 0)
    assert len(batches) == plan.num_batches == 3
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert sorted(sum(batches, [])) == list(range(11))


def test_epochs_differ_and_repeat():
    plan = BatchPlan(40, 8, True, key=lambda epoch: (5, epoch))
    assert rows_of(plan, 0) != rows_of(plan, 1)
    assert rows_of(plan, 1) == rows_of(BatchPlan(40, 8, True, key=lambda epoch: (5, epoch)), 1)


def test_batch_shuffling_keeps_runs_together_and_the_short_batch_last():
    orders = [rows_of(BatchPlan(43, 4, "batch"), epoch) for epoch in range(3)]
    for batches in orders:
        assert all(np.diff(batch).tolist() == [1] * (len(batch) - 1) for batch in batches)
        assert all(batch[0] % 4 == 0 for batch in batches)
        assert batches[-1] == [40, 41, 42]
    assert orders[0] != orders[1]


@pytest.mark.parametrize("rows", [slice(4, 9), np.array([7, 1, 5, 0, 2])], ids=["slice", "indices"])
def test_parts_of_rows(rows):
    data = np.arange(20) * 10
    assert num_rows(rows) == 5
    np.testing.assert_array_equal(data[part_of(rows, 1, 4)], data[rows][1:4])
    assert num_rows(part_of(rows, 2, 2)) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, False), "at least one sample"),
        ((4, 0, False), "`batch_size` must be at least 1"),
        ((4, 2, "chunk"), "`shuffle` must be True, False or 'batch'"),
    ],
)
def test_bad_plans(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchPlan(*arguments)
