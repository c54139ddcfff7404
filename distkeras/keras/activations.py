"""Activation functions, by name and as functions of a tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from distkeras import ops
from distkeras._registry import Registry
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.keras.saving.serialize import deserialize_keras_object, serialize_keras_object

ACTIVATIONS = Registry("activation function")


@ACTIVATIONS.register()
def linear(x: Any) -> Any:
    """x itself."""
    return x


@ACTIVATIONS.register()
def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """max(x, 0), or with the arguments: alpha * (x - threshold) below the threshold, x above it, at most max_value.

    Args:
        x: A floating-point tensor.
        alpha: The slope below the threshold.
        max_value: The largest output; None for no limit.
        threshold: Where the function leaves the slope.

    >>> from distkeras.keras import activations
    >>> activations.relu([-10.0, 0.0, 10.0], alpha=0.5, max_value=5.0).numpy().tolist()
    [-5.0, 0.0, 5.0]
    """
    x = to_tensor(x)
    if alpha == 0.0 and max_value is None and threshold == 0.0:
        return ops.relu(x)
    if max_value is None and threshold == 0.0:
        return ops.leaky_relu(x, alpha)
    kept = ops.relu(x) if threshold == 0.0 else x * ops.cast(x > threshold, x.dtype)
    if max_value is not None:
        kept = ops.clip_by_value(kept, 0.0, float(max_value))
    return kept if alpha == 0.0 else kept - alpha * ops.relu(threshold - x)


@ACTIVATIONS.register()
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where x > 0, alpha * (exp(x) - 1) elsewhere.

    Source: Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear units",
    2016.
    """
    x = to_tensor(x)
    return ops.elu(x) if alpha == 1.0 else ops.where(x > 0.0, x, alpha * ops.elu(x))


@ACTIVATIONS.register()
def selu(x: Any) -> Tensor:
    """1.0507 * elu(x, 1.67326): keeps mean 0 and variance 1 through deep networks.

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    return ops.selu(x)


@ACTIVATIONS.register()
def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along `axis`.

    Raises:
        ValueError: x has fewer than two dimensions.
    """
    x = to_tensor(x)
    if len(x.shape) < 2:
        raise ValueError(f"Cannot apply softmax to a tensor that is {len(x.shape)}D, received shape {x.shape}.")
    return ops.softmax(x, axis=axis)


@ACTIVATIONS.register()
def softplus(x: Any) -> Tensor:
    """log(1 + exp(x))."""
    return ops.softplus(x)


@ACTIVATIONS.register()
def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    return ops.softsign(x)


@ACTIVATIONS.register()
def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent."""
    return ops.tanh(x)


@ACTIVATIONS.register()
def sigmoid(x: Any) -> Tensor:
    """1 / (1 + exp(-x))."""
    return ops.sigmoid(x)


@ACTIVATIONS.register()
def hard_sigmoid(x: Any) -> Tensor:
    """0.2 x + 0.5, cut off at 0 and 1."""
    return ops.clip_by_value(to_tensor(x) * 0.2 + 0.5, 0.0, 1.0)


@ACTIVATIONS.register()
def swish(x: Any) -> Tensor:
    """x * sigmoid(x). Source: Ramachandran, Zoph, Le, "Searching for activation functions", 2017."""
    x = to_tensor(x)
    return x * ops.sigmoid(x)


@ACTIVATIONS.register()
def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x times the probability that a standard normal variable is less than x.

    Args:
        x: A floating-point tensor.
        approximate: Whether that probability is computed by a hyperbolic tangent rather than the error function.

    Source: Hendrycks, Gimpel, "Gaussian error linear units", 2016.
    """
    x = to_tensor(x)
    if approximate:
        return 0.5 * x * (1.0 + ops.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1.0 + ops.erf(x / math.sqrt(2.0)))


@ACTIVATIONS.register()
def exponential(x: Any) -> Tensor:
    """exp(x)."""
    return ops.exp(x)


def serialize(activation: Callable) -> Any:
    """The name by which a config means `activation`."""
    return serialize_keras_object(activation)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Callable:
    """The activation function that a config calls `name`."""
    return deserialize_keras_object(name, ACTIVATIONS, custom_objects, "activation function")


def get(identifier: Any) -> Callable:
    """The activation function meant by a name, a config, a function itself, or None (linear).

    Raises:
        ValueError: There is no function of that name.
        TypeError: `identifier` is neither.
    """
    if identifier is None:
        return linear
    if not (isinstance(identifier, (str, Mapping)) or callable(identifier)):
        raise TypeError(
            f"Could not interpret activation function identifier {identifier!r}: expected a name, a function or None."
        )
    return deserialize(identifier)
