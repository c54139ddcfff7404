"""Python within functions: derivatives of one's own, calls of Python and NumPy functions, printing."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras import _nest
from distkeras._errors import CaptureError, InvalidArgumentError
from distkeras.core.context import state
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.spec import as_dtype
from distkeras.core.tape import GradientTape
from distkeras.core.tensor import SymbolicTensor, Tensor, to_tensor
from distkeras.core.variable import Variable
from distkeras.ops._op import op, refuse_symbolic
from distkeras.ops.elementwise import identity

# --- custom_gradient: the inputs are (arguments, variables' values, results, captures); the outputs are the results

_custom = Primitive("custom_gradient")
_custom.def_shape(lambda *specs, count, results, backward: specs[count : count + results])


@_custom.def_kernel
def _custom_kernel(
    inputs: Sequence, outputs: Sequence, scratch: Callable, *, count: int, results: int, backward: Any
) -> Calls:
    return [(np.copyto, pair) for pair in zip(outputs, inputs[count : count + results], strict=True)]


@_custom.def_vjp
def _custom_vjp(gradients: tuple, inputs: tuple, outputs: tuple, count: int, results: int, backward: Callable) -> tuple:
    found = backward([g for g in gradients if g is not None], inputs[count + results :])
    return (*found, *(None for _ in inputs[count:]))


def custom_gradient(f: Callable) -> Callable:
    """Give a function a derivative of its own.

    Args:
        f: Returns its results and a function `grad_fn(*dy)` that gives, for the gradients of the results, those of the
            arguments: one, or a list. Where `f` reads variables, `grad_fn(*dy, variables=None)` gives also a list of
            their gradients: `(arguments' gradients, variables' gradients)`.

    Raises:
        TypeError: `f` is no function; or it reads variables and its grad_fn does not take `variables`.

    >>> import distkeras as tf
    >>> @tf.custom_gradient
    ... def log1pexp(x):
    ...     e = tf.exp(x)
    ...     return tf.math.log(1.0 + e), lambda dy: dy * (1.0 - 1.0 / (1.0 + e))
    >>> x = tf.constant(100.0)
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = log1pexp(x)
    >>> tape.gradient(y, x).numpy()
    np.float32(1.0)
    """
    if not callable(f):
        raise TypeError(f"custom_gradient: expected a function, received {f!r}.")

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        arguments = [to_tensor(leaf) for leaf in _nest.flatten(list(args))]
        with GradientTape() as watcher:
            given = f(*_nest.pack(list(args), arguments), **kwargs)
        if not (isinstance(given, tuple) and len(given) == 2 and callable(given[1])):
            raise TypeError(f"custom_gradient: {f.__name__} must return (results, grad_fn), received {given!r}.")
        result, grad_fn = given
        direct = [leaf for leaf in _nest.flatten(list(args)) if isinstance(leaf, Variable)]
        variables = [v for v in watcher.watched_variables() if not any(v is other for other in direct)]
        _check_takes_variables(grad_fn, variables)
        inputs = [*arguments, *(variable.value() for variable in variables)]
        outputs = [to_tensor(leaf) for leaf in _nest.flatten(result)]
        backward, captures = _backward(grad_fn, len(arguments), variables, outputs)
        results = _custom(*inputs, *outputs, *captures, count=len(inputs), results=len(outputs), backward=backward)
        return _nest.pack(result, results if isinstance(results, tuple) else [results])

    return call


def _check_takes_variables(grad_fn: Callable, variables: Sequence[Variable]) -> None:
    names = inspect.signature(grad_fn).parameters.values()
    if variables and not any(p.name == "variables" or p.kind is p.VAR_KEYWORD for p in names):
        raise TypeError(
            "If using @custom_gradient with a function that uses variables, then grad_fn must accept a 'variables' "
            f"keyword argument; this one reads {[variable.name for variable in variables]}."
        )


def _backward(
    grad_fn: Callable, count: int, variables: Sequence[Variable], outputs: Sequence[Tensor]
) -> tuple[Callable, list[Tensor]]:
    """The derivative as a function of the gradients and of what it captures, which is none of the arguments' business.

    While a function is being traced, `grad_fn` is traced at once: afterwards, the symbols it holds have no meaning.
    """

    def gradients(*dy: Tensor) -> list[Tensor | None]:
        given = grad_fn(*dy, variables=list(variables)) if variables else grad_fn(*dy)
        of_arguments, of_variables = given if variables else (given, [])
        found = [*_as_list(of_arguments), *_as_list(of_variables)]
        if len(found) != count + len(variables):
            raise ValueError(
                f"custom_gradient: grad_fn must give {count} gradients for arguments and {len(variables)} for "
                f"variables, received {len(found)} in all."
            )
        return [None if leaf is None else to_tensor(leaf) for leaf in found]

    if state.trace is None:
        return lambda dy, captures: gradients(*dy), []
    graph = state.trace.subgraph(gradients, [y for y in outputs if y.dtype.is_floating])
    present = [leaf is not None for leaf in graph.structure]

    def interpreted(dy: Sequence[Tensor], captures: Sequence[Tensor]) -> list[Tensor | None]:
        following = iter(graph.interpret([*dy, *captures]))
        return [next(following) if there else None for there in present]

    return interpreted, graph.captures


def _as_list(gradients: Any) -> list:
    return _nest.flatten(list(gradients)) if isinstance(gradients, (list, tuple)) else [gradients]


# --- Python and NumPy functions


def _called(func: Callable, values: list, kinds: Any, function: str) -> Any:
    """What `func` gives, as tensors of the types it was said to give."""
    refuse_symbolic(function, values)
    if not callable(func):
        raise TypeError(f"{function}: expected a function, received {func!r}.")
    for value in values:
        if isinstance(value, SymbolicTensor):
            raise CaptureError(
                f"{function}: the shape of what {getattr(func, '__name__', 'a function')} gives is not known while its "
                "caller is being traced. Write it with tensor operations, or run step by step with "
                "`run_eagerly=True` (Keras) or without `tf.function`."
            )
    given = func(*values)
    several = isinstance(kinds, (list, tuple))
    results = list(given) if several and isinstance(given, (list, tuple)) else [] if given is None else [given]
    wanted = list(kinds) if several else [] if given is None else [kinds]
    if len(results) != len(wanted):
        raise InvalidArgumentError(f"{function}: {len(wanted)} results were announced by Tout, {len(results)} came.")
    tensors = [_typed(result, as_dtype(kind), function) for result, kind in zip(results, wanted, strict=True)]
    return tensors if several else tensors[0] if tensors else None


def _typed(result: Any, kind: Any, function: str) -> Tensor:
    tensor = to_tensor(result) if hasattr(result, "dtype") else to_tensor(result, kind)
    if tensor.dtype is not kind:
        raise InvalidArgumentError(
            f"{function}: a result has dtype {tensor.dtype.name}, Tout says {kind.name}: convert it in the function."
        )
    return tensor


def numpy_function(func: Callable, inp: Sequence[Any], Tout: Any, name: str | None = None) -> Any:
    """Call a function with ndarrays and take what it gives as tensors; it has no derivative.

    Args:
        func: Takes an ndarray for each of `inp`; of a scalar a NumPy scalar, of a text bytes.
        inp: Tensors.
        Tout: The type of what it gives, or a list of types.

    Raises:
        CaptureError: Inside a traced function, which is then run step by step: shapes are not known there.
    """
    tensors = [to_tensor(value) for value in inp]
    refuse_symbolic("numpy_function", tensors)
    values = [value if isinstance(value, SymbolicTensor) else value.numpy() for value in tensors]
    return _called(func, values, Tout, "numpy_function")


def py_function(func: Callable, inp: Sequence[Any], Tout: Any, name: str | None = None) -> Any:
    """Call a Python function with tensors; what it computes with ops is differentiated. See `numpy_function`."""
    return _called(func, [to_tensor(value) for value in inp], Tout, "py_function")


# --- print

_print = Primitive("print", effect=True)
_print.def_shape(lambda *specs, template, how: ())


@_print.def_kernel
def _print_kernel(inputs: Sequence, outputs: Sequence, scratch: Callable, *, template: Any, how: tuple) -> Calls:
    return [(_write, (template, inputs, how))]


def print_(*inputs: Any, **kwargs: Any) -> None:
    """Print tensors and other values (`tf.print`); inside a traced function, each time it runs.

    Args:
        inputs: Tensors, structures of them, and anything else, shown by `str`.
        output_stream: sys.stderr (the default), sys.stdout, or 'file://path', to append to.
        summarize: How many elements are shown at each end of a dimension, 3 by default; -1 for all.
        sep, end: As Python's print.
        name: Not shown.
    """
    unknown = set(kwargs) - {"output_stream", "summarize", "sep", "end", "name"}
    if unknown:
        raise ValueError(f"Unrecognized keyword arguments for tf.print: {sorted(unknown)}.")
    stream = kwargs.get("output_stream")
    if not (stream is None or hasattr(stream, "write") or str(stream).startswith("file://")):
        raise ValueError(f"tf.print: output_stream must be a stream or 'file://...', received {stream!r}.")
    values = [value.value() if isinstance(value, Variable) else value for value in _nest.flatten(list(inputs))]
    tensors = [value for value in values if isinstance(value, (Tensor, np.ndarray))]
    shown = [_PLACE if isinstance(value, (Tensor, np.ndarray)) else value for value in values]
    template = tuple(_nest.pack(list(inputs), shown))
    how = (stream, kwargs.get("summarize"), kwargs.get("sep", " "), kwargs.get("end", "\n"))
    _print(*map(to_tensor, tensors), template=template, how=how)


@op
def print_tensor(x: Any, message: str = "") -> Tensor:
    """x itself; prints `message` and its value to standard output each time it is computed."""
    x = to_tensor(x)
    print_(message, x, output_stream=sys.stdout)
    return identity(x)


_PLACE = object()  # where a tensor belongs


def _write(template: tuple, arrays: Sequence[np.ndarray], how: tuple) -> None:
    stream, summarize, sep, end = how
    stream = sys.stderr if stream is None else stream  # as it is now, not when the function was traced
    following = iter(arrays)
    count = 3 if summarize is None else int(summarize)
    text = sep.join(_text(item, following, count, top=True) for item in template) + end
    if hasattr(stream, "write"):
        stream.write(text)
        stream.flush()
    else:
        with open(str(stream)[len("file://") :], "a") as file:
            file.write(text)


def _text(item: Any, arrays: Any, count: int, top: bool = False) -> str:
    if item is _PLACE:
        return array_text(next(arrays), count)
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key!r}: {_text(item[key], arrays, count)}" for key in sorted(item)) + "}"
    if isinstance(item, (list, tuple)):
        inner = ", ".join(_text(part, arrays, count) for part in item)
        return f"[{inner}]" if isinstance(item, list) else f"({inner})"
    return str(item) if top else repr(item)


def array_text(array: np.ndarray, count: int) -> str:
    """Rows in brackets, each on a line of its own, the middle of long dimensions left out: as TensorFlow prints."""
    if not array.ndim:
        return _number_text(array[()])

    def rows(part: np.ndarray, indent: int) -> str:
        if not part.ndim:
            return _number_text(part[()])
        cut = 0 <= 2 * count < len(part)
        items = [*part[:count], None, *part[len(part) - count :]] if cut else list(part)
        texts = ["..." if item is None else rows(np.asarray(item), indent + 1) for item in items]
        between = " " if part.ndim == 1 else "\n" * (part.ndim - 1) + " " * indent
        return f"[{between.join(texts)}]"

    return rows(array, 1)


def _number_text(value: Any) -> str:
    """The shortest of 6 or 9 (15 or 17) digits that gives the number back."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if not isinstance(value, np.floating):
        return str(int(value)) if isinstance(value, (np.bool_, np.integer)) else str(value)
    digits = (15, 17) if value.dtype == np.float64 else (6, 9)
    text = f"{float(value):.{digits[0]}g}"
    return text if value.dtype.type(text) == value or value != value else f"{float(value):.{digits[1]}g}"
