"""Data that workers read in tests: at the top level of a module, where another process finds it."""

import ctypes
import os
import random
import signal
import threading
import time

import numpy as np

import distkeras as tf
from distkeras.data.sequence import Sequence


class Numbers(Sequence):
    """Batches of `rows` numbers; batch i starts at 3i."""

    def __init__(self, length=6):
        self.length = length
        self.passes = 0

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        x = np.arange(3.0) + 3 * index
        return x, x * 2


class Shuffled(Numbers):
    """Draws a new order after each epoch, as most Sequences that are found in scripts do; each item says who reads."""

    def __init__(self, length=6):
        super().__init__(length)
        self.order = np.arange(length)

    def __getitem__(self, index):
        return np.full((1, 3), self.order[index], "float64"), np.array([[os.getpid(), self.passes]], "float64")

    def on_epoch_end(self):
        self.passes += 1
        np.random.shuffle(self.order)


class Growing(Numbers):
    """Batches of changing sizes, the largest somewhere in the middle."""

    sizes = (5, 1, 40000, 3, 7, 90000, 2, 2)

    def __init__(self):
        super().__init__(len(self.sizes))

    def __getitem__(self, index):
        return np.full((self.sizes[index], 2), index, "float32"), {"y": np.zeros((self.sizes[index], 0))}


class Noisy(Numbers):
    """Random items."""

    def __getitem__(self, index):
        return np.array([np.random.uniform(), random.random()])


class Augmented(Numbers):
    """Items that are random by functions of this library, and by what depends on its seed alone."""

    def __getitem__(self, index):
        image = np.arange(48.0).reshape(4, 4, 3)
        preprocessing = tf.keras.preprocessing.image
        moved = preprocessing.random_shift(image, 0.4, 0.4, row_axis=0, col_axis=1, channel_axis=2)
        generator = preprocessing.ImageDataGenerator(brightness_range=(0.1, 0.9))
        flow = generator.flow(image[None], batch_size=1, shuffle=False)
        return np.array([moved.sum(), tf.random.uniform(()).numpy(), next(flow).sum()])


class Anything(Numbers):
    """Items that are no arrays."""

    items = ("text", [np.arange(2), np.arange(3.0)[::2]], {"a": None, "b": np.array(["x", None], object)}, np.ones(()))

    def __init__(self):
        super().__init__(len(self.items))

    def __getitem__(self, index):
        return self.items[index]


class OddError(Exception):
    """Cannot be unpickled."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class Failing(Numbers):
    """Does something bad at item 3; items before take long."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def __getitem__(self, index):
        if index == 3:
            getattr(self, self.what)()
        time.sleep(0.02)
        return np.zeros(3)

    def raises(self):
        raise OSError("disk on fire")

    def raises_oddly(self):
        raise OddError("this", "that")

    def stops(self):
        raise StopIteration

    def is_killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def crashes(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def exits(self):
        os._exit(7)


class FirstIsSlow(Numbers):
    """Item 0 takes longer than any test waits; the others fail."""

    def __getitem__(self, index):
        if index == 0:
            time.sleep(300)
        raise OSError("disk on fire")


class GivesALock(Numbers):
    def __getitem__(self, index):
        return threading.Lock()


class Holding(Numbers):
    """Reads from what it holds: one or several things that have rows."""

    def __init__(self, *held):
        super().__init__(2)
        self.held = held

    def __getitem__(self, index):
        parts = tuple(np.asarray(rows[2 * index : 2 * index + 2]) for rows in self.held)
        return parts if len(parts) > 1 else parts[0]


class Environment(Numbers):
    """Tells about the process it is read in."""

    def __getitem__(self, index):
        import sys

        names = [name for name in os.environ if name.startswith(("OMPI_COMM_WORLD_", "PMIX_", "PMI_"))]
        return names, "mpi4py.MPI" in sys.modules, os.environ["OMP_NUM_THREADS"], os.environ["DISTKERAS_LAUNCHER"]


class Endless(Numbers):
    """Each item takes longer than any test waits; in Python, or inside of C."""

    def __init__(self, in_c):
        super().__init__()
        self.in_c = in_c

    def __getitem__(self, index):
        if self.in_c:
            ctypes.CDLL(None).sleep(300)
        time.sleep(300)


class Countdown:
    """A restartable iterable that can be pickled."""

    def __iter__(self):
        return iter([(np.full((2, 1), number, "float64"), np.full(2, os.getpid())) for number in range(4)])


class ByIndex:
    """Like a Sequence, but none."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return np.full((2, 1), index, "float64")


class Shorter(Numbers):
    """Has four items, and says that it has six."""

    def __getitem__(self, index):
        return super().__getitem__(range(4)[index])


class Draws:
    """Endless random arrays."""

    def __iter__(self):
        while True:
            yield np.random.uniform(size=3)


class Batches(Shuffled):
    """Batches of changing sizes, with weights, in an order of its own."""

    def __getitem__(self, index):
        number = self.order[index]
        x = np.random.RandomState(number).randn(3 + number, 3).astype("float32")
        return x, x.sum(1), np.linspace(0.5, 1.5, len(x))


class FailingRows(Failing):
    def __getitem__(self, index):
        super().__getitem__(index)
        return np.ones((2, 3), "float32"), np.ones(2, "float32")


class Unpicklable(Numbers):
    def __init__(self):
        super().__init__()
        self.function = lambda: None


# --- functions of elements


def looked_at(x, name):
    """Results that show who made them, where, and what was drawn."""
    drawn = np.array([np.random.uniform(), random.random(), tf.random.uniform(()).numpy()])
    return {"x": x if x.numpy().sum() >= 0 else -x, "pid": np.int64(os.getpid()), "drawn": drawn, "name": name}


def fails_at_three(x):
    if x.numpy() == 3:
        raise OSError("disk on fire")
    return x


def is_killed_at_three(x):
    if x.numpy() == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x
