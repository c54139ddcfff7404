"""Host calls: Python that a step runs between kernels - reducing over ranks, updating parameters, printing.

A host call is one equation with an effect. Its inputs may be pinned: a Plan then lets the producing kernel write
straight into the pinned array (a gradient's place in the arena), and calls `ready` callbacks as soon as the inputs they
name are in place, while other kernels go on.

A host call that says how to do its work by kernels is, in a plan, a run of them. Inputs that nothing else needs are not
even written as a whole then: some rows of a gradient are computed, and used up while they are in the cache.

    product --> gradient --> host call        eagerly
    begin --> [rows of product, kernels that use them] x n --> kernels for the rest        in a plan
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distkeras.core.primitive import Calls, Primitive, bind
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor


@dataclass(frozen=True)
class RowUse:
    """What is done with rows of an input as soon as they are computed.

    Attributes:
        name: Shown in printed graphs.
        calls: (first row, rows) -> kernel calls that use the rows up, which lie in an array of their own.
        writes: Variables that these change.
    """

    name: str
    calls: Callable[[int, np.ndarray], Calls]
    writes: Sequence[Any]


@dataclass(frozen=True)
class InKernels:
    """How a host call without outputs is done by kernels.

    Attributes:
        begin: A host call that comes before.
        rows: By the numbers of inputs that can be used up in rows, how.
        finish: (numbers of the inputs that were) -> kernel calls that do the rest.
    """

    begin: HostCall
    rows: Mapping[int, RowUse]
    finish: Callable[[Sequence[int]], Calls]


class Attempt:
    """A kernel that raises where it cannot go on, and what the interpreter then does in its place.

    Args:
        kernel: The kernel.
        instead: Called when it has raised; gives how many of the kernels that follow in a plan are left out.
    """

    def __init__(self, kernel: Callable, instead: Callable[[], int]) -> None:
        self.kernel = kernel
        self.instead = instead


class HostCall:
    """What a host call does and where its inputs must lie.

    Args:
        name: Shown in printed graphs.
        run: Called with the output arrays, to be filled, once all inputs are in place and all `ready` have been called.
        pins: For each input the array that it must be written to.
        ready: (indices of inputs, callback): called once these inputs are in place, in any order between them.
        output_specs: What `run` fills.
        writes: Variables that `run` changes: a trace reads them afresh afterwards.
        in_kernels: How a plan does the same by kernels.
        reads: For inputs that a plan's calls before may leave to this one's, by their numbers: the slices of the pin,
            flattened, that are read.
        around: Given the call of `run`, that and the calls that make what was left to it, when a plan is made.
        as_kernels: Given the output arrays, the same as kernel calls, or none, when a plan is made.
    """

    def __init__(
        self,
        name: str,
        run: Callable[..., Any],
        pins: Sequence[np.ndarray] = (),
        ready: Sequence[tuple[Sequence[int], Callable[[], Any]]] = (),
        output_specs: Sequence[TensorSpec] = (),
        writes: Sequence[Any] = (),
        in_kernels: InKernels | None = None,
        reads: Mapping[int, Sequence[slice]] | None = None,
        around: Callable[[Calls], Calls] = list,
        as_kernels: Callable[[Sequence[np.ndarray]], Calls] | None = None,
    ) -> None:
        self.name = name
        self.run = run
        self.pins = list(pins)
        self.ready = [(tuple(indices), callback) for indices, callback in ready]
        self.output_specs = tuple(output_specs)
        self.writes = tuple(writes)
        self.in_kernels = in_kernels
        self.reads = reads or {}
        self._around = around
        self._as_kernels = as_kernels

    def calls(self, outputs: Sequence[np.ndarray], parts: Sequence[Sequence[slice] | None]) -> Calls:
        """What a plan calls once all inputs are in place.

        Args:
            outputs: The output arrays.
            parts: For each that may be left to its reader the slices of it, flattened, that are read; None for others.
        """
        kernels = self._as_kernels and self._as_kernels(outputs)
        return kernels or self._around([(self.run, tuple(outputs))])

    def without(self, used: Sequence[int]) -> HostCall:
        """The part of the work that is left, as kernels, where some of the inputs have been used up."""
        return _Rest(self, used)

    def __repr__(self) -> str:
        return self.name


class _Rest(HostCall):
    """A host call that is done by kernels, without some of its inputs."""

    def __init__(self, whole: HostCall, used: Sequence[int]) -> None:
        pins = [pin for index, pin in enumerate(whole.pins) if index not in used]
        super().__init__(whole.name, whole.run, pins, writes=whole.writes)
        self._finish = whole.in_kernels.finish(used)

    def calls(self, outputs: Sequence[np.ndarray], parts: Sequence[Sequence[slice] | None]) -> Calls:
        return self._finish


primitive = Primitive("host_call", effect=True)


def host_call(host: HostCall, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Apply a host call now, or record it in the active trace."""
    outputs = bind(primitive, *inputs, host=host)
    return outputs if isinstance(outputs, tuple) else (outputs,)


@primitive.def_shape
def _shape(*specs: TensorSpec, host: HostCall) -> tuple[TensorSpec, ...]:
    for spec, pin in zip(specs, host.pins, strict=True):
        if tuple(spec.shape) != pin.shape or spec.dtype.numpy != pin.dtype:
            raise ValueError(
                f"{host.name}: expected a tensor of shape {pin.shape} and type {pin.dtype}, "
                f"received {spec.shape} {spec.dtype}."
            )
    return host.output_specs


@primitive.def_kernel
def _kernel(inputs: Sequence, outputs: Sequence, scratch: Callable, *, host: HostCall) -> Calls:
    """Copy what is not yet in place, announce it, run. A Plan has placed and announced its inputs before."""
    calls: Calls = [(np.copyto, (pin, array)) for pin, array in zip(host.pins, inputs, strict=True) if pin is not array]
    calls += [(callback, ()) for _, callback in host.ready]
    return [*calls, (host.run, tuple(outputs))]


# Bytes of rows computed before they are used: they stay in the cache until then, with what is read beside them.
ROW_BYTES, LEAST_ROWS = 1 << 18, 24

# The output of `source` in blocks of rows, each used up (`host`, a RowUse) before the next is computed.
by_rows = Primitive("by_rows", effect=True)
by_rows.def_shape(lambda *specs, source, host, params: ())


@by_rows.def_kernel
def _by_rows_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Callable, *, source: Primitive, host: RowUse, params: dict
) -> Calls:
    spec = source.shape(*(TensorSpec(array.shape, array.dtype) for array in inputs), **params)
    count, row_bytes = spec.shape[0], spec.nbytes // spec.shape[0]
    size = max(LEAST_ROWS, ROW_BYTES // row_bytes)
    size = -(-count // -(-count // size))
    rows = scratch((size, *spec.shape[1:]), spec.dtype.numpy)
    calls, compute = source.rows(inputs, scratch, **params)
    for start in range(0, count, size):
        block = rows[: min(size, count - start)]
        calls += compute(block, start) + host.calls(start, block)
    return calls
