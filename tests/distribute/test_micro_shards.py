"""The tree of additions is one and the same for any number of ranks."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from distkeras.core.spec import TensorSpec
from distkeras.distribute.communicator import SerialCommunicator
from distkeras.distribute.micro_shards import BatchCut, MicroShards
from distkeras.distribute.moments import merge_moments
from tests.graph.test_rows import Thread, Together

RNG = np.random.default_rng(0)


class Rank(SerialCommunicator):
    """One of several ranks, which does nothing together with others."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size


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


def summed(tree, leaves):
    return leaves[tree] if isinstance(tree, int) else summed(tree[0], leaves) + summed(tree[1], leaves)


def total_of(leaves, size):
    """What ranks get that add up their own sums, and then each a part of all."""
    spec, together = TensorSpec(leaves[0].shape, "float32"), Together(size)

    def run(rank):
        cut = BatchCut(Thread(rank, together), len(leaves), len(leaves))
        sums = [summed(tree, leaves[cut.start : cut.stop]) for tree in cut.trees]
        if cut.is_alone:
            return sums[0]
        call, total = cut.exchange([spec]), np.empty(spec.shape, np.float32)
        for place, array in zip(call.pins[0], sums, strict=True):
            place[...] = array
        call.run(total)
        return total

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 8, 11, 16])
def test_the_sum_is_that_of_the_tree_for_any_number_of_ranks(count):
    leaves = RNG.standard_normal((count, 50)).astype("float32") * np.float32(10) ** RNG.integers(-4, 4, (count, 1))
    leaves = leaves.astype("float32")
    expected = naive(leaves)
    for size in range(1, 8):
        for total in np.reshape(total_of(leaves, size), (size, -1)):
            np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("count, ranks", [(1, 3), (4, 2), (5, 3), (16, 3), (16, 4), (11, 7)])
def test_rows_of_a_node_are_added_up_over_the_tree(count, ranks, dtype):
    """Where all ranks see the sums of all: whole totals, parts of them, and what was left out."""
    leaves = (RNG.standard_normal((count, 1300)) * 10.0 ** RNG.integers(-4, 4, (count, 1))).astype(dtype)
    specs = [TensorSpec((1, 300), dtype), TensorSpec((50, 20), dtype)]
    memory, cuts = [], []
    nodes = [Shared(rank, ranks, memory) for rank in range(ranks)]
    for node in nodes:
        shards = MicroShards(node, count, lambda node=node: node)
        cuts.append(BatchCut(node, count, count, shards.memory()))
        node.call, node.left_out = cuts[-1].exchange(specs), shards.left_out
    for cut, node in zip(cuts, nodes, strict=True):
        for index, tree in enumerate(cut.trees):
            total = summed(tree, leaves[cut.start : cut.stop])
            node.call.pins[0][index], node.call.pins[1][index] = total[:300], total[300:].reshape(50, 20)
    for node in nodes:
        outputs = [np.full(spec.shape, 7, dtype) for spec in specs]
        for run, arguments in node.call.calls(outputs, [None, [slice(3, 600)]]):
            run(*arguments)
        np.testing.assert_array_equal(outputs[0].reshape(-1), naive(leaves)[:300])
        some, expected = outputs[1].reshape(-1), naive(leaves)[300:]
        assert (some == 7).all()
        assert not node.left_out.take(some[100:])
        ((first, total),) = node.left_out.take(some).items()
        run, arguments = total.addition(3, some[3:600])
        run(*arguments)
        np.testing.assert_array_equal(some[3:600], expected[3:600])
        assert first == 0 and (some[[0, 1, 2, *range(600, 1000)]] == 7).all()
        node.left_out.note([total.whole()])
        node.left_out.complete()
        np.testing.assert_array_equal(some, expected)


class Shared(Rank):
    """A rank of a node, and as much of the node as an exchange asks for."""

    def __init__(self, rank, size, memory):
        super().__init__(rank, size)
        self._memory = memory

    def allocate(self, arrays):
        if not self._memory:
            self._memory += [np.zeros(shape, kind) for shape, kind in arrays]
        return self._memory

    def meeting(self, purpose):
        return self.meet, (purpose,)

    def meet(self, purpose):
        pass


@pytest.mark.parametrize("rows", [0, 1, 3, 20, 43, 64, 257])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 20])
def test_ranks_take_whole_micro_shards_and_all_rows(rows, size):
    shards = [MicroShards(Rank(rank, size), 16) for rank in range(size)]
    cuts = [each.cut(rows) for each in shards]
    places = [cut.start + edge for cut in cuts for start, stop in cut.shards for edge in (start, stop)]
    alone = MicroShards(SerialCommunicator(), 16).cut(rows)
    assert places == [edge for pair in alone.shards for edge in pair]
    assert [each.rows_of_rank(rows) for each in shards] == [(cut.start, cut.stop) for cut in cuts]
    assert [cut.start for cut in cuts[1:]] == [cut.stop for cut in cuts[:-1]] and cuts[-1].stop == rows


def test_moments_of_parts_are_those_of_the_whole():
    x = RNG.standard_normal((17, 3)) + 1e4
    parts = [x[:5], x[5:5], x[5:]]
    moments = [[len(p), *(p.mean(0) if len(p) else np.zeros(3)), *(p.var(0) * len(p))] for p in parts if len(p)]
    moments.insert(1, [0.0] * 7)
    merged = merge_moments(np.array(moments))
    np.testing.assert_allclose(merged, [17, *x.mean(0), *(x.var(0) * 17)], 1e-9)
