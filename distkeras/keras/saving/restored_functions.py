"""Functions that have been read from a SavedModel: graphs of TensorFlow's operations, called like the Python they were.

Each version is a graph for one structure of arguments. It runs as a `Function`, so that it is compiled for the sizes of
what it is given, differentiated, and traced as a part of others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.graph.function import Function
from distkeras.keras.saving.exporting.tensorflow import operators, read_arrays, read_control, read_neural  # noqa: F401
from distkeras.keras.saving.exporting.tensorflow.decoding import FunctionDef
from distkeras.keras.saving.exporting.tensorflow.function_messages import BareFunction, Parameters, Version
from distkeras.keras.saving.exporting.tensorflow.readers import run


class RestoredVersion:
    """One graph with what it is bound to.

    Attributes:
        parameters: What its arguments are called, as far as it is known.

    Args:
        name: What the file calls it.
        library: The functions of the file, this one among them.
        version: What it takes and gives.
        bound: The objects that follow its arguments: variables and constants.
    """

    def __init__(self, name: str, library: Mapping[str, FunctionDef], version: Version, bound: Sequence[Any]) -> None:
        self.name = name
        self._library = library
        self._version = version
        self._bound = list(bound)
        self.parameters = Parameters()
        self._function = Function(self._run, name)

    @property
    def structured_input_signature(self) -> tuple[tuple, dict[str, Any]]:
        """The arguments by position and by name, with a TensorSpec for every tensor."""
        args, kwargs = self._version.arguments
        return tuple(args), kwargs

    @property
    def structured_outputs(self) -> Any:
        """The structure of the results, with a TensorSpec for every tensor."""
        return self._version.results

    @property
    def inputs(self) -> list[TensorSpec]:
        """What it takes."""
        return _specs(self._version.arguments)

    @property
    def outputs(self) -> list[TensorSpec]:
        """What it gives."""
        return _specs(self._version.results)

    @property
    def variables(self) -> list[Variable]:
        """The variables that it is bound to."""
        return [entry for entry in self._bound if isinstance(entry, Variable)]

    @property
    def trainable_variables(self) -> list[Variable]:
        """Those of them that are trained."""
        return [variable for variable in self.variables if variable.trainable]

    @property
    def python_function(self) -> Any:
        """What is traced where it becomes part of another file."""
        return lambda *args, **kwargs: self.apply(args, kwargs)

    def fits(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether it is for such arguments."""
        try:
            return all(_fits(*pair) for pair in self._pairs(args, kwargs))
        except ValueError:
            return False

    def _pairs(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[tuple[Any, Any]]:
        """What stands for an argument, and the argument; ValueError if they are arranged in another way."""
        return _pairs(self.structured_input_signature, (tuple(args), dict(kwargs)))

    def apply(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call it with arguments of its structure.

        Raises:
            ValueError: A tensor does not fit.
            NotImplementedError: It applies an operation that is not here.
        """
        pairs = self._pairs(args, kwargs)
        tensors = [self._tensor(spec, value) for spec, value in pairs if isinstance(spec, TensorSpec)]
        results = iter(self._function(*tensors))
        structure = self.structured_outputs
        return _nest.map_structure(lambda leaf: next(results) if isinstance(leaf, TensorSpec) else leaf, structure)

    def _tensor(self, spec: TensorSpec, value: Any) -> Tensor:
        tensor = _converted(spec, value)
        if not spec.is_compatible_with(tensor):
            raise ValueError(
                f"{self.name} expects {spec}, received a tensor of shape {tensor.shape} and dtype {tensor.dtype.name}."
            )
        return tensor

    def _run(self, *tensors: Tensor) -> list[Tensor]:
        return run(self._library[self.name], [*tensors, *self._bound], self._library)


class RestoredSignature(RestoredVersion):
    """A version that takes tensors by name, as models are served.

    Args:
        function: What the tensors are called.
    """

    def __init__(self, function: BareFunction, *args: Any) -> None:
        super().__init__(function.version, *args)
        self._keywords, self._positional = function.keywords, function.positional

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Its results for tensors by name; those that may be given by position need none.

        Raises:
            TypeError: There are others, or some are missing.
        """
        given = dict(zip(self._keywords, args, strict=False)) | kwargs
        if len(args) > self._positional or len(given) != len(args) + len(kwargs) or set(given) != set(self._keywords):
            raise TypeError(
                f"The signature takes the inputs {self._keywords} by name ({self._positional} of them also without), "
                f"received {len(args)} without names and {sorted(kwargs)}."
            )
        args, kwargs = self.structured_input_signature
        if kwargs.keys() == given.keys():
            return self.apply(args, given)
        return self.apply(_nest.pack(args, [given[name] for name in self._keywords]), kwargs)


class RestoredFunction:
    """A function with versions for arguments of several structures, shapes or types.

    Args:
        parameters: What its arguments are called.
        versions: At least one.
    """

    def __init__(self, name: str, parameters: Parameters, versions: Sequence[RestoredVersion]) -> None:
        self.__name__ = name
        self.parameters = parameters
        self.versions = self.concrete_functions = list(versions)

    @property
    def variables(self) -> list[Variable]:
        """The variables that its versions are bound to."""
        found = [variable for version in self.concrete_functions for variable in version.variables]
        return list({id(variable): variable for variable in found}.values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the first version gives that is for such arguments.

        Raises:
            ValueError: There is none.
        """
        bound = self.parameters.bind(args, kwargs)
        for version in self.concrete_functions:
            if version.fits(*bound):
                return version.apply(*bound)
        known = "\n".join(f"  {version.structured_input_signature}" for version in self.concrete_functions)
        raise ValueError(
            f"Could not find matching function to call loaded from the SavedModel: {self.__name__} was saved for\n"
            f"{known}\nand received {args}, {kwargs}."
        )

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> RestoredVersion:
        """The version for such arguments, which may be TensorSpecs; the only one without any.

        Raises:
            ValueError: There is none.
        """
        bound = self.parameters.bind(args, kwargs)
        found = [version for version in self.concrete_functions if version.fits(*bound)]
        found = found or (self.concrete_functions if not args and not kwargs else [])
        if not found:
            raise ValueError(f"{self.__name__} was not saved for {args}, {kwargs}.")
        return found[0]


def _specs(structure: Any) -> list[TensorSpec]:
    return [leaf for leaf in _nest.flatten(structure) if isinstance(leaf, TensorSpec)]


def _pairs(expected: Any, given: Any) -> list[tuple[Any, Any]]:
    """The leaves of a structure with what is given for each; lists may stand for tensors."""
    if not _nest.is_nested(expected):
        return [(expected, given)]
    if isinstance(expected, dict):
        if not isinstance(given, Mapping) or set(given) != set(expected):
            raise ValueError(f"expected a dict with the keys {sorted(expected)}, received {given!r}")
        return [pair for key in _nest.sorted_keys(expected) for pair in _pairs(expected[key], given[key])]
    if not isinstance(given, (list, tuple)) or len(given) != len(expected):
        raise ValueError(f"expected {len(expected)} values, received {given!r}")
    return [pair for parts in zip(expected, given, strict=True) for pair in _pairs(*parts)]


def _converted(spec: TensorSpec, value: Any) -> Tensor:
    if isinstance(value, (Tensor, Variable)):
        return to_tensor(value)
    array = np.asarray(value)
    return to_tensor(value if array.dtype.kind in "SUO" else array.astype(spec.dtype.numpy))


def _fits(expected: Any, value: Any) -> bool:
    if isinstance(expected, TensorSpec):
        if isinstance(value, TensorSpec):
            return expected.is_compatible_with(value)
        if value is None or isinstance(value, (bool, str)) and expected.dtype.name not in ("bool", "string"):
            return False
        try:
            return expected.is_compatible_with(_converted(expected, value))
        except (TypeError, ValueError):
            return False
    if isinstance(value, (Tensor, Variable, np.ndarray)):
        return False
    return type(expected) is type(value) and expected == value
