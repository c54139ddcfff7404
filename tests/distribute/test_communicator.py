"""The null object, and what every communicator refuses."""

import numpy as np
import pytest

from distkeras.distribute.communicator import Communicator, SerialCommunicator, check_buffer, check_reducible
from distkeras.distribute.mpi import MpiCommunicator

SERIAL = SerialCommunicator()


def test_both_communicators_have_all_methods_of_the_protocol():
    names = {name for name in vars(Communicator) if not name.startswith("_")}
    assert {"allreduce_", "broadcast_", "allgather", "allocate", "duplicate", "abort", "close"} <= names
    for implementation in (SerialCommunicator, MpiCommunicator):
        assert names <= set(dir(implementation))
    assert isinstance(SERIAL, Communicator)


def test_serial_changes_nothing():
    array = np.arange(4.0)
    SERIAL.allreduce_(array)
    SERIAL.broadcast_(array)
    SERIAL.barrier()
    np.testing.assert_array_equal(array, np.arange(4.0))
    assert SERIAL.allgather_object("x") == ["x"] and SERIAL.broadcast_object("x") == "x"


def test_serial_allgather_is_a_copy():
    array = np.arange(4.0)
    (gathered,) = SERIAL.allgather(array)
    gathered[0] = 9
    assert array[0] == 0


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_arenas_are_aligned_and_zero(dtype, count):
    arena = SERIAL.allocate(count, dtype)
    assert arena.shape == (count,) and arena.dtype == dtype and not arena.any()
    assert arena.ctypes.data % 64 == 0 or count == 0


def test_abort_of_one_process_is_an_exit():
    with pytest.raises(SystemExit) as exit_info:
        SERIAL.abort(3)
    assert exit_info.value.code == 3


def test_strided_and_read_only_arrays_are_refused():
    with pytest.raises(ValueError, match="C-contiguous writeable array, received one of shape"):
        check_buffer(np.zeros((4, 4))[:, ::2])
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="writeable=False"):
        check_buffer(frozen)


@pytest.mark.parametrize("array", [np.zeros(2, bool), np.zeros(2, np.complex64), np.zeros(2, np.uint8)])
def test_sums_of_other_types_are_refused(array):
    with pytest.raises(TypeError, match=rf"received {array.dtype}\. Cast it first"):
        check_reducible(array)


@pytest.mark.parametrize("value", [[1.0], np.array(["a"]), np.array([None])])
def test_what_is_no_numeric_array_is_refused(value):
    with pytest.raises(TypeError, match="expected an ndarray|cannot be sent"):
        check_buffer(value)


def test_a_root_outside_of_the_world_is_refused():
    with pytest.raises(ValueError, match="root must be a rank from 0 to 0, received 1"):
        SERIAL.broadcast_(np.zeros(2), root=1)
