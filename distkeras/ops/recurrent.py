"""Recurrences over whole sequences, for the cells that most models use.

The input's part of the work is done before, in one product over all steps: x below is inputs @ kernel + bias. Time is
the first axis. Each recurrence is a primitive whose derivative is a primitive; what that one's derivative is, is found
by differentiating the same recurrence written step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels import rnn as kernels
from distkeras.ops._second_derivative import second_derivative
from distkeras.ops.elementwise import sigmoid, tanh, where
from distkeras.ops.joining import split, stack, unstack
from distkeras.ops.linalg import matmul
from distkeras.ops.shape import expand_dims

_lstm = Primitive("lstm")
_lstm_gradient = Primitive("lstm_gradient")
_gru = Primitive("gru")
_gru_gradient = Primitive("gru_gradient")
_simple_rnn = Primitive("simple_rnn")
_simple_rnn_gradient = Primitive("simple_rnn_gradient")


def _lowered_by(primitive: Primitive, lower: Callable, leave_out: tuple[int, ...] = ()) -> None:
    """Let a function of kernels do the work; inputs numbered `leave_out` are for derivatives only."""

    @primitive.def_kernel
    def kernel(inputs: Sequence, outputs: Sequence, scratch: Any) -> Calls:
        return lower(tuple(array for i, array in enumerate(inputs) if i not in leave_out), tuple(outputs), scratch)


_lowered_by(_lstm, kernels.lstm_forward)
_lowered_by(_lstm_gradient, kernels.lstm_gradient, leave_out=(2,))
_lowered_by(_gru, kernels.gru_forward)
_lowered_by(_gru_gradient, kernels.gru_gradient, leave_out=(1, 3))
_lowered_by(_simple_rnn, kernels.simple_rnn_forward)
_lowered_by(_simple_rnn_gradient, kernels.simple_rnn_gradient, leave_out=(1,))


def _sequence(x: TensorSpec, units: int) -> TensorSpec:
    return TensorSpec((*x.shape[:2], units), x.dtype)


@_lstm.def_shape
def _lstm_shape(x: TensorSpec, recurrent: TensorSpec, h: TensorSpec, c: TensorSpec, mask: TensorSpec) -> tuple:
    """The states h, the last c, all c, and the gates."""
    sequence = _sequence(x, recurrent.shape[0])
    return sequence, c, sequence, x


@_lstm.def_vjp
def _lstm_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    (g, g_last_c, *_), (h, _, c, gates) = gradients, outputs
    return *_lstm_gradient(g, g_last_c, *inputs, h, c, gates), None


_lstm_gradient.def_shape(lambda g, g_last_c, x, recurrent, h0, c0, mask, h, c, gates: (x, recurrent, h0, c0))


@_lstm_gradient.def_vjp
def _lstm_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    g, g_last_c, x, recurrent, h0, c0, mask, *known = inputs
    scan = lambda *values: _lstm_steps(*values, mask)  # noqa: E731
    return *second_derivative(scan, (g, g_last_c), (x, recurrent, h0, c0), gradients), None, *(None for _ in known)


def _lstm_steps(x: Tensor, recurrent: Tensor, h: Tensor, c: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    states = []
    for row, counts in _rows(x, mask):
        i, f, a, o = split(row + matmul(h, recurrent), 4, axis=1)
        new_c = sigmoid(f) * c + sigmoid(i) * tanh(a)
        h, c = where(counts, sigmoid(o) * tanh(new_c), h), where(counts, new_c, c)
        states.append(h)
    return stack(states), c


@_gru.def_shape
def _gru_shape(x: TensorSpec, recurrent: TensorSpec, bias: TensorSpec, h0: TensorSpec, mask: TensorSpec) -> tuple:
    """The states h, the gates, and the candidate's part that comes from the state."""
    sequence = _sequence(x, recurrent.shape[0])
    return sequence, x, sequence


@_gru.def_vjp
def _gru_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    x, recurrent, bias, h0, mask = inputs
    return *_gru_gradient(gradients[0], x, recurrent, bias, h0, mask, *outputs), None


_gru_gradient.def_shape(lambda g, x, recurrent, bias, h0, mask, h, gates, p: (x, recurrent, bias, h0))


@_gru_gradient.def_vjp
def _gru_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    g, x, recurrent, bias, h0, mask, *known = inputs
    scan = lambda *values: _gru_steps(*values, mask)  # noqa: E731
    return *second_derivative(scan, (g,), (x, recurrent, bias, h0), gradients), None, *(None for _ in known)


def _gru_steps(x: Tensor, recurrent: Tensor, bias: Tensor, h: Tensor, mask: Tensor) -> Tensor:
    states = []
    for row, counts in _rows(x, mask):
        x_z, x_r, x_a = split(row, 3, axis=1)
        h_z, h_r, h_a = split(matmul(h, recurrent) + bias, 3, axis=1)
        z = sigmoid(x_z + h_z)
        h = where(counts, z * h + (1.0 - z) * tanh(x_a + sigmoid(x_r + h_r) * h_a), h)
        states.append(h)
    return stack(states)


