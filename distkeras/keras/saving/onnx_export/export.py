"""A model's forward pass as an ONNX file: traced for two choices of its open sizes, then translated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from distkeras import _nest
from distkeras.core.spec import TensorSpec
from distkeras.graph.ir import Graph
from distkeras.graph.passes import fold_constants, merge_common, remove_dead
from distkeras.graph.trace import trace
from distkeras.keras.saving.files import written_atomically
from distkeras.keras.saving.onnx_export.sizes import MOST_OPEN_SIZES, samples
from distkeras.keras.saving.onnx_export.translation import Translation
from distkeras.keras.saving.onnx_export.writer import OPSET, load_onnx
from distkeras.keras.saving.together import write_once

_IR_VERSION = 8  # of the file's format: the one that came with OPSET
_MOST_BYTES = 2**31 - 1  # what a protocol buffer can hold

Places = dict[tuple[int, int], int]


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
    signature = _signature(model, input_signature)
    specs = _nest.flatten(signature)
    places = _open_sizes(specs)
    count = len(set(places.values()))
    if count > MOST_OPEN_SIZES:
        raise ValueError(f"At most {MOST_OPEN_SIZES} sizes may be None, received {count}: give some of them numbers.")
    first, second = (_traced(model, signature, specs, places, sizes) for sizes in samples(count))
    names = model.input_names or [f"input_{number + 1}" for number in range(len(specs))]
    graph = Translation(model.name, first, second, places).graph(names, model.output_names)
    proto = onnx.helper.make_model(
        graph,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        producer_name="distkeras",
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(proto)
    return proto


def _signature(model: Any, given: Any) -> Any:
    if given is None:
        given = model.inputs
        if not given:
            raise ValueError(
                f"{model.name!r} is defined by its `call`, so that the shapes of its inputs are not known: pass "
                "input_signature=tf.TensorSpec(shape, dtype), or a structure of them."
            )
        given = given[0] if len(given) == 1 else list(given)
    if not model.built:
        raise ValueError(f"{model.name!r} has no weights yet: call it on data, or build() it, before it is exported.")
    return _nest.map_structure(lambda leaf: TensorSpec(leaf.shape, leaf.dtype), given)


def _open_sizes(specs: Sequence[TensorSpec]) -> Places:
    """(input, axis) -> number of the open size: all first dimensions are one, the batch."""
    places: Places = {}
    found = [(number, axis) for number, spec in enumerate(specs) for axis, n in enumerate(spec.shape) if n is None]
    for place in sorted(found, key=lambda place: place[1] > 0):
        is_batch = place[1] == 0
        places[place] = 0 if is_batch else max(places.values(), default=-1) + 1
    return places


def _traced(model: Any, signature: Any, specs: Sequence[TensorSpec], places: Places, sizes: Sequence[int]) -> Graph:
    def known(number: int, spec: TensorSpec) -> TensorSpec:
        shape = [sizes[places[number, axis]] if n is None else n for axis, n in enumerate(spec.shape)]
        return TensorSpec(shape, spec.dtype)

    inputs = _nest.pack(signature, [known(number, spec) for number, spec in enumerate(specs)])
    graph, _ = trace(lambda inputs: model(inputs, training=False), [inputs])
    return remove_dead(merge_common(fold_constants(graph)))
