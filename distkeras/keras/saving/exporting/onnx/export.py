"""A model's forward pass as an ONNX file."""

from __future__ import annotations

import os
from typing import Any

from distkeras.keras.saving.exporting.onnx import neural, recurrent  # noqa: F401  (they enter their operators)
from distkeras.keras.saving.exporting.onnx.operators import OPERATORS
from distkeras.keras.saving.exporting.onnx.writer import OPSET, Writer, load_onnx
from distkeras.keras.saving.exporting.sizes import Size
from distkeras.keras.saving.exporting.tracing import Traced, trace_model
from distkeras.keras.saving.exporting.translation import Shaped, Translation
from distkeras.keras.saving.files import written_atomically
from distkeras.keras.saving.together import write_once

_IR_VERSION = 8  # of the file's format: the one that came with OPSET
_MOST_BYTES = 2**31 - 1  # what a protocol buffer can hold


def export_onnx(model: Any, filepath: Any, input_signature: Any = None) -> None:
    """Write what a model computes, `model(inputs, training=False)`, with its weights as an ONNX file.

    Sizes that are None, such as that of the batch, stay open. Under a strategy every rank must call; rank 0 writes.

    Args:
        model: Its weights exist.
        filepath: The file to make or to replace.
        input_signature: A TensorSpec, or a structure of them, for what the model is called with; by default its inputs,
            which only functional and Sequential models have.

    Raises:
        ImportError: The package onnx is not installed.
        ValueError: The model has no weights or no known inputs; it does something that ONNX has no operator for; a
            size of None decides what it does; or the file would be larger than 2 GiB.
        OSError: The file cannot be written.
    """
    load_onnx()
    path = os.fspath(filepath)
    write_once(model.distribute_strategy, path, lambda: _write(path, model_proto(model, input_signature)))


def _write(path: str, proto: Any) -> None:
    size = proto.ByteSize()
    if size > _MOST_BYTES:
        raise ValueError(f"{path}: an ONNX file holds at most 2 GiB, the model needs {size / 2**30:.1f} GiB.")
    with written_atomically(path) as temporary, open(temporary, "xb") as file:
        file.write(proto.SerializeToString(deterministic=True))


def model_proto(model: Any, input_signature: Any = None) -> Any:
    """The model as an `onnx.ModelProto`; see `export_onnx`."""
    onnx = load_onnx()
    proto = onnx.helper.make_model(
        _graph(trace_model(model, input_signature)),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        producer_name="distkeras",
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(proto)
    return proto


def _graph(traced: Traced) -> Any:
    writer = Writer()
    inputs, outputs = list(map(writer.name, traced.input_names)), list(map(writer.name, traced.output_names))
    translation = Translation(traced, writer, inputs, OPERATORS, "ONNX")
    for result, name in zip(translation.results, outputs, strict=True):
        writer.node("Identity", result, outputs=[name])
    described = [
        [_described(traced, name, spec) for name, spec in zip(names, specs, strict=True)]
        for names, specs in ((inputs, translation.inputs), (outputs, translation.outputs))
    ]
    return load_onnx().helper.make_graph(writer.nodes, traced.name, *described, writer.initializers)


def _described(traced: Traced, name: str, spec: Shaped) -> Any:
    """What a runtime is told of an input or output: open sizes have names."""
    helper = load_onnx().helper
    sizes = [traced.name_of(size) if isinstance(size, Size) else size for size in spec.shape]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(spec.dtype.numpy), sizes)
