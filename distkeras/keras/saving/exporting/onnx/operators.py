"""What writes each primitive as ONNX operators: element by element, and what moves or reduces elements.

`OPERATORS` holds a function (writer, call) -> name or names of the outputs for each primitive that has one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras._registry import Registry
from distkeras.keras.saving.exporting.onnx.writer import Writer
from distkeras.keras.saving.exporting.translation import Call, Operator, border
from distkeras.ops.image_filters import resizing_filter

OPERATORS = Registry("ONNX operator")

_FIRST = np.iinfo(np.int64).min


def _same(kind: str, **attributes: Any) -> Operator:
    return lambda writer, call: writer.node(kind, *call.inputs, **attributes)


# --- element by element

_KINDS = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "add": "Add", "asin": "Asin", "asinh": "Asinh", "atan": "Atan",
    "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "divide": "Div", "equal": "Equal", "erf": "Erf",
    "exp": "Exp", "floor": "Floor", "greater": "Greater", "greater_equal": "GreaterOrEqual", "identity": "Identity",
    "is_nan": "IsNaN", "is_inf": "IsInf", "less": "Less", "less_equal": "LessOrEqual", "log": "Log",
    "logical_and": "And", "logical_not": "Not", "logical_or": "Or", "logical_xor": "Xor", "maximum": "Max",
    "minimum": "Min", "multiply": "Mul", "negative": "Neg", "pow": "Pow", "reciprocal": "Reciprocal", "relu": "Relu",
    "round": "Round", "select": "Where", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "softplus": "Softplus", "sqrt": "Sqrt", "stop_gradient": "Identity", "subtract": "Sub", "tan": "Tan",
    "tanh": "Tanh",
}  # fmt: skip
for _name, _kind in _KINDS.items():
    OPERATORS.add(_name, _same(_kind))


@OPERATORS.register("cast")
def _cast(writer: Writer, call: Call) -> str:
    return writer.cast(call.inputs[0], call.specs[0].dtype.numpy, call.outputs[0].dtype.numpy)


@OPERATORS.register("not_equal")
def _not_equal(writer: Writer, call: Call) -> str:
    return writer.node("Not", writer.node("Equal", *call.inputs))


@OPERATORS.register("is_finite")
def _is_finite(writer: Writer, call: Call) -> str:
    (x,) = call.inputs
    return writer.node("Not", writer.node("Or", writer.node("IsInf", x), writer.node("IsNaN", x)))


@OPERATORS.register("square")
def _square(writer: Writer, call: Call) -> str:
    return writer.node("Mul", *call.inputs * 2)


@OPERATORS.register("squared_difference")
def _squared_difference(writer: Writer, call: Call) -> str:
    return writer.node("Mul", *[writer.node("Sub", *call.inputs)] * 2)


@OPERATORS.register("rsqrt")
def _rsqrt(writer: Writer, call: Call) -> str:
    return writer.node("Reciprocal", writer.node("Sqrt", *call.inputs))


@OPERATORS.register("log1p")
def _log1p(writer: Writer, call: Call) -> str:
    return writer.node("Log", writer.node("Add", *call.inputs, writer.number(1, call.specs[0].dtype)))


@OPERATORS.register("expm1")
def _expm1(writer: Writer, call: Call) -> str:
    return writer.node("Sub", writer.node("Exp", *call.inputs), writer.number(1, call.specs[0].dtype))


@OPERATORS.register("erfc")
def _erfc(writer: Writer, call: Call) -> str:
    return writer.node("Sub", writer.number(1, call.specs[0].dtype), writer.node("Erf", *call.inputs))


@OPERATORS.register("floor_mod")
def _floor_mod(writer: Writer, call: Call) -> str:
    if call.specs[0].dtype.is_integer:
        return writer.node("Mod", *call.inputs)
    x, y = call.inputs
    return writer.node("Sub", x, writer.node("Mul", writer.node("Floor", writer.node("Div", x, y)), y))


@OPERATORS.register("floor_divide")
def _floor_divide(writer: Writer, call: Call) -> str:
    x, y = call.inputs
    if call.specs[0].dtype.is_integer:  # ONNX divides integers towards zero
        return writer.node("Div", writer.node("Sub", x, writer.node("Mod", x, y)), y)
    return writer.node("Floor", writer.node("Div", x, y))


def _unless_zero(which: int, compute: Operator) -> Operator:
    """Zero where an input is zero, whatever the others are."""

    def write(writer: Writer, call: Call) -> str:
        zero = writer.number(0, call.specs[which].dtype)
        is_zero = writer.node("Equal", call.inputs[which], zero)
        return writer.node("Where", is_zero, zero, compute(writer, call))

    return write


OPERATORS.add("divide_no_nan", _unless_zero(1, _same("Div")))
OPERATORS.add("multiply_no_nan", _unless_zero(1, _same("Mul")))
OPERATORS.add("xdivy", _unless_zero(0, _same("Div")))
OPERATORS.add(
    "xlogy",
    _unless_zero(0, lambda writer, call: writer.node("Mul", call.inputs[0], writer.node("Log", call.inputs[1]))),
)


# --- moving elements


@OPERATORS.register("reshape")
def _reshape(writer: Writer, call: Call) -> str:
    return writer.reshape(call.inputs[0], call.outputs[0].shape, call.outputs[0].dtype.numpy)


@OPERATORS.register("broadcast_to")
def _broadcast_to(writer: Writer, call: Call) -> str:
    return writer.expand(call.inputs[0], call.outputs[0].shape, call.outputs[0].dtype.numpy)


@OPERATORS.register("transpose")
def _transpose(writer: Writer, call: Call) -> str:
    return writer.transpose(call.inputs[0], call.params["perm"])


@OPERATORS.register("concat")
def _concat(writer: Writer, call: Call) -> str:
    return writer.node("Concat", *call.inputs, axis=call.params["axis"])


@OPERATORS.register("stack")
def _stack(writer: Writer, call: Call) -> str:
    axis = writer.integers(call.params["axis"])
    return writer.node("Concat", *(writer.node("Unsqueeze", x, axis) for x in call.inputs), axis=call.params["axis"])


@OPERATORS.register("split")
def _split(writer: Writer, call: Call) -> Any:
    sizes = writer.shape(call.params["sizes"])
    return writer.node("Split", call.inputs[0], sizes, outputs=len(call.outputs), axis=call.params["axis"])


@OPERATORS.register("gather")
def _gather(writer: Writer, call: Call) -> str:
    return writer.node("Gather", *call.inputs, axis=0)


@OPERATORS.register("checked_indices")
def _checked_indices(writer: Writer, call: Call) -> str:
    return writer.node("Identity", *call.inputs)  # runtimes look at the range themselves


@OPERATORS.register("reverse")
def _reverse(writer: Writer, call: Call) -> str:
    axes = call.params["axes"]
    ranges = ([-1] * len(axes), [_FIRST] * len(axes), axes, [-1] * len(axes))
    return writer.node("Slice", call.inputs[0], *(writer.integers(*values) for values in ranges))


@OPERATORS.register("slice")
def _slice(writer: Writer, call: Call) -> str:
    index = call.params["index"]
    parts = [i if isinstance(i, tuple) else (i, i + 1, 1) for i in index]
    starts, stops, steps = zip(*parts, strict=True)
    stops = [_FIRST if stop is None else stop for stop in stops]
    axes = writer.integers(*range(len(index)))
    taken = writer.node("Slice", call.inputs[0], writer.shape(starts), writer.shape(stops), axes, writer.shape(steps))
    dropped = [axis for axis, i in enumerate(index) if not isinstance(i, tuple)]
    return writer.node("Squeeze", taken, writer.integers(*dropped)) if dropped else taken


@OPERATORS.register("unslice")
def _unslice(writer: Writer, call: Call) -> str:
    """Zeros around what was taken by a slice."""
    pairs = border(call)
    pads = [pair[side] for side in (0, 1) for pair in pairs]
    return writer.node("Pad", call.inputs[0], writer.integers(*pads))


@OPERATORS.register("resample")
def _resample(writer: Writer, call: Call) -> str:
    """A product with the matrix of the weights, along one axis."""
    axis, rank = call.params["axis"], len(call.specs[0].shape)
    matrix = resizing_filter(
        call.params["method"], *call.params["sizes"], call.params["antialias"], call.params["is_transposed"]
    ).matrix(call.specs[0].shape[axis])
    perm = [*(i for i in range(rank) if i != axis), axis]
    product = writer.node(
        "MatMul", writer.transpose(call.inputs[0], perm), writer.constant(matrix.T, call.outputs[0].dtype.numpy)
    )
    return writer.transpose(product, np.argsort(perm).tolist())


# --- reducing


def _reduction(kind: str) -> Operator:
    def write(writer: Writer, call: Call) -> str:
        axes = writer.integers(*call.params["axes"])
        keepdims = int(call.params["keepdims"])
        return writer.node(kind, call.inputs[0], axes, keepdims=keepdims, noop_with_empty_axes=1)

    return write


for _name in ("sum", "max", "min", "prod"):
    OPERATORS.add(f"reduce_{_name}", _reduction(f"Reduce{_name.capitalize()}"))


def _of_booleans(kind: str) -> Operator:
    def write(writer: Writer, call: Call) -> str:
        integer, boolean = np.dtype(np.int32), np.dtype(bool)
        numbers = call._replace(inputs=(writer.cast(call.inputs[0], boolean, integer),))
        return writer.cast(_reduction(kind)(writer, numbers), integer, boolean)

    return write


OPERATORS.add("reduce_all", _of_booleans("ReduceMin"))
OPERATORS.add("reduce_any", _of_booleans("ReduceMax"))


def _place_of(kind: str) -> Operator:
    def write(writer: Writer, call: Call) -> str:
        place = writer.node(kind, call.inputs[0], axis=call.params["axis"], keepdims=0)
        return writer.cast(place, np.dtype(np.int64), call.outputs[0].dtype.numpy)

    return write


OPERATORS.add("argmax", _place_of("ArgMax"))
OPERATORS.add("argmin", _place_of("ArgMin"))


@OPERATORS.register("argsort")
def _argsort(writer: Writer, call: Call) -> str:
    """The last axis, by TopK of all: of equal elements it gives the first one first, as argsort does."""
    size = writer.shape(call.specs[0].shape[-1:])
    _, places = writer.node("TopK", call.inputs[0], size, outputs=2, largest=int(call.params["descending"]))
    return writer.cast(places, np.dtype(np.int64), call.outputs[0].dtype.numpy)


@OPERATORS.register("cumsum")
def _cumsum(writer: Writer, call: Call) -> str:
    return writer.node("CumSum", call.inputs[0], writer.constant(call.params["axis"], np.int64))
