"""Each collective against what NumPy makes of all ranks' inputs."""

import time

import numpy as np
import pytest

from distkeras._errors import ReplicaMismatchError
from distkeras.distribute import environment, pmix


def made_by(rank, count=5):
    """Small whole numbers: exact in every type, different on every rank."""
    return np.random.default_rng(rank).integers(0, 9, count)


def test_the_world_is_the_launchers(communicator):
    launch = environment.detect()
    assert (communicator.size, communicator.rank) == (launch.size, launch.rank)
    assert communicator.num_nodes == 1 and communicator.local_size == communicator.size
    assert communicator.local_rank == communicator.rank and communicator.description


def test_ranks_wait_for_the_last_one_without_messages(communicator):
    communicator.barrier()
    arrived = np.array(time.monotonic() + 0.2 * (communicator.rank == communicator.size - 1))
    time.sleep(max(0, float(arrived) - time.monotonic()))
    pmix.wait_for_all()
    left = time.monotonic()
    assert left >= max(float(each) for each in communicator.allgather(arrived))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("shape", [(5,), (), (0,), (2, 0, 3), (3, 4), (100_003,)])
def test_allreduce(communicator, dtype, shape):
    count = int(np.prod(shape))
    array = made_by(communicator.rank, count).astype(dtype).reshape(shape)
    communicator.allreduce_(array)
    expected = sum(made_by(rank, count) for rank in range(communicator.size))
    np.testing.assert_array_equal(array, np.reshape(expected, shape))


def test_sums_of_floats_are_the_same_bytes_everywhere(communicator):
    array = np.random.default_rng(communicator.rank).normal(size=70_001).astype(np.float32)
    communicator.allreduce_(array)
    first, *others = communicator.allgather(array)
    assert all(first.tobytes() == other.tobytes() for other in others)


def test_a_slice_of_an_arena_is_reduced_in_place(communicator):
    arena = communicator.allocate(12, np.float32)
    arena[:] = 1
    communicator.allreduce_(arena[4:8])
    assert arena.tolist() == [1] * 4 + [communicator.size] * 4 + [1] * 4


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16", "float32", "int64", "complex64"])
def test_broadcast_from_every_root(communicator, dtype):
    for root in range(communicator.size):
        array = made_by(communicator.rank).astype(dtype)
        communicator.broadcast_(array, root)
        np.testing.assert_array_equal(array, made_by(root).astype(dtype))


def test_allgather_of_ragged_and_empty_arrays(communicator):
    mine = np.full((communicator.rank, 2), communicator.rank, np.float32)
    for rank, array in enumerate(communicator.allgather(mine)):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, np.full((rank, 2), rank))


def test_allgather_of_strided_arrays_and_scalars(communicator):
    gathered = communicator.allgather((np.arange(6) + communicator.rank)[::2])
    assert [array.tolist() for array in gathered] == [[rank, rank + 2, rank + 4] for rank in range(communicator.size)]
    assert [float(array) for array in communicator.allgather(np.float64(communicator.rank))] == [
        *range(communicator.size)
    ]


@pytest.mark.mpi(min_size=2)
def test_allgather_of_different_dtypes_fails_on_every_rank(communicator):
    with pytest.raises(ReplicaMismatchError, match="one dtype on all ranks"):
        communicator.allgather(np.zeros(2, np.float32 if communicator.rank else np.float64))
    communicator.barrier()


def cut(count, size):
    """Uneven parts, some of them empty."""
    return [0, *sorted(np.random.default_rng(count + size).integers(0, count + 1, size - 1).tolist()), count]


def part_of(array, parts, rank):
    return array[parts[rank] : parts[rank + 1]]


