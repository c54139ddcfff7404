"""Random numbers: one global seed, and a counter for everything drawn from it.

Two kinds of draws exist. Initializers and other draws on the host take a NumPy generator of their own, numbered in the
order of asking. Draws inside a step (dropout, noise, tf.random) are counter-based: a function of (seed, stream, step,
sample), so that they do not depend on how the work is divided.
"""

from __future__ import annotations

import operator
import threading
from typing import Any

import numpy as np

from distkeras.core.context import state
from distkeras.core.tensor import Tensor

_lock = threading.Lock()
_seed: int | None = None
_draws = 0
_streams = 0


def set_seed(seed: int) -> None:
    """Set the global seed: what is drawn after it is the same in every run.

    Raises:
        TypeError: It is no integer.
    """
    global _seed, _draws, _streams
    try:
        number = operator.index(seed)
    except TypeError:
        raise TypeError(f"set_seed: expected an integer, received {seed!r}.") from None
    with _lock:
        _seed, _draws, _streams = number, 0, 0


def global_seed() -> int:
    """The global seed; drawn from the system's entropy where `set_seed` was not called."""
    global _seed
    if _seed is not None:  # the usual case, at every step, in a fifth of the time that the lock takes
        return _seed
    with _lock:
        if _seed is None:
            _seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(2))
        return _seed


def get_state() -> tuple[int, int, int]:
    """The global seed, how many draws were made on the host, and how many streams were given out."""
    return global_seed(), _draws, _streams


def set_state(seed: int, draws: int | None = None, streams: int | None = None) -> None:
    """Go on from what `get_state` gave; a count that is None stays as it is."""
    global _seed, _draws, _streams
    with _lock:
        _seed = int(seed)
        _draws = _draws if draws is None else int(draws)
        _streams = _streams if streams is None else int(streams)


def _next_draw() -> int:
    global _draws
    with _lock:
        _draws += 1
        return _draws


def new_stream(seed: int | None = None) -> int:
    """A number that identifies a source of random numbers, such as a layer: its seed, or one of its own.

    Inside a step draws are numbered by their order in it: ranks may trace a step more or less often than others.
    """
    global _streams
    if seed is not None:
        return int(seed) & 0x7FFFFFFF
    if state.replica.random_state is not None:
        state.replica.streams += 1
        return (1 << 62) + (state.replica.streams << 32)
    with _lock:
        _streams += 1
        return (_streams << 32) & 0x7FFFFFFFFFFFFFFF


def next_numpy_generator(seed: int | None = None) -> np.random.Generator:
    """A generator for one draw on the host: by its own seed, else by the global seed and the number of draws so far."""
    key = [global_seed(), _next_draw()] if seed is None else [0, int(seed) & 0xFFFFFFFFFFFFFFFF]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def step_state() -> Tensor:
    """int64 [seed, step, first sample] for draws inside a step: the replica's, the trace's, or a fresh one."""
    if state.replica.random_state is not None:
        return state.replica.random_state
    if state.trace is not None:
        return state.trace.random_state()
    return Tensor(next_step_state())


def next_step_state() -> np.ndarray:
    """The state for a draw, or a call of a traced function, that is not part of a training step."""
    # Bit 62 keeps these apart from training steps, which count from 0.
    return np.array([global_seed(), (1 << 62) + _next_draw(), 0], np.int64)


def rank_zero_seed(communicator: Any) -> None:
    """Make all ranks draw alike: rank 0's seed is taken by all."""
    set_seed(int(communicator.broadcast_object(global_seed())))
