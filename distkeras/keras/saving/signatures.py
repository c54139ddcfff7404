"""Which functions a SavedModel gets: those that are asked for as signatures, a model's forward pass, and methods."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from distkeras import _nest
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor
from distkeras.core.variable import Variable
from distkeras.graph.function import Function
from distkeras.keras.saving import tf_graph
from distkeras.keras.saving.exporting.tensorflow.function_messages import Parameters
from distkeras.keras.saving.exporting.tensorflow.functions import GraphFunction, Library
from distkeras.keras.saving.exporting.tensorflow.serving import KEY, Functions, Method, Signature
from distkeras.keras.saving.restored_functions import RestoredFunction, RestoredVersion

_CALL = "__call__"
CALL_WITH_LOSSES = "call_and_return_conditional_losses"
_FUNCTIONS = (Function, RestoredFunction)


def functions_of(gathered: tf_graph.Gathered, signatures: Any = None, passed_over: tuple[type, ...] = ()) -> Functions:
    """What is written of some objects: their methods, and signatures.

    Args:
        gathered: The objects.
        signatures: A function, or a dict of them by the names under which they are served.
        passed_over: Classes of objects whose methods are not written.

    Raises:
        ValueError: A signature is no tf.function, or of no known arguments, or does what cannot be written.
    """
    wanted = _by_name(signatures)
    library = Library(gathered.keys())
    methods = {
        number: _methods_of(entry, library)
        for number, entry in enumerate(gathered.objects)
        if not isinstance(entry, passed_over)
    }
    served = {key: _signature(library, key, function) for key, function in wanted.items()}
    return Functions(library, served, {number: found for number, found in methods.items() if found})


# --- signatures


def _by_name(signatures: Any) -> dict[str, Any]:
    """By name the versions of functions that are to be served.

    Raises:
        ValueError: One is no function of known arguments.
    """
    named = {} if signatures is None else signatures if isinstance(signatures, Mapping) else {KEY: signatures}
    found = {}
    for key, function in named.items():
        if isinstance(function, Function) and function.input_signature is not None:
            function = function.get_concrete_function()
        if not hasattr(function, "structured_input_signature"):
            raise ValueError(
                f"Expected a TensorFlow function to generate a signature for, but got {function!r}. Only "
                "`tf.functions` with an input signature or concrete functions can be used as a signature: give it one, "
                "or pass f.get_concrete_function(tf.TensorSpec(shape, dtype))."
            )
        if not isinstance(key, str):
            raise ValueError(f"The names of signatures are texts, received {key!r}.")
        found[key] = function
    return found


def _signature(library: Library, key: str, version: Any) -> Signature:
    """A version of a function, with its tensors by name."""
    args, kwargs = version.structured_input_signature
    arguments = list(args), dict(kwargs)
    names = _tensor_names(version, args, kwargs)

    def by_name(**tensors: Any) -> dict[str, Any]:
        following = iter(names)
        args, kwargs = _nest.map_structure(
            lambda leaf: tensors[next(following)] if isinstance(leaf, TensorSpec) else leaf, arguments
        )
        return _results_by_name(key, python_function_of(version)(*args, **kwargs))

    specs = [leaf for leaf in _nest.flatten(arguments) if isinstance(leaf, TensorSpec)]
    return Signature(library.add(key, by_name, (), dict(zip(names, specs, strict=True))), names)


def _results_by_name(key: str, results: Any) -> dict[str, Any]:
    if isinstance(results, Mapping):
        found = dict(results)
    else:
        found = {f"output_{place}": value for place, value in enumerate(_nest.flatten(results)) if value is not None}
    for name, value in found.items():
        if not isinstance(value, (Tensor, Variable)) or not isinstance(name, str):
            raise ValueError(
                f"The signature {key!r} gives {value!r} under the name {name!r}: signatures give a tensor, a list of "
                "them, or a dict of them by name."
            )
    return found


def _tensor_names(version: Any, args: Any, kwargs: Mapping[str, Any]) -> list[str]:
    """What the tensors are called: by their specs, or by the function's parameters."""
    parameters = list(parameters_of(version).names)
    parameters += [f"args_{place}" for place in range(len(parameters), len(args))]
    named = [*zip(parameters, args, strict=False), *((name, kwargs[name]) for name in sorted(kwargs))]
    names: list[str] = []
    for name, structure in named:
        for leaf in _nest.flatten(structure):
            if isinstance(leaf, TensorSpec):
                wanted = leaf.name or name
                taken = sum(other == wanted or other.startswith(f"{wanted}_") for other in names)
                names.append(f"{wanted}_{taken}" if wanted in names else wanted)
    return names


def python_function_of(version: Any) -> Callable:
    """What is traced: Python, or what has been read from another file."""
    return getattr(version, "python_function", version)


