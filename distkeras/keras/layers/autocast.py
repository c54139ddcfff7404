"""What a layer's policy does: inputs are cast to the type in which it computes, and so are variables that are read.

float32 variable --> [read inside of `call`] --> float16 tensor --> .. --> float16 gradient --> float32 gradient
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from distkeras import _nest, ops
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.spec import DType, as_dtype
from distkeras.core.tensor import Tensor
from distkeras.core.variable import Variable
from distkeras.keras.layers.call_context import call_context
from distkeras.keras.mixed_precision import policy as policies


class AutoCastVariable(Variable):
    """A variable that, inside of its layer's `call`, reads as if it were of the type in which the layer computes."""

    @property
    def dtype(self) -> DType:
        """Inside of `call` the type it reads as."""
        kind = call_context.compute_dtype
        return self._dtype if kind is None else as_dtype(kind)

    def value(self) -> Tensor:
        value, kind = super().value(), call_context.compute_dtype
        return value if kind is None else ops.cast(value, kind)

    read_value = value

    def value_in_place(self) -> Tensor:
        value, kind = super().value_in_place(), call_context.compute_dtype
        return value if kind is None else ops.cast(value, kind)

    def assign(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Replace the value, which may be of either type; see `Variable.assign`."""
        with as_stored():
            return super().assign(_stored(self, value), *args, **kwargs)

    def assign_add(self, delta: Any, *args: Any, **kwargs: Any) -> Any:
        with as_stored():
            return super().assign_add(_stored(self, delta), *args, **kwargs)

    def assign_sub(self, delta: Any, *args: Any, **kwargs: Any) -> Any:
        with as_stored():
            return super().assign_sub(_stored(self, delta), *args, **kwargs)


@contextlib.contextmanager
def as_stored() -> Iterator[None]:
    """Inside of the `with` block variables read as they are stored."""
    kind, call_context.compute_dtype = call_context.compute_dtype, None
    try:
        yield
    finally:
        call_context.compute_dtype = kind


def _stored(variable: Variable, value: Any) -> Any:
    is_float = isinstance(value, Tensor) and value.dtype.is_floating
    return ops.cast(value, variable._dtype) if is_float and value.dtype != variable._dtype else value


class Typed:
    """The element types of a layer; base of Layer."""

    _autocast = True  # whether inputs are cast

    def _set_policy(self, dtype: Any) -> None:
        self.__dict__["_policy"] = policies.get(dtype)

    @property
    def dtype(self) -> str | None:
        """The type of the variables; None for the policy 'infer' before the layer is built."""
        return self._policy.variable_dtype

    @property
    def _dtype(self) -> str | None:
        return self._policy.variable_dtype

    @property
    def _compute_dtype(self) -> str | None:
        """The type in which `call` computes."""
        return self._policy.compute_dtype

    def _infer_policy(self, inputs: Any) -> None:
        """Where types are to be inferred, take those of the first floating-point input."""
        if self._policy.compute_dtype is None:
            kinds = (leaf.dtype for leaf in _nest.flatten(inputs) if hasattr(leaf, "dtype"))
            kind = next((as_dtype(kind).name for kind in kinds if as_dtype(kind).is_floating), None)
            self._set_policy(policies.inferred(self._policy, kind))

    def _cast(self, inputs: Any) -> Any:
        """The inputs in the type in which the layer computes."""
        kind = self._compute_dtype
        if not (self._autocast and kind is not None and as_dtype(kind).is_floating):
            return inputs

        def cast(leaf: Any) -> Any:
            if not isinstance(leaf, (Tensor, RaggedTensor)) or not leaf.dtype.is_floating or leaf.dtype == kind:
                return leaf
            return ops.cast(leaf, kind)

        return _nest.map_structure(cast, inputs)
