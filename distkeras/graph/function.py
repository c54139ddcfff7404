"""Functions: Python traced once for each kind of arguments, and replayed as a plan."""

from __future__ import annotations

import copy
import functools
import inspect
import os
import threading
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError
from distkeras.core.context import state
from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.random_state import next_step_state
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.graph.open_version import FunctionVersion, OpenVersion
from distkeras.graph.plan import Plan
from distkeras.graph.trace import interpret, trace

_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MOST_PLANS = 64  # least recently used ones are dropped; making one again takes milliseconds


class ConcreteFunction(FunctionVersion):
    """One traced version of a function: a graph, its plan, and the structure of its results.

    Args:
        function: What is traced.
        args, kwargs: Its arguments, with a TensorSpec in place of every tensor. They are kept: a version is found by
            the identity of those of its arguments that have no value, and an identity must not be used twice.
        makes_variables: Whether the function may make variables when it is traced for the first time.
    """

    def __init__(self, function: Callable, args: Any, kwargs: dict[str, Any], makes_variables: bool = True) -> None:
        super().__init__(function, args, kwargs)
        self._makes_variables = makes_variables
        self._lock = threading.RLock()  # the buffers are one call's at a time
        self.refresh()

    def refresh(self) -> None:
        """Trace and plan anew: variables have moved since the plan was made."""
        self.graph, structure = trace(self._function, *self._arguments, self._makes_variables)
        if any(isinstance(leaf, RaggedTensor) for leaf in _nest.flatten(structure)):
            raise CaptureError("A ragged tensor is returned: the lengths of its rows have no place in a plan.")
        self.structure = _nest.map_structure(_as_result, structure)
        self._makes_variables = False
        self.plan = Plan(self.graph)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run with tensors of the shapes and types that were traced; other arguments may be left out."""
        leaves, given = _nest.flatten(self._arguments), _nest.flatten((args, kwargs))
        specs = self.inputs
        if len(given) == len(leaves):
            given = [value for value, leaf in zip(given, leaves, strict=True) if isinstance(leaf, TensorSpec)]
        if len(given) != len(specs):
            raise TypeError(f"This version takes {len(specs)} tensors, {specs}; {len(given)} were given.")
        return self.run([_fit(value, spec, self.name) for value, spec in zip(given, specs, strict=True)])

    @property
    def python_function(self) -> Callable:
        """What was traced."""
        return self._function

    @property
    def structured_outputs(self) -> Any:
        """The structure of the results, with a TensorSpec for every tensor."""
        return _nest.map_structure(lambda leaf: leaf.spec if isinstance(leaf, Tensor) else leaf, self.structure)

    @property
    def outputs(self) -> list[TensorSpec]:
        """The specs of the tensors it gives."""
        return [leaf for leaf in _nest.flatten(self.structure) if isinstance(leaf, TensorSpec)]

    def run(self, tensors: list[Tensor]) -> Any:
        """Run with values for the inputs, in their order; the results are copies."""
        with self._lock:
            if not self.plan.is_current:
                self.refresh()
            seen = state.tapes or state.trace is not None
            results = interpret(self.graph, tensors) if seen else self._replay(tensors)
        following = iter(results)
        return _nest.map_structure(
            lambda leaf: next(following) if isinstance(leaf, TensorSpec) else leaf, self.structure
        )

    def _replay(self, tensors: list[Tensor]) -> list[Tensor]:
        plan = self.plan
        for buffer, tensor in zip(plan.inputs, tensors, strict=True):
            np.copyto(buffer, tensor._array)
        if plan.random_state is not None:
            plan.random_state[:] = next_step_state()
        plan.run()
        return [Tensor(buffer.copy()) for buffer in plan.outputs]


class Function:
    """A Python function that is traced and compiled for each structure, shape and type of its arguments.

    Tensors and arrays are inputs of the graph; everything else (numbers, strings, objects) is part of what the trace
    is made for, as in TensorFlow. Inside another traced function, it is simply called.

    >>> import distkeras as tf
    >>> @tf.function
    ... def square(x):
    ...     return x * x
    >>> square(tf.constant([1.0, 3.0])).numpy().tolist()
    [1.0, 9.0]
    """

    def __init__(self, function: Callable, name: str | None = None, input_signature: Any = None) -> None:
        functools.update_wrapper(self, function)
        self.python_function = function
        self.input_signature = None if input_signature is None else tuple(input_signature)
        self._name = name or getattr(function, "__name__", "function")
        self._versions: OrderedDict[Any, ConcreteFunction] = OrderedDict()
        self._open_versions: list[OpenVersion] = []
        self._signature: inspect.Signature | None = None
        self._was_traced = False
        self.runs_eagerly = False

    def __get__(self, instance: Any, owner: type) -> Any:
        """A decorated method: each object has its own versions, which live and die with it."""
        if instance is None:
            return self
        bound = vars(instance).setdefault("_bound_functions", {})
        if self not in bound:
            bound[self] = Function(self.python_function.__get__(instance, owner), self._name, self.input_signature)
        return bound[self]

    def __deepcopy__(self, memo: dict) -> Function:
        return Function(copy.deepcopy(self.python_function, memo), self._name, self.input_signature)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.trace is not None or self.runs_eagerly or _run_functions_eagerly:
            return self.python_function(*args, **kwargs)
        try:
            version, tensors = self._version(args, kwargs)
        except CaptureError as error:
            self._fall_back(error)
            return self.python_function(*args, **kwargs)
        return version.run(tensors)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction | OpenVersion:
        """The version for these arguments, which may be TensorSpecs; by default for `input_signature`.

        Where all sizes are known it is traced; else it is for all arguments that fit, and traced for each size of them.
        """
        if not args and not kwargs and self.input_signature:
            args = self.input_signature
        specs = [leaf for leaf in _nest.flatten((args, kwargs)) if isinstance(leaf, TensorSpec)]
        if all(spec.shape.is_fully_defined() for spec in specs):
            return self._version(args, kwargs)[0]
        version = OpenVersion(self, *self._bind(args, kwargs), lambda value, spec: _fit(value, spec, self._name))
        self._open_versions.append(version)
        return version

    @property
    def versions(self) -> list[ConcreteFunction | OpenVersion]:
        """What it has been asked for: for open sizes, then what was traced for known ones; or for its signature."""
        if self.input_signature is not None:
            return [self.get_concrete_function()]
        return [*self._open_versions, *self._versions.values()]

    def _version(self, args: tuple, kwargs: dict[str, Any]) -> tuple[ConcreteFunction, list[Tensor]]:
        args, kwargs = self._bind(args, kwargs)
        leaves = [_leaf(leaf) for leaf in _nest.flatten((args, kwargs))]
        key = (_nest.structure_key((args, kwargs)), tuple(map(_key, leaves)), state.replica)
        version = self._versions.get(key)
        if version is None:
            specs = [leaf.spec if isinstance(leaf, Tensor) else leaf for leaf in leaves]
            spec_args, spec_kwargs = _nest.pack((args, kwargs), specs)
            version = ConcreteFunction(self.python_function, spec_args, spec_kwargs, not self._was_traced)
            self._versions[key], self._was_traced = version, True
            if len(self._versions) > _MOST_PLANS:
                self._versions.popitem(last=False)
        elif not version.plan.is_current:
            version.refresh()
        self._versions.move_to_end(key)
        return version, [leaf for leaf in leaves if isinstance(leaf, Tensor)]

    def _bind(self, args: tuple, kwargs: dict[str, Any]) -> tuple[list, dict[str, Any]]:
        """Arguments by position where they can be: f(1, b=2) and f(1, 2) share a trace. Signatures are checked."""
        try:
            self._signature = self._signature or inspect.signature(self.python_function)
        except ValueError:  # a builtin without a signature
            return list(args), kwargs
        bound = self._signature.bind(*args, **kwargs)
        args = list(bound.args)
        if self.input_signature is not None:
            if len(args) != len(self.input_signature) or bound.kwargs:
                raise ValueError(
                    f"{self._name}: input_signature has {len(self.input_signature)} entries, "
                    f"but {len(args) + len(bound.kwargs)} arguments were given."
                )
            args = [_fit(arg, spec, self._name) for arg, spec in zip(args, self.input_signature, strict=True)]
        return args, bound.kwargs

    def _fall_back(self, error: CaptureError) -> None:
        self.runs_eagerly = True
        warnings.warn(
            f"{self._name} cannot be compiled and runs step by step. At {place_of(error) or self._name}\n{error}",
            stacklevel=3,
        )


def place_of(error: CaptureError) -> str | None:
    """The user's line at which a trace came to an end, as 'file:line: source'; None if no line is the user's."""
    libraries = (_FOLDER + os.sep, os.path.dirname(os.path.abspath(np.__file__)) + os.sep)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(libraries)]
    return f"{frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else None


def _leaf(leaf: Any) -> Any:
    if isinstance(leaf, SymbolicTensor):
        raise ValueError(f"{leaf!r} belongs to a trace that has ended: it has no value to call a function with.")
    if isinstance(leaf, RaggedTensor):
        raise CaptureError("A ragged tensor is given, of which the rows have other lengths in each call.")
    if isinstance(leaf, np.bool_):
        return bool(leaf)
    return to_tensor(leaf) if isinstance(leaf, (np.ndarray, np.generic)) else leaf


def _as_result(leaf: Any) -> Any:
    """What a function gives is a tensor if it can be one: of numbers, texts and arrays that no op has made, too."""
    plain = (bool, int, float, complex, str, bytes, np.ndarray, np.generic)
    return to_tensor(leaf) if isinstance(leaf, plain) else leaf


def _key(leaf: Any) -> Any:
    """What a trace depends on: a tensor's spec, an object's value where it has one, else which object it is."""
    if isinstance(leaf, Tensor):
        return ("tensor", leaf._array.shape, leaf._array.dtype)
    if isinstance(leaf, TensorSpec):
        return ("tensor", tuple(leaf.shape), leaf.dtype.numpy)
    if isinstance(leaf, Variable):  # == compares its elements
        return (type(leaf), id(leaf))
    try:
        hash(leaf)
    except TypeError:
        return (type(leaf), id(leaf))
    return (type(leaf), leaf)


def _fit(arg: Any, spec: Any, name: str) -> Any:
    """The argument as a tensor, or a structure of them, that fits an entry of a signature."""
    if not (isinstance(spec, TensorSpec) or _nest.is_nested(spec)):  # of a sparse or ragged tensor
        if not spec.is_compatible_with(arg):
            raise ValueError(
                f"Python inputs incompatible with input_signature of {name}: expected {spec}, received {arg!r}."
            )
        return arg
    if not isinstance(spec, TensorSpec):
        leaves = _nest.flatten(spec)
        _nest.assert_same_structure(spec, arg)
        return _nest.pack(spec, [_fit(*pair, name) for pair in zip(_nest.flatten(arg), leaves, strict=True)])
    if isinstance(arg, TensorSpec):
        tensor: Any = arg
    else:
        tensor = to_tensor(arg) if isinstance(arg, (Tensor, Variable)) else to_tensor(arg, spec.dtype)
    if not spec.is_compatible_with(tensor):
        raise ValueError(
            f"Python inputs incompatible with input_signature of {name}: expected {spec}, "
            f"received a tensor of shape {tensor.shape} and dtype {tensor.dtype.name}."
        )
    return tensor


_run_functions_eagerly = False


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Let every tf.function run step by step, for debugging."""
    global _run_functions_eagerly
    _run_functions_eagerly = bool(run_eagerly)


def function(
    func: Callable | None = None,
    input_signature: Any = None,
    autograph: bool = True,
    experimental_autograph_options: Any = None,
    experimental_relax_shapes: bool = False,
) -> Any:
    """Compile a Python function (`tf.function`), directly or as a decorator.

    Args:
        func: The function; None when used as `@tf.function(...)`.
        input_signature: TensorSpecs that the arguments must fit.
        autograph: Accepted for compatibility: Python control flow runs while tracing; where it depends on a tensor's
            value the function is run step by step instead, with a warning.
        experimental_autograph_options: Must be None: there are no such options here.
        experimental_relax_shapes: Accepted: a new shape is planned anew in milliseconds, so shapes need no relaxing.
    """
    if experimental_autograph_options is not None:
        raise ValueError("experimental_autograph_options is not available; leave it None.")
    if func is None:
        return lambda inner: function(inner, input_signature=input_signature)
    if not callable(func):
        raise TypeError(f"tf.function expects a function, received {func!r}.")
    if input_signature is not None and not isinstance(input_signature, (list, tuple)):
        raise TypeError(f"input_signature must be a list of TensorSpecs, received {input_signature!r}.")
    return Function(func, input_signature=input_signature)