_simple_rnn.def_shape(lambda x, recurrent, h0, mask: x)


@_simple_rnn.def_vjp
def _simple_rnn_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    return *_simple_rnn_gradient(gradients[0], *inputs, outputs[0]), None


_simple_rnn_gradient.def_shape(lambda g, x, recurrent, h0, mask, h: (x, recurrent, h0))


@_simple_rnn_gradient.def_vjp
def _simple_rnn_gradient_vjp(gradients: tuple, inputs: tuple, outputs: tuple) -> tuple:
    g, x, recurrent, h0, mask, _ = inputs
    scan = lambda *values: _simple_rnn_steps(*values, mask)  # noqa: E731
    return *second_derivative(scan, (g,), (x, recurrent, h0), gradients), None, None


def _simple_rnn_steps(x: Tensor, recurrent: Tensor, h: Tensor, mask: Tensor) -> Tensor:
    states = []
    for row, counts in _rows(x, mask):
        h = where(counts, tanh(row + matmul(h, recurrent)), h)
        states.append(h)
    return stack(states)


def _rows(x: Tensor, mask: Tensor) -> Any:
    return zip(unstack(x), unstack(expand_dims(mask, 2)), strict=True)


# --- the functions


def lstm(x: Any, recurrent_kernel: Any, h: Any, c: Any, mask: Any = None) -> tuple[Tensor, Tensor]:
    """Long short-term memory: i, f, a, o = x + h recurrent_kernel; c = σ(f) c + σ(i) tanh(a); h = σ(o) tanh(c).

    Args:
        x: [steps, batch, 4 units]: for each step what the inputs add to i, f, a and o.
        recurrent_kernel: [units, 4 units].
        h, c: [batch, units]: the states before the first step.
        mask: bool [steps, batch]; where it is false, the states stay as they are. None: all steps count.

    Returns:
        h after each step [steps, batch, units], and the last c.

    Source: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; Gers et al. 2000 for the forget gate.
    """
    x, recurrent_kernel, h, c = map(to_tensor, (x, recurrent_kernel, h, c))
    return _lstm(x, recurrent_kernel, h, c, _checked("lstm", 4, x, recurrent_kernel, mask, h, c))[:2]


def gru(x: Any, recurrent_kernel: Any, bias: Any, h: Any, mask: Any = None) -> Tensor:
    """Gated recurrent unit, its reset gate applied after the product: with p = h recurrent_kernel + bias,

        z = σ(x_z + p_z);  r = σ(x_r + p_r);  h = z h + (1 - z) tanh(x_a + r p_a)

    Args:
        x: [steps, batch, 3 units]: for each step what the inputs add to z, r and a.
        recurrent_kernel: [units, 3 units].
        bias: [3 units].
        h: [batch, units]: the state before the first step.
        mask: As for `lstm`.

    Returns:
        h after each step, [steps, batch, units].

    Source: Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder", in the form of cuDNN.
    """
    x, recurrent_kernel, bias, h = map(to_tensor, (x, recurrent_kernel, bias, h))
    return _gru(x, recurrent_kernel, bias, h, _checked("gru", 3, x, recurrent_kernel, mask, h))[0]


def simple_rnn(x: Any, recurrent_kernel: Any, h: Any, mask: Any = None) -> Tensor:
    """h = tanh(x + h recurrent_kernel), step after step.

    Args:
        x: [steps, batch, units]: for each step what the inputs add.
        recurrent_kernel: [units, units].
        h: [batch, units]: the state before the first step.
        mask: As for `lstm`.

    Returns:
        h after each step, [steps, batch, units].

    Source: Elman 1990, "Finding Structure in Time".
    """
    x, recurrent_kernel, h = map(to_tensor, (x, recurrent_kernel, h))
    return _simple_rnn(x, recurrent_kernel, h, _checked("simple_rnn", 1, x, recurrent_kernel, mask, h))


def _checked(name: str, gates: int, x: Tensor, recurrent_kernel: Tensor, mask: Any, *states: Tensor) -> Tensor:
    """The mask, all true by default; InvalidArgumentError unless the shapes fit."""
    units = recurrent_kernel.shape[0]
    steps, batch = x.shape[:2] if x.ndim == 3 else (0, 0)
    mask = to_tensor(np.ones((steps, batch), bool)) if mask is None else to_tensor(mask)
    fits = x.ndim == 3 and tuple(recurrent_kernel.shape) == (units, gates * units) and x.shape[2] == gates * units
    if not fits or not steps or mask.shape != x.shape[:2] or any(state.shape != (batch, units) for state in states):
        raise InvalidArgumentError(
            f"{name}: expected x [steps, batch, {gates} * units] with at least one step, a recurrent kernel [units, "
            f"{gates} * units], states [batch, units] and a mask [steps, batch]; received {x.shape}, "
            f"{recurrent_kernel.shape}, {[tuple(state.shape) for state in states]} and {mask.shape}."
        )
    return mask
