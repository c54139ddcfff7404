"""Primitives, the operations everything else is made of, and `bind`, the one door through which they are applied.

A primitive has up to nine rules:

    shape(*specs, **params)            specs of the inputs -> spec(s) of the output(s); raises ValueError for bad input
    kernel(inputs, outputs, scratch, **params)
                                       ndarrays -> [(function, arguments), ...] that fill the outputs: eager mode calls
                                       them at once, a Plan keeps them and calls them at every replay
    vjp(gradients, inputs, outputs, **params)
                                       the derivative *written in ops*: for each input its gradient, a function that
                                       gives it (called only when it is needed), or None
    expr                               for element-wise primitives: a Python expression with {0}, {1}, ... for the
                                       inputs, from which fused kernels are generated
    numpy(*arrays, **params)           for element-wise primitives: the same by NumPy, which eager mode uses
    rows(inputs, scratch, **params)    for outputs that can be computed some rows at a time: calls to be made first, and
                                       (out, start) -> calls that fill `out` with the rows from `start` on
    inline(*inputs, **params)          for primitives made of others, loops and branches: these others, applied one by
                                       one when nothing is being traced, so that tapes see them
    cut(units, specs, samples, **params)
                                       how it acts on values of which a process holds some rows: see `core.rows`
    half(*inputs, **params)            the same of float16 tensors, for primitives whose kernels do not know these

and `rewrites`: cheaper ways to compute it where its inputs come from certain primitives, tried when a graph is lowered:

    rewrite(view, inputs, **params)    view.producer(value) -> the equation that gives a value, or None;
                                       view.is_used_once(value); view.apply(primitive, inputs, **params) -> values;
                                       returns the values to be used instead of its outputs, or None
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras._registry import Registry
from distkeras.core.context import state
from distkeras.core.spec import DTYPES, TensorSpec
from distkeras.core.tensor import SymbolicTensor, Tensor
from distkeras.kernels.compile import Calls

PRIMITIVES = Registry("primitive")
_HALF = DTYPES["float16"]


class Primitive:
    """One operation; see the module's docstring for its rules.

    Args:
        name: What it is called in graphs and in the registry.
        expr: The element-wise expression, or a function of the params that gives it.
        numpy: NumPy's version of it, for element-wise primitives.
        alias: For primitives whose output is the input's memory seen otherwise: (array, **params) -> view.
        effect: Whether it does something besides filling its outputs; such equations keep their order, are never
            removed and never merged.
    """

    def __init__(
        self,
        name: str,
        *,
        expr: str | Callable[..., str] | None = None,
        numpy: Callable | None = None,
        alias: Callable | None = None,
        effect: bool = False,
    ) -> None:
        self.name = name
        self.expr = expr
        self.numpy = numpy
        self.alias = alias
        self.effect = effect
        self.shape: Callable[..., Any] = _missing("shape", name)
        self.kernel: Callable[..., Calls] | None = None
        self.vjp: Callable[..., tuple] | None = None
        self.rows: Callable[..., tuple[Calls, Callable[[np.ndarray, int], Calls]]] | None = None
        self.fits_rows: Callable[..., bool] = lambda *specs, **params: True
        self.inline: Callable[..., Any] | None = None
        self.cut: Callable[..., Any] | None = None
        self.half: Callable[..., Any] | None = None
        self.rewrites: list[Callable[..., tuple | None]] = []
        PRIMITIVES.add(name, self)

    def def_shape(self, rule: Callable) -> Callable:
        self.shape = rule
        return rule

    def def_kernel(self, rule: Callable) -> Callable:
        self.kernel = rule
        return rule

    def def_vjp(self, rule: Callable) -> Callable:
        self.vjp = rule
        return rule

    def def_rows(self, fits: Callable[..., bool]) -> Callable:
        """A decorator for the rule; `fits(*specs, **params)` tells for which inputs it is worth while."""

        def define(rule: Callable) -> Callable:
            self.rows, self.fits_rows = rule, fits
            return rule

        return define

    def def_inline(self, rule: Callable) -> Callable:
        self.inline = rule
        return rule

    def def_cut(self, rule: Callable) -> Callable:
        self.cut = rule
        return rule

    def def_rewrite(self, rule: Callable) -> Callable:
        self.rewrites.append(rule)
        return rule

    def expression(self, **params: Any) -> str | None:
        """The element-wise expression for these params; None when the primitive is not element-wise."""
        return self.expr(**params) if callable(self.expr) else self.expr

    def __call__(self, *inputs: Tensor, **params: Any) -> Any:
        return bind(self, *inputs, **params)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def _missing(rule: str, name: str) -> Callable:
    def refuse(*args: Any, **params: Any) -> Any:
        raise TypeError(f"The primitive {name!r} has no {rule} rule; give it one with @{name}.def_{rule}.")

    return refuse


def bind(primitive: Primitive, *inputs: Tensor, **params: Any) -> Any:
    """Apply `primitive`: record it when a trace is active and a symbol takes part, else run it now.

    Returns:
        A Tensor, or a tuple of them where the shape rule gives several specs.
    """
    if primitive.half is not None and any(tensor.dtype is _HALF for tensor in inputs):
        return primitive.half(*inputs, **params)
    trace = state.trace
    if trace is not None and (primitive.effect or any(isinstance(tensor, SymbolicTensor) for tensor in inputs)):
        outputs = trace.record(primitive, inputs, params)
    elif primitive.inline is not None:
        return primitive.inline(*inputs, **params)
    else:
        outputs = run(primitive, inputs, params)
    for tape in state.tapes:
        tape.record(primitive, inputs, params, outputs)
    return outputs[0] if len(outputs) == 1 else outputs


def run(primitive: Primitive, inputs: tuple[Tensor, ...], params: dict[str, Any]) -> tuple[Tensor, ...]:
    """Apply `primitive` to values, now."""
    arrays = [tensor._value("an operand") for tensor in inputs]
    if primitive.numpy is not None:
        return (Tensor(_by_numpy(primitive, inputs, arrays, params)),)
    if primitive.alias is not None:
        return (Tensor(primitive.alias(arrays[0], **params)),)
    specs = output_specs(primitive, tuple(tensor.spec for tensor in inputs), params)
    outputs = tuple(np.empty(spec.shape, spec.dtype.numpy) for spec in specs)
    for function, arguments in primitive.kernel(arrays, outputs, new_scratch, **params):
        function(*arguments)
    return tuple(map(Tensor, outputs))


def _by_numpy(primitive: Primitive, inputs: tuple[Tensor, ...], arrays: list, params: dict[str, Any]) -> np.ndarray:
    try:
        with np.errstate(all="ignore"):  # as kernels do: NaN and Inf are values, not warnings
            result = primitive.numpy(*arrays, **params)
            # Two texts without dimensions give bytes, of which NumPy by itself makes an array of a fixed width.
            return np.asarray(result, object if isinstance(result, bytes) else None, order="C")
    except ValueError:
        output_specs(primitive, tuple(tensor.spec for tensor in inputs), params)  # its message names the operands
        raise


def output_specs(primitive: Primitive, specs: tuple[TensorSpec, ...], params: dict[str, Any]) -> tuple[TensorSpec, ...]:
    """The outputs' specs, always as a tuple."""
    result = primitive.shape(*specs, **params)
    return (result,) if isinstance(result, TensorSpec) else tuple(result)


def new_scratch(shape: Any, dtype: Any) -> np.ndarray:
    """Working memory for one application; plans hand out parts of a shared block instead."""
    return np.empty(shape, dtype)
