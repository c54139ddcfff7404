import h5py
import numpy as np
import pandas
import pytest

from distkeras.core.tensor import to_tensor
from distkeras.core.variable import Variable
from distkeras.data.adapter import DataOptions, select_adapter
from distkeras.data.arrays import ArrayAdapter, RowRange, as_rows, check_lengths, is_list_of_numbers, take
from distkeras.data.handler import open_data
from distkeras.data.standardize import Signature


class Frame:
    """What is used of a DataFrame."""

    def __init__(self, values):
        self.values = np.asarray(values)
        self.iloc = self.values

    def to_numpy(self):
        return self.values


@pytest.fixture
def dataset(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        yield file.create_dataset("x", data=np.arange(24.0).reshape(12, 2))


FORMS = {
    "ndarray": np.arange(6.0).reshape(3, 2),
    "strided": np.arange(12.0).reshape(6, 2)[::2],
    "tensor": to_tensor(np.arange(6.0).reshape(3, 2)),
    "variable": Variable(np.arange(6.0).reshape(3, 2)),
    "lists": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]],
    "frame": Frame([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form):
    assert select_adapter(FORMS[form]) is ArrayAdapter
    rows = as_rows(FORMS[form], "x")
    assert tuple(rows.shape) == (3, 2)
    expected = np.arange(12.0).reshape(6, 2)[::2] if form == "strided" else np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(take(rows, slice(0, 3), "float32"), expected)
    np.testing.assert_array_equal(take(rows, np.array([2, 0]), "float32"), expected[[2, 0]])


def test_ndarrays_are_not_copied():
    data = np.arange(6.0)
    assert as_rows(data, "x") is data


@pytest.mark.parametrize(
    ("value", "is_one"), [([1, 2], True), ([[1.0], [2.0]], True), ([np.ones(2)], False), ([], False), ("ab", False)]
)
def test_lists_of_numbers_are_one_array(value, is_one):
    assert is_list_of_numbers(value) is is_one


@pytest.mark.parametrize(
    ("given", "cast"),
    [("float64", "float32"), ("float16", "float32"), ("float32", "float32"), ("int64", "int64"), ("uint8", "uint8")],
)
def test_only_floating_point_numbers_are_cast(given, cast):
    assert take(np.zeros((3, 2), given), slice(0, 2), "float32").dtype == cast


def test_hdf5_is_read_in_any_order(dataset):
    rows = as_rows(dataset, "x")
    assert rows is dataset
    order = np.array([7, 0, 3, 11])
    np.testing.assert_array_equal(take(rows, order, "float32"), dataset[:][order])
    assert take(rows, order[:0], "float32").shape == (0, 2)


def test_a_range_of_rows_reads_only_these(dataset):
    part = RowRange(dataset, 4, 10)
    assert part.shape == (6, 2) and len(part) == 6
    np.testing.assert_array_equal(part[:], dataset[4:10])
    np.testing.assert_array_equal(part[1:20], dataset[5:10])
    np.testing.assert_array_equal(take(part, np.array([5, 0, 2]), "float32"), dataset[:][[9, 4, 6]])


@pytest.mark.parametrize("source", ["ndarray", "hdf5"])
@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_ranks_together_read_what_one_process_reads(source, shuffle, dataset):
    data = dataset if source == "hdf5" else dataset[:]

    def read(rank, num_replicas):
        options = DataOptions(batch_size=5, shuffle=shuffle)
        handler = open_data(data, dataset[:, 0], options=options, rank=rank, num_replicas=num_replicas)
        return list(handler.epoch(3))

    alone = read(0, 1)
    assert [batch.global_size for batch in alone] == [5, 5, 2]
    ranks = [read(rank, 3) for rank in range(3)]
    for step, whole in enumerate(alone):
        parts = [rank[step] for rank in ranks]
        for part in range(2):
            joined = np.concatenate([batch.data[part] for batch in parts])
            np.testing.assert_array_equal(joined, whole.data[part])
        assert [batch.first_sample for batch in parts] == [whole.global_size * rank // 3 for rank in range(3)]
        assert sum(batch.local_size for batch in parts) == whole.global_size
        assert {batch.step for batch in parts} == {step}
    assert any(batch.local_size == 0 for rank in ranks for batch in rank)


def test_steps_without_batch_size_cut_the_data_into_so_many_batches():
    handler = open_data(np.arange(10.0), options=DataOptions(steps=4))
    assert [batch.local_size for batch in handler.epoch()] == [3, 3, 3, 1]


def test_fewer_steps_than_batches():
    handler = open_data(np.arange(10.0), options=DataOptions(steps=2, batch_size=3))
    assert [batch.data[0].tolist() for batch in handler.epoch()] == [[0, 1, 2], [3, 4, 5]]
    assert handler.num_samples == 6


def test_more_steps_than_batches():
    with pytest.raises(ValueError, match="5 steps were asked for, but 10 samples make only 4 batches of 3"):
        open_data(np.arange(10.0), options=DataOptions(steps=5, batch_size=3))


def test_structures_are_kept():
    data = {"a": np.arange(4.0), "b": [np.arange(4), np.zeros((4, 2))]}
    (batch,) = open_data(data, options=DataOptions(batch_size=8)).epoch()
    x, y, sample_weight = batch.data
    assert set(x) == {"a", "b"} and len(x["b"]) == 2 and y is None and sample_weight is None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((np.ones((3, 1)), np.ones(4), None), "Found 3 input samples and 4 target samples"),
        ((np.ones((3, 1)), np.ones(3), np.ones(2)), "Found 3 input samples and 2 sample_weight samples"),
        (([np.ones(3), np.ones(4)], None, None), r"All input arrays .* Got array shapes: \[\(3,\), \(4,\)\]"),
        ((np.ones((0, 2)), None, None), "0 samples"),
        ((None, None, None), "no array at all"),
    ],
)
def test_lengths_must_agree(parts, message):
    with pytest.raises(ValueError, match=message):
        check_lengths(*parts)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array(["a", "b"]), "expected an array of numbers"),
        (np.array([None, {}], object), "expected an array of numbers"),
        (np.float32(3.0), "received the scalar"),
        ([[1.0, 2.0], [3.0]], "x: cannot be made into an array"),
        ("text", "x"),
    ],
    ids=["text", "objects", "scalar", "ragged", "string"],
)
def test_what_is_no_array_of_numbers(value, message):
    with pytest.raises(ValueError, match=message):
        as_rows(value, "x")


