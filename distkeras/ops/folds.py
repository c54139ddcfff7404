"""Functions mapped or folded over the first dimension. Its size is known, so that traces unroll them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras import _nest
from distkeras._errors import InvalidArgumentError
from distkeras.core.spec import as_dtype
from distkeras.core.tensor import to_tensor
from distkeras.ops._op import refuse_symbolic
from distkeras.ops.elementwise import stop_gradient
from distkeras.ops.joining import stack, unstack


def _rows(elems: Any, function: str) -> list[Any]:
    """The structures of slices along the first dimension."""
    refuse_symbolic(function, elems)
    tensors = [to_tensor(leaf) for leaf in _nest.flatten(elems)]
    if not tensors or any(not tensor.ndim for tensor in tensors):
        raise ValueError(f"{function}: elems must be tensors of at least one dimension, received {elems!r}.")
    if len({tensor.shape[0] for tensor in tensors}) > 1:
        raise ValueError(
            f"{function}: elems must have one first dimension, received shapes {[tuple(t.shape) for t in tensors]}."
        )
    return [_nest.pack(elems, parts) for parts in zip(*map(unstack, tensors), strict=True)]


def _stacked(results: list[Any]) -> Any:
    return _nest.map_structure(lambda *leaves: stack(list(map(to_tensor, leaves))), *results)


def map_fn(
    fn: Callable,
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
) -> Any:
    """`fn` of each slice along the first dimension, stacked.

    Args:
        fn: Takes a slice in the structure of `elems`.
        elems: A tensor, or a structure of tensors with one first dimension.
        dtype: The element type, or the structure of types, of what `fn` gives; by default those of `elems`.
        parallel_iterations, swap_memory, infer_shape: Accepted: they change nothing in results.
        back_prop: False makes the result a constant to differentiation.

    Raises:
        TypeError: `fn` gives another type than `dtype` says.

    >>> import distkeras as tf
    >>> tf.map_fn(lambda row: tf.reduce_sum(row), tf.constant([[1, 2], [3, 4]])).numpy().tolist()
    [3, 7]
    """
    if not callable(fn):
        raise TypeError(f"map_fn: fn must be callable, received {fn!r}.")
    rows = _rows(elems, "map_fn")
    if not rows:
        raise InvalidArgumentError("map_fn: elems has no elements: what fn would give for them has no known shape.")
    result = _stacked([fn(row) for row in rows])
    wanted = _nest.map_structure(lambda leaf: to_tensor(leaf).dtype, elems) if dtype is None else dtype
    try:
        _nest.assert_same_structure(wanted, result)
    except ValueError as error:
        raise TypeError(f"map_fn: give the types of what fn returns as dtype. {error}") from None
    for kind, leaf in zip(_nest.flatten(wanted), _nest.flatten(result), strict=True):
        if leaf.dtype is not as_dtype(kind):
            raise TypeError(
                f"map_fn: fn gives {leaf.dtype.name}, expected {as_dtype(kind).name}: say dtype=tf.{leaf.dtype.name}."
            )
    return result if back_prop else _nest.map_structure(stop_gradient, result)


def vectorized_map(fn: Callable, elems: Any) -> Any:
    """`fn` of each slice along the first dimension, stacked; types and structure are those that `fn` gives."""
    rows = _rows(elems, "vectorized_map")
    if not rows:
        raise InvalidArgumentError("vectorized_map: elems has no elements.")
    return _stacked([fn(row) for row in rows])


def _folded(fn: Callable, elems: Any, initializer: Any, backwards: bool, function: str, back_prop: bool) -> list[Any]:
    """The running values."""
    if not callable(fn):
        raise TypeError(f"{function}: fn must be callable, received {fn!r}.")
    rows = _rows(elems, function)
    rows = rows[::-1] if backwards else rows
    if initializer is None and not rows:
        raise ValueError(f"{function}: elems has no elements and there is no initializer.")
    values = [rows[0]] if initializer is None else []
    value = rows[0] if initializer is None else _nest.map_structure(to_tensor, initializer)
    for row in rows[1:] if initializer is None else rows:
        value = _nest.map_structure(to_tensor, fn(value, row))
        values.append(value)
    values = values or [value]
    return values if back_prop else [_nest.map_structure(stop_gradient, value) for value in values]


def scan(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """All running values of `fold`: a = fn(a, slice) for each slice along the first dimension.

    Args:
        fn: Takes the running value and a slice.
        elems: A tensor, or a structure of tensors with one first dimension.
        initializer: What the running value begins with; by default the first slice.
        parallel_iterations, swap_memory, infer_shape: Accepted: they change nothing in results.
        back_prop: False makes the results constants to differentiation.
        reverse: Begin with the last slice; results stay where their slices are.

    >>> import distkeras as tf
    >>> tf.scan(lambda a, x: a + x, tf.constant([1, 2, 3])).numpy().tolist()
    [1, 3, 6]
    """
    values = _folded(fn, elems, initializer, reverse, "scan", back_prop)
    return _stacked(values[::-1] if reverse else values)


def foldl(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last running value a = fn(a, slice), from the first slice to the last; see `scan`."""
    return _folded(fn, elems, initializer, False, "foldl", back_prop)[-1]


def foldr(
    fn: Callable,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last running value a = fn(a, slice), from the last slice to the first; see `scan`."""
    return _folded(fn, elems, initializer, True, "foldr", back_prop)[-1]
