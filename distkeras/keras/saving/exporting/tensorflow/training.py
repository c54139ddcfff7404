"""What only training does, as TensorFlow's operations: dropout, random numbers, normalisation by the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.keras.saving.exporting.tensorflow.operators import OPERATORS, dtype_of
from distkeras.keras.saving.exporting.tensorflow.writer import INT64, Writer
from distkeras.keras.saving.exporting.translation import Call

_KINDS = {"uniform": "RandomUniform", "normal": "RandomStandardNormal", "truncated_normal": "TruncatedNormal"}


def _random(writer: Writer, kind: str, shape: Any, dtype: np.dtype) -> str:
    """Other numbers at each call; seeds of 0 leave it to TensorFlow which."""
    return writer.node(_KINDS[kind], writer.shape(shape), T=INT64, dtype=dtype, seed=0, seed2=0)


@OPERATORS.register("random")
def _draw(writer: Writer, call: Call) -> str:
    if call.inputs[0]:
        raise ValueError("random numbers of a given seed have no operation that gives the same")
    return _random(writer, call.params["kind"], call.outputs[0].shape, call.outputs[0].dtype.numpy)


@OPERATORS.register("dropout")
def _dropout(writer: Writer, call: Call) -> str:
    """Those that stay, which are as many as random numbers of at least `rate`, are scaled by 1 / (1 - rate)."""
    x, dtype, rate = call.inputs[0], dtype_of(call), call.params["rate"]
    if call.inputs[1]:
        raise ValueError("dropout of a given seed has no operation that drops the same")
    stays = writer.node(
        "GreaterEqual",
        _random(writer, "uniform", call.specs[0].shape, dtype),
        writer.constant(rate, dtype),
        out="z",
        T=dtype,
    )
    scale = writer.multiply(writer.cast(stays, np.dtype(bool), dtype), writer.constant(1 / (1 - rate), dtype), dtype)
    return writer.multiply(x, scale, dtype)


@OPERATORS.register("batch_normalization")
def _batch_normalization(writer: Writer, call: Call) -> list[str]:
    """(x - mean) / sqrt(variance + epsilon) gamma + beta, with the moments of all but the last dimension."""
    (x, gamma, beta), dtype, shape = call.inputs, dtype_of(call), call.specs[0].shape
    axes = writer.integers(*range(len(shape) - 1))

    def mean(value: str) -> str:
        return writer.node("Mean", value, axes, keep_dims=False, T=dtype, Tidx=INT64)

    center = mean(x)
    variance = mean(writer.node("SquaredDifference", x, center, out="z", T=dtype))
    scale = writer.apply("Rsqrt", writer.add(variance, writer.constant(call.params["epsilon"], dtype), dtype), dtype)
    scale = writer.multiply(scale, gamma, dtype)
    y = writer.add(writer.multiply(writer.subtract(x, center, dtype), scale, dtype), beta, dtype)
    sizes = writer.shape(shape[:-1])
    count = writer.node("Prod", sizes, writer.integers(0), keep_dims=True, T=INT64, Tidx=INT64)
    return [y, center, variance, writer.cast(count, INT64, dtype)]
