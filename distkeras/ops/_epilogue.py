"""Bias and relu after a product become part of it, where nothing else needs the bare product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras.core.primitive import PRIMITIVES, Primitive
from distkeras.core.spec import TensorSpec
from distkeras.ops import elementwise, shape  # noqa: F401  (their primitives are rewritten here)

_reshape = PRIMITIVES["reshape"]


def epilogue_rewrites(
    product: Primitive, affine: Primitive, fits: Callable[[TensorSpec], bool] = lambda spec: True
) -> None:
    """Rewrite add(product(...), bias) and relu of that as `affine(..., bias, relu=...)`.

    Args:
        product: The bare product; its last dimension is what the bias runs along.
        affine: The same with one more input, the bias, and one more parameter, `relu`.
        fits: Whether `affine` can give an output of this spec.
    """

    @PRIMITIVES["add"].def_rewrite
    def take_bias(view: Any, inputs: tuple) -> tuple | None:
        made, bias = _made_by(product, view, inputs[0]), inputs[1]
        if made is None or tuple(bias.spec.shape) != tuple(inputs[0].spec.shape[-1:]):
            return None
        spec = made.outputs[0].spec
        if not (spec.dtype.is_floating and spec.dtype.size >= 4 and fits(spec)):
            return None
        return _shaped(view, view.apply(affine, (*made.inputs, bias), relu=False, **made.params), inputs[0])

    @PRIMITIVES["relu"].def_rewrite
    def take_relu(view: Any, inputs: tuple) -> tuple | None:
        made = _made_by(affine, view, inputs[0])
        if made is None or made.params["relu"]:
            return None
        return _shaped(view, view.apply(affine, made.inputs, **{**made.params, "relu": True}), inputs[0])


def _made_by(primitive: Primitive, view: Any, value: Any) -> Any:
    """The equation of `primitive` that gives `value`, perhaps reshaped in between, to nothing else; None for none."""
    made = view.producer(value)
    if made is not None and made.primitive is _reshape and made.inputs[0].spec.shape[-1:] == value.spec.shape[-1:]:
        if not view.is_used_once(value):
            return None
        (value,) = made.inputs
        made = view.producer(value)
    return made if made is not None and made.primitive is primitive and view.is_used_once(value) else None


def _shaped(view: Any, results: tuple, like: Any) -> tuple:
    """A result in the shape of the value that it is used instead of."""
    if results[0].spec.shape == like.spec.shape:
        return results
    return view.apply(_reshape, results, shape=tuple(like.spec.shape))
