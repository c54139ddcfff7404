"""Questions about the graph of layers, and kernels from other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np

from distkeras.keras.layers.keras_tensor import KerasTensor
from distkeras.keras.layers.tracking import unique


def get_source_inputs(tensor: Any, layer: Any = None, node_index: int | None = None) -> list[KerasTensor]:
    """The tensors of `Input` that a symbolic tensor is computed from.

    Args:
        tensor: The symbolic tensor.
        layer, node_index: The layer and the number of its call that gave it; found out if they are left out.

    >>> import distkeras as tf
    >>> inputs = tf.keras.Input((3,))
    >>> get_source_inputs(tf.keras.layers.Dense(2)(inputs)) == [inputs]
    True
    """
    if not isinstance(tensor, KerasTensor):
        raise ValueError(f"Expected a symbolic tensor that comes from `tf.keras.Input`, received {tensor!r}.")
    node = tensor.node if layer is None else layer.inbound_nodes[node_index or 0]
    found, pending, seen = [], [(node, tensor)], set()
    while pending:
        node, tensor = pending.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        if not node.keras_inputs:
            found.append(tensor)
        pending += [(source.node, source) for source in node.keras_inputs]
    return unique(found)


def convert_all_kernels_in_model(model: Any) -> None:
    """Turn the kernels of all convolutions by half a turn, in place: from Theano's convolution to correlation, or back.

    Args:
        model: The model; models inside of it are converted as well.
    """
    for layer in model._flatten_layers():
        if type(layer).__name__ in ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose"):
            kernel = layer.kernel.numpy()
            layer.kernel.assign(np.flip(kernel, tuple(range(kernel.ndim - 2))).copy())


def multi_gpu_model(model: Any, gpus: Any = None, cpu_merge: bool = True, cpu_relocation: bool = False) -> Any:
    """Not available: there are no GPUs, and models are spread over processes by a strategy.

    Raises:
        NotImplementedError: Always; it says what to do instead.
    """
    raise NotImplementedError(
        f"multi_gpu_model(gpus={gpus!r}): there are no GPUs. To train on several processes, make and compile the model "
        "inside of `with tf.distribute.MirroredStrategy().scope():` and start the script with `distkeras run -n 4`."
    )
