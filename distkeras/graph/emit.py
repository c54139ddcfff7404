"""Source code for fused groups: one loop nest over contiguous arrays, broadcasting resolved from the specs.

Dimensions that all arrays of a group share are merged, so that bias addition over [32, 26, 26, 64] is the same
two-dimensional kernel as over [128, 512], and a smaller last batch runs the same machine code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distkeras.graph.fuse import Group
from distkeras.graph.ir import Value

_INDICES = "ijklmnop"
_HEADER = "import math\n\nimport numpy as np\n\nfrom distkeras.kernels import vmath\n\n\n"


@dataclass(frozen=True)
class Emitted:
    """A generated kernel: its parameter list and body, its signature, and the shapes its arguments are viewed in."""

    source: str
    signature: str
    input_shapes: tuple[tuple[int, ...], ...]
    output_shape: tuple[int, ...]


def emit(group: Group) -> Emitted:
    """Write the kernel of a group; `{name}` in the source stands for the kernel's name."""
    shape = group.shape
    varies = [_varies(value, group.form) for value in group.inputs]
    sizes, masks = _merge(shape, varies)
    axes = [[axis for axis in range(len(sizes)) if mask[axis]] for mask in masks]
    names = {value: f"x{i}" for i, value in enumerate(group.inputs)}
    outputs = {value: f"out{i}" for i, value in enumerate(group.outputs)}
    lines = _loops(group, names, outputs, axes, len(sizes))
    arguments = ", ".join([*names.values(), *outputs.values()])
    source = f"{_HEADER}def {{name}}({arguments}):\n" + "".join(f"    {line}\n" for line in lines)
    kinds = [_array_type(value, max(len(used), 1)) for value, used in zip(group.inputs, axes, strict=True)]
    kinds += [_array_type(value, len(sizes)) for value in group.outputs]
    shapes = tuple(tuple(sizes[axis] for axis in used) or (1,) for used in axes)
    return Emitted(source, f"void({', '.join(kinds)})", shapes, tuple(sizes))


def _varies(value: Value, form: tuple[int, ...]) -> tuple[bool, ...]:
    """For each dimension of the group's shape, whether the value changes along it.

    A size of 1 in the value against 1 in the group counts as changing: a batch that happens to hold one sample must
    run the kernel that other batches run.
    """
    own = value.form
    if math.prod(own) == 1 and len(own) < len(form):
        return (False,) * len(form)
    missing = len(form) - len(own)
    return (False,) * missing + tuple(mine == size for mine, size in zip(own, form[missing:], strict=True))


def _merge(shape: tuple[int, ...], varies: list[tuple[bool, ...]]) -> tuple[list[int], list[list[bool]]]:
    """Neighbouring dimensions along which every input behaves alike, made one."""
    sizes: list[int] = []
    patterns: list[tuple[bool, ...]] = []
    for axis, size in enumerate(shape):
        pattern = tuple(mask[axis] for mask in varies)
        if patterns and patterns[-1] == pattern:
            sizes[-1] *= size
        else:
            sizes.append(size)
            patterns.append(pattern)
    if not sizes:  # scalars are a loop of one
        sizes, patterns = [1], [(False,) * len(varies)]
    return sizes, [[pattern[i] for pattern in patterns] for i in range(len(varies))]


def _loops(group: Group, names: dict, outputs: dict, axes: list[list[int]], ndim: int) -> list[str]:
    lines: list[str] = []
    loads: dict[Value, str] = {}
    by_depth: list[list[str]] = [[] for _ in range(ndim + 1)]
    for (value, name), used in zip(names.items(), axes, strict=True):
        index = ", ".join(_INDICES[axis] for axis in used) or "0"
        loads[value] = f"v{name[1:]}"
        by_depth[used[-1] + 1 if used else 0].append(f"v{name[1:]} = {name}[{index}]")
    first = next(iter(outputs.values()))
    for depth in range(ndim + 1):
        indent = "    " * depth
        lines += [indent + load for load in by_depth[depth]]
        if depth < ndim:
            lines.append(f"{indent}for {_INDICES[depth]} in range({first}.shape[{depth}]):")
    indent = "    " * ndim
    lines += [indent + line for line in _body(group, loads, outputs, ", ".join(_INDICES[:ndim]))]
    return lines


def _body(group: Group, loads: dict[Value, str], outputs: dict[Value, str], index: str) -> list[str]:
    lines = []
    terms = dict(loads)
    for number, equation in enumerate(group.equations):
        (value,) = equation.outputs
        constructor = f"np.{value.spec.dtype.name if not value.spec.dtype.is_bool else 'bool_'}"
        expression = equation.primitive.expression(**equation.params)
        text = expression.format(*(terms[item] for item in equation.inputs), T=constructor)
        # The cast is free where the type is right, and keeps integer and power arithmetic from widening.
        lines.append(f"t{number} = {constructor}({text})")
        terms[value] = f"t{number}"
    lines += [f"{name}[{index}] = {terms[value]}" for value, name in outputs.items()]
    return lines


def _array_type(value: Value, ndim: int) -> str:
    return f"{value.spec.dtype.numpy.name if not value.spec.dtype.is_bool else 'boolean'}[{':, ' * (ndim - 1)}::1]"


def views(arrays: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]]) -> tuple[np.ndarray, ...]:
    """The arrays as the kernel wants to see them: same memory, merged dimensions."""
    return tuple(array.reshape(shape) for array, shape in zip(arrays, shapes, strict=True))
