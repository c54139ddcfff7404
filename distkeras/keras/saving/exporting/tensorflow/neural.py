"""Products, convolution, pooling and normalisation as TensorFlow's operations, which have channels last, too."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.keras.saving.exporting.tensorflow.operators import OPERATORS, dtype_of, matmul, pad
from distkeras.keras.saving.exporting.tensorflow.writer import INT32, INT64, Writer
from distkeras.keras.saving.exporting.translation import Call, Operator
from distkeras.ops.windows import resolve_padding


@OPERATORS.register("matmul")
def _matmul(writer: Writer, call: Call) -> str:
    rank = max(len(spec.shape) for spec in call.specs)
    return matmul(writer, *call.inputs, dtype_of(call), rank, call.params["transpose_a"], call.params["transpose_b"])


# --- images


def _around(pairs: Any) -> list[tuple[int, int]]:
    return [(0, 0), *pairs, (0, 0)]


def _named_padding(shape: Any, window: Any, strides: Any, dilations: Any, padding: Any) -> str | None:
    """'VALID' or 'SAME' where that is what the padding is; None for another one."""
    if not any(map(any, padding)):
        return "VALID"
    sizes = shape[1:3]
    if all(isinstance(size, int) for size in sizes):
        same = resolve_padding("SAME", sizes, window, strides, dilations, False)
        return "SAME" if tuple(map(tuple, same)) == tuple(map(tuple, padding)) else None
    return None


def _convolution(operation: str) -> Operator:
    def write(writer: Writer, call: Call) -> str:
        x, w = call.inputs
        window, dtype = call.specs[1].shape[:2], dtype_of(call)
        strides, dilations, padding = (call.params[key] for key in ("strides", "dilations", "padding"))
        named = _named_padding(call.specs[0].shape, window, strides, dilations, padding)
        if named is None:
            x, named = pad(writer, x, _around(padding), dtype), "VALID"
        if operation == "DepthwiseConv2dNative":
            w = writer.reshape(w, (*call.specs[1].shape, 1), dtype)
        return writer.node(operation, x, w, T=dtype, **_geometry(strides, dilations, named))

    return write


def _geometry(strides: Any, dilations: Any, padding: str) -> dict[str, Any]:
    return {
        "strides": [1, *strides, 1],
        "dilations": [1, *dilations, 1],
        "padding": padding,
        "data_format": "NHWC",
    }


OPERATORS.add("conv2d", _convolution("Conv2D"))
OPERATORS.add("depthwise_conv2d", _convolution("DepthwiseConv2dNative"))


@OPERATORS.register("conv2d_input_gradient")
def _transposed_conv2d(writer: Writer, call: Call) -> str:
    """What a transposed convolution is made of: without padding, and cut."""
    g, w = call.inputs
    dtype, padding = dtype_of(call), call.params["padding"]
    batch, height, width, channels = call.outputs[0].shape
    whole = (batch, height + sum(padding[0]), width + sum(padding[1]), channels)
    sizes = writer.cast(writer.shape(whole), INT64, INT32)
    geometry = _geometry(call.params["strides"], call.params["dilations"], "VALID")
    y = writer.node("Conv2DBackpropInput", sizes, w, g, T=dtype, **geometry)
    if not any(map(any, padding)):
        return y
    begin = writer.integers(0, padding[0][0], padding[1][0], 0)
    return writer.node("Slice", y, begin, writer.shape(call.outputs[0].shape), T=dtype, Index=INT64)


@OPERATORS.register("max_pool2d")
def _max_pool2d(writer: Writer, call: Call) -> str:
    x, dtype, padding = call.inputs[0], dtype_of(call), call.params["padding"]
    window, strides = call.params["window"], call.params["strides"]
    named = _named_padding(call.specs[0].shape, window, strides, (1, 1), padding)
    if named is None:
        x, named = pad(writer, x, _around(padding), dtype, np.finfo(dtype).min), "VALID"
    return writer.node("MaxPool", x, T=dtype, **_windows(window, strides, named))


@OPERATORS.register("average_pool2d")
def _average_pool2d(writer: Writer, call: Call) -> str:
    """Padding does not count: where it has no name, sums are divided by how many elements there were."""
    x, dtype, padding = call.inputs[0], dtype_of(call), call.params["padding"]
    window, strides = call.params["window"], call.params["strides"]
    named = _named_padding(call.specs[0].shape, window, strides, (1, 1), padding)
    if named is not None:
        return writer.node("AvgPool", x, T=dtype, **_windows(window, strides, named))
    ones = writer.node("OnesLike", x, out="y", T=dtype)
    pools = [
        writer.node(
            "AvgPool", pad(writer, value, _around(padding), dtype), T=dtype, **_windows(window, strides, "VALID")
        )
        for value in (x, ones)
    ]
    return writer.node("RealDiv", *pools, out="z", T=dtype)


def _windows(window: Any, strides: Any, padding: str) -> dict[str, Any]:
    return {"ksize": [1, *window, 1], "strides": [1, *strides, 1], "padding": padding, "data_format": "NHWC"}


# --- normalisation


def _of_rows(operation: str, out: str) -> Operator:
    return lambda writer, call: writer.node(operation, call.inputs[0], out=out, T=dtype_of(call))


OPERATORS.add("softmax", _of_rows("Softmax", "softmax"))
OPERATORS.add("log_softmax", _of_rows("LogSoftmax", "logsoftmax"))


@OPERATORS.register("layer_normalization")
def _layer_normalization(writer: Writer, call: Call) -> str:
    """(x - mean) / sqrt(variance + epsilon) gamma + beta, along the last dimension."""
    (x, gamma, beta), dtype = call.inputs, dtype_of(call)

    def mean(value: str) -> str:
        return writer.node("Mean", value, writer.integers(-1), keep_dims=True, T=dtype, Tidx=INT64)

    centered = writer.subtract(x, mean(x), dtype)
    variance = mean(writer.apply("Square", centered, dtype))
    scale = writer.apply("Rsqrt", writer.add(variance, writer.constant(call.params["epsilon"], dtype), dtype), dtype)
    normal = writer.multiply(centered, scale, dtype)
    return writer.add(writer.multiply(normal, gamma, dtype), beta, dtype)
