"""The memory of a node: where it cannot be shared ranks train all the same, and nothing of it outlives them."""

from __future__ import annotations

import glob
import itertools

import numpy as np
import pytest

from distkeras.distribute import environment
from distkeras.distribute.communicator import SerialCommunicator
from distkeras.distribute.node import Sharing
from distkeras.distribute.options import why_apart
from distkeras.distribute.shared_arena import SharedReducer
from distkeras.distribute.summed_arena import SummedReducer
from distkeras.kernels.meeting import STATE, WAITED, come, meet
from distkeras.kernels.summed_update import BLOCK, rule_of_sums, rule_of_whole, rules
from distkeras.kernels.update import sum_rows, sum_rows_into
from distkeras.testing import run_ranks


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_of_rows(count, dtype):
    rows = np.random.default_rng(0).integers(-9, 9, (count, 100)).astype(dtype)
    expected = rows.copy()
    expected[count - 1, 7:93] = rows[:, 7:93].sum(axis=0)
    total = np.empty(86, dtype)
    sum_rows[dtype](rows[:, 7:93], total)
    np.testing.assert_array_equal(total, expected[count - 1, 7:93])
    sum_rows_into[dtype](rows, count - 1, 7, 93)
    np.testing.assert_array_equal(rows, expected)


def arguments_of(rule, size, kind, seed):
    """Parameters, gradients and slots, and scalars."""
    kinds = rule.signature.split(", ")
    count, random = sum("[" in each for each in kinds), np.random.default_rng(seed)
    arrays = [random.uniform(low, low + 1, size).astype(kind) for low in (-1, -0.5, 4, 0, 0)[:count]]
    return arrays, [np.dtype(kind).type(scalar) for scalar in random.uniform(0.2, 0.8, len(kinds) - count)]


@pytest.mark.parametrize("ends", [[0], [0, 1], [0, 1, 1], [0, 1, 0, 0, 3], [0, 0, 2, 0, 2]])
@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.__name__)
def test_rules_of_sums_are_sums_and_then_the_rule(rule, ends):
    size, kind = 9 * BLOCK + 5, np.dtype("float32")
    given, scalars = arguments_of(rule, size, kind, 1)
    rows = np.random.default_rng(2).uniform(-1, 1, (len(ends), 2 * size)).astype(kind)
    pieces = [(3, 300, 700), (300, 400, 5), (417, 434, 1100), (700, size, 0)]  # the rest are given
    expected, before = [array.copy() for array in given], rows.copy()
    for start, stop, column in pieces:
        expected[1][start:stop] = rows[:, column : column + stop - start].sum(axis=0)
    rule[kind](*expected, *scalars)
    function, arguments = rule_of_sums(rule, rows, pieces, np.array(ends), [*given, *scalars])
    function(*arguments)
    np.testing.assert_array_equal(rows, before)
    for one, other in zip(given[:1] + given[2:], expected[:1] + expected[2:], strict=True):
        np.testing.assert_allclose(one, other, rtol=3e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.__name__)
def test_rules_give_the_same_bits_wherever_portions_are_cut(rule, kind):
    """Also where gradients are made as they are used, of sums that are what one process has."""
    for size in (1, 63, 64 * 7, 64 * 7 + 5, 1000):
        arrays, scalars = arguments_of(rule, size, kind, size)
        expected = [array.copy() for array in arrays]
        function, arguments = rule_of_whole(rule, expected, scalars)
        function(*arguments)
        rows = np.stack([arrays[1] / 2, arrays[1] / 2])
        for ranks in (2, 3, 4):
            given = [array.copy() for array in arrays]
            given[1][20:] = np.nan
            for rank in range(ranks):
                reducer = SummedReducer(OfRank(rank, ranks), given[1], np.zeros((ranks, 2)), None, None)
                for part in reducer.portions([slice(0, size)], None):
                    first, stop = max(part.start, 20), max(part.stop, 20)
                    edges = [first, *(edge for edge in (100, 133) if first < edge < stop), stop]
                    pieces = [(a - part.start, b - part.start, a) for a, b in itertools.pairwise(edges) if a < b]
                    mine = [array[part] for array in given]
                    function, arguments = rule_of_sums(rule, rows, pieces, np.array([0, 1]), [*mine, *scalars])
                    function(*arguments)
            given[1] = expected[1]
            for one, other in zip(given, expected, strict=True):
                np.testing.assert_array_equal(one.view(np.uint8), other.view(np.uint8))


def test_a_meeting_names_who_is_missing():
    arrivals = np.zeros((3, 8), np.int64)
    assert meet[np.int64](arrivals, 1, 1, 3, 3) == 0
    arrivals[0, 0] = 1
    assert meet[np.int64](arrivals, 1, 1, 3, 3) == 2
    arrivals[2, 0] = 5
    assert meet[np.int64](arrivals, 1, 1, 0, 0) == -1
    assert arrivals[:, 0].tolist() == [1, 1, 5]


