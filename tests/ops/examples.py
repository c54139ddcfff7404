"""Example inputs for every primitive: what the tests that hold for all of them are run on.

Floating-point inputs lie where the primitive is smooth, away from kinks and ties. The first dimension is the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import distkeras as tf
from distkeras import ops
from distkeras.core.context import Replica
from distkeras.core.primitive import PRIMITIVES

_rng = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape)


def uniform(low: float, high: float, *shape: int) -> np.ndarray:
    return _rng.uniform(low, high, shape)


def apart(*shape: int) -> np.ndarray:
    """Numbers no two of which are closer than 0.1, nor closer than 0.05 to 0: no ties, no kinks."""
    count = int(np.prod(shape))
    return (0.1 * (_rng.permutation(count) - count // 2) + 0.05).reshape(shape)


def flags(*shape: int) -> np.ndarray:
    return _rng.random(shape) < 0.5


@dataclass
class Example:
    """One application of a primitive.

    Attributes:
        name: The primitive's.
        inputs: Arrays; floating-point ones are float64, to be cast to what a test wants.
        params: The parameters, or a function of the input tensors that gives them (sizes that depend on the batch).
        call: What to test instead of the bare primitive: where some inputs are functions of others.
        batched: Which inputs have the batch as their first dimension; None for those as long as the first.
        order: To which order the derivatives are checked.
        atol: Absolute tolerance, compiled against eager, where it has to be larger than usual.
    """

    name: str
    inputs: tuple[Any, ...]
    params: dict[str, Any] | Callable[..., dict[str, Any]] = field(default_factory=dict)
    call: Callable[..., Any] | None = None
    batched: tuple[int, ...] | None = None
    order: int = 2
    atol: float | None = None

    def __call__(self, *tensors: Any) -> Any:
        if self.call is not None:
            return self.call(*tensors)
        params = self.params(*tensors) if callable(self.params) else self.params
        return PRIMITIVES[self.name](*tensors, **params)

    def arguments(self, dtype: Any) -> list[np.ndarray]:
        """The inputs with floating-point ones as `dtype`."""
        return [array.astype(dtype) if array.dtype.kind == "f" else array for array in map(np.asarray, self.inputs)]


# --- element-wise

_ANY = (normal(4, 5),)
_POSITIVE = (uniform(0.5, 2.0, 4, 5),)
_INSIDE = (uniform(-0.8, 0.8, 4, 5),)
_APART = (apart(4, 5),)
_UNARY = {
    "abs": _APART, "acos": _INSIDE, "asin": _INSIDE, "atan": _ANY, "ceil": _APART, "cos": _ANY, "cosh": _ANY,
    "erf": _ANY, "exp": _ANY, "expm1": _ANY, "floor": _APART, "identity": _ANY, "is_finite": _ANY, "is_inf": _ANY,
    "is_nan": _ANY, "log": _POSITIVE, "log1p": _POSITIVE, "logical_not": (flags(4, 5),), "negative": _ANY,
    "reciprocal": _POSITIVE, "relu": _APART, "round": _APART, "rsqrt": _POSITIVE, "sigmoid": _ANY, "sign": _APART,
    "sin": _ANY, "sinh": _ANY, "softplus": _ANY, "sqrt": _POSITIVE, "square": _ANY, "stop_gradient": _ANY,
    "tan": _INSIDE, "tanh": _ANY, "acosh": (uniform(1.5, 3.0, 4, 5),), "asinh": _ANY, "atanh": _INSIDE, "erfc": _ANY,
    "lgamma": _POSITIVE,
}  # fmt: skip

_PAIR = (normal(4, 5), normal(5))
_SEPARATE = (np.float64([[1.0, 2.0, 3.0]] * 4), np.float64([1.5, 1.5, 3.5]))
_BINARY = {
    "add": _PAIR, "subtract": _PAIR, "multiply": _PAIR, "divide": (normal(4, 5), uniform(0.5, 2.0, 5)),
    "divide_no_nan": (normal(4, 5), uniform(0.5, 2.0, 5)), "floor_divide": (normal(4, 5), uniform(0.5, 0.9, 5)),
    "floor_mod": (uniform(2.1, 2.9, 4, 5), np.full(5, 1.0)), "maximum": _SEPARATE, "minimum": _SEPARATE,
    "pow": (uniform(0.5, 2.0, 4, 5), normal(5)), "squared_difference": _PAIR,
    "equal": (np.int32([[1, 2, 3]] * 4), np.int32([1, 5, 3])),
    "not_equal": (np.int32([[1, 2, 3]] * 4), np.int32([1, 5, 3])),
    "less": _SEPARATE, "less_equal": _SEPARATE, "greater": _SEPARATE, "greater_equal": _SEPARATE,
    "logical_and": (flags(4, 5), flags(5)), "logical_or": (flags(4, 5), flags(5)),
    "atan2": (normal(4, 5), uniform(0.5, 2.0, 5)), "multiply_no_nan": (normal(4, 5), uniform(0.5, 2.0, 5)),
    "xdivy": (normal(4, 5), uniform(0.5, 2.0, 5)), "xlogy": (normal(4, 5), uniform(0.5, 2.0, 5)),
    "logical_xor": (flags(4, 5), flags(5)), "relu_gradient": (normal(4, 5), apart(4, 5)),
}  # fmt: skip

_EXAMPLES = [Example(name, inputs) for name, inputs in {**_UNARY, **_BINARY}.items()]
_EXAMPLES += [
    Example("select", (flags(4, 5), normal(5), normal(4, 1))),
    Example("cast", (np.int32([[3, -4]] * 4),), {"dtype": "float32"}),
    Example("cast", _ANY, {"dtype": "float64"}),
]

# --- shape and indexing

_EXAMPLES += [
    Example("reshape", (normal(4, 6),), lambda x: {"shape": (x.shape[0], 2, 3)}),
    Example("transpose", (normal(4, 3, 2),), {"perm": (2, 0, 1)}),
    Example("broadcast_to", (normal(4, 1, 3),), lambda x: {"shape": (2, x.shape[0], 5, 3)}),
    Example("slice", (normal(4, 6),), {"index": (1, (4, None, -2))}),
    Example("slice", (normal(4),), {"index": (2,)}),
    Example("unslice", (normal(2),), {"shape": (3, 6), "index": (1, (4, 0, -2))}, batched=()),
    Example("unslice", (normal(),), {"shape": (4,), "index": (2,)}, batched=()),
    Example("concat", (normal(4, 2), normal(4, 3)), {"axis": 1}),
    Example("split", (normal(4, 5),), {"sizes": (2, 3), "axis": 1}),
    Example("stack", (normal(4, 2), normal(4, 2)), {"axis": 1}),
    Example("stack", (normal(), normal(), normal()), {"axis": 0}),
    Example("reverse", (normal(4, 3, 2),), {"axes": (0, 2)}),
    Example("gather", (normal(6, 3), np.int64([[0, 5], [2, 2]])), batched=(1,)),
    Example("scatter_add", (normal(3, 2, 4), np.int64([[0, 5], [2, 2], [0, 0]])), {"rows": 6}, batched=(0, 1)),
    Example("checked_indices", (np.int64([[0, 5], [2, 2]]),), {"limits": (3, 6)}),
]

# --- reductions

_EXAMPLES += [
    Example("reduce_sum", (normal(4, 3, 5),), {"axes": (0, 2), "keepdims": False}),
    Example("reduce_sum", (normal(4, 3, 5),), {"axes": (1,), "keepdims": True}),
    Example("reduce_prod", (uniform(0.5, 1.5, 4, 3, 5),), {"axes": (0, 2), "keepdims": False}),
    Example("reduce_prod", (np.float64([[1.5, 0.0, 2.0], [0.0, 0.0, 3.0], [2.0, 3.0, 4.0]]),),
            {"axes": (1,), "keepdims": False}),
    Example("reduce_max", (apart(4, 3, 5),), {"axes": (1,), "keepdims": False}),
    Example("reduce_min", (apart(4, 3, 5),), {"axes": (0, 2), "keepdims": True}),
    Example("reduce_any", (np.array([[True, False], [False, False]] * 2),), {"axes": (1,), "keepdims": False}),
    Example("reduce_all", (np.array([[True, False], [True, True]] * 2),), {"axes": (1,), "keepdims": False}),
    Example("argmax", (apart(4, 3, 5),), {"axis": 1, "dtype": "int64"}),
    Example("argmin", (apart(4, 3, 5),), {"axis": 2, "dtype": "int32"}),
    Example("cumsum", (normal(4, 5),), {"axis": 1}),
]  # fmt: skip

# --- products

_CONV = {"strides": (2, 1), "padding": ((1, 0), (1, 1)), "dilations": (1, 1)}
_DILATED = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilations": (1, 2)}


def _conv_gradient_params(gradient: str, **params: Any) -> Callable[..., dict[str, Any]]:
    sizes = {"input_shape": lambda g, w: (g.shape[0], 5, 4, 2), "kernel_shape": lambda x, g: (3, 3, 2, 3)}
    return lambda a, b: {gradient: sizes[gradient](a, b), **params}


_EXAMPLES += [
    Example("matmul", (normal(4, 3), normal(3, 5)), {"transpose_a": False, "transpose_b": False}),
    Example("matmul", (normal(4, 3), normal(5, 3)), {"transpose_a": False, "transpose_b": True}),
    Example("matmul", (normal(4, 3), normal(4, 5)), {"transpose_a": True, "transpose_b": False}),
    Example("matmul", (normal(4, 3), normal(5, 4)), {"transpose_a": True, "transpose_b": True}, batched=()),
    Example("matmul", (normal(4, 2, 3), normal(4, 3, 5)), {"transpose_a": False, "transpose_b": False}),
    Example("affine", (normal(4, 3), normal(3, 5), normal(5)),
            {"transpose_a": False, "transpose_b": False, "relu": True}),
    Example("conv2d", (normal(2, 5, 4, 2), normal(3, 3, 2, 3)), _CONV, atol=1e-5),
    Example("conv2d", (normal(2, 5, 6, 2), normal(3, 3, 2, 3)), _DILATED, atol=1e-5),
    Example("conv2d_affine", (normal(2, 5, 4, 2), normal(3, 3, 2, 3), normal(3)), {**_CONV, "relu": True}, atol=1e-5),
    Example("conv2d_input_gradient", (normal(2, 2, 4, 3), normal(3, 3, 2, 3)),
            _conv_gradient_params("input_shape", **_CONV), atol=1e-5),
    Example("conv2d_weight_gradient", (normal(2, 5, 4, 2), normal(2, 2, 4, 3)),
            _conv_gradient_params("kernel_shape", **_CONV), atol=1e-5),
]  # fmt: skip

_EXAMPLES += [
    Example("depthwise_conv2d", (normal(2, 5, 4, 3), normal(3, 3, 3)), _CONV, atol=1e-5),
    Example("depthwise_conv2d", (normal(2, 5, 6, 3), normal(3, 3, 3)), _DILATED, atol=1e-5),
    Example("depthwise_conv2d_input_gradient", (normal(2, 2, 4, 3), normal(3, 3, 3)),
            lambda g, w: {"input_shape": (g.shape[0], 5, 4, 3), **_CONV}, atol=1e-5),
    Example("depthwise_conv2d_weight_gradient", (normal(2, 5, 4, 3), normal(2, 2, 4, 3)),
            {"kernel_shape": (3, 3, 3), **_CONV}, atol=1e-5),
]  # fmt: skip

# --- pooling

_POOL = {"window": (2, 3), "strides": (2, 1), "padding": ((0, 1), (1, 1))}
_IMAGES = apart(2, 3, 4, 2)


def _index(x: Any) -> Any:
    return PRIMITIVES["max_pool2d"](tf.constant(_IMAGES[: x.shape[0]]), **_POOL)[1]


def _spread(g: Any) -> Any:
    return PRIMITIVES["max_pool2d_gradient"](g, _index(g), input_shape=(g.shape[0], 3, 4, 2), **_POOL)


_EXAMPLES += [
    Example("max_pool2d", (_IMAGES,), _POOL),
    Example("max_pool2d_gradient", (normal(2, 2, 4, 2),), call=_spread),
    Example("max_pool2d_take", (_IMAGES,), call=lambda h: PRIMITIVES["max_pool2d_take"](h, _index(h), **_POOL)),
    Example("average_pool2d", (normal(2, 3, 4, 2),), _POOL),
    Example("average_pool2d_gradient", (normal(2, 2, 4, 2),),
            lambda g: {"input_shape": (g.shape[0], 3, 4, 2), **_POOL}),
]  # fmt: skip

# --- softmax and cross-entropy

_LABELS = np.int64([0, 4, 2, 2])
# Some are beyond the limits of 0.1 and 0.9, and the second label's too.
_PROBABILITIES = np.float64([[0.3, 0.2, 0.95, 0.4, 0.15], [0.2, 0.6, 0.3, 0.5, 0.05], [0.05, 0.7, 0.8, 0.3, 0.25],
                             [0.5, 0.98, 0.35, 0.01, 0.4]])  # fmt: skip


def _losses(name: str) -> Callable[..., Any]:
    """The losses alone: the probabilities that come with them are for their gradient, and have none themselves."""
    return lambda logits, labels: PRIMITIVES[name](logits, labels)[0]


def _cross_entropy_gradient(logits: Any, labels: Any, g: Any) -> Any:
    return PRIMITIVES["softmax_cross_entropy_gradient"](ops.softmax(logits), labels, g, logits)


def _sparse_cross_entropy_gradient(logits: Any, labels: Any, g: Any) -> Any:
    return PRIMITIVES["sparse_softmax_cross_entropy_gradient"](ops.softmax(logits), labels, g, logits)


_EXAMPLES += [
    Example("softmax", _ANY),
    Example("softmax_gradient", (uniform(0.1, 0.9, 4, 5), normal(4, 5))),
    Example("log_softmax", _ANY),
    Example("log_softmax_gradient", (uniform(-2.0, -0.1, 4, 5), normal(4, 5))),
    Example("softmax_cross_entropy", (normal(4, 5), uniform(0.0, 1.0, 4, 5)), call=_losses("softmax_cross_entropy")),
    Example("softmax_cross_entropy_gradient", (normal(4, 5), uniform(0.0, 1.0, 4, 5), normal(4)),
            call=_cross_entropy_gradient),
    Example("sparse_softmax_cross_entropy", (normal(4, 5), _LABELS), call=_losses("sparse_softmax_cross_entropy")),
    Example("sparse_softmax_cross_entropy_gradient", (normal(4, 5), _LABELS, normal(4)),
            call=_sparse_cross_entropy_gradient),
    Example("sparse_cross_entropy", (_PROBABILITIES, _LABELS), lambda p, labels: {"low": 0.1, "high": 0.9}),
    Example("sparse_cross_entropy_gradient", (_PROBABILITIES, _LABELS, normal(4)),
            lambda p, labels, g: {"low": 0.1, "high": 0.9}),
]  # fmt: skip

# --- normalisation

_ALONE = Replica()


def _normalized(x: Any, gamma: Any, beta: Any) -> Any:
    """y alone: the moments go out as statistics, to which no derivative belongs."""
    return PRIMITIVES["batch_normalization"](x, gamma, beta, epsilon=0.1, replica=_ALONE)[0]


def _normalization_gradient(g: Any, x: Any, gamma: Any) -> Any:
    _, mean, variance, count = PRIMITIVES["batch_normalization"](x, gamma, gamma, epsilon=0.1, replica=_ALONE)
    return PRIMITIVES["batch_normalization_gradient"](g, x, gamma, mean, variance, count, epsilon=0.1, replica=_ALONE)


def _row_normalization_gradient(g: Any, x: Any, gamma: Any) -> Any:
    _, mean, rstd = PRIMITIVES["layer_normalization"](x, gamma, gamma, epsilon=0.1)
    return PRIMITIVES["layer_normalization_gradient"](g, x, gamma, mean, rstd, epsilon=0.1)


_EXAMPLES += [
    Example("batch_normalization", (normal(6, 3), normal(3), normal(3)), call=_normalized, order=3),
    Example("batch_normalization_gradient", (normal(6, 3), normal(6, 3), normal(3)), call=_normalization_gradient),
    Example("batch_moments", (normal(6, 3),), {"replica": _ALONE}),
    Example("normalization_by_moments", (normal(6, 3), normal(3), uniform(1, 2, 3), normal(3), normal(3)),
            {"epsilon": 0.1, "relu": True}),
    Example("sum_over_replicas", (normal(4),), {"replica": _ALONE}),
    Example("layer_normalization", (normal(6, 3), normal(3), normal(3)),
            call=lambda *inputs: PRIMITIVES["layer_normalization"](*inputs, epsilon=0.1)[0], order=3),
    Example("layer_normalization_gradient", (normal(6, 3), normal(6, 3), normal(3)), call=_row_normalization_gradient),
]  # fmt: skip

# --- recurrences: time first; the first step of one sample and the last ones of another do not count

_STEPS = np.array([[True, False, True], [True, True, True], [False, True, True], [False, True, True]])


def _recurrence(name: str, results: int) -> Callable[..., Any]:
    """The results alone: what else a recurrence gives is for its gradient, and has none itself."""

    def call(*tensors: Any) -> Any:
        outputs = PRIMITIVES[name](*tensors)
        return outputs[:results] if isinstance(outputs, tuple) else outputs

    return call


def _lstm_gradient(g: Any, g_last_c: Any, *inputs: Any) -> Any:
    h, _, c, gates = PRIMITIVES["lstm"](*inputs)
    return PRIMITIVES["lstm_gradient"](g, g_last_c, *inputs, h, c, gates)


def _gru_gradient(g: Any, *inputs: Any) -> Any:
    return PRIMITIVES["gru_gradient"](g, *inputs, *PRIMITIVES["gru"](*inputs))


def _simple_rnn_gradient(g: Any, *inputs: Any) -> Any:
    return PRIMITIVES["simple_rnn_gradient"](g, *inputs, PRIMITIVES["simple_rnn"](*inputs))


_LSTM = (normal(4, 3, 8), normal(2, 8), normal(3, 2), normal(3, 2), _STEPS)
_GRU = (normal(4, 3, 6), normal(2, 6), normal(6), normal(3, 2), _STEPS)
_SIMPLE_RNN = (normal(4, 3, 2), normal(2, 2), normal(3, 2), _STEPS)
_EXAMPLES += [
    Example("lstm", _LSTM, call=_recurrence("lstm", 2), batched=()),
    Example("lstm_gradient", (normal(4, 3, 2), normal(3, 2), *_LSTM), call=_lstm_gradient, batched=()),
    Example("gru", _GRU, call=_recurrence("gru", 1), batched=()),
    Example("gru_gradient", (normal(4, 3, 2), *_GRU), call=_gru_gradient, batched=()),
    Example("simple_rnn", _SIMPLE_RNN, batched=()),
    Example("simple_rnn_gradient", (normal(4, 3, 2), *_SIMPLE_RNN), call=_simple_rnn_gradient, batched=()),
]

# --- images

_EXAMPLES += [
    Example("resample", (normal(4, 3, 5, 2),),
            {"axis": 2, "method": method, "sizes": (5, 4), "antialias": True, "is_transposed": False})
    for method in ("bicubic", "area")
]  # fmt: skip

# --- random: functions of a state

_STATE = np.int64([5, 17, 3])
_EXAMPLES += [
    Example("dropout", (normal(4, 5), _STATE), {"rate": 0.4, "stream": 11}, batched=(0,)),
    Example("dropout_gradient", (normal(4, 5), flags(4, 5).astype(np.uint8)), {"rate": 0.4}),
    Example("random_permutation", (_STATE,), {"size": 7, "stream": 11}, batched=()),
]
_EXAMPLES += [
    Example("random", (_STATE,), {"kind": kind, "shape": (4, 5), "dtype": "float32", "stream": 11}, batched=())
    for kind in ("uniform", "normal", "truncated_normal")
]

_EXAMPLES += [
    Example("random_parametric", (uniform(0.5, 9.0, 4, 5), _STATE), {"kind": kind, "stream": 11}, batched=(0,))
    for kind in ("gamma", "poisson")
]

# --- special functions, order, segments

_ROWS, _SEGMENTS = apart(5, 3), np.int64([1, 0, 1, 2, 0])
_EXAMPLES += [
    Example("polygamma", _POSITIVE, {"order": 0}),
    Example("polygamma", _POSITIVE, {"order": 2}),
    Example("argsort", _APART, {"descending": False}),
    Example("argsort", _APART, {"descending": True}),
    Example("scatter_set", (normal(6, 3), np.int64([5, 0, 2, 3]), normal(4, 3)), batched=(1, 2)),
    *(Example("segment_reduce", (_ROWS, _SEGMENTS), {"kind": kind, "rows": 3}) for kind in ("max", "min", "prod")),
]

# --- factors of matrices

_SQUARE = normal(4, 3, 3) + 3 * np.eye(3)


def _definite(x: Any) -> Any:
    """Symmetric and positive definite: only one half of such a matrix is free."""
    return ops.matmul(x, x, transpose_b=True)


def _factor(name: str, count: int) -> Callable[..., Any]:
    """Some outputs, those that do not depend on the signs LAPACK chooses."""
    return lambda x: PRIMITIVES[name](_definite(x))[:count]


_EXAMPLES += [
    Example("matrix_inverse", (_SQUARE,), atol=1e-5),
    Example("matrix_solve", (_SQUARE, normal(4, 3, 2)), {"adjoint": False}, atol=1e-5),
    Example("matrix_solve", (_SQUARE, normal(4, 3, 2)), {"adjoint": True}, atol=1e-5),
    Example("cholesky", (_SQUARE,), call=lambda x: PRIMITIVES["cholesky"](_definite(x)), atol=1e-4),
    Example("det", (_SQUARE,), atol=1e-3),
    Example("slogdet", (_SQUARE,), call=lambda x: PRIMITIVES["slogdet"](x)[1], atol=1e-5),
    Example("eigh", (_SQUARE,), call=_factor("eigh", 1), atol=1e-3),
    Example("eigh", (_SQUARE,), call=lambda x: PRIMITIVES["eigh"](_definite(x))[1] ** 2.0, atol=1e-3),
]

# --- branches, loops, derivatives given: the inputs decide, and are captured


def _either(x: Any, y: Any) -> Any:
    return ops.cond(ops.reduce_max(x) > 0.0, lambda: (x * y, x), lambda: (ops.exp(x) + y, -x))


def _double_until(x: Any, y: Any) -> Any:
    return ops.while_loop(lambda i, z: ops.reduce_sum(abs(z)) < 50.0, lambda i, z: (i + 1, z * y + x), (0, x))


@tf.custom_gradient
def _cubed(x: Any) -> Any:
    square = x * x
    return square * x, lambda dy: dy * 3.0 * square


_EXAMPLES += [
    Example("switch", (_APART[0], normal(5)), call=_either, batched=(0,)),
    Example("switch", (-abs(_APART[0]), normal(5)), call=_either, batched=(0,)),
    Example("while", (_APART[0], uniform(1.5, 2.0, 5)), call=_double_until, batched=(0,)),
    Example("custom_gradient", _ANY, call=_cubed),
]

_BOXES = uniform(0.0, 1.0, 4, 3, 2, 4)
_EXAMPLES += [
    Example("draw_candidates", (np.int64([3, 1, 0]),),
            {"kind": "log_uniform", "count": 4, "range_max": 9, "unique": True, "stream": 5}, batched=()),
    Example("suppress_boxes", (_BOXES[:, 0, 0], np.float64([0.3, 0.9, 0.5, 0.7])),
            {"most": 3, "overlap": 0.5, "least": 0.1, "sigma": 0.4}, batched=()),
    Example("suppress_boxes_of_images", (_BOXES, uniform(0.0, 1.0, 4, 3, 2)),
            {"per_class": 2, "total": 3, "clips": True, "overlap": 0.5, "least": 0.1, "sigma": 0.0}),
]  # fmt: skip

EXAMPLES = {
    f"{example.name}-{number}": example for number, example in enumerate(sorted(_EXAMPLES, key=lambda item: item.name))
}

# Primitives with an effect on things outside of the graph have tests of their own.
TESTED_ELSEWHERE = {
    "host_call": "tests/graph/test_host_call.py",
    "read_variable": "tests/graph/test_variables.py",
    "assign_variable": "tests/graph/test_variables.py",
    "by_rows": "tests/keras/optimizers/test_kernel_update.py",
    "by_shards": "tests/graph/test_rows.py",
    "rows": "tests/graph/test_rows.py",
    "only_sum": "tests/graph/test_rows.py",
    "random_state_at": "tests/graph/test_rows.py",
    "while_gradient": "tests/ops/test_loops.py",
    "print": "tests/ops/test_python_calls.py",
    "lookup": "tests/feature_column/test_columns.py",
    "cross": "tests/feature_column/test_columns.py",
    "record": "tests/test_summary.py",
    "parse_example": "tests/data/test_example_parser.py",
    "decode_raw": "tests/data/test_example_parser.py",
    "decode_csv": "tests/data/dataset_cases.py",
    "ctc": "tests/ops/test_ctc.py",
    "ctc_gradient": "tests/ops/test_ctc.py",
    "assert": "tests/ops/test_assertions.py",
    "svd": "tests/ops/test_factors.py",  # these two have no derivative, and signs that LAPACK chooses
    "qr": "tests/ops/test_factors.py",
}
