"""How TensorFlow's products, convolutions, pools and normalisations are read: see `readers`."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.saving.exporting.tensorflow.readers import Node, numbers, reads

# --- products


@reads("MatMul")
def _matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return ops.matmul(a, b, node("transpose_a", False), node("transpose_b", False))


@reads("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def _matmuls(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return ops.matmul(a, b, node("adj_x", False), node("adj_y", False))


@reads("Einsum")
def _einsum(node: Node, *operands: Tensor) -> Tensor:
    return ops.einsum(node.text("equation"), *operands)


@reads("BiasAdd")
def _bias_add(node: Node, value: Tensor, bias: Tensor) -> Tensor:
    is_first = node.text("data_format", "NHWC").startswith("NC")
    return ops.bias_add(value, bias, "NCHW" if is_first else None)


# --- images


def _padding(node: Node) -> Any:
    kind = node.text("padding")
    return np.reshape(node("explicit_paddings"), (-1, 2)).tolist() if kind == "EXPLICIT" else kind


def _geometry(node: Node, layout: str = "NHWC") -> dict[str, Any]:
    return {"strides": node("strides"), "padding": _padding(node), "data_format": node.text("data_format", layout)}


@reads("Conv2D")
def _conv2d(node: Node, x: Tensor, w: Tensor) -> Tensor:
    return ops.conv2d(x, w, dilations=node("dilations", [1] * 4), **_geometry(node))


@reads("Conv3D")
def _conv3d(node: Node, x: Tensor, w: Tensor) -> Tensor:
    return ops.conv3d(x, w, dilations=node("dilations", [1] * 5), **_geometry(node, "NDHWC"))


@reads("DepthwiseConv2dNative")
def _depthwise_conv2d(node: Node, x: Tensor, w: Tensor) -> Tensor:
    return ops.depthwise_conv2d(x, w, dilations=node("dilations", [1] * 4), **_geometry(node))


@reads("Conv2DBackpropInput")
def _transposed_conv2d(node: Node, sizes: Tensor, w: Tensor, g: Tensor) -> Tensor:
    return ops.conv2d_transpose(g, w, numbers(sizes), dilations=node("dilations", [1] * 4), **_geometry(node))


@reads("Conv3DBackpropInputV2")
def _transposed_conv3d(node: Node, sizes: Tensor, w: Tensor, g: Tensor) -> Tensor:
    dilations = node("dilations", [1] * 5)
    return ops.conv3d_transpose(g, w, numbers(sizes), dilations=dilations, **_geometry(node, "NDHWC"))


@reads("MaxPool")
def _max_pool2d(node: Node, x: Tensor) -> Tensor:
    return ops.max_pool2d(x, node("ksize"), **_geometry(node))


@reads("MaxPool3D")
def _max_pool3d(node: Node, x: Tensor) -> Tensor:
    return ops.max_pool3d(x, node("ksize"), **_geometry(node, "NDHWC"))


@reads("AvgPool")
def _average_pool2d(node: Node, x: Tensor) -> Tensor:
    return ops.avg_pool2d(x, node("ksize"), **_geometry(node))


@reads("AvgPool3D")
def _average_pool3d(node: Node, x: Tensor) -> Tensor:
    return ops.avg_pool3d(x, node("ksize"), **_geometry(node, "NDHWC"))


@reads("SpaceToDepth")
def _space_to_depth(node: Node, x: Tensor) -> Tensor:
    return ops.space_to_depth(x, node("block_size"), node.text("data_format", "NHWC"))


@reads("DepthToSpace")
def _depth_to_space(node: Node, x: Tensor) -> Tensor:
    return ops.depth_to_space(x, node("block_size"), node.text("data_format", "NHWC"))


@reads("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic")
def _resize(node: Node, images: Tensor, size: Tensor) -> Tensor:
    if node("align_corners", False) or not node("half_pixel_centers", False):
        raise ValueError(
            f"the node {node.name!r} resizes as TensorFlow 1 did, without half_pixel_centers, which is not available"
        )
    methods = {"ResizeBilinear": "bilinear", "ResizeNearestNeighbor": "nearest", "ResizeBicubic": "bicubic"}
    return ops.resize(images, numbers(size), methods[node.operation])


# --- normalisation


@reads("Softmax")
def _softmax(node: Node, x: Tensor) -> Tensor:
    return ops.softmax(x)


@reads("LogSoftmax")
def _log_softmax(node: Node, x: Tensor) -> Tensor:
    return ops.log_softmax(x)


@reads("LRN")
def _local_response(node: Node, x: Tensor) -> Tensor:
    return ops.local_response_normalization(
        x, node("depth_radius", 5), node("bias", 1.0), node("alpha", 1.0), node("beta", 0.5)
    )


@reads(
    "FusedBatchNorm",
    "FusedBatchNormV2",
    "FusedBatchNormV3",
    outputs=("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3"),
)
def _batch_norm(node: Node, x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor) -> list[Tensor]:
    """While training the moments are the batch's, and go into averages by the share `exponential_avg_factor`."""
    first, epsilon = node.text("data_format", "NHWC") == "NCHW", node("epsilon", 1e-4)
    x = ops.transpose(x, (0, 2, 3, 1)) if first else x
    if node("is_training", True):
        y, new_mean, new_variance = ops.batch_normalization_training(x, gamma, beta, epsilon, unbiased=True)
        share = node("exponential_avg_factor", 1.0)
        if share != 1.0:
            new_mean = (1.0 - share) * mean + share * new_mean
            new_variance = (1.0 - share) * variance + share * new_variance
        mean, variance = new_mean, new_variance
    else:
        y = ops.batch_normalization_inference(x, mean, variance, gamma, beta, epsilon)
    y = ops.transpose(y, (0, 3, 1, 2)) if first else y
    return [y, mean, variance, mean, variance, to_tensor(np.zeros(0, np.float32))]


# --- losses


@reads("SoftmaxCrossEntropyWithLogits", outputs=("loss", "backprop"))
def _cross_entropy(node: Node, logits: Tensor, labels: Tensor) -> list[Tensor]:
    return [ops.softmax_cross_entropy_with_logits(labels, logits)]


@reads("SparseSoftmaxCrossEntropyWithLogits", outputs=("loss", "backprop"))
def _sparse_cross_entropy(node: Node, logits: Tensor, labels: Tensor) -> list[Tensor]:
    return [ops.sparse_softmax_cross_entropy_with_logits(labels, logits)]
