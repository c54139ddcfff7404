"""`tf.io.parse_example` and its kin: serialized examples as tensors, by a description of their features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from distkeras._errors import CaptureError, InvalidArgumentError
from distkeras.core.primitive import Calls, Primitive
from distkeras.core.sparse_tensor import SparseTensor
from distkeras.core.spec import TensorSpec
from distkeras.core.tensor import SymbolicTensor, Tensor, as_array
from distkeras.data.example_parser import FixedLenFeature, FixedLenSequenceFeature, Parser, VarLenFeature
from distkeras.data.sizes import note_values, values_of

__all__ = ["FixedLenFeature", "FixedLenSequenceFeature", "VarLenFeature", "parse_example", "parse_single_example"]

_MOST_PARSERS = 16
_parsers: list[Parser] = []


def parse_single_example(
    serialized: Any, features: Mapping[str, Any], example_names: Any = None, name: str | None = None
) -> dict[str, Tensor | SparseTensor]:
    """The features of one serialized `tf.train.Example`.

    A function of `Dataset.map` that calls it is compiled where all features are FixedLenFeatures, and then parses many
    examples at once.

    Args:
        serialized: Scalar string tensor, or bytes.
        features: Dict name -> FixedLenFeature, VarLenFeature or FixedLenSequenceFeature.
        example_names: A name for the example, for messages.

    Returns:
        Dict name -> tensor; for a VarLenFeature a SparseTensor.

    Raises:
        InvalidArgumentError: A feature is missing, of another type or size.
        DataLossError: `serialized` is no example.

    >>> import distkeras as tf
    >>> feature = tf.train.Feature(float_list=tf.train.FloatList(value=[1.0, 2.0]))
    >>> example = tf.train.Example(features=tf.train.Features(feature={"x": feature}))
    >>> parsed = tf.io.parse_single_example(
    ...     example.SerializeToString(), {"x": tf.io.FixedLenFeature([2], tf.float32)}
    ... )
    >>> parsed["x"].numpy().tolist()
    [1.0, 2.0]
    """
    parser = _parser_of(features)
    if isinstance(serialized, SymbolicTensor) and not serialized.ndim:
        return _traced(parser, serialized)
    array = as_array(serialized)
    if array.ndim:
        raise InvalidArgumentError(
            f"parse_single_example takes one serialized example, received shape {array.shape}: use parse_example."
        )
    return dict(
        zip(
            features,
            parser.parse_one(array[()], None if example_names is None else as_array(example_names)[()]),
            strict=True,
        )
    )


def parse_example(
    serialized: Any, features: Mapping[str, Any], example_names: Any = None, name: str | None = None
) -> dict[str, Tensor | SparseTensor]:
    """The features of a vector of serialized `tf.train.Example`, stacked; see `parse_single_example`."""
    parser = _parser_of(features)
    if isinstance(serialized, SymbolicTensor) and serialized.ndim == 1:
        return _traced(parser, serialized)
    array = as_array(serialized)
    if array.ndim != 1:
        raise InvalidArgumentError(
            f"parse_example takes a vector of serialized examples, received shape {array.shape}."
        )
    names = None if example_names is None else as_array(example_names).tolist()
    return dict(zip(features, parser.parse(array.tolist(), names), strict=True))


def _parser_of(features: Mapping[str, Any]) -> Parser:
    """The parser for a description, kept for the next time: making one takes longer than parsing an example."""
    for parser in _parsers:
        try:
            if parser.given == features:
                return parser
        except ValueError:  # a default that is an array
            continue
    parser = Parser(features)
    _parsers.insert(0, parser)
    del _parsers[_MOST_PARSERS:]
    return parser


# --- in functions that are traced

_parse = Primitive("parse_example")


@_parse.def_shape
def _parse_shape(serialized: TensorSpec, parser: Parser) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec((*serialized.shape, *feature.shape), feature.dtype) for feature in parser.features)


@_parse.def_kernel
def _parse_kernel(inputs: Sequence, outputs: Sequence, scratch: Callable, *, parser: Parser) -> Calls:
    return [(_parse_into, (parser, inputs[0], outputs))]


def _parse_into(parser: Parser, serialized: np.ndarray, outputs: Sequence[np.ndarray]) -> None:
    for out, tensor in zip(outputs, parser.parse(serialized.reshape(-1).tolist()), strict=True):
        np.copyto(out, tensor.numpy().reshape(out.shape))


def _traced(parser: Parser, serialized: SymbolicTensor) -> dict[str, Tensor]:
    if not parser.is_fixed:
        raise CaptureError("Features of any number of values have shapes that are not known before they are read.")
    found = _parse(serialized, parser=parser)
    results = found if isinstance(found, tuple) else (found,)
    if (at_hand := values_of(serialized)) is not None:
        parsed = parser.parse(at_hand.reshape(-1).tolist())
        note_values(results, [tensor.numpy().reshape(to.shape) for to, tensor in zip(results, parsed, strict=True)])
    return dict(zip(parser.given, results, strict=True))