@pytest.mark.parametrize("dtype", ["bool", "uint16", "float16", "float32", "int64", "complex64"])
@pytest.mark.parametrize("count", [0, 1, 5, 4099])
def test_allgather_in_place(communicator, dtype, count):
    parts = cut(count, communicator.size)
    array = made_by(communicator.rank, count).astype(dtype)
    communicator.allgather_(array, parts)
    for rank in range(communicator.size):
        np.testing.assert_array_equal(
            part_of(array, parts, rank), part_of(made_by(rank, count).astype(dtype), parts, rank)
        )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("count", [0, 1, 5, 4099])
def test_reduce_scatter(communicator, dtype, count):
    parts = cut(count, communicator.size)
    mine = made_by(communicator.rank, count).astype(dtype)
    array = mine.copy()
    communicator.reduce_scatter_(array, parts)
    expected = mine.copy()
    total = sum(made_by(rank, count) for rank in range(communicator.size))
    part_of(expected, parts, communicator.rank)[...] = part_of(total, parts, communicator.rank)
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("dtype", ["bool", "uint16", "float32", "complex64"])
@pytest.mark.parametrize("count", [0, 1, 5, 4099])
def test_alltoall(communicator, dtype, count):
    parts = cut(count, communicator.size)
    received = communicator.alltoall(made_by(communicator.rank, count).astype(dtype), parts)
    expected = [part_of(made_by(r, count).astype(dtype), parts, communicator.rank) for r in range(communicator.size)]
    assert received.dtype == dtype
    np.testing.assert_array_equal(received, expected)


def test_sums_of_parts_joined_again_are_the_sum(communicator):
    array = np.random.default_rng(communicator.rank).normal(size=10_007).astype(np.float32)
    whole, parts = array.copy(), cut(array.size, communicator.size)
    communicator.allreduce_(whole)
    communicator.reduce_scatter_(array, parts)
    communicator.allgather_(array, parts)
    np.testing.assert_allclose(array, whole, rtol=1e-5, atol=1e-6)


def test_parts_that_do_not_cut_an_array_up_are_refused(communicator):
    array, size = np.zeros(12, np.float32), communicator.size
    wrong = [[0, *[12] * (size + 1)], [0, *[11] * size], [1, *[12] * size], [0, *[13] * (size - 1), 12]][
        : 3 + (size > 1)
    ]
    for collective in (communicator.allgather_, communicator.reduce_scatter_, communicator.alltoall):
        for parts in wrong:
            with pytest.raises(ValueError, match=f"parts must be {size + 1} numbers that ascend from 0 to the 12"):
                collective(array, parts)
        with pytest.raises(ValueError, match="one-dimensional"):
            collective(array.reshape(3, 4), [0, *[12] * size])
    with pytest.raises(TypeError, match="sums over ranks are defined for"):
        communicator.reduce_scatter_(np.zeros(12, bool), [0, *[12] * size])
    communicator.barrier()


def test_objects(communicator):
    everyone = list(range(communicator.size))
    assert communicator.allgather_object({"rank": communicator.rank}) == [{"rank": rank} for rank in everyone]
    for root in everyone:
        assert communicator.broadcast_object(("from", communicator.rank), root) == ("from", root)


def test_duplicates_are_separate_and_can_be_closed(communicator):
    duplicate = communicator.duplicate()
    assert (duplicate.rank, duplicate.size) == (communicator.rank, communicator.size)
    array = np.ones(2)
    duplicate.allreduce_(array)
    communicator.allreduce_(array)
    assert array[0] == communicator.size**2
    duplicate.close()
    duplicate.close()


def test_wrong_arrays_are_refused_before_anything_is_sent(communicator):
    with pytest.raises(ValueError, match="C-contiguous"):
        communicator.allreduce_(np.zeros((4, 4))[:, ::2])
    with pytest.raises(TypeError, match="sums over ranks are defined for"):
        communicator.allreduce_(np.zeros(4, bool))
    with pytest.raises(ValueError, match=f"root must be a rank from 0 to {communicator.size - 1}"):
        communicator.broadcast_(np.zeros(4), communicator.size)
    communicator.barrier()
