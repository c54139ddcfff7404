"""Functions of a SavedModel: those that are served, by name, and those that objects have as methods.

    library    function(arguments, variables) -> results, and the steps of their loops
    graph      for what is served: placeholders and variables -> a call; what restores the variables from the checkpoint
    objects    signatures -> functions of tensors by name; methods; both bound to the objects that are their variables

What is served takes tensors by name, and gives them so, in the order of their names, as TensorFlow has it.

Source: tensorflow/core/protobuf/{meta_graph,saved_object_graph,saver}.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from distkeras import _wire as wire
from distkeras.core.spec import TensorSpec
from distkeras.core.variable import Variable
from distkeras.keras.saving.exporting.tensorflow.function_messages import (
    BareFunction,
    Parameters,
    SavedFunction,
    Version,
    encoded_bare_function,
    encoded_function,
    encoded_version,
)
from distkeras.keras.saving.exporting.tensorflow.functions import GraphFunction, Library
from distkeras.keras.saving.exporting.tensorflow.messages import (
    RESOURCE,
    FunctionName,
    Shape,
    Type,
    node_message,
    number_of,
    shape_message,
)

KEY = "serving_default"
_METHOD = "tensorflow/serving/predict"
_PRODUCER = 134  # the version of graphs that TensorFlow 2.0 writes
_TEXT = Type(7)
_FUNCTION, _BARE_FUNCTION = 6, 8  # field numbers of SavedObject


class Signature(NamedTuple):
    """What is served under a name: takes its tensors as `kwargs`, and gives a dict.

    Attributes:
        function: Written.
        keywords: What the tensors are called, in the order of the function's own arguments.
    """

    function: GraphFunction
    keywords: list[str]


class Method(NamedTuple):
    """A function that an object has.

    Attributes:
        parameters: What its arguments are called.
        versions: Written, one for each kind of arguments.
    """

    parameters: Parameters
    versions: list[GraphFunction]


class Functions(NamedTuple):
    """All functions of a file.

    Attributes:
        library: Has them all.
        signatures: By the names under which they are served.
        methods: Number of an object -> name of an attribute -> function.
    """

    library: Library
    signatures: dict[str, Signature]
    methods: dict[int, dict[str, Method]]


# --- the graph


def graph_message(functions: Functions) -> bytes:
    """The GraphDef: nodes that call what is served, restore and save the variables; and the library."""
    served = [signature.function for signature in functions.signatures.values()]
    keys = functions.library.keys
    used = {variable: keys[variable] for function in served for variable in function.captures}
    nodes = []

    def node(name: str, operation: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(node_message(name, operation, inputs, attributes))
        return name

    placeholders = {
        (key, name): node(f"{key}_{name}", "Placeholder", dtype=spec.dtype.numpy, shape=Shape(tuple(spec.shape)))
        for key, signature in functions.signatures.items()
        for name, spec in _taken(signature).items()
    }
    handles = {
        variable: node(
            f"variable_{number}",
            "VarHandleOp",
            dtype=variable.dtype.numpy,
            shape=Shape(tuple(variable.shape)),
            shared_name=used[variable],
            container="",
        )
        for number, variable in enumerate(used)
    }
    for key, signature in functions.signatures.items():
        function = signature.function
        node(
            _call_of(functions, key),
            "StatefulPartitionedCall",
            *(placeholders[key, name] for name in _taken(signature)),
            *(handles[variable] for variable in function.captures),
            Tin=[spec.dtype.numpy for spec in function.inputs()] + [Type(RESOURCE)] * len(function.captures),
            Tout=[spec.dtype.numpy for spec in function.outputs()],
            f=FunctionName(function.name),
            config="",
            config_proto="",
            executor_type="",
        )
    _write_saver(node, handles, used)
    node("NoOp", "NoOp")
    library = b"".join(wire.field(1, function) for function in functions.library.messages.values())
    versions = wire.field(4, wire.field(1, _PRODUCER))
    return b"".join(wire.field(1, entry) for entry in nodes) + wire.field(2, library) + versions


def _taken(signature: Signature) -> dict[str, TensorSpec]:
    return dict(sorted(signature.function.arguments[1].items()))


def _call_of(functions: Functions, key: str) -> str:
    number = list(functions.signatures).index(key)
    return f"StatefulPartitionedCall_{number}" if number else "StatefulPartitionedCall"


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


def meta_fields(functions: Functions) -> bytes:
    """What a MetaGraphDef says beside graph and objects: how to save, how to start, the signatures."""
    saver = wire.field(1, "saver_filename:0") + wire.field(2, "saver_save:0") + wire.field(3, "saver_restore")
    saver += wire.field(7, 2)  # the version of the format of checkpoints
    start = wire.field(1, "saved_model_main_op") + wire.field(2, wire.field(1, wire.field(1, "NoOp")))
    served = b"".join(
        _entry(5, key, _signature_message(signature, key, _call_of(functions, key)))
        for key, signature in functions.signatures.items()
    )
    return wire.field(3, saver) + wire.field(4, start) + served


def _signature_message(signature: Signature, key: str, call: str) -> bytes:
    """A SignatureDef."""
    taken, given = _taken(signature), dict(sorted(signature.function.results.items()))
    inputs = {name: f"{key}_{name}:0" for name in taken}
    outputs = {name: f"{call}:{number}" for number, name in enumerate(given)}
    message = wire.field(3, _METHOD)
    for number, names, specs in ((1, inputs, taken), (2, outputs, given)):
        for name, value in names.items():
            about = wire.field(1, value) + wire.field(2, number_of(specs[name].dtype.numpy))
            about += wire.field(3, shape_message(specs[name].shape))
            message += _entry(number, name, about)
    return message


def _entry(number: int, key: str, value: bytes) -> bytes:
    """An entry of a map."""
    return wire.field(number, wire.field(1, key) + wire.field(2, value))


# --- the objects


def object_messages(functions: Functions, first: int) -> tuple[list[bytes], list[tuple[int, str, int]]]:
    """SavedObjects for the functions.

    Args:
        functions: All of the file.
        first: How many objects there are before.

    Returns:
        The messages, and who holds them: (number of an object, name, number).
    """
    messages: list[bytes] = []
    links: list[tuple[int, str, int]] = []
    for holder, methods in functions.methods.items():
        for name, method in methods.items():
            saved = SavedFunction([version.name for version in method.versions], method.parameters)
            links.append((holder, name, first + len(messages)))
            messages.append(wire.field(_FUNCTION, encoded_function(saved)))
    number = first + len(messages)
    links.append((0, "signatures", number))
    keys = enumerate(functions.signatures, number + 1)
    children = b"".join(wire.field(1, wire.field(1, place) + wire.field(2, key)) for place, key in keys)
    version = wire.field(1, 1) + wire.field(2, 1)
    messages.append(children + wire.field(4, wire.field(1, "signature_map") + wire.field(2, version)))
    for signature in functions.signatures.values():
        positional = 1 if len(signature.keywords) == 1 else 0  # by position, if there is but one
        bare = BareFunction(signature.function.name, signature.keywords, positional)
        messages.append(wire.field(_BARE_FUNCTION, encoded_bare_function(bare)))
    return messages, links


def concrete_functions(functions: Functions, numbers: Mapping[Variable, int]) -> bytes:
    """The SavedObjectGraph's entries for the functions: which objects are their variables, what they take and give.

    Args:
        functions: All of the file.
        numbers: The variables' numbers among the objects.
    """
    written = [signature.function for signature in functions.signatures.values()]
    written += [version for methods in functions.methods.values() for m in methods.values() for version in m.versions]
    return b"".join(
        _entry(2, function.name, encoded_version(_version(function, numbers)))
        for function in {function.name: function for function in written}.values()
    )


def _version(function: GraphFunction, numbers: Mapping[Variable, int]) -> Version:
    args, kwargs = function.arguments
    named = {name: _named(value, name) for name, value in kwargs.items()}
    results = function.results
    if isinstance(results, dict):
        results = {name: _named(value, name) for name, value in results.items()}
    return Version([numbers[variable] for variable in function.captures], (args, named), results)


def _named(value: Any, name: str) -> Any:
    return TensorSpec(value.shape, value.dtype, name) if isinstance(value, TensorSpec) else value
