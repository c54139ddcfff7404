"""What ranks must have in common is compared, and every rank comes to the same verdict."""

import numpy as np
import pytest

from distkeras._errors import ReplicaMismatchError
from distkeras.distribute.agreement import agree, digest, same_on_all_ranks

FIELDS = {"layers": 3, "optimizer": "Adam", "shape": (None, 4), "learning_rate": 0.1}


def test_equal_fields_agree(communicator):
    agree(communicator, FIELDS, "the model")
    agree(communicator, dict(reversed(FIELDS.items())) if communicator.rank else FIELDS, "the model")
    assert same_on_all_ranks(communicator, FIELDS)


@pytest.mark.mpi(min_size=2)
def test_every_rank_is_told_the_field_and_who_differs(communicator):
    last = communicator.size - 1
    fields = FIELDS | {"optimizer": "SGD"} if communicator.rank == last else FIELDS
    assert not same_on_all_ranks(communicator, fields)
    with pytest.raises(ReplicaMismatchError, match=rf"'optimizer' is 'Adam' on .* and 'SGD' on rank {last}"):
        agree(communicator, fields, "the model")
    communicator.barrier()


@pytest.mark.mpi(min_size=2)
def test_one_bit_of_a_weight_is_seen(communicator):
    weights = np.ones(1000, np.float32)
    assert same_on_all_ranks(communicator, digest([weights]))
    if communicator.rank == 1:
        weights[500] = np.nextafter(np.float32(1), np.float32(2))
    assert not same_on_all_ranks(communicator, digest([weights]))
