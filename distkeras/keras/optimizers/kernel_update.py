"""An update as a run of kernels, for a process whose gradients are final as soon as they are computed.

Gradients of matrices then need no memory: a few rows are computed, and the rule is applied to the same rows of the
parameter and its slots while they are in the cache.

    begin: learning rate, corrections --> scalars          Python
    rows of x' dy --> clip --> rule(parameter, rows, slots, scalars)        for all rows, for all matrices
    rule over what is left of the arenas --> constraints
"""

from __future__ import annotations

import functools
import inspect
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from distkeras.core.host import HostCall, InKernels, RowUse
from distkeras.core.variable import Variable
from distkeras.kernels import update
from distkeras.kernels.compile import Calls, Kernel


def kernel_update(optimizer: Any, parts: Sequence[Any], variables: Sequence[Variable]) -> InKernels | None:
    """How an update of dense gradients is done by kernels; None where these have to be seen as a whole first.

    Args:
        optimizer: The Optimizer.
        parts: `GroupUpdate`s of all its groups that take part.
        variables: In the order of the gradients.
    """
    sees_all = optimizer.is_by_variable or optimizer.clipnorm is not None or optimizer.global_clipnorm is not None
    if not _updates_by_kernel(type(optimizer)) or sees_all or not all(part.group.reducer.is_alone for part in parts):
        return None
    return _KernelUpdate(optimizer, parts, variables).in_kernels()


def rule_of(optimizer: Any) -> Kernel | None:
    """The kernel of `kernels.update` by which an optimizer updates any range of an arena; None if it does otherwise."""
    if not (optimizer.updates_elements and _updates_by_kernel(type(optimizer))):
        return None
    return optimizer.kernel if optimizer.kernel.python.__module__ == update.__name__ else None


@functools.cache
def _updates_by_kernel(kind: type) -> bool:
    """Whether optimizers of a class update by their `kernel`, and nothing but it."""
    return _defined_last(kind, "kernel", "update") and _defined_last(kind, "kernel", "step")


def _defined_last(kind: type, name: str, other: str) -> bool:
    """Whether no subclass of the one that defines `name` defines `other`."""
    order = [next(i for i, base in enumerate(kind.__mro__) if wanted in vars(base)) for wanted in (name, other)]
    return order[0] <= order[1]


def _is_scalar(variable: Any, dtype: Any) -> bool:
    return type(variable) is Variable and variable._array.ndim == 0 and variable._array.dtype == dtype


class Scalars:
    """What is the same for all elements of a step, where kernels of native runs look it up.

    Args:
        optimizer: Whose kernel takes it.
        kinds: The element types.

    Attributes:
        arrays: The scalars, by element type.
    """

    def __init__(self, optimizer: Any, kinds: Iterable[np.dtype]) -> None:
        self._optimizer = optimizer
        count = len(inspect.signature(optimizer.kernel.python).parameters) - 2 - len(optimizer.slots)
        self.arrays = {kind: np.zeros(count, kind) for kind in dict.fromkeys(kinds)}
        self._packs = [
            (struct.Struct(f"{count}{kind.char}").pack_into, memoryview(array)) for kind, array in self.arrays.items()
        ]

    def begin_step(self) -> None:
        """Have the scalars of the step to come."""
        self._optimizer.begin_step()
        for pack_into, array in self._packs:
            pack_into(array, 0, *self._optimizer._scalars)

    def __getitem__(self, kind: np.dtype) -> list[np.ndarray]:
        """For each scalar an array without dimensions, in which it is."""
        array = self.arrays[kind]
        return [array[i, ...] for i in range(array.size)]


def begin_calls(optimizer: Any, scalars: Scalars) -> Calls:
    """What comes before an update as kernel calls; none where Python has to be asked for a hyper-parameter each time.

    They count the iteration, too.
    """
    kind = type(optimizer)
    own = all(_defined_last(kind, "begin_kernel", name) for name in ("begin_step", "decayed_learning_rate", "value_of"))
    if optimizer.begin_kernel is None or not own or optimizer.accumulation is not None:
        return []
    hypers, iterations = [optimizer._hyper[name] for name in optimizer.begin_hypers], optimizer.iterations
    are_plain = all(_is_scalar(hyper, np.float32) for hyper in hypers) and _is_scalar(iterations, np.int64)
    if len(scalars.arrays) > 1 or not are_plain:
        return []
    ((dtype, filled),) = scalars.arrays.items()
    numbers = [hyper._array for hyper in hypers]  # looked up at each step
    given = (*numbers, float(getattr(optimizer, "epsilon", 0.0)), iterations._array.reshape(1), filled)
    return [(optimizer.begin_kernel[dtype], given)]


class _KernelUpdate:
    """The calls of one kind of update."""

    def __init__(self, optimizer: Any, parts: Sequence[Any], variables: Sequence[Variable]) -> None:
        self._optimizer = optimizer
        self._parts = parts
        self._variables = variables
        self._kernel = optimizer.kernel
        self._scalars = Scalars(optimizer, [part.group.dtype for part in parts])

    def in_kernels(self) -> InKernels:
        optimizer = self._optimizer
        calls = functools.partial(begin_calls, optimizer, self._scalars)
        begin = HostCall(
            f"{optimizer.name}.begin_step",
            self._begin,
            writes=optimizer.extra_weights(),
            as_kernels=lambda outputs: calls(),
        )
        part_of = {variable: part for part in self._parts for variable in part.variables}
        rows = {index: self._use(part_of[v], v) for index, v in enumerate(self._variables) if v.shape.rank}
        return InKernels(begin, rows, self._finish)

    def _begin(self) -> None:
        self._scalars.begin_step()
        iterations = self._optimizer.iterations._array
        iterations[()] = iterations.item() + 1

    def _use(self, part: Any, variable: Variable) -> RowUse:
        group, index = part.group, part.group.index(variable)
        first = group.parameters.layout.slices[index].start
        slots = [made[index] for made in group.slot_variables.values()]

        def calls(start: int, rows: np.ndarray) -> Calls:
            begin = first + start * (rows.size // rows.shape[0])
            parameters, _, *states = group.arrays(slice(begin, begin + rows.size))
            return self._rule(parameters, rows.reshape(-1), states)

        return RowUse(f"{self._optimizer.name}.update", calls, [variable, *slots])

    def _finish(self, used: Sequence[int]) -> Calls:
        done = {self._variables[index] for index in used}
        calls: Calls = []
        for part in self._parts:
            group = part.group
            for run in group.runs([group.index(v) for v in part.variables if v not in done]):
                parameters, gradients, *states = group.arrays(run)
                calls += self._rule(parameters, gradients, states)
        if any(part.constrained for part in self._parts):
            calls.append((self._optimizer.constrain, (self._parts,)))
        return calls

    def _rule(self, parameters: np.ndarray, gradients: np.ndarray, states: Sequence[np.ndarray]) -> Calls:
        kind, limit = gradients.dtype, self._optimizer.clipvalue
        calls: Calls = []
        if limit is not None:
            calls.append((update.clip[kind], (gradients, kind.type(-limit), kind.type(limit))))
        function: Callable = self._kernel[kind]
        return [*calls, (function, (parameters, gradients, *states, *self._scalars[kind]))]
