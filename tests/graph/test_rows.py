"""Graphs cut in rows: the parts that several processes compute give, bit by bit, what one gives."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from distkeras import ops
from distkeras.core.spec import TensorSpec
from distkeras.distribute.communicator import SerialCommunicator
from distkeras.distribute.micro_shards import BatchCut
from distkeras.graph.plan import Plan
from distkeras.graph.rows import cut_rows
from distkeras.graph.trace import trace
from tests.ops.examples import EXAMPLES

COPIES = 3  # of the examples' few rows, one after the other


class Together:
    """What the ranks of a job share, which are threads."""

    def __init__(self, size):
        self.barrier = threading.Barrier(size, timeout=30)
        self.values = [None] * size


class Thread(SerialCommunicator):
    def __init__(self, rank, together):
        self.rank, self.size, self._together = rank, len(together.values), together

    def allgather(self, array, purpose=""):
        self._together.values[self.rank] = np.array(array)
        self._together.barrier.wait()
        given = [value.copy() for value in self._together.values]
        self._together.barrier.wait()
        return given

    def alltoall(self, array, parts, purpose=""):
        return np.array([other[parts[self.rank] : parts[self.rank + 1]] for other in self.allgather(array)])

    def allgather_(self, array, parts, purpose=""):
        places = zip(self.allgather(array), parts, parts[1:], strict=False)
        np.concatenate([other[start:stop] for other, start, stop in places], out=array)


def run_on(size, count, function, arrays, is_cut):
    """The outputs of a traced function on each of `size` ranks, whose batches have `count` micro-shards."""
    samples = next(len(array) for array, cut in zip(arrays, is_cut, strict=True) if cut)
    specs = [TensorSpec(array.shape, array.dtype) for array in arrays]
    together = Together(size)
    lock = threading.Lock()

    def run(rank):
        try:
            cut = BatchCut(Thread(rank, together), samples, count)
            with lock:
                graph, _ = trace(lambda *inputs: function(*inputs), specs)
                plan = Plan(graph, lambda whole: cut_rows(whole, is_cut, cut))
            for buffer, array, of_rows in zip(plan.inputs, arrays, is_cut, strict=True):
                np.copyto(buffer, array[cut.start : cut.stop] if of_rows else array)
            plan.run()
            return [output.copy() for output in plan.outputs]
        except BaseException:
            together.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))


def check(function, arrays, is_cut, count=5, sizes=(2, 3)):
    (alone,) = run_on(1, count, function, arrays, is_cut)
    for size in sizes:
        for outputs in run_on(size, count, function, arrays, is_cut):
            for mine, theirs in zip(outputs, alone, strict=True):
                np.testing.assert_array_equal(mine, theirs)
    return alone


def batched_examples():
    """Examples whose inputs have a row for each sample: (name, example, arrays, the numbers of those that have)."""
    for name, example in EXAMPLES.items():
        arrays = example.arguments(np.float32)
        rows = arrays[0].shape[0] if arrays and arrays[0].ndim else 0
        batched = example.batched
        if batched is None:
            batched = [i for i, array in enumerate(arrays) if array.ndim and array.shape[0] == rows]
        if rows and batched and example.name not in ("print", "assert", "max_pool2d_gradient"):  # its index is fixed
            yield name, example, arrays, set(batched)


def _cases():
    for name, example, _, batched in batched_examples():
        yield pytest.param(example, batched, id=name)


@pytest.mark.parametrize("example, batched", list(_cases()))
def test_each_primitive_cut_in_rows_gives_the_bits_of_one_process(example, batched):
    arrays = example.arguments(np.float32)
    is_cut = [i in batched for i in range(len(arrays))]
    arrays = [np.concatenate([array] * COPIES) if cut else array for array, cut in zip(arrays, is_cut, strict=True)]
    check(example, arrays, is_cut, sizes=(3,))


X = np.random.default_rng(3).standard_normal((23, 6)).astype("float32")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.reduce_sum(x),
        lambda x: ops.reduce_mean(ops.square(x), 0),
        lambda x: ops.matmul(x, x, transpose_a=True),
        lambda x: ops.softmax(ops.transpose(x)),
        lambda x: ops.reshape(x, (3, -1)) if x.shape[0] % 3 == 0 else ops.reshape(x, (2, 3, -1)),
        lambda x: ops.reduce_max(x, 0) + ops.reduce_sum(x * 2.0, 1)[:6],
        lambda x: ops.concat([x, x + 1.0], 0),
        lambda x: ops.concat([x, ops.ones((23, 2))], 1) * ops.reduce_sum(x),
        lambda x: ops.matmul(ops.reshape(x, (69, 2)), ops.reshape(x, (69, 2)), transpose_a=True),
        lambda x: ops.cumsum(x, 0) - ops.sort(x, 0),
    ],
)
def test_whatever_is_done_with_rows_is_that_of_the_whole(function):
    (alone,) = check(function, [X], [True], sizes=(2, 4))
    graph, _ = trace(function, [TensorSpec(X.shape, X.dtype)])
    plan = Plan(graph)
    np.copyto(plan.inputs[0], X)
    plan.run()
    np.testing.assert_allclose(alone, plan.outputs[0], 1e-5, 1e-5)


@pytest.mark.parametrize("rows, units", [(23, 1), (24, 3), (400, 1), (23, 6)])
@pytest.mark.parametrize("inner", [1, 5, 96])
def test_products_over_rows(rows, units, inner):
    """With few rows in a micro-shard the tree is walked for each panel, with many for whole products."""
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((rows, units * width)).astype("float32") for width in (130, inner))

    def product(x, y):
        return ops.matmul(*(ops.reshape(t, (rows * units, -1)) for t in (x, y)), transpose_a=True)

    (alone,) = check(product, [x, y], [True, True], count=8)
    flat = x.reshape(rows * units, -1), y.reshape(rows * units, -1)
    np.testing.assert_allclose(alone, flat[0].T @ flat[1], 1e-4, 1e-4)


def test_one_row_of_a_product_has_the_bits_that_it_has_among_many():
    """Also where products of many rows are left to BLAS otherwise."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype("float32") for shape in ((400, 800), (800, 800)))
    check(lambda x, w: ops.matmul(ops.relu(ops.matmul(x, w)), w[:, :1]), [x, w], [True, False], count=16)
    check(lambda x, w: ops.matmul(x, w[:, :1]), [x[:2], w], [True, False], count=2)


def test_sums_are_exchanged_together():
    def function(x):
        first = ops.reduce_sum(x) + 1.0
        second = ops.reduce_sum(ops.exp(x), 0) * first
        return first, second, ops.matmul(x, x, transpose_a=True)

    cut = BatchCut(Thread(0, Together(2)), 23, 4)
    graph, _ = trace(function, [TensorSpec(X.shape, X.dtype)])
    written = str(cut_rows(graph, [True], cut))
    assert written.count("sums of micro-shards") == 1
    assert "rows of all ranks" not in written


@pytest.mark.parametrize("rows", [1520, 1521])
def test_products_over_shards_that_are_nearly_too_long_for_the_tree(rows):
    """Shards of 95 rows, and one of 96 perhaps: what is done with one must not be up to which of them a rank has."""
    x = np.random.default_rng(2).standard_normal((rows, 20)).astype("float32")
    check(lambda x: ops.matmul(x, x, transpose_a=True), [x], [True], count=16, sizes=(3,))
