"""A step becomes the kernel calls that compute it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core.primitive import Calls
from distkeras.graph import kernel_cache
from distkeras.graph.emit import emit, views
from distkeras.graph.fuse import Group
from distkeras.graph.ir import Equation

Step = Group | Equation


def lower(step: Step, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray], scratch: Any) -> Calls:
    """Calls that fill the outputs.

    Args:
        step: What to compute.
        inputs, outputs: The arrays of its values.
        scratch: `scratch(shape, dtype)` lends memory for the time of these calls.
    """
    if isinstance(step, Group):
        code = emit(step)
        kernel = kernel_cache.load(code.source, code.signature)
        arguments = (*views(inputs, code.input_shapes), *views(outputs, [code.output_shape] * len(outputs)))
        return [(kernel, arguments)]
    if step.primitive.kernel is None:
        return [(_apply_numpy, (step.primitive.numpy, step.params, inputs, outputs[0]))]
    return step.primitive.kernel(inputs, outputs, scratch, **step.params)


def _apply_numpy(function: Callable, params: dict[str, Any], inputs: list[np.ndarray], out: np.ndarray) -> None:
    """An element-wise primitive on types that no kernel can be generated for."""
    with np.errstate(all="ignore"):
        out[...] = function(*inputs, **params)
