"""float16 where kernels compute: through float32.

float16 --> float32 --> kernel --> float16

Kernels know float32 and float64. What is computed element by element in float16, NumPy does; sums of products, windows
and exponentials are computed in float32 instead, and rounded once. So float16 takes half of the memory and behaves like
the float16 of other machines, or a little better, but is slower than float32: processors have no arithmetic for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distkeras.core.primitive import PRIMITIVES, Primitive, bind
from distkeras.core.tensor import Tensor
from distkeras.ops import (  # noqa: F401  (define these primitives)
    convolution,
    ctc,
    depthwise,
    factors,
    image_resize,
    layer_normalization,
    linalg,
    normalization,
    pooling,
    recurrent,
    reduction,
    softmax,
)
from distkeras.ops.elementwise import cast

_WIDER = """
    affine average_pool2d average_pool2d_gradient batch_normalization batch_normalization_gradient conv2d
    conv2d_affine conv2d_input_gradient conv2d_weight_gradient ctc ctc_gradient cumsum depthwise_conv2d
    depthwise_conv2d_input_gradient depthwise_conv2d_weight_gradient eigh gru gru_gradient layer_normalization
    layer_normalization_gradient log_softmax log_softmax_gradient lstm lstm_gradient matmul max_pool2d
    max_pool2d_gradient max_pool2d_take qr reduce_prod reduce_sum resample simple_rnn simple_rnn_gradient slogdet
    softmax softmax_cross_entropy softmax_cross_entropy_gradient softmax_gradient sparse_cross_entropy
    sparse_cross_entropy_gradient sparse_softmax_cross_entropy sparse_softmax_cross_entropy_gradient svd
""".split()


def _through_float32(primitive: Primitive) -> Callable[..., Any]:
    def compute(*inputs: Tensor, **params: Any) -> Any:
        outputs = bind(primitive, *(cast(x, "float32") if x.dtype == "float16" else x for x in inputs), **params)
        if isinstance(outputs, tuple):
            return tuple(_narrowed(output) for output in outputs)
        return _narrowed(outputs)

    return compute


def _narrowed(output: Tensor) -> Tensor:
    return cast(output, "float16") if output.dtype == "float32" else output


for _name in _WIDER:
    PRIMITIVES[_name].half = _through_float32(PRIMITIVES[_name])
