"""Values handed to Python while a function runs: each time, not once when it is traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.core.primitive import Calls, Primitive
from distkeras.core.tensor import to_tensor

_record = Primitive("record", effect=True)
_record.def_shape(lambda *specs, receive: ())


@_record.def_kernel
def _record_kernel(inputs: Sequence, outputs: Sequence, scratch: Callable, *, receive: Callable) -> Calls:
    return [(_hand_over, (receive, inputs))]


def _hand_over(receive: Callable[..., Any], arrays: Sequence[np.ndarray]) -> None:
    receive(*(array.copy() for array in arrays))


def record(receive: Callable[..., Any], *tensors: Any) -> None:
    """Call `receive` with the tensors' values, now or whenever the function that is being traced runs.

    >>> import distkeras as tf
    >>> seen = []
    >>> f = tf.function(lambda x: record(seen.append, x * 2.0))
    >>> f(tf.constant(1.0)), f(tf.constant(3.0)), [float(value) for value in seen]
    (None, None, [2.0, 6.0])
    """
    _record(*map(to_tensor, tensors), receive=receive)
