"""What ops do with ragged tensors: element-wise ones take their values, some have rules of their own, others refuse."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from distkeras.core.ragged_tensor import RaggedTensor
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops.ragged import arranging, conversion, indexing, reducing, texts
from distkeras.ops.ragged.broadcasting import elementwise
from distkeras.ops.ragged.rows import Rows, known

_OF_EACH = """
    abs acos acosh as_string asin asinh atan atanh cast ceil cos cosh digamma dropout elu erf erfc exp expm1 floor
    identity is_finite is_inf is_nan leaky_relu lgamma log log1p log_sigmoid negative one_hot ones_like
    polygamma reciprocal reciprocal_no_nan relu relu6 round rsqrt saturate_cast selu sigmoid sign sin sinh softplus
    softsign sqrt square stop_gradient string_bytes_split string_length string_lower string_regex_full_match
    string_regex_replace string_split string_strip string_substr string_to_hash_bucket_fast string_to_number
    string_upper swish tan tanh unicode_decode unicode_decode_with_offsets unicode_split
    unicode_split_with_offsets unicode_transcode zeros_like
""".split()
_OF_PAIRS = """
    add atan2 clip_by_value divide divide_no_nan equal floordiv floormod greater greater_equal less less_equal
    logical_and logical_not logical_or logical_xor maximum minimum multiply multiply_no_nan not_equal pow scalar_mul
    squared_difference subtract xdivy xlogy
""".split()
_SEGMENTS = [f"unsorted_segment_{name}" for name in ("max", "mean", "min", "prod", "sqrt_n", "sum")]


def _of_each(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    bound = inspect.signature(function).bind(*args, **kwargs)
    name, value = next((name, value) for name, value in bound.arguments.items() if isinstance(value, RaggedTensor))
    bound.arguments[name] = value.flat_values
    found = function(*bound.args, **bound.kwargs)
    return tuple(map(value.with_flat_values, found)) if isinstance(found, tuple) else value.with_flat_values(found)


def _of_pairs(function: Callable, args: tuple, kwargs: dict[str, Any]) -> RaggedTensor:
    bound = inspect.signature(function).bind(*args, **{key: kwargs[key] for key in kwargs if key != "name"})
    return elementwise(function, _alike(bound.args))


def _alike(values: Any) -> list[Rows]:
    """Ragged tensors as they are, and numbers and arrays as tensors of their type where it can hold them."""
    like = next(value for value in values if isinstance(value, RaggedTensor)).flat_values
    return [value if isinstance(value, RaggedTensor) else to_tensor(value, like=like) for value in values]


def _of_list(function: Callable, args: tuple, kwargs: dict[str, Any]) -> RaggedTensor:
    """A function whose first argument is a list of what belongs together."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    values, *rest = bound.args
    return elementwise(lambda *flat: function(list(flat), *rest), _alike(values))


def _by_segments(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Rows:
    bound = inspect.signature(function).bind(*args, **kwargs).arguments
    data, ids, count = (bound[name] for name in ("data", "segment_ids", "num_segments"))
    while isinstance(ids, RaggedTensor) and isinstance(data, RaggedTensor):
        data, ids = data.values, ids.values
    if isinstance(data, Tensor):
        return function(data, ids, count)
    return reducing.by_segment(function, data, known(ids, "segment ids"), int(known(count, "the number of segments")))


def _handled(handler: Callable) -> Callable:
    return lambda function, args, kwargs: handler(*args, **kwargs)


RULES: dict[str, Callable[[Callable, tuple, dict[str, Any]], Any]] = {
    **dict.fromkeys(_OF_EACH, _of_each),
    **dict.fromkeys(_OF_PAIRS, _of_pairs),
    **dict.fromkeys(_SEGMENTS, _by_segments),
    **dict.fromkeys(("add_n", "accumulate_n", "string_join"), _of_list),
    **dict.fromkeys(("string_ngrams", "unicode_encode"), texts.of_rows),
    "embedding_lookup": _of_each,
    "getitem": _handled(indexing.getitem),
    "ragged_to_tensor": _handled(conversion.to_dense),
    "reverse": _handled(indexing.reverse),
    "string_reduce_join": _handled(texts.reduce_join),
    **{name: _handled(handler) for name, handler in (arranging.HANDLERS | reducing.HANDLERS).items()},
}


def dispatch(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """An op's result for arguments of which one is ragged.

    Raises:
        TypeError: It has no rule for them.
    """
    name = function.__name__.rstrip("_")
    rule = RULES.get(name)
    if rule is None:
        raise TypeError(
            f"{name} does not take ragged tensors. Give it ragged.to_tensor(), whose rows are filled up to one length, "
            "or its values, as tf.ragged.map_flat_values does."
        )
    return rule(function, args, kwargs)


RaggedTensor.dispatcher = staticmethod(dispatch)
