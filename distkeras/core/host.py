"""Host calls: Python that a step runs between kernels - reducing over ranks, updating parameters, printing.

A host call is one equation with an effect. Its inputs may be pinned: a Plan then lets the producing kernel write
straight into the pinned array (a gradient's place in the arena), and calls `ready` callbacks as soon as the inputs they
name are in place, while other kernels go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core.primitive import Calls, Primitive, bind
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor


class HostCall:
    """What a host call does and where its inputs must lie.

    Args:
        name: Shown in printed graphs.
        run: Called with the output arrays, to be filled, once all inputs are in place and all `ready` have been called.
        pins: For each input the array that it must be written to.
        ready: (indices of inputs, callback): called once these inputs are in place, in any order between them.
        output_specs: What `run` fills.
        writes: Variables that `run` changes: a trace reads them afresh afterwards.
    """

    def __init__(
        self,
        name: str,
        run: Callable[..., Any],
        pins: Sequence[np.ndarray] = (),
        ready: Sequence[tuple[Sequence[int], Callable[[], Any]]] = (),
        output_specs: Sequence[TensorSpec] = (),
        writes: Sequence[Any] = (),
    ) -> None:
        self.name = name
        self.run = run
        self.pins = list(pins)
        self.ready = [(tuple(indices), callback) for indices, callback in ready]
        self.output_specs = tuple(output_specs)
        self.writes = tuple(writes)

    def __repr__(self) -> str:
        return self.name


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
