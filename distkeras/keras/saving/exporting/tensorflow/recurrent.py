"""Recurrences as TensorFlow's While: functions for the condition and for one step, over lists of states.

loop variables    step, steps, first states ..., lists of states ..., x, mask, weights ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.keras.saving.exporting.tensorflow.messages import (
    VARIANT,
    Argument,
    FunctionName,
    Shape,
    Type,
    function_message,
)
from distkeras.keras.saving.exporting.tensorflow.operators import OPERATORS, dtype_of, matmul
from distkeras.keras.saving.exporting.tensorflow.writer import INT32, INT64, Writer
from distkeras.keras.saving.exporting.translation import Call, Operator

_BOOL = np.dtype(bool)
Step = Callable[[Writer, np.dtype, str, list[str], list[str]], list[str]]


def _loop(step: Step, states: Sequence[int], weights: Sequence[int], outputs: Sequence[int]) -> Operator:
    """A recurrence over x, input 0, under the mask that is the last input.

    Args:
        step: (writer, dtype, row of x, states, weights) -> states after it.
        states, weights: Which inputs are the first states, and what every step needs.
        outputs: For each output of the primitive which state it is: n after every step, ~n after the last one.
    """

    def write(writer: Writer, call: Call) -> list[str]:
        dtype, count = dtype_of(call), len(states)
        steps = writer.reshape(writer.cast(writer.shape(call.specs[0].shape[:1]), INT64, INT32), (), INT32)
        any_shape = writer.constant(-1, np.int32)
        reserve = {"out": "handle", "element_dtype": dtype, "shape_type": INT32}
        lists = [writer.node("TensorListReserve", any_shape, steps, **reserve) for _ in states]
        given = {
            "step": (writer.constant(0, np.int32), INT32),
            "steps": (steps, INT32),
            **{f"state_{n}": (call.inputs[place], dtype) for n, place in enumerate(states)},
            **{f"list_{n}": (value, Type(VARIANT)) for n, value in enumerate(lists)},
            "x": (call.inputs[0], dtype),
            "mask": (call.inputs[-1], _BOOL),
            **{f"weight_{n}": (call.inputs[place], dtype) for n, place in enumerate(weights)},
        }
        arguments = [Argument(name, kind) for name, (_, kind) in given.items()]
        results = writer.node(
            "StatelessWhile",
            *(value for value, _ in given.values()),
            count=len(given),
            T=[kind for _, kind in given.values()],
            cond=FunctionName(_condition(writer, arguments)),
            body=FunctionName(_body(writer, arguments, step, count, len(weights), dtype)),
            output_shapes=[Shape(None)] * len(given),
            parallel_iterations=10,
        )
        stack = {"out": "tensor", "element_dtype": dtype, "num_elements": -1}
        return [
            results[2 + ~place]
            if place < 0
            else writer.node("TensorListStack", results[2 + count + place], any_shape, **stack)
            for place in outputs
        ]

    return write


def _function_name(writer: Writer, what: str) -> str:
    return f"{what}_{len(writer.functions)}"


def _condition(writer: Writer, arguments: Sequence[Argument]) -> str:
    name = _function_name(writer, "is_not_at_the_end")
    body = Writer(lambda variable: False, writer.functions)
    goes_on = body.node("Less", "step", "steps", out="z", T=INT32)
    writer.functions[name] = function_message(name, arguments, {Argument("goes_on", _BOOL): goes_on}, body.nodes, False)
    return name


def _body(writer: Writer, arguments: Sequence[Argument], step: Step, states: int, weights: int, dtype: np.dtype) -> str:
    name = _function_name(writer, "step")
    body = Writer(lambda variable: False, writer.functions)
    before = [f"state_{n}" for n in range(states)]
    row, counts = body.gather("x", "step", dtype, INT32), body.gather("mask", "step", _BOOL, INT32)
    counts = body.node("ExpandDims", counts, body.constant(1, np.int32), T=_BOOL, Tdim=INT32)
    new = step(body, dtype, row, before, [f"weight_{n}" for n in range(weights)])
    after = [body.node("SelectV2", counts, one, other, T=dtype) for one, other in zip(new, before, strict=True)]
    kept: dict[str, Any] = {argument.name: argument.name for argument in arguments}
    kept["step"] = body.add("step", body.constant(1, np.int32), INT32)
    for n, state in enumerate(after):
        kept[f"state_{n}"] = state
        kept[f"list_{n}"] = body.node(
            "TensorListSetItem", f"list_{n}", "step", state, out="output_handle", element_dtype=dtype
        )
    results = {Argument(f"{argument.name}_after", argument.dtype): kept[argument.name] for argument in arguments}
    writer.functions[name] = function_message(name, arguments, results, body.nodes, False)
    return name


def _parts(writer: Writer, value: str, count: int, dtype: np.dtype) -> list[str]:
    return writer.node("Split", writer.constant(1, np.int32), value, count=count, num_split=count, T=dtype)


def _lstm(writer: Writer, dtype: np.dtype, row: str, states: list[str], weights: list[str]) -> list[str]:
    """i, f, g, o = act(row + h recurrent); c = f c + i g; h = o tanh(c)."""
    h, c = states
    gates = writer.add(row, matmul(writer, h, weights[0], dtype, 2), dtype)
    i, f, g, o = _parts(writer, gates, 4, dtype)
    i, f, o = (writer.apply("Sigmoid", gate, dtype) for gate in (i, f, o))
    added = writer.multiply(i, writer.apply("Tanh", g, dtype), dtype)
    c = writer.add(writer.multiply(f, c, dtype), added, dtype)
    return [writer.multiply(o, writer.apply("Tanh", c, dtype), dtype), c]


def _gru(writer: Writer, dtype: np.dtype, row: str, states: list[str], weights: list[str]) -> list[str]:
    """z, r = sigmoid(row + h recurrent + bias); h = z h + (1 - z) tanh(row + r (h recurrent + bias))."""
    (h,), (recurrent, bias) = states, weights
    inner = writer.add(matmul(writer, h, recurrent, dtype, 2), bias, dtype)
    x_z, x_r, x_a = _parts(writer, row, 3, dtype)
    h_z, h_r, h_a = _parts(writer, inner, 3, dtype)
    z, r = (writer.apply("Sigmoid", writer.add(x, y, dtype), dtype) for x, y in ((x_z, h_z), (x_r, h_r)))
    candidate = writer.apply("Tanh", writer.add(x_a, writer.multiply(r, h_a, dtype), dtype), dtype)
    rest = writer.subtract(writer.constant(1, dtype), z, dtype)
    return [writer.add(writer.multiply(z, h, dtype), writer.multiply(rest, candidate, dtype), dtype)]


def _simple_rnn(writer: Writer, dtype: np.dtype, row: str, states: list[str], weights: list[str]) -> list[str]:
    product = matmul(writer, states[0], weights[0], dtype, 2)
    return [writer.apply("Tanh", writer.add(row, product, dtype), dtype)]


OPERATORS.add("lstm", _loop(_lstm, states=(2, 3), weights=(1,), outputs=(0, ~1, 1)))
OPERATORS.add("gru", _loop(_gru, states=(3,), weights=(1, 2), outputs=(0,)))
OPERATORS.add("simple_rnn", _loop(_simple_rnn, states=(2,), weights=(1,), outputs=(0,)))
