"""Dense: the fully connected layer."""

from __future__ import annotations

from typing import Any

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras import activations
from distkeras.keras.layers.arguments import positive_integer
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.described_weights import DescribedWeights
from distkeras.keras.layers.input_spec import InputSpec


@LAYERS.register()
class Dense(DescribedWeights):
    """activation(inputs @ kernel + bias), over the last axis.

    Args:
        units: The number of outputs.
        activation: A function, or its name; none by default.
        use_bias: Whether there is a bias.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer: Losses for the weights.
        activity_regularizer: A loss for the outputs.
        kernel_constraint, bias_constraint: Applied to the weights after each update.

    >>> import distkeras as tf
    >>> tf.keras.layers.Dense(4, activation="relu")(tf.ones((2, 3))).shape
    TensorShape([2, 4])
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_integer(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self._describe_weight("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        self._describe_weight("bias", bias_initializer, bias_regularizer, bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        if size is None:
            raise ValueError("The last dimension of the inputs to `Dense` should be defined. Found `None`.")
        self.input_spec = InputSpec(min_ndim=2, axes={-1: size})
        self.kernel = self._make_weight("kernel", (size, self.units))
        self.bias = self._make_bias(self.units)
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        shape = tuple(inputs.shape)
        if inputs.dtype.is_integer or inputs.dtype.is_bool:
            inputs = ops.cast(inputs, self._compute_dtype)
        rows = inputs if len(shape) == 2 else ops.reshape(inputs, (_product(shape[:-1]), shape[-1]))
        outputs = ops.matmul(rows, self.kernel)
        if self.use_bias:
            outputs = ops.bias_add(outputs, self.bias)
        if len(shape) != 2:
            outputs = ops.reshape(outputs, (*shape[:-1], self.units))
        return self.activation(outputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **self._weight_config("kernel", "bias", activity=True),
        }


def _product(sizes: Any) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total
