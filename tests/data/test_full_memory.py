"""Shared memory that does not suffice: an error that says how much was wanted and what helps, or no need of it."""

import contextlib
import errno
import os
import resource
import subprocess
import sys

import numpy as np
import pytest

from distkeras._errors import DataWorkerError
from distkeras.data import node
from distkeras.data.adapter import DataOptions
from distkeras.data.handler import open_data
from distkeras.data.ring import Slot, anonymous_file
from distkeras.data.sequence import Sequence
from tests.data.leftovers import nothing_is_left
from tests.data.rank_threads import nodes_of, on_ranks

pytestmark = pytest.mark.timeout(90)


class Swelling(Sequence):
    """Batches of more and more rows of a kB: the fourth has 20 MB."""

    sizes = (1, 2, 3, 20000)

    def __len__(self):
        return len(self.sizes)

    def __getitem__(self, index):
        return np.full((self.sizes[index], 256), index, "float32")


@contextlib.contextmanager
def files_of_at_most(nbytes):
    """No file of this process, and of those that it starts, grows further."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_batches_that_outgrow_the_memory_of_workers_are_an_error_that_says_what_helps():
    options = DataOptions(workers=2, use_multiprocessing=True, max_queue_size=2)
    with nothing_is_left(), files_of_at_most(4 << 20):
        handler = open_data(Swelling(), options=options)
        taken = []
        with pytest.raises(OSError, match=r"no 20\.5 MB of shared memory.*max_queue_size.*workers=0") as caught:
            taken.extend(batch.data[0].shape for batch in handler.epoch())
        assert caught.value.errno == errno.EFBIG and taken == [(rows, 256) for rows in Swelling.sizes[: len(taken)]]
        assert isinstance(caught.value.__cause__, DataWorkerError) and "item 3" in str(caught.value.__cause__)
        handler.close()
        del caught


def test_a_file_system_that_is_full_is_an_error_of_every_rank(monkeypatch):
    monkeypatch.setattr(node, "_node", nodes_of(3))
    reserve = os.posix_fallocate

    def full(descriptor, start, size):
        if size > 1 << 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        reserve(descriptor, start, size)

    monkeypatch.setattr(os, "posix_fallocate", full)

    def read(rank, options):
        with contextlib.closing(open_data(Swelling(), options=options, rank=rank, num_replicas=3)) as handler:
            return [batch.local_size for batch in handler.epoch()]

    with nothing_is_left():
        results, _ = on_ranks(3, read, workers=0)
        for error in results:
            assert isinstance(error, OSError) and "20.5 MB of shared memory" in str(error)
            assert error.errno == errno.ENOSPC
        del results, error  # their tracebacks hold batches


def test_memory_that_was_not_had_is_not_kept():
    slot = Slot(anonymous_file())
    with files_of_at_most(1 << 20):
        slot.write([b"a"])
        size = os.fstat(slot.descriptor).st_size
        with pytest.raises(OSError, match="MB of shared memory"):
            slot.write([bytes(2 << 20)])
        assert os.fstat(slot.descriptor).st_size == size
        assert [bytes(part) for part in slot.read(slot.write([b"b"]))] == [b"b"]
    slot.close()


PROGRAM = """
import os, sys
{lines}
import distkeras as tf
from tests.data.test_full_memory import Wide

model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1000,))])
model.compile("sgd", "mse")
model.fit(Wide(), workers=2, use_multiprocessing=True, epochs=2, max_queue_size=6, verbose=0)
print("trained")
"""


class Wide(Sequence):
    """Batches of 20 MB."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return np.zeros((5000, 1000), "float32"), np.zeros(5000, "float32")


def run_with_small_memory(lines, size="64m"):
    """What a program prints that has a /dev/shm of its own."""
    mount = f"mount -t tmpfs -o size={size} tmpfs /dev/shm && "
    probe = subprocess.run(["unshare", "--mount", "sh", "-c", mount + "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no /dev/shm of one's own can be mounted here: {probe.stderr.strip()}")
    program = PROGRAM.format(lines=lines)
    command = f'{mount} "$@"; status=$?; ls -A /dev/shm >&2; exit $status'
    command = ["unshare", "--mount", "sh", "-c", command, "sh", sys.executable, "-W", "ignore", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.alone
def test_a_small_dev_shm_is_no_limit():
    done = run_with_small_memory("")
    assert done.stdout == "trained\n", done.stderr
    assert not done.stderr


@pytest.mark.alone
def test_files_in_a_full_folder_are_an_error_that_names_it():
    """Where the system has no files without a place (`memfd_create`), they lie in the folder for temporary ones."""
    done = run_with_small_memory("del os.memfd_create; os.environ['TMPDIR'] = '/dev/shm'")
    message = done.stderr.rstrip().splitlines()[-1]
    assert done.returncode == 1
    assert "There are no 20.0 MB of shared memory for one batch in /dev/shm, where" in message
    assert "TMPDIR names another folder" in message and "No space left" in message
