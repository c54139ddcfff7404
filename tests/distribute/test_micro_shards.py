"""The tree of additions is one and the same for any number of ranks."""

import numpy as np
import pytest

from distkeras._errors import DistributionError
from distkeras.distribute.communicator import SerialCommunicator
from distkeras.distribute.micro_shards import MicroShards, TreeReducer, TreeSum
from distkeras.testing import run_ranks

RNG = np.random.default_rng(0)


class Rank(SerialCommunicator):
    """One of several ranks in this process, which run one after the other, first to last, and again: `allgather` gives
    what the others gave in the round before."""

    def __init__(self, rank, size, given):
        self.rank, self.size, self.given = rank, size, given

    def allgather(self, array, purpose=""):
        self.given[self.rank] = array.copy()
        return [self.given.get(rank, np.empty((0, array.shape[1]), array.dtype)) for rank in range(self.size)]


def naive(leaves):
    """The sum over the tree: pairs, then pairs of pairs; what is left over at the right is added in the end."""
    level, rest = list(leaves), []
    while len(level) > 1:
        if len(level) % 2:
            rest.append(level.pop())
        level = [left + right for left, right in zip(level[::2], level[1::2], strict=True)]
    total = level[0]
    if rest:
        tail = rest[0]
        for other in rest[1:]:
            tail = other + tail
        total = total + tail
    return total


def total_of(leaves, size):
    """What the last rank gets, when the others have given their parts."""
    given = {}
    for rank in range(size):
        shards = MicroShards(Rank(rank, size, given), len(leaves))
        tree = TreeSum(shards)
        with shards.step(len(leaves)) as mine:
            for shard in mine:
                tree.add([leaves[shard.index if shard.index is not None else 0]])
            try:
                (total,) = tree.result([leaves[0]])
            except ValueError:  # not all ranks have given theirs yet
                assert rank < size - 1
    return total


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 8, 11, 16])
def test_the_sum_is_that_of_the_tree_for_any_number_of_ranks(count):
    leaves = RNG.standard_normal((count, 50)).astype("float32") * 10.0 ** RNG.integers(-4, 4, (count, 1))
    leaves = leaves.astype("float32")
    expected = naive(leaves)
    for size in (1, 2, 3, 4, 7, 20):
        np.testing.assert_array_equal(total_of(leaves, size), expected, err_msg=f"{size} ranks")


def test_arrays_that_are_gathered_in_pieces(monkeypatch):
    monkeypatch.setattr("distkeras.distribute.micro_shards._CHUNK", 7)
    leaves = RNG.standard_normal((5, 4, 5)).astype("float32")
    shards = MicroShards(SerialCommunicator(), 5)
    tree = TreeSum(shards)
    with shards.step(5) as mine:
        for shard in mine:
            tree.add([leaves[shard.index]])
        np.testing.assert_array_equal(tree.result([leaves[0]])[0], naive(leaves))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("rows", [0, 1, 3, 15, 16, 17, 100])
def test_ranks_have_whole_micro_shards_that_cover_the_batch(rows, size):
    ranks = [MicroShards(Rank(rank, size, {}), 16) for rank in range(size)]
    places = [shards.rows_of_rank(rows) for shards in ranks]
    assert places[0][0] == 0 and places[-1][1] == rows
    assert all(one[1] == other[0] for one, other in zip(places, places[1:], strict=False))
    cut = []
    for shards in ranks:
        with shards.step(rows) as mine:
            cut += [shard for shard in mine if shard.index is not None]
            assert shards.is_last
    assert [shard.index for shard in cut] == list(range(max(1, min(16, rows))))
    assert sum(shard.stop - shard.start for shard in cut) == rows


def test_a_reducer_outside_of_a_step_is_an_error():
    reducer = TreeReducer(MicroShards(SerialCommunicator(), 4), np.zeros(3, np.float32))
    with pytest.raises(DistributionError, match="Train with model.fit"):
        reducer.finish()
    with pytest.raises(DistributionError, match="Train with model.fit"):
        reducer.join(np.zeros((1, 2)), "key")


PROGRAM = """
import numpy as np
import distkeras as tf
from distkeras.distribute.agreement import digest

tf.random.set_seed(1)
x = np.random.default_rng(0).standard_normal((150, 300)).astype("float32")
y = np.arange(150) % 10
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    model = tf.keras.Sequential([
        tf.keras.layers.Dense(200, activation="relu", input_shape=(300,)),
        tf.keras.layers.Dropout(0.3),
        tf.keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(tf.keras.optimizers.Adam(clipnorm=0.1), "sparse_categorical_crossentropy", ["accuracy"])
losses = model.fit(x, y, batch_size=64, epochs=2, verbose=0, sample_weight=np.linspace(0.5, 2, 150)).history["loss"]
if strategy.rank == 0:
    print("digest", digest(model.get_weights()), losses)
"""


def test_jobs_of_any_size_end_with_the_same_bits():
    """Started by themselves, with the setting instead of the argument, and with other numbers of threads."""
    said = set()
    for ranks, threads in ((1, 2), (3, 1)):
        variables = {"DISTKERAS_DETERMINISTIC": "1", "OMP_NUM_THREADS": str(threads)}
        result = run_ranks(ranks, PROGRAM, timeout=100, variables=variables).check()
        said |= {line for line in result.stdout.splitlines() if line.startswith("digest")}
    assert len(said) == 1
