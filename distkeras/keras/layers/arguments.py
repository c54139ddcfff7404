"""What layers are given: sizes of windows, padding, shapes of inputs."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from distkeras.core.spec import TensorShape


def ints(value: Any, count: int, name: str, least: int = 1) -> tuple[int, ...]:
    """`count` ints of at least `least`, 1 or 0, from one int or as many.

    Raises:
        ValueError: It is something else.
    """
    values = entries(value, count)
    if len(values) != count or not all(_is_integer(item, least) for item in values):
        kind, several = "a positive" if least else "a non-negative", f" or {count} of them" if count > 1 else ""
        raise ValueError(f"The `{name}` argument must be {kind} integer{several}, received {value!r}.")
    return tuple(int(item) for item in values)


def entries(value: Any, count: int) -> tuple[Any, ...]:
    """An integer `count` times, or what an iterable holds; nothing for anything else."""
    if isinstance(value, numbers.Integral):
        return (value,) * count
    return tuple(value) if hasattr(value, "__iter__") else ()


def axis_or_axes(axis: Any) -> int | list[int]:
    """An axis as an int, or several as a list of them.

    Raises:
        TypeError: It is something else.
    """
    several = isinstance(axis, (list, tuple))
    if not all(isinstance(item, numbers.Integral) for item in (axis if several else [axis])):
        raise TypeError(f"Expected an int or a list of ints for the argument 'axis', received {axis!r}.")
    return [int(item) for item in axis] if several else int(axis)


def positive_integer(value: Any, name: str) -> int:
    """`value` as an int.

    Raises:
        ValueError: It is no integer, or less than 1.
    """
    if not _is_integer(value):
        raise ValueError(f"{name} must be a positive integer, received {value!r}.")
    return int(value)


def _is_integer(value: Any, least: int = 1) -> bool:
    return isinstance(value, numbers.Real) and value >= least and int(value) == value


def padding_kind(value: Any, kinds: tuple[str, ...] = ("valid", "same")) -> str:
    """One of `kinds`, in lower case.

    Raises:
        ValueError: It is something else.
    """
    kind = value.lower() if isinstance(value, str) else value
    if kind not in kinds:
        hint = " Causal padding is for Conv1D and SeparableConv1D." if kind == "causal" else ""
        raise ValueError(f"The `padding` argument must be {' or '.join(map(repr, kinds))}, received {value!r}.{hint}")
    return kind


def op_layout(data_format: str, rank: int) -> str:
    """What ops call 'channels_last' and 'channels_first' of inputs with `rank` directions: 'NHWC', 'NCHW', ..."""
    directions = "DHW"[3 - rank :]
    return f"N{directions}C" if data_format == "channels_last" else f"NC{directions}"


def map_shapes(function: Any, shapes: Any) -> Any:
    """`function` of each shape in a structure: a tuple or list of ints is a shape, anything else holds shapes."""
    if isinstance(shapes, dict):
        return {key: map_shapes(function, shape) for key, shape in shapes.items()}
    if isinstance(shapes, TensorShape) or all(size is None or isinstance(size, (int, np.integer)) for size in shapes):
        return function(TensorShape(shapes))
    mapped = [map_shapes(function, shape) for shape in shapes]
    return type(shapes)(*mapped) if hasattr(shapes, "_fields") else type(shapes)(mapped)


def batch_input_shape(options: dict[str, Any]) -> tuple[int | None, ...] | None:
    """The shape of a first layer's input with the batch, from `batch_input_shape`, `input_shape` or `input_dim`."""
    if "batch_input_shape" in options:
        return _checked_sizes(options["batch_input_shape"])
    shape = (
        (options["input_dim"],)
        if "input_dim" in options and "input_shape" not in options
        else options.get("input_shape")
    )
    if shape is None:
        return None
    return _checked_sizes((options.get("batch_size"), *((shape,) if isinstance(shape, numbers.Integral) else shape)))


def _checked_sizes(shape: Any) -> tuple[int | None, ...]:
    """A shape with the batch; ValueError unless it holds positive integers and Nones."""
    sizes = tuple(shape) if hasattr(shape, "__iter__") else (shape,)
    if isinstance(shape, str) or not all(size is None or _is_integer(size) for size in sizes):
        raise ValueError(
            f"The shape of an input must hold positive integers, or None for sizes that are not known, received "
            f"{shape!r} (the first is the batch size)."
        )
    return tuple(None if size is None else int(size) for size in sizes)
