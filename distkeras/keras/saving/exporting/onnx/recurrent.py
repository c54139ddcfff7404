"""Recurrences as ONNX' Scan: the body of one step, run along the first axis.

ONNX has operators of its own for LSTM and GRU, but none that leaves the state as it is in steps that a mask leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from distkeras.keras.saving.exporting.onnx.operators import OPERATORS
from distkeras.keras.saving.exporting.onnx.writer import Writer, load_onnx
from distkeras.keras.saving.exporting.translation import Call, Operator, Shaped

States = list[str]


def _scan(
    step: Callable[[Writer, Call, str, States], States], states: Sequence[int], outputs: Sequence[int]
) -> Operator:
    """A recurrence over x, input 0, under the mask that is the last input.

    Args:
        step: (writer, call, row of x, states) -> states after it.
        states: Which inputs are the first states.
        outputs: For each output of the primitive which state it is: n after every step, ~n after the last one.
    """

    def write(writer: Writer, call: Call) -> list[str]:
        helper = load_onnx().helper
        body = Writer(parent=writer)
        before = [body.name("before") for _ in states]
        row, counts = body.name("row"), body.name("counts")
        column = body.node("Unsqueeze", counts, body.integers(1))
        new = step(body, call, row, before)
        after = [body.node("Where", column, one, other) for one, other in zip(new, before, strict=True)]
        seen = [body.node("Identity", state) for state in after]

        def described(name: str, spec: Shaped, drop: int = 0) -> object:
            kind = helper.np_dtype_to_tensor_dtype(spec.dtype.numpy)
            return helper.make_tensor_value_info(name, kind, [None] * (len(spec.shape) - drop))

        kept = [call.specs[place] for place in states]
        graph = helper.make_graph(
            body.nodes,
            body.name("step"),
            [
                *map(described, before, kept),
                described(row, call.specs[0], 1),
                described(counts, call.specs[-1], 1),
            ],
            [*map(described, after, kept), *map(described, seen, kept)],
        )
        given = [*(call.inputs[place] for place in states), call.inputs[0], call.inputs[-1]]
        results = writer.node("Scan", *given, outputs=2 * len(states), num_scan_inputs=2, body=graph)
        return [results[~place] if place < 0 else results[len(states) + place] for place in outputs]

    return write


def _product(writer: Writer, state: str, recurrent: str) -> str:
    return writer.node("MatMul", state, recurrent)


def _lstm(writer: Writer, call: Call, row: str, states: States) -> States:
    """i, f, g, o = act(row + h recurrent); c = f c + i g; h = o tanh(c)."""
    h, c = states
    gates = writer.node("Add", row, _product(writer, h, call.inputs[1]))
    i, f, g, o = writer.node("Split", gates, outputs=4, axis=1, num_outputs=4)
    i, f, o = (writer.node("Sigmoid", gate) for gate in (i, f, o))
    c = writer.node("Add", writer.node("Mul", f, c), writer.node("Mul", i, writer.node("Tanh", g)))
    return [writer.node("Mul", o, writer.node("Tanh", c)), c]


def _gru(writer: Writer, call: Call, row: str, states: States) -> States:
    """z, r = sigmoid(row + h recurrent + bias); h = z h + (1 - z) tanh(row + r (h recurrent + bias))."""
    (h,) = states
    inner = writer.node("Add", _product(writer, h, call.inputs[1]), call.inputs[2])
    x_z, x_r, x_a = writer.node("Split", row, outputs=3, axis=1, num_outputs=3)
    h_z, h_r, h_a = writer.node("Split", inner, outputs=3, axis=1, num_outputs=3)
    z = writer.node("Sigmoid", writer.node("Add", x_z, h_z))
    r = writer.node("Sigmoid", writer.node("Add", x_r, h_r))
    candidate = writer.node("Tanh", writer.node("Add", x_a, writer.node("Mul", r, h_a)))
    rest = writer.node("Sub", writer.number(1, call.specs[0].dtype), z)
    return [writer.node("Add", writer.node("Mul", z, h), writer.node("Mul", rest, candidate))]


def _simple_rnn(writer: Writer, call: Call, row: str, states: States) -> States:
    return [writer.node("Tanh", writer.node("Add", row, _product(writer, states[0], call.inputs[1])))]


OPERATORS.add("lstm", _scan(_lstm, states=(2, 3), outputs=(0, ~1, 1)))
OPERATORS.add("gru", _scan(_gru, states=(3,), outputs=(0,)))
OPERATORS.add("simple_rnn", _scan(_simple_rnn, states=(2,), outputs=(0,)))