@pytest.mark.parametrize(
    "value", [None, 3, "text", [], {}, [None], ["a"], object()], ids=lambda value: repr(value).split(" at ")[0]
)
def test_no_adapter_claims_what_is_no_data(value):
    with pytest.raises(ValueError, match="Cannot read data from an object of type"):
        select_adapter(value)


def test_tensors_are_arrays():
    options = DataOptions(standardize=Signature().standardize)
    (batch,) = open_data([to_tensor([[1.0]]), np.ones((1, 1))], to_tensor([2.0]), options=options).epoch()
    assert batch.data[1].tolist() == [[2.0]]


# --- arrays of other libraries


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "lil_matrix"])
@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_sparse_matrices_are_made_dense_batch_by_batch(kind, shuffle):
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.random.RandomState(0).binomial(1, 0.3, (7, 4)).astype("float64")
    options = DataOptions(batch_size=3, shuffle=shuffle, standardize=Signature().standardize)
    forms = (getattr(sparse, kind)(dense), dense)
    batches = [[batch.data[0] for batch in open_data(x, options=options).epoch()] for x in forms]
    for one, other in zip(*batches, strict=True):
        assert type(one) is np.ndarray and one.dtype == np.float32
        np.testing.assert_array_equal(one, other)


def test_sparse_matrices_in_batches_and_splits():
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.csr_matrix(np.eye(4))
    (batch,) = open_data(iter([(x, np.ones(4))]), options=DataOptions(standardize=Signature().standardize)).epoch()
    assert batch.data[0].tolist() == np.eye(4).tolist()
    rows = RowRange(as_rows(x, "x"), 1, 3)
    assert rows[0:2].tolist() == np.eye(4)[1:3].tolist()


class TableOfTypes(Frame):
    """What is used of a DataFrame with columns of several types."""

    def __init__(self, values, dtypes):
        super().__init__(np.asarray(values, object))
        self.dtypes = dtypes

    def to_numpy(self, dtype=None, na_value=None):
        return self.values if dtype is None else np.where(self.values == None, na_value, self.values).astype(dtype)  # noqa: E711


def test_tables_of_several_types():
    numbers = TableOfTypes([[True, 1.5], [None, 2.0]], [np.dtype(bool), np.dtype("float64")])
    np.testing.assert_array_equal(as_rows(numbers, "x"), [[1.0, 1.5], [np.nan, 2.0]])
    with pytest.raises(ValueError, match="encode text and objects as numbers first"):
        as_rows(TableOfTypes([["a", 1.5]], [np.dtype(object), np.dtype("float64")]), "x")


def test_tables_of_pandas():
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": [True, False, True], "c": [0.5, 1.5, 2.5]}, index=[7, 8, 9])
    np.testing.assert_array_equal(as_rows(frame, "x"), [[1, 1, 0.5], [2, 0, 1.5], [3, 1, 2.5]])
    (batch,) = open_data(frame, frame["a"], options=DataOptions(batch_size=3)).epoch()
    assert batch.data[0].shape == (3, 3) and batch.data[1].tolist() == [1, 2, 3]
    gaps = pandas.DataFrame({"a": pandas.array([1, None], dtype="Int64")})
    np.testing.assert_array_equal(as_rows(gaps, "x"), [[1.0], [np.nan]])
    assert as_rows(pandas.Series([1.0, 2.0]), "x").tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="encode text"):
        as_rows(pandas.DataFrame({"a": ["x", "y"]}), "x")


class Foreign:
    """What is used of another library's tensor, whose types are not NumPy's."""

    dtype = "foreign.float32"

    def __init__(self, values):
        self._values = np.asarray(values, "float32")
        self.shape = self._values.shape

    def __len__(self):
        return len(self._values)

    def __getitem__(self, rows):
        return Foreign(self._values[rows])

    def __array__(self, dtype=None, copy=None):
        return self._values


class Loader:
    """Batches as PyTorch's DataLoader gives them: lists of tensors."""

    def __len__(self):
        return 2

    def __iter__(self):
        return iter([[Foreign([[index], [index]]), Foreign([0, 1])] for index in range(2)])


def test_tensors_of_other_libraries():
    assert as_rows(Foreign([[1.0, 2.0]]), "x").tolist() == [[1.0, 2.0]]
    handler = open_data(Loader())
    assert handler.steps == 2
    for epoch in range(2):
        batches = [batch.data for batch in handler.epoch(epoch)]
        assert [(x.tolist(), y.tolist()) for x, y, _ in batches] == [([[k], [k]], [0, 1]) for k in range(2)]
