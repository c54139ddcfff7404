"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.rows import SUM, Rows, each_row, rows_along
from distkeras.core.spec import TensorSpec, as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.kernels import reduce as kernels
from distkeras.ops._op import axes_of, axis_of, op
from distkeras.ops.elementwise import (
    add,
    cast,
    divide_no_nan,
    equal,
    exp,
    is_finite,
    log,
    multiply,
    ones_of,
    sqrt,
    square,
    stop_gradient,
    subtract,
    where,
    zeros_of,
)
from distkeras.ops.joining import concat
from distkeras.ops.shape import broadcast_to, reshape, transpose
from distkeras.ops.shape import reverse as flip


def _reduced_shape(spec: TensorSpec, axes: tuple[int, ...], keepdims: bool) -> TensorSpec:
    shape = (1 if i in axes else n for i, n in enumerate(spec.shape) if keepdims or i not in axes)
    return TensorSpec(tuple(shape), spec.dtype)


def _runs(shape: Sequence[int], axes: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """The reduction as steps over [outer, n, inner] views: neighbouring axes are reduced together, last ones first."""
    steps: list[tuple[int, int, int]] = []
    sizes = list(shape)
    stop = len(sizes)
    while stop > 0:
        start = stop
        while start > 0 and (start - 1 in axes) == (stop - 1 in axes):
            start -= 1
        if stop - 1 in axes:
            n = int(np.prod(sizes[start:stop], dtype=np.int64))
            sizes[start:stop] = [1] * (stop - start)
            steps.append((int(np.prod(sizes[:start], dtype=np.int64)), n, int(np.prod(sizes[stop:], dtype=np.int64))))
        stop = start
    return steps


def _reduction(
    name: str, numpy: Callable, lower: Callable, vjp: Callable | None, kind: type | None = None
) -> Primitive:
    primitive = Primitive(
        name,
        numpy=lambda x, axes, keepdims: numpy(
            x, axis=axes, keepdims=keepdims, **({"dtype": x.dtype} if kind is None else {})
        ),
    )
    primitive.def_shape(_reduced_shape)
    if vjp is not None:
        primitive.def_vjp(vjp)

    @primitive.def_kernel
    def kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, axes: tuple, keepdims: bool) -> Calls:
        source, calls = inputs[0], []
        steps = _runs(source.shape, axes)
        for i, (outer, n, inner) in enumerate(steps):
            last = i == len(steps) - 1
            target = outputs[0] if last else scratch((outer * inner,), source.dtype)
            calls += lower(source.reshape(outer, n, inner), target.reshape(outer, inner), scratch)
            source = target
        return calls or [(np.copyto, (outputs[0], source.reshape(outputs[0].shape)))]

    return primitive