def parameters_of(function: Any) -> Parameters:
    """The parameters of a function, or of a version of one."""
    if isinstance(function, (RestoredFunction, RestoredVersion)):
        return function.parameters
    try:
        function = python_function_of(function)
        known = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return Parameters()
    by_place = [entry for entry in known if entry.kind in (entry.POSITIONAL_ONLY, entry.POSITIONAL_OR_KEYWORD)]
    defaults = tuple(entry.default for entry in by_place if entry.default is not entry.empty)
    only_named = {entry.name: entry.default for entry in known if entry.kind is entry.KEYWORD_ONLY}
    return Parameters(
        [entry.name for entry in by_place],
        defaults,
        {name: value for name, value in only_named.items() if value is not inspect.Parameter.empty},
    )


def _specs_of(model: Any) -> Any:
    """What a model is called with: a TensorSpec, or a structure of them."""
    if not model.inputs:
        return model.input_specs
    specs = model.inputs[0] if len(model.inputs) == 1 else list(model.inputs)
    return _nest.map_structure(lambda leaf: TensorSpec(leaf.shape, leaf.dtype), specs)


def forward_pass(library: Library, model: Any) -> Signature:
    """A model as it is served: its inputs and outputs by name.

    Args:
        library: Takes the function.
        model: Its inputs are known, and its weights exist.

    Raises:
        ValueError: It does what cannot be written.
    """
    specs = _specs_of(model)
    leaves = _nest.flatten(specs)
    names = model.input_names or [f"input_{number + 1}" for number in range(len(leaves))]

    def by_name(**tensors: Any) -> dict[str, Any]:
        outputs = _nest.flatten(model(_nest.pack(specs, [tensors[name] for name in names]), training=False))
        called = model.output_names or [f"output_{number + 1}" for number in range(len(outputs))]
        return {f"{name}_output" if name in names else name: value for name, value in zip(called, outputs, strict=True)}

    return Signature(library.add(KEY, by_name, (), dict(zip(names, leaves, strict=True))), sorted(names))


def add_calls(functions: Functions, model: Any) -> None:
    """Let a model without a config have its calls as methods: what makes it a model again when it is read.

    `__call__` gives the outputs, `call_and_return_conditional_losses` also the losses that come with them; both take
    `training`.

    Raises:
        ValueError: Its inputs are not known, or it does what cannot be written.
    """
    specs = model.input_specs
    if specs is None:
        raise ValueError(
            f"Model {model.name!r} cannot be saved because the input shapes have not been set. Usually, input shapes "
            "are automatically determined from calling .fit() or .predict(). To manually set the shapes, call "
            "model._set_inputs(inputs)."
        )

    if not model.built:
        raise ValueError(f"Model {model.name!r} has no weights yet: call it on data before it is saved.")

    def with_losses(inputs: Any, training: bool) -> Any:
        return model(inputs, training=training), list(model.losses)

    def outputs(inputs: Any, training: bool) -> Any:
        return model(inputs, training=training)

    parameters = Parameters(["inputs", "training"], (False,))
    methods = functions.methods.setdefault(0, {})
    for name, function in ((_CALL, outputs), (CALL_WITH_LOSSES, with_losses)):
        versions = [functions.library.add(name, function, [specs, training], {}) for training in (False, True)]
        methods[name] = Method(parameters, versions)


# --- methods


def _methods_of(entry: Any, library: Library) -> dict[str, Method]:
    """The functions that an object has as attributes, or its class as methods, for the arguments that are known.

    What cannot be written is left out, and a warning says why.
    """
    found = {}
    for name, function in _functions(entry).items():
        versions = []
        known = function.versions if isinstance(function, _FUNCTIONS) else [function]
        if not known:
            warnings.warn(
                f"The SavedModel does not get the function {name!r}, which has no input_signature and was not called "
                "yet.",
                stacklevel=2,
            )
        for version in known:
            try:
                versions.append(_written(library, name, version))
            except ValueError as error:
                warnings.warn(f"The SavedModel does not get the function {name!r}: {error}", stacklevel=2)
        if versions:
            found[name] = Method(parameters_of(function), versions)
    return found


def _functions(entry: Any) -> dict[str, Any]:
    if isinstance(entry, (Variable, list, tuple, dict)):
        return {}
    names = [name for cls in type(entry).__mro__ for name, value in vars(cls).items() if isinstance(value, Function)]
    own = {name: value for name, value in vars(entry).items() if _is_function(value)}
    found = {name: getattr(entry, name) for name in names} | own
    return {name: value for name, value in found.items() if name == _CALL or not name.startswith("_")}


def _is_function(value: Any) -> bool:
    return isinstance(value, _FUNCTIONS) or hasattr(value, "structured_input_signature")


def _written(library: Library, name: str, version: Any) -> GraphFunction:
    function = python_function_of(version)
    args, kwargs = version.structured_input_signature
    args, kwargs = parameters_of(version).bind(args, kwargs)
    others = [leaf for leaf in _nest.flatten((args, kwargs)) if not isinstance(leaf, TensorSpec)]
    for leaf in others:
        if leaf is not None and not isinstance(leaf, (bool, int, float, str)):
            raise ValueError(f"it is for the argument {leaf!r}, which a SavedModel cannot hold")
    return library.add(name, function, args, kwargs)
