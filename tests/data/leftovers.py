"""What processes may leave behind."""

import contextlib
import gc
import glob
import os


def children():
    """Processes that this one started and that are still there."""
    found = set()
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError), open(path) as file:
            fields = file.read().rsplit(")", 1)[1].split()
            if int(fields[1]) == os.getpid():
                found.add(int(path.split("/")[2]))
    return found


def descriptors():
    return set(os.listdir("/proc/self/fd"))


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@contextlib.contextmanager
def nothing_is_left():
    """Check that no process and no open file is left by what is done inside."""
    before, files = children(), descriptors()
    yield
    gc.collect()  # tracebacks hold items
    assert children() <= before
    assert len(descriptors()) <= len(files)
