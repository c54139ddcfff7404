"""Meetings of processes that share memory: each counts its arrivals in a word of its own and reads those of the others.

Words are written and read as atomics, with release and acquire: what a process wrote before it came is seen by all who
have met it.
"""

from __future__ import annotations

import platform
import time
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from distkeras.kernels.compile import inlined, kernel

_WORD = ir.IntType(64)
_IS_X86 = platform.machine() in ("x86_64", "AMD64")
_yield_core = types.ExternalFunction("sched_yield", types.int32())
_read_clock = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.int64))
_CLOCK = time.CLOCK_MONOTONIC
# Words that `come` keeps between meetings: how many there were, whether it is in one, since which step, the number of
# what it is for, and 0, for others to read; nanoseconds waited, and room for the clock.
STATE, WAITED = 8, 5


def _pointer(context: Any, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.inttoptr(address, _WORD.as_pointer())


@intrinsic
def _load(typing_context, address):
    """The int64 at an address."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        return builder.load_atomic(_pointer(context, builder, arguments[0]), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def _store(typing_context, address, value):
    """Write an int64 to an address."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        builder.store_atomic(arguments[1], _pointer(context, builder, arguments[0]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def _pause(typing_context):
    """Tell the core that this is a loop that waits."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: list[ir.Value]) -> ir.Value:
        if _IS_X86:
            builder.call(
                builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), ir.FunctionType(ir.VoidType(), ())), ()
            )
        return context.get_dummy_value()

    return types.void(), generate


@kernel("int64(int64[:, ::1], int64, int64, int64, int64)")
def meet(arrivals, mine, number, spins, yields):
    """Come to meeting `number` and wait for the others.

    Args:
        arrivals: A row for each process; its first word is the number of the last meeting that the process came to.
        mine: This process's row.
        number: From 1, one more each time.
        spins: How often to look without letting go of the core, for each process.
        yields: How often to look, offering the core to others in between, before giving up.

    Returns:
        The first process that has not come by then; -1 when all have.
    """
    first, width = arrivals.ctypes.data, arrivals.shape[1] * arrivals.itemsize
    _store(first + mine * width, number)
    for other in range(arrivals.shape[0]):
        looks = 0
        while _load(first + other * width) < number:
            looks += 1
            if looks > spins + yields:
                return other
            if looks > spins:
                _yield_core()
            else:
                _pause()
    return -1


_meet = inlined(meet.python)


@inlined
def _nanoseconds(state):
    """The time, by way of the last words of `state`."""
    _read_clock(_CLOCK, state.ctypes.data + 48)
    return state[6] * 1_000_000_000 + state[7]


@kernel("void(int64[:, ::1], int64, int64[::1], int64[::1], int64, int64, int64, float64[:, ::1])")
def come(arrivals, mine, state, step, purpose, spins, yields, notes):
    """`meet` as a kernel among others that are called without the interpreter.

    Args:
        arrivals, mine, spins, yields: As for `meet`.
        state: `STATE` words: how many meetings there were, which counts one more, and so on.
        step: One word: the present step.
        purpose: The number of what the meeting is for.
        notes: A row for each process, or none; its first number is 0 unless others are to turn back here.

    Raises:
        RuntimeError: A process has not come yet, or wants to turn back.
    """
    state[2], state[3], state[4] = step[0], purpose, 0
    state[1] = 1
    state[0] += 1
    begun = _nanoseconds(state)
    missing = _meet(arrivals, mine, state[0], spins, yields)
    state[5] += _nanoseconds(state) - begun
    state[1] = 0
    if missing >= 0:
        raise RuntimeError("a process has not come yet")
    for process in range(notes.shape[0]):
        if notes[process, 0] != 0:
            raise RuntimeError("a process wants to turn back")
