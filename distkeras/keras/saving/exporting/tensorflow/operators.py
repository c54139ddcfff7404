"""What writes each primitive as TensorFlow's operations: element by element, and what moves or reduces elements.

`OPERATORS` holds a function (writer, call) -> output, or outputs, for each primitive that has one. What is one
operation there as it is here is entered once, with its reader: the primitive itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras._registry import Registry
from distkeras.core.primitive import PRIMITIVES
from distkeras.keras.saving.exporting.tensorflow.readers import reads
from distkeras.keras.saving.exporting.tensorflow.writer import INT32, INT64, Writer
from distkeras.keras.saving.exporting.translation import Call, Operator, border
from distkeras.ops.image_filters import resizing_filter

OPERATORS = Registry("TensorFlow operation")


def dtype_of(call: Call, place: int = 0) -> np.dtype:
    """The element type of an input."""
    return call.specs[place].dtype.numpy


# --- element by element


def _elementwise(operation: str, out: str) -> Operator:
    return lambda writer, call: writer.node(operation, *call.inputs, out=out, T=dtype_of(call))


_OF_ONE = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh", "atan": "Atan",
    "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "erfc": "Erfc", "exp": "Exp",
    "expm1": "Expm1", "floor": "Floor", "is_finite": "IsFinite", "is_inf": "IsInf", "is_nan": "IsNan",
    "lgamma": "Lgamma", "log": "Log", "log1p": "Log1p", "negative": "Neg", "reciprocal": "Reciprocal",
    "round": "Round", "rsqrt": "Rsqrt", "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "sqrt": "Sqrt", "square": "Square", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
_OF_TWO = {
    "add": "AddV2", "atan2": "Atan2", "divide": "RealDiv", "divide_no_nan": "DivNoNan", "equal": "Equal",
    "floor_divide": "FloorDiv", "floor_mod": "FloorMod", "greater": "Greater", "greater_equal": "GreaterEqual",
    "less": "Less", "less_equal": "LessEqual", "maximum": "Maximum", "minimum": "Minimum", "multiply": "Mul",
    "multiply_no_nan": "MulNoNan", "not_equal": "NotEqual", "pow": "Pow", "squared_difference": "SquaredDifference",
    "subtract": "Sub", "xdivy": "Xdivy", "xlogy": "Xlogy",
}  # fmt: skip


def _enter(primitive: str, operation: str, write: Operator) -> None:
    """One operation there for one here, which reads it in turn."""
    OPERATORS.add(primitive, write)
    reads(operation)(lambda node, *inputs: PRIMITIVES[primitive](*inputs))


for _name, _operation in _OF_ONE.items():
    _enter(_name, _operation, _elementwise(_operation, "y"))
for _name, _operation in _OF_TWO.items():
    _enter(_name, _operation, _elementwise(_operation, "z"))
for _name, _operation in {"relu": "Relu", "softplus": "Softplus"}.items():
    _enter(_name, _operation, _elementwise(_operation, "activations"))
OPERATORS.add("logical_xor", _elementwise("NotEqual", "z"))
OPERATORS.add("identity", _elementwise("Identity", "output"))
_enter("stop_gradient", "StopGradient", _elementwise("StopGradient", "output"))
OPERATORS.add("checked_indices", _elementwise("Identity", "output"))


def _logical(operation: str, out: str) -> Operator:
    return lambda writer, call: writer.node(operation, *call.inputs, out=out)


_enter("logical_and", "LogicalAnd", _logical("LogicalAnd", "z"))
_enter("logical_or", "LogicalOr", _logical("LogicalOr", "z"))
_enter("logical_not", "LogicalNot", _logical("LogicalNot", "y"))


@OPERATORS.register("cast")
def _cast(writer: Writer, call: Call) -> str:
    return writer.cast(call.inputs[0], dtype_of(call), call.outputs[0].dtype.numpy)


@OPERATORS.register("select")
def _select(writer: Writer, call: Call) -> str:
    return writer.node("SelectV2", *call.inputs, T=dtype_of(call, 1))


# --- moving elements


@OPERATORS.register("reshape")
def _reshape(writer: Writer, call: Call) -> str:
    return writer.reshape(call.inputs[0], call.outputs[0].shape, dtype_of(call))


@OPERATORS.register("broadcast_to")
def _broadcast_to(writer: Writer, call: Call) -> str:
    return writer.expand(call.inputs[0], call.outputs[0].shape, dtype_of(call))


def transpose(writer: Writer, value: str, perm: Any, dtype: np.dtype) -> str:
    """Dimensions in another order."""
    return writer.node("Transpose", value, writer.integers(*perm), out="y", T=dtype, Tperm=INT64)


@OPERATORS.register("transpose")
def _transpose(writer: Writer, call: Call) -> str:
    return transpose(writer, call.inputs[0], call.params["perm"], dtype_of(call))


@OPERATORS.register("concat")
def _concat(writer: Writer, call: Call) -> str:
    return writer.concat(call.inputs, call.params["axis"], dtype_of(call))


@OPERATORS.register("stack")
def _stack(writer: Writer, call: Call) -> str:
    return writer.node("Pack", *call.inputs, N=len(call.inputs), T=dtype_of(call), axis=call.params["axis"])


@OPERATORS.register("split")
def _split(writer: Writer, call: Call) -> Any:
    sizes, axis = writer.shape(call.params["sizes"]), writer.constant(call.params["axis"], np.int32)
    count = len(call.outputs)
    return writer.node(
        "SplitV", call.inputs[0], sizes, axis, count=count, num_split=count, T=dtype_of(call), Tlen=INT64
    )


@OPERATORS.register("gather")
def _gather(writer: Writer, call: Call) -> str:
    return writer.gather(*call.inputs, dtype_of(call), dtype_of(call, 1))


@OPERATORS.register("reverse")
def _reverse(writer: Writer, call: Call) -> str:
    axes = writer.integers(*call.params["axes"])
    return writer.node("ReverseV2", call.inputs[0], axes, T=dtype_of(call), Tidx=INT64)


@OPERATORS.register("slice")
def _slice(writer: Writer, call: Call) -> str:
    index = call.params["index"]
    parts = [i if isinstance(i, tuple) else (i, i + 1, 1) for i in index]
    starts, stops, steps = zip(*parts, strict=True)
    to_the_end = sum(1 << axis for axis, stop in enumerate(stops) if stop is None)
    stops = [0 if stop is None else stop for stop in stops]
    return writer.node(
        "StridedSlice",
        call.inputs[0],
        *(writer.shape(values) for values in (starts, stops, steps)),
        T=dtype_of(call),
        Index=INT64,
        begin_mask=0,
        end_mask=to_the_end,
        ellipsis_mask=0,
        new_axis_mask=0,
        shrink_axis_mask=sum(1 << axis for axis, i in enumerate(index) if not isinstance(i, tuple)),
    )


def pad(writer: Writer, value: str, pairs: Any, dtype: np.dtype, filling: float = 0) -> str:
    """A border of `filling`."""
    pairs = writer.constant(pairs, np.int64)
    return writer.node("PadV2", value, pairs, writer.constant(filling, dtype), T=dtype, Tpaddings=INT64)


@OPERATORS.register("unslice")
def _unslice(writer: Writer, call: Call) -> str:
    """Zeros around what was taken by a slice."""
    return pad(writer, call.inputs[0], border(call), dtype_of(call))


@OPERATORS.register("resample")
def _resample(writer: Writer, call: Call) -> str:
    """A product with the matrix of the weights, along one axis."""
    axis, rank, dtype = call.params["axis"], len(call.specs[0].shape), dtype_of(call)
    matrix = resizing_filter(
        call.params["method"], *call.params["sizes"], call.params["antialias"], call.params["is_transposed"]
    ).matrix(call.specs[0].shape[axis])
    perm = [*(i for i in range(rank) if i != axis), axis]
    turned = transpose(writer, call.inputs[0], perm, dtype)
    product = matmul(writer, turned, writer.constant(matrix.T, dtype), dtype, rank)
    return transpose(writer, product, np.argsort(perm).tolist(), dtype)


def matmul(
    writer: Writer, a: str, b: str, dtype: np.dtype, rank: int, transpose_a: bool = False, transpose_b: bool = False
) -> str:
    """Products of matrices, the last two dimensions; of batches of them where `rank`, the larger one, is above 2."""
    if rank == 2:
        return writer.node("MatMul", a, b, out="product", T=dtype, transpose_a=transpose_a, transpose_b=transpose_b)
    return writer.node("BatchMatMulV2", a, b, T=dtype, adj_x=transpose_a, adj_y=transpose_b)


# --- reducing


def _reduction(operation: str) -> Operator:
    def write(writer: Writer, call: Call) -> str:
        axes = writer.integers(*call.params["axes"])
        types = {} if operation in ("All", "Any") else {"T": dtype_of(call)}
        return writer.node(operation, call.inputs[0], axes, keep_dims=call.params["keepdims"], Tidx=INT64, **types)

    return write


for _name in ("sum", "max", "min", "prod", "all", "any"):
    OPERATORS.add(f"reduce_{_name}", _reduction(_name.capitalize()))


def _place_of(operation: str) -> Operator:
    def write(writer: Writer, call: Call) -> str:
        axis, target = writer.constant(call.params["axis"], np.int64), call.outputs[0].dtype.numpy
        kept = target if target in (INT32, INT64) else INT64
        place = writer.node(operation, call.inputs[0], axis, T=dtype_of(call), Tidx=INT64, output_type=kept)
        return place if kept == target else writer.cast(place, kept, target)

    return write


OPERATORS.add("argmax", _place_of("ArgMax"))
OPERATORS.add("argmin", _place_of("ArgMin"))


@OPERATORS.register("argsort")
def _argsort(writer: Writer, call: Call) -> str:
    """The last axis, by the largest of all: of equal elements TopK gives the first one first, as argsort does."""
    dtype, value = dtype_of(call), call.inputs[0]
    if not call.params["descending"]:
        value = writer.apply("Neg", value, dtype)
    count = writer.reshape(writer.cast(writer.shape(call.specs[0].shape[-1:]), INT64, INT32), (), INT32)
    places = writer.node("TopKV2", value, count, out="indices", T=dtype, sorted=True)
    target = call.outputs[0].dtype.numpy
    return places if target == INT32 else writer.cast(places, INT32, target)


@OPERATORS.register("cumsum")
def _cumsum(writer: Writer, call: Call) -> str:
    axis = writer.constant(call.params["axis"], np.int64)
    options = {"exclusive": False, "reverse": False}
    return writer.node("Cumsum", call.inputs[0], axis, out="out", T=dtype_of(call), Tidx=INT64, **options)
