"""Functions: Python traced once for each kind of arguments, and replayed as a plan."""

from __future__ import annotations

import functools
import inspect
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError
from distkeras.core.context import state
from distkeras.core.random_state import next_step_state
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.graph.plan import Plan
from distkeras.graph.trace import interpret, trace

_MOST_PLANS = 64  # least recently used ones are dropped; making one again takes milliseconds


class ConcreteFunction:
    """One traced version of a function: a graph, its plan, and the structure of its results."""

    def __init__(self, function: Callable, args: Any, kwargs: dict[str, Any]) -> None:
        self.graph, self.structure = trace(function, args, kwargs)
        self.plan = Plan(self.graph)

    def __call__(self, tensors: list[Tensor]) -> Any:
        """Run with values for the inputs; the results are copies."""
        if state.tapes:
            results = interpret(self.graph, tensors, next_step_state())
        else:
            plan = self.plan
            for buffer, tensor in zip(plan.inputs, tensors, strict=True):
                np.copyto(buffer, tensor._array)
            if plan.random_state is not None:
                plan.random_state[:] = next_step_state()
            plan.run()
            results = [Tensor(buffer.copy()) for buffer in plan.outputs]
        following = iter(results)
        return _nest.map_structure(
            lambda leaf: next(following) if isinstance(leaf, TensorSpec) else leaf, self.structure
        )


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
        self._runs_eagerly = False
        self._methods: dict[int, tuple[Any, Function]] = {}

    def __get__(self, instance: Any, owner: type) -> Any:
        """A decorated method: each object has its own versions."""
        if instance is None:
            return self
        kept = self._methods.get(id(instance))
        if kept is None or kept[0] is not instance:
            bound = Function(self.python_function.__get__(instance, owner), self._name, self.input_signature)
            kept = self._methods[id(instance)] = (instance, bound)
        return kept[1]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.trace is not None or self._runs_eagerly or _run_functions_eagerly:
            return self.python_function(*args, **kwargs)
        try:
            version, tensors = self._version(args, kwargs)
        except CaptureError as error:
            self._fall_back(error)
            return self.python_function(*args, **kwargs)
        return version(tensors)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The traced version for these arguments, which may be TensorSpecs."""
        return self._version(args, kwargs)[0]

    def _version(self, args: tuple, kwargs: dict[str, Any]) -> tuple[ConcreteFunction, list[Tensor]]:
        args, kwargs = self._bind(args, kwargs)
        leaves = [_leaf(leaf) for leaf in _nest.flatten((args, kwargs))]
        key = (_nest.structure_key((args, kwargs)), tuple(map(_key, leaves)), id(state.replica))
        version = self._versions.get(key)
        if version is None or not version.plan.is_current:
            specs = [leaf.spec if isinstance(leaf, Tensor) else leaf for leaf in leaves]
            spec_args, spec_kwargs = _nest.pack((args, kwargs), specs)
            version = self._versions[key] = ConcreteFunction(self.python_function, spec_args, spec_kwargs)
            if len(self._versions) > _MOST_PLANS:
                self._versions.popitem(last=False)
        self._versions.move_to_end(key)
        return version, [leaf for leaf in leaves if isinstance(leaf, Tensor)]

    def _bind(self, args: tuple, kwargs: dict[str, Any]) -> tuple[list, dict[str, Any]]:
        """Arguments by position where they can be, so that f(1, b=2) and f(1, 2) share a trace; signatures are checked."""
        try:
            bound = inspect.signature(self.python_function).bind(*args, **kwargs)
        except ValueError:  # a builtin without a signature
            return list(args), kwargs
        args = list(bound.args)
        if self.input_signature is not None:
            args = [_fit(arg, spec, self._name) for arg, spec in zip(args, self.input_signature, strict=False)]
            if len(bound.args) != len(self.input_signature):
                raise ValueError(
                    f"{self._name}: input_signature has {len(self.input_signature)} entries, "
                    f"but {len(bound.args)} arguments were given."
                )
        return args, bound.kwargs

    def _fall_back(self, error: CaptureError) -> None:
        self._runs_eagerly = True
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "distkeras" not in frame.filename]
        where = f"{frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else self._name
        warnings.warn(f"{self._name} cannot be compiled and runs step by step. At {where}\n{error}", stacklevel=3)


def _leaf(leaf: Any) -> Any:
    if isinstance(leaf, np.ndarray):
        return to_tensor(leaf)
    return leaf


def _key(leaf: Any) -> Any:
    """What a trace depends on: a tensor's spec, an object's value where it has one, else which object it is."""
    if isinstance(leaf, Tensor):
        return ("tensor", leaf._array.shape, leaf._array.dtype)
    if isinstance(leaf, TensorSpec):
        return ("tensor", tuple(leaf.shape), leaf.dtype.numpy)
    if isinstance(leaf, (int, float, str, bytes, bool, complex, type(None))):
        return (type(leaf), leaf)
    return (type(leaf), id(leaf))


def _fit(arg: Any, spec: TensorSpec, name: str) -> Any:
    if isinstance(arg, TensorSpec):
        tensor: Any = arg
    else:
        tensor = to_tensor(arg, spec.dtype) if not isinstance(arg, (Tensor, Variable)) else to_tensor(arg)
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
    return Function(func, input_signature=input_signature)
