"""Products, convolution, pooling, normalisation and recurrences as ONNX operators.

ONNX has channels before the directions of images, so that images are turned before and after; runtimes remove turns
that cancel out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras.keras.saving.exporting.onnx.operators import OPERATORS
from distkeras.keras.saving.exporting.onnx.writer import Writer
from distkeras.keras.saving.exporting.translation import Call, Operator

_TO_CHANNELS_FIRST, _TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


@OPERATORS.register("matmul")
def _matmul(writer: Writer, call: Call) -> str:
    turns = call.params["transpose_a"], call.params["transpose_b"]
    operands = []
    for value, spec, turn in zip(call.inputs, call.specs, turns, strict=True):
        *others, rows, columns = range(len(spec.shape))
        operands.append(writer.transpose(value, [*others, columns, rows]) if turn else value)
    return writer.node("MatMul", *operands)


# --- images


def _on_images(write: Callable[..., str]) -> Operator:
    """Written for channels that come first, used with channels that come last."""

    def turned(writer: Writer, call: Call) -> str:
        x = writer.transpose(call.inputs[0], _TO_CHANNELS_FIRST)
        return writer.transpose(write(writer, call, x), _TO_CHANNELS_LAST)

    return turned


def _pads(params: dict[str, Any]) -> list[int]:
    return [pair[side] for side in (0, 1) for pair in params["padding"]]


def _geometry(call: Call) -> dict[str, Any]:
    return {
        "kernel_shape": list(call.specs[1].shape[:2]),
        "strides": list(call.params["strides"]),
        "dilations": list(call.params["dilations"]),
        "pads": _pads(call.params),
    }


@OPERATORS.register("conv2d")
@_on_images
def _conv2d(writer: Writer, call: Call, x: str) -> str:
    return writer.node("Conv", x, writer.transpose(call.inputs[1], (3, 2, 0, 1)), **_geometry(call))


@OPERATORS.register("depthwise_conv2d")
@_on_images
def _depthwise_conv2d(writer: Writer, call: Call, x: str) -> str:
    height, width, channels = call.specs[1].shape
    filters = writer.transpose(call.inputs[1], (2, 0, 1))
    filters = writer.reshape(filters, (channels, 1, height, width), call.specs[1].dtype.numpy)
    return writer.node("Conv", x, filters, group=channels, **_geometry(call))


@OPERATORS.register("conv2d_input_gradient")
@_on_images
def _transposed_conv2d(writer: Writer, call: Call, x: str) -> str:
    """What a transposed convolution is made of; output_padding makes up for rows that no window reached."""
    geometry, missing = _geometry(call), []
    for axis in (0, 1):
        reach = (geometry["kernel_shape"][axis] - 1) * geometry["dilations"][axis] + 1
        padding = geometry["pads"][axis] + geometry["pads"][axis + 2]
        reached = (call.specs[0].shape[1 + axis] - 1) * geometry["strides"][axis] + reach - padding
        missing.append(call.outputs[0].shape[1 + axis] - reached)
    filters = writer.transpose(call.inputs[1], (3, 2, 0, 1))
    return writer.node("ConvTranspose", x, filters, output_padding=missing, **geometry)


def _pooling(kind: str, **attributes: Any) -> Operator:
    @_on_images
    def write(writer: Writer, call: Call, x: str) -> str:
        window, strides = call.params["window"], call.params["strides"]
        return writer.node(
            kind, x, kernel_shape=list(window), strides=list(strides), pads=_pads(call.params), **attributes
        )

    return write


OPERATORS.add("max_pool2d", _pooling("MaxPool"))
OPERATORS.add("average_pool2d", _pooling("AveragePool", count_include_pad=0))


# --- normalisation


def _along_last(kind: str) -> Operator:
    return lambda writer, call: writer.node(kind, call.inputs[0], axis=-1)


OPERATORS.add("softmax", _along_last("Softmax"))
OPERATORS.add("log_softmax", _along_last("LogSoftmax"))


@OPERATORS.register("layer_normalization")
def _layer_normalization(writer: Writer, call: Call) -> str:
    return writer.node("LayerNormalization", *call.inputs, axis=-1, epsilon=float(call.params["epsilon"]))
