"""A model as the signature `serving_default`, which TensorFlow Serving calls, and who has loaded the folder.

    library    serving_default(inputs by name, variables) -> outputs by name, and the steps of its loops
    graph      placeholders and variables -> a call of it; what restores the variables from the folder's checkpoint
    objects    signatures -> serving_default, which is bound to the objects that are its variables

The function's arguments and results are in the order of their names, as TensorFlow has those of signatures.

Source: tensorflow/core/protobuf/{meta_graph,saved_object_graph,saver,struct}.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras import _wire as wire
from distkeras.core.variable import Variable
from distkeras.keras.saving.exporting.sizes import Size
from distkeras.keras.saving.exporting.tensorflow import neural, recurrent  # noqa: F401  (they enter their operations)
from distkeras.keras.saving.exporting.tensorflow.messages import (
    RESOURCE,
    Argument,
    FunctionName,
    Shape,
    Type,
    function_message,
    node_message,
    number_of,
    shape_message,
)
from distkeras.keras.saving.exporting.tensorflow.operators import OPERATORS
from distkeras.keras.saving.exporting.tensorflow.writer import Writer
from distkeras.keras.saving.exporting.tracing import trace_model
from distkeras.keras.saving.exporting.translation import Shaped, Translation

KEY = "serving_default"
_FUNCTION = f"__inference_{KEY}"
_METHOD = "tensorflow/serving/predict"
_PRODUCER = 134  # the version of graphs that TensorFlow 2.0 writes
_TEXT = Type(7)


class Serving(NamedTuple):
    """A model's signature.

    Attributes:
        inputs, outputs: What is known of them, by name.
        captures: The variables that the function takes after its inputs.
        functions: The FunctionDefs of the library.
    """

    inputs: dict[str, Shaped]
    outputs: dict[str, Shaped]
    captures: list[Variable]
    functions: list[bytes]


def serving_of(model: Any, keys: Mapping[Variable, str]) -> Serving:
    """Write a model's forward pass as a function.

    Args:
        model: A functional or Sequential model with weights.
        keys: The variables that the checkpoint holds.

    Raises:
        ValueError: The model does what TensorFlow's operations cannot, or what open sizes decide.
    """
    traced = trace_model(model)
    functions: dict[str, bytes] = {}
    writer = Writer(keys.__contains__, functions)
    arguments = [writer.name(f"input_{number}") for number in range(len(traced.specs))]
    translation = Translation(traced, writer, arguments, OPERATORS, "TensorFlow")
    inputs = dict(zip(traced.input_names, translation.inputs, strict=True))
    outputs = dict(zip(traced.output_names, translation.outputs, strict=True))
    named = dict(zip(traced.input_names, arguments, strict=True))
    values = dict(zip(traced.output_names, translation.results, strict=True))
    results = {
        Argument(f"output_{number}", outputs[name].dtype.numpy): writer.node(
            "Identity", values[name], T=outputs[name].dtype.numpy
        )
        for number, name in enumerate(sorted(outputs))
    }
    given = [Argument(named[name], inputs[name].dtype.numpy) for name in sorted(inputs)] + writer.arguments()
    functions[_FUNCTION] = function_message(_FUNCTION, given, results, writer.nodes, True)
    return Serving(inputs, outputs, list(writer.captures.values()), list(functions.values()))


# --- the graph


def graph_message(serving: Serving, keys: Mapping[Variable, str]) -> bytes:
    """The GraphDef: nodes that call the function, restore and save its variables; and the library."""
    keys = {variable: keys[variable] for variable in serving.captures}
    nodes = []

    def node(name: str, operation: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(node_message(name, operation, inputs, attributes))
        return name

    placeholders = [
        node(f"{KEY}_{name}", "Placeholder", dtype=spec.dtype.numpy, shape=Shape(_open(spec)))
        for name, spec in sorted(serving.inputs.items())
    ]
    handles = {
        variable: node(
            f"variable_{number}",
            "VarHandleOp",
            dtype=variable.dtype.numpy,
            shape=Shape(tuple(variable.shape)),
            shared_name=keys[variable],
            container="",
        )
        for number, variable in enumerate(keys)
    }
    types = [spec.dtype.numpy for _, spec in sorted(serving.inputs.items())]
    node(
        "StatefulPartitionedCall",
        "StatefulPartitionedCall",
        *placeholders,
        *(handles[variable] for variable in serving.captures),
        Tin=types + [Type(RESOURCE)] * len(serving.captures),
        Tout=[spec.dtype.numpy for _, spec in sorted(serving.outputs.items())],
        f=FunctionName(_FUNCTION),
        config="",
        config_proto="",
        executor_type="",
    )
    _write_saver(node, handles, keys)
    node("NoOp", "NoOp")
    library = b"".join(wire.field(1, function) for function in serving.functions)
    versions = wire.field(4, wire.field(1, _PRODUCER))
    return b"".join(wire.field(1, entry) for entry in nodes) + wire.field(2, library) + versions


def _write_saver(node: Any, handles: Mapping[Variable, str], keys: Mapping[Variable, str]) -> None:
    """Nodes that read the variables from a checkpoint, or write them to one, whose name is fed."""
    names, types = list(keys.values()), [variable.dtype.numpy for variable in keys]
    node("saver_filename", "Placeholder", dtype=_TEXT, shape=Shape(()))
    assigned: list[str] = []
    written: list[str] = []
    if handles:
        where = ("saver_filename", "saver_names", "saver_slices")
        node("saver_names", "Const", dtype=_TEXT, value=_texts(names))
        node("saver_slices", "Const", dtype=_TEXT, value=_texts([""] * len(names)))
        node("saver_values", "RestoreV2", *where, dtypes=types)
        read = []
        for number, (variable, handle) in enumerate(handles.items()):
            dtype = variable.dtype.numpy
            assigned.append(node(f"{handle}_assign", "AssignVariableOp", handle, f"saver_values:{number}", dtype=dtype))
            read.append(node(f"{handle}_read", "ReadVariableOp", handle, dtype=dtype))
        written.append(node("saver_write", "SaveV2", *where, *read, dtypes=types))
    node("saver_restore", "NoOp", *(f"^{name}" for name in assigned))
    node("saver_save", "Identity", "saver_filename", *(f"^{name}" for name in written), T=_TEXT)


def _texts(values: Sequence[str]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = [value.encode() for value in values]
    return array


def _open(spec: Shaped) -> tuple[int | None, ...]:
    return tuple(None if isinstance(size, Size) else size for size in spec.shape)


def meta_fields(serving: Serving) -> bytes:
    """What a MetaGraphDef says beside graph and objects: how to save, how to start, the signatures."""
    saver = wire.field(1, "saver_filename:0") + wire.field(2, "saver_save:0") + wire.field(3, "saver_restore")
    saver += wire.field(7, 2)  # the version of the format of checkpoints
    start = wire.field(1, "saved_model_main_op") + wire.field(2, wire.field(1, wire.field(1, "NoOp")))
    inputs = {name: f"{KEY}_{name}:0" for name in sorted(serving.inputs)}
    outputs = {name: f"StatefulPartitionedCall:{number}" for number, name in enumerate(sorted(serving.outputs))}
    signature = wire.field(3, _METHOD)
    for number, names, specs in ((1, inputs, serving.inputs), (2, outputs, serving.outputs)):
        for name, value in names.items():
            about = wire.field(1, value) + wire.field(2, number_of(specs[name].dtype.numpy))
            about += wire.field(3, shape_message(_open(specs[name])))
            signature += _entry(number, name, about)
    return wire.field(3, saver) + wire.field(4, start) + _entry(5, KEY, signature)


def _entry(number: int, key: str, value: bytes) -> bytes:
    """An entry of a map."""
    return wire.field(number, wire.field(1, key) + wire.field(2, value))


# --- the objects


def object_messages(serving: Serving, first: int) -> list[bytes]:
    """SavedObjects: the map of signatures, which gets the number `first`, and the signature."""
    children = wire.field(1, wire.field(1, first + 1) + wire.field(2, KEY))
    version = wire.field(1, 1) + wire.field(2, 1)
    signatures = children + wire.field(4, wire.field(1, "signature_map") + wire.field(2, version))
    function = wire.field(1, _FUNCTION)
    function += b"".join(wire.field(2, name) for name in sorted(serving.inputs))
    function += wire.field(3, 1 if len(serving.inputs) == 1 else 0)  # by position, if there is but one
    return [signatures, wire.field(8, function)]


def concrete_functions(serving: Serving, numbers: Mapping[Variable, int]) -> bytes:
    """The SavedObjectGraph's entry for the function: which objects are its variables, what it takes and gives.

    Args:
        serving: The signature.
        numbers: The variables' numbers among the objects.
    """
    nothing = wire.field(52, b"")  # an empty tuple
    by_name = wire.field(53, _specs(serving.inputs))
    taken = wire.field(52, wire.field(1, nothing) + wire.field(1, by_name))
    given = wire.field(53, _specs(serving.outputs))
    bound = b"".join(wire.field(2, numbers[variable]) for variable in serving.captures)
    return _entry(2, _FUNCTION, bound + wire.field(3, taken) + wire.field(4, given))


def _specs(specs: Mapping[str, Shaped]) -> bytes:
    """A dict of TensorSpecs."""
    return b"".join(
        _entry(
            1,
            name,
            wire.field(
                33,
                wire.field(1, name)
                + wire.field(2, shape_message(_open(spec)))
                + wire.field(3, number_of(spec.dtype.numpy)),
            ),
        )
        for name, spec in sorted(specs.items())
    )
