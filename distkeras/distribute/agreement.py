"""Ranks compare notes: what must be the same everywhere is checked, and the difference named.

Ranks run the same script, so they differ only by accident: an unseeded choice, a branch on the rank, another version of
a file on one node. Training would then go wrong silently, or hang in collectives that do not match.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from distkeras._errors import ReplicaMismatchError
from distkeras.distribute.communicator import Communicator


def agree(communicator: Communicator, fields: Mapping[str, Any], what: str) -> None:
    """Compare named values over all ranks.

    Every rank must call. Values are compared by their `repr`: give plain ones, text, numbers, None, tuples, lists.

    Args:
        communicator: The ranks.
        fields: Values by name, in the order in which a difference should be reported.
        what: What they describe, for the message: `"the model"`.

    Raises:
        ReplicaMismatchError: On every rank, if any field differs; it names the first one and each rank's value.

    >>> from distkeras.distribute.communicator import SerialCommunicator
    >>> agree(SerialCommunicator(), {"layers": 3, "optimizer": "SGD"}, "the model")
    """
    texts = {name: repr(value) for name, value in fields.items()}
    # The usual case costs 32 bytes a rank, however long the fields are.
    if same_on_all_ranks(communicator, sorted(texts.items())):
        return
    refuse_differences(communicator.allgather_object(texts, what), what)


def refuse_differences(everyone: Sequence[Mapping[str, str]], what: str) -> None:
    """Raise ReplicaMismatchError for the first name whose values, one for each rank, are not all the same."""
    for name in dict.fromkeys(name for one in everyone for name in one):
        values = [one.get(name, "missing") for one in everyone]
        if len(set(values)) > 1:
            raise ReplicaMismatchError(
                f"{what} is not the same on all ranks: {name!r} is {by_value(values)}. Every rank must run "
                "the same script with the same arguments and files; draw random choices from a common seed"
            )


def running_program() -> dict[str, str]:
    """What this rank runs: versions of distkeras, Python and NumPy, and its script with a digest of the text."""
    package = sys.modules[__name__.partition(".")[0]]
    versions = {"distkeras": package.__version__, "Python": platform.python_version(), "NumPy": np.__version__}
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if script and os.path.isfile(script):
        with open(script, "rb") as file:
            text = hashlib.sha256(file.read()).hexdigest()[:8]
        versions["script"] = f"{os.path.basename(script)} ({text})"
    return versions


def same_on_all_ranks(communicator: Communicator, value: Any) -> bool:
    """Whether `repr(value)` is the same on every rank; every rank must call and gets the same answer."""
    mine = np.frombuffer(hashlib.sha256(repr(value).encode()).digest(), np.uint8)
    first, *others = communicator.allgather(mine, "digests")
    return all(np.array_equal(first, other) for other in others)


def digest(arrays: Iterable[np.ndarray]) -> str:
    """Thirty-two hexadecimal digits over dtypes, shapes and bytes: equal only if the arrays are bit-identical.

    >>> digest([np.zeros(2)]) == digest([np.zeros(2)]), digest([np.zeros(2)]) == digest([-np.zeros(2)])
    (True, False)
    """
    state = hashlib.blake2b(digest_size=16)
    for array in arrays:
        state.update(f"{array.dtype.str}{array.shape}".encode())
        state.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return state.hexdigest()


def check_replicas(communicator: Communicator, variables: Iterable[Any], step: int) -> None:
    """Compare the values of variables over all ranks, bit by bit; every rank must call.

    Raises:
        ReplicaMismatchError: On every rank, naming the first variable that differs.
    """
    digests = {f"{number}: {variable.name}": digest([variable._array]) for number, variable in enumerate(variables)}
    agree(communicator, digests, f"After step {step} the state")


def by_value(values: list[str]) -> str:
    """`'a' on ranks 0, 2 and 'b' on rank 1`."""
    ranks: dict[str, list[int]] = {}
    for rank, value in enumerate(values):
        ranks.setdefault(value, []).append(rank)
    return " and ".join(
        f"{value} on rank{'s' * (len(some) > 1)} {', '.join(map(str, some))}" for value, some in ranks.items()
    )