def _expand(tensor: Tensor, like: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if not keepdims:
        tensor = reshape(tensor, tuple(1 if i in axes else n for i, n in enumerate(like.shape)))
    return tensor


def _sum_vjp(gradients: tuple, inputs: tuple, outputs: tuple, axes: tuple, keepdims: bool) -> tuple:
    x = inputs[0]
    return (lambda: broadcast_to(_expand(gradients[0], x, axes, keepdims), x.shape),)


def _extremum_vjp(gradients: tuple, inputs: tuple, outputs: tuple, axes: tuple, keepdims: bool) -> tuple:
    """The gradient is shared evenly between equal extrema, as TensorFlow does."""
    x = inputs[0]

    def gradient() -> Tensor:
        hits = cast(equal(x, _expand(outputs[0], x, axes, keepdims)), x.dtype)
        share = divide_no_nan(hits, _sum(hits, axes=axes, keepdims=True))
        return multiply(share, _expand(gradients[0], x, axes, keepdims))

    return (gradient,)


def _prod_vjp(gradients: tuple, inputs: tuple, outputs: tuple, axes: tuple, keepdims: bool) -> tuple:
    """The derivative for one factor is the product of the others: never a quotient, for factors may be 0."""
    x = inputs[0]
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    order = (*kept, *axes)
    n = int(np.prod([x.shape[i] for i in axes], dtype=np.int64))

    def gradient() -> Tensor:
        front = transpose(x, order)
        rows = reshape(front, (x.spec.size // max(n, 1), n))
        others = _products_before(rows) * flip(_products_before(flip(rows, [1])), [1])
        back = transpose(reshape(others, front.shape), [order.index(i) for i in range(x.ndim)])
        return back * _expand(gradients[0], x, axes, keepdims)

    return (gradient,)


def _products_before(rows: Tensor) -> Tensor:
    """For each element of [rows, n] the product of those before it in its row, in log2(n) multiplications."""
    count, n = rows.shape
    products, step = concat([broadcast_to(ones_of(rows), (count, min(n, 1))), rows[:, : max(n - 1, 0)]], 1), 1
    while step < n:
        products *= concat([broadcast_to(ones_of(rows), (count, step)), products[:, :-step]], 1)
        step *= 2
    return products


_sum = _reduction("reduce_sum", np.sum, kernels.lower_sum, _sum_vjp)
_prod = _reduction("reduce_prod", np.prod, kernels.lower_prod, _prod_vjp)
_max = _reduction("reduce_max", np.max, kernels.lower_max, _extremum_vjp, kind=object)
_min = _reduction("reduce_min", np.min, kernels.lower_min, _extremum_vjp, kind=object)
for _extremum in (_prod, _max, _min):
    _extremum.def_cut(rows_along("axes"))
_any = _reduction("reduce_any", np.any, kernels.lower_any, None, kind=object)
_all = _reduction("reduce_all", np.all, kernels.lower_all, None, kind=object)
for _of_truths in (_any, _all):
    _of_truths.def_cut(rows_along("axes"))


@_sum.def_cut
def _sum_cut(units: tuple, specs: tuple, samples: int, axes: tuple, keepdims: bool) -> Rows | None:
    return each_row(0, outputs=(SUM,) if 0 in axes else (1,))(units, specs, samples)


def _reduce(primitive: Primitive, x: Any, axis: Any, keepdims: bool) -> Tensor:
    x = to_tensor(x)
    if x.dtype.is_bool and primitive not in (_any, _all):
        raise InvalidArgumentError(
            f"{primitive.name}: expected numbers, received dtype bool: cast it first with tf.cast(x, tf.int32)."
        )
    axes = axes_of(axis, x.ndim)
    if primitive in (_max, _min) and any(not x.shape[i] for i in axes):
        raise InvalidArgumentError(
            f"{primitive.name}: there is no extremum of no elements; shape {x.shape}, axes {axes}."
        )
    return primitive(x, axes=axes, keepdims=bool(keepdims)) if axes else x


@op
def reduce_sum(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The sum over `axis` (all axes by default)."""
    return _reduce(_sum, input_tensor, axis, keepdims)


@op
def reduce_mean(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The mean over `axis` (all axes by default); NaN over no elements."""
    x = to_tensor(input_tensor)
    if x.dtype == "float16":  # the sum may be larger than any float16
        return cast(reduce_mean(cast(x, "float32"), axis, keepdims), "float16")
    axes = axes_of(axis, x.ndim)
    count = int(np.prod([x.shape[i] for i in axes], dtype=np.int64))
    total = _reduce(_sum, x, axes, keepdims)
    if x.dtype.is_integer:
        return _truncated_quotient(total, count)
    return total / float(count)


def _truncated_quotient(total: Tensor, count: int) -> Tensor:
    """Integers divided as C divides them: -3 / 2 is -1."""
    if not count:
        raise InvalidArgumentError("reduce_mean: integers have no mean over no elements, for they have no NaN.")
    return where(total < 0, -(-total // count), total // count)


@op
def reduce_max(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The largest element over `axis`."""
    return _reduce(_max, input_tensor, axis, keepdims)


@op
def reduce_min(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The smallest element over `axis`."""
    return _reduce(_min, input_tensor, axis, keepdims)


@op
def reduce_prod(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The product over `axis`."""
    return _reduce(_prod, input_tensor, axis, keepdims)


@op
def reduce_any(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """Whether any element is true."""
    return _reduce(_any, to_tensor(input_tensor, "bool"), axis, keepdims)


@op
def reduce_all(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """Whether all elements are true."""
    return _reduce(_all, to_tensor(input_tensor, "bool"), axis, keepdims)


@op
def reduce_logsumexp(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """log(sum(exp(x))), without overflow."""
    x = to_tensor(input_tensor)
    axes = axes_of(axis, x.ndim)
    largest = reduce_max(x, axes, True)
    # The result does not depend on what is subtracted; an infinity must not be, for inf - inf is NaN.
    top = stop_gradient(where(is_finite(largest), largest, zeros_of(largest)))
    total = add(log(reduce_sum(exp(subtract(x, top)), axes, True)), top)
    return total if keepdims else reshape(total, [n for i, n in enumerate(x.shape) if i not in axes])


@op
def reduce_variance(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The mean squared deviation from the mean."""
    x = to_tensor(input_tensor)
    return reduce_mean(square(x - reduce_mean(x, axis, True)), axis, keepdims)


@op
def reduce_euclidean_norm(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """The square root of the sum of squares over `axis`."""
    return sqrt(reduce_sum(square(input_tensor), axis, keepdims))


@op
def reduce_std(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Tensor:
    """The standard deviation."""
    return sqrt(reduce_variance(input_tensor, axis, keepdims))


@op
def moments(
    x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance over `axes`. `shift` is accepted, as TensorFlow does: the result does not depend on it."""
    return reduce_mean(x, axes, keepdims), reduce_variance(x, axes, keepdims)


def _arg(name: str, numpy: Callable, lower: Callable) -> Primitive:
    primitive = Primitive(name, numpy=lambda x, axis, dtype: numpy(x, axis=axis).astype(dtype))
    primitive.def_shape(lambda spec, axis, dtype: TensorSpec([n for i, n in enumerate(spec.shape) if i != axis], dtype))

    @primitive.def_kernel
    def kernel(inputs: Sequence, outputs: Sequence, scratch: Any, *, axis: int, dtype: str) -> Calls:
        ((outer, n, inner),) = _runs(inputs[0].shape, (axis,))
        found = outputs[0] if dtype == "int64" else scratch(outputs[0].shape, np.int64)
        calls = lower(inputs[0].reshape(outer, n, inner), found.reshape(outer, inner), scratch)
        return calls if found is outputs[0] else [*calls, (np.copyto, (outputs[0], found, "unsafe"))]

    return primitive


_argmax = _arg("argmax", np.argmax, kernels.lower_argmax)
_argmin = _arg("argmin", np.argmin, kernels.lower_argmin)
for _extremal in (_argmax, _argmin):
    _extremal.def_cut(rows_along("axis"))


def _arg_reduce(primitive: Primitive, x: Any, axis: Any, output_type: Any) -> Tensor:
    x = to_tensor(x)
    axis = axis_of(0 if axis is None else axis, x.ndim)
    if not x.shape[axis]:
        raise InvalidArgumentError(f"{primitive.name}: dimension {axis} of shape {x.shape} is empty.")
    return primitive(x, axis=axis, dtype=as_dtype(output_type).name)


@op
def argmax(input: Any, axis: Any = None, output_type: Any = "int64", name: str | None = None) -> Tensor:
    """The index of the first largest element along `axis` (0 by default)."""
    return _arg_reduce(_argmax, input, axis, output_type)


@op
def argmin(input: Any, axis: Any = None, output_type: Any = "int64", name: str | None = None) -> Tensor:
    """The index of the first smallest element along `axis` (0 by default)."""
    return _arg_reduce(_argmin, input, axis, output_type)


@op
def count_nonzero(
    input: Any, axis: Any = None, keepdims: bool = False, dtype: Any = "int64", name: str | None = None
) -> Tensor:
    """The number of elements that are not zero."""
    x = to_tensor(input)
    return reduce_sum(cast(where(equal(x, zeros_of(x)), 0, 1), dtype), axis, keepdims)


@op
def cumsum(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Tensor:
    """Sums of all elements up to each one along `axis`."""
    x = to_tensor(x)
    axis = axis_of(axis, x.ndim)
    if reverse:
        return flip(cumsum(flip(x, [axis]), axis, exclusive), [axis])
    total = _cumsum(x, axis=axis)
    return total - x if exclusive else total


@op
def cumprod(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Tensor:
    """Products of all elements up to each one along `axis`; differentiable where factors are 0, too."""
    x = to_tensor(x)
    axis = axis_of(axis, x.ndim)
    if reverse:
        return flip(cumprod(flip(x, [axis]), axis, exclusive), [axis])
    order = [*(i for i in range(x.ndim) if i != axis), axis]
    front = transpose(x, order)
    rows = reshape(front, (-1 if x.spec.size else 0, x.shape[axis]))
    products = _products_before(rows) if exclusive else _products_before(rows) * rows
    return transpose(reshape(products, front.shape), [order.index(i) for i in range(x.ndim)])


_cumsum = Primitive("cumsum", numpy=lambda x, axis: np.cumsum(x, axis=axis, dtype=x.dtype))
_cumsum.def_shape(lambda spec, axis: spec)
_cumsum.def_cut(rows_along("axis"))
_cumsum.def_kernel(
    lambda inputs, outputs, scratch, axis: [(np.cumsum, (inputs[0], axis, outputs[0].dtype, outputs[0]))]
)
_cumsum.def_vjp(lambda gradients, inputs, outputs, axis: (lambda: cumsum(gradients[0], axis, reverse=True),))
