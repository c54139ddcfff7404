"""Messages and digests; agreement itself is tested at every rank count in tests/parallel."""

import numpy as np
import pytest

from distkeras._errors import ReplicaMismatchError
from distkeras.distribute.agreement import agree, digest
from distkeras.distribute.communicator import SerialCommunicator


class Others(SerialCommunicator):
    """Ranks whose fields are given; this process is the first."""

    def __init__(self, *others):
        self.others = [{name: repr(value) for name, value in fields.items()} for fields in others]

    def allgather(self, array, purpose=""):
        return [array, *(np.zeros_like(array) for _ in self.others)]

    def allgather_object(self, value, purpose=""):
        return [value, *self.others]


def test_the_first_differing_field_is_named_with_the_ranks_of_each_value():
    others = [{"units": 3, "name": "b"}, {"units": 4, "name": "b"}, {"units": 4}]
    with pytest.raises(ReplicaMismatchError) as error:
        agree(Others(*others), {"units": 3, "name": "b"}, "the model")
    assert "the model is not the same on all ranks: 'units' is 3 on ranks 0, 1 and 4 on ranks 2, 3." in str(error.value)


def test_a_missing_field_differs():
    with pytest.raises(ReplicaMismatchError, match="'name' is missing on rank 0 and 'b' on rank 1"):
        agree(Others({"units": 3, "name": "b"}), {"units": 3}, "the model")


@pytest.mark.parametrize(
    "other",
    [
        [np.zeros(4, np.float32)],
        [np.zeros((2, 2))],
        [np.zeros(2), np.zeros(2)],
        [np.array([0.0, 0, 0, np.nextafter(0, 1)])],
        [],
    ],
)
def test_digest_sees_dtype_shape_grouping_and_bytes(other):
    assert digest([np.zeros(4)]) != digest(other)


def test_digest_does_not_see_memory_layout():
    array = np.arange(6.0).reshape(2, 3)
    assert digest([array]) == digest([np.asfortranarray(array)]) == digest([array[:, ::-1][:, ::-1]])
    assert len(digest([np.float32(1) * np.ones(())])) == 32