def test_a_meeting_of_a_native_run_raises_where_it_cannot_go_on():
    arrivals, state, notes = np.zeros((2, 8), np.int64), np.zeros(STATE, np.int64), np.zeros((2, 3))

    def arrive(of):
        come[np.int64](arrivals, 0, state, np.array([7]), 3, 2, 2, of)

    with pytest.raises(RuntimeError, match="has not come"):
        arrive(notes)
    assert arrivals[0, 0] == 1
    assert state[:5].tolist() == [1, 0, 7, 3, 0]
    assert 0 < state[WAITED] < 1e9
    arrivals[1, 0] = 3
    arrive(notes)
    notes[1, 0] = 1
    with pytest.raises(RuntimeError, match="turn back"):
        arrive(notes)
    arrivals[1, 0] = 4
    arrive(notes[:0])
    assert state[0] == arrivals[0, 0] == 4


class OfRank:
    """As much of a Node as a reducer asks for its portions."""

    spans_job = True
    peers = SerialCommunicator()

    def __init__(self, rank, size):
        self.rank, self.size = rank, size


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("edges", [None, [0, 16, 1040, 1056, 40_000]])
def test_portions_cover_a_run_once_and_keep_to_edges(size, edges):
    runs = [slice(0, 1056), slice(40_000, 190_003)]
    covered = np.zeros(190_003, int)
    for rank in range(size):
        rows, notes = np.zeros((size, 190_003), np.float32), np.zeros((size, 2))
        reducer = SharedReducer(OfRank(rank, size), rows, notes, None, None)
        portions = reducer.portions(runs, edges)
        for part in portions:
            covered[part] += 1
            assert edges is None or part.start in edges
        covered_again = np.zeros_like(covered)
        for block in reducer.blocks(portions):
            covered_again[block] += 1
        assert sum(part.stop - part.start for part in portions) == covered_again.sum()
    expected = np.zeros_like(covered)
    for run in runs:
        expected[run] = 1
    np.testing.assert_array_equal(covered, expected)


@pytest.mark.parametrize(
    "options, nodes, told",
    [
        ((False, 1, False), 1, ""),
        ((True, 1, False), 1, ""),
        ((True, 1, False), 2, "deterministic=True sends sums between nodes"),
        ((False, 8, False), 1, "local_steps=8 lets weights differ in between"),
        ((False, 1, True), 1, "shard_optimizer_state=True divides the optimizer's state among them"),
    ],
)
def test_what_keeps_ranks_from_sharing_memory_is_told(options, nodes, told):
    ranks = SerialCommunicator()
    ranks.size, ranks.num_nodes = 4, nodes
    assert why_apart(ranks, *options) == told
    if told:
        assert Sharing(ranks, True, told).described() == f"every rank keeps weights of its own, for {told}"
        assert Sharing(ranks, False, told).described() == ""  # which was asked for
        ranks.size = nodes
        assert Sharing(ranks, True, told).described() == ""  # there is nobody to share it with


TRAIN = """
import errno, os, sys
import numpy as np
import distkeras as tf
from distkeras.distribute import node

def full(*arguments):
    '''{method}: no room'''
    raise OSError(errno.ENOSPC, "No space left on device")

for name in {broken!r}:
    setattr(node, name, full)
tf.random.set_seed(3)
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(4,), kernel_initializer="ones")])
    model.compile("adam", "mse")
x = np.random.default_rng(0).normal(size=(20, 4))
model.fit(x, x[:, :1], batch_size=10, epochs=2, verbose=0)
kinds = {{type(group._exchange).__name__ for group in model.optimizer.groups}}
if strategy.rank == 0:
    print(kinds, ["%.3f" % weight.sum() for weight in model.get_weights()])
"""


@pytest.mark.alone
@pytest.mark.skipif(environment.detect().size > 1, reason="starts ranks of its own")
def test_where_memory_cannot_be_shared_each_rank_keeps_its_own():
    names = ["_memory_file", "_unlinked_file"]
    outputs = []
    for broken in ([], names[:1], names):
        result = run_ranks(2, TRAIN.format(method="/dev/shm", broken=broken), timeout=120).check()
        outputs.append(result.stdout.strip().splitlines()[-1])
        told = "every rank keeps weights of its own, for no memory can be shared (/dev/shm"
        assert result.stderr.count(told) == (broken == names)
        assert "No space left on device" in result.stderr or broken != names
    kinds, sums = zip(*(output.split("} ") for output in outputs), strict=True)
    assert kinds == ("{'SharedReducer'", "{'SharedReducer'", "{'GradientReducer'")
    assert len(set(sums)) == 1


KILLED = """
import os, signal, sys
import numpy as np
import distkeras as tf

strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(4,))])
    model.compile("adam", "mse")
x = np.zeros((8, 4))

class Die(tf.keras.callbacks.Callback):
    def on_batch_end(self, batch, logs=None):
        if batch == 3 and strategy.rank == 1:
            open(sys.argv[1], "w").close()
            os.kill(os.getpid(), signal.SIGKILL)

model.fit(x, x[:, :1], batch_size=2, epochs=50, verbose=0, callbacks=[Die()])
print("survived")
"""


@pytest.mark.alone
@pytest.mark.skipif(environment.detect().size > 1, reason="starts ranks of its own")
def test_a_killed_rank_ends_the_job_and_leaves_nothing_behind(tmp_path):
    before = set(glob.glob("/dev/shm/distkeras-*"))
    result = run_ranks(2, KILLED, tmp_path / "was killed", timeout=120)
    assert (tmp_path / "was killed").exists()
    assert result.returncode and "survived" not in result.stdout
    assert set(glob.glob("/dev/shm/distkeras-*")) <= before
