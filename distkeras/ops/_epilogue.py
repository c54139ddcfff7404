"""Bias and relu after a product become part of it, where nothing else needs the bare product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras.core.primitive import PRIMITIVES, Primitive
from distkeras.core.spec import TensorSpec
from distkeras.ops import elementwise  # noqa: F401  (its primitives are rewritten here)


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
        made, bias = view.producer(inputs[0]), inputs[1]
        if made is None or made.primitive is not product or not view.is_used_once(inputs[0]):
            return None
        spec = inputs[0].spec
        if not (spec.dtype.is_floating and spec.dtype.size >= 4 and fits(spec)):
            return None
        if tuple(bias.spec.shape) != tuple(spec.shape[-1:]):
            return None
        return view.apply(affine, (*made.inputs, bias), relu=False, **made.params)

    @PRIMITIVES["relu"].def_rewrite
    def take_relu(view: Any, inputs: tuple) -> tuple | None:
        made = view.producer(inputs[0])
        if made is None or made.primitive is not affine or made.params["relu"] or not view.is_used_once(inputs[0]):
            return None
        return view.apply(affine, made.inputs, **{**made.params, "relu": True})
