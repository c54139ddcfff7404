"""Locally connected layers: convolutions whose every place has filters of its own."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from distkeras import ops
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.arguments import ints
from distkeras.keras.layers.base import LAYERS
from distkeras.keras.layers.windowed import WindowedLayer


class _LocallyConnected(WindowedLayer):
    """What locally connected layers of any rank share.

    Args:
        filters, kernel_size, strides, data_format, activation, use_bias: As for `Conv2D`.
        padding: 'valid'; with implementations 2 and 3 also 'same'.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer: Losses for the weights.
        activity_regularizer: A loss for the outputs.
        kernel_constraint, bias_constraint: Applied to the weights after each update.
        implementation: How the kernel is kept. 1: [places, window * channels, filters], multiplied with each window.
            2: from every input to every output, with zeros where they are not connected, for one large product; for
            small inputs only. 3: a vector of the connections that there are, spread out for that product.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        implementation: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size, strides, padding, data_format, 1, activation, use_bias,
            bias_initializer, bias_regularizer, bias_constraint, activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.filters = ints(filters, 1, "filters")[0]
        self._describe_weight("kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        if implementation not in (1, 2, 3):
            raise ValueError(f"Unrecognized implementation mode: expected 1, 2 or 3, received {implementation!r}.")
        if implementation == 1 and self.padding != "valid":
            raise ValueError(
                f"{type(self).__name__} with implementation 1 supports padding 'valid' only, received {padding!r}; "
                "use implementation=2."
            )
        self.implementation = implementation

    # --- weights

    def build(self, input_shape: Any) -> None:
        channels = self._fix_channels(input_shape)
        sizes = tuple(input_shape[1:-1] if self._channel_axis == -1 else input_shape[2:])
        if None in sizes:
            raise ValueError(
                f"The spatial dimensions of the inputs to {type(self).__name__} should be fully-defined, but layer "
                f"{self.name} received inputs of shape {input_shape}."
            )
        self._places = tuple(map(self._count, sizes, self.kernel_size, self.strides))
        if min(self._places) < 1:
            raise ValueError(
                f"The windows {self.kernel_size} of layer {self.name} do not fit into inputs of shape {input_shape}: "
                "nothing would come out. Use larger inputs or a smaller kernel_size."
            )
        self._ends = self._dimensions(sizes, channels), self._dimensions(self._places, self.filters)
        self.kernel = self._make_weight("kernel", self._kernel_shape(channels))
        self.bias = self._make_bias(*self._places, self.filters)
        super().build(input_shape)

    def _count(self, size: int, window: int, stride: int) -> int:
        return -(-(size if self.padding == "same" else size - window + 1) // stride)

    def _dimensions(self, sizes: tuple[int, ...], channels: int) -> tuple[int, ...]:
        """A sample's shape."""
        return (*sizes, channels) if self._channel_axis == -1 else (channels, *sizes)

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        if self.implementation == 1:
            return math.prod(self._places), math.prod(self.kernel_size) * channels, self.filters
        if self.implementation == 2:
            return self._ends[0] + self._ends[1]
        return (int(self._connected.sum()),)

    @functools.cached_property
    def _connected(self) -> np.ndarray:
        """[*inputs, *outputs] bools: which input goes into which output."""
        connected = np.ones((1,) * (2 * self.rank + 2), bool)
        first = 0 if self._channel_axis == -1 else 1
        for number, (window, stride) in enumerate(zip(self.kernel_size, self.strides, strict=True)):
            axis = first + number
            size, count = self._ends[0][axis], self._ends[1][axis]
            starts = np.arange(count) * stride - (window // 2 if self.padding == "same" else 0)
            distance = np.arange(size)[:, None] - starts
            shape = [1] * connected.ndim
            shape[axis], shape[self.rank + 1 + axis] = size, count
            connected = connected & ((distance >= 0) & (distance < window)).reshape(shape)
        return np.broadcast_to(connected, self._ends[0] + self._ends[1])

    # --- outputs

    def call(self, inputs: Tensor) -> Tensor:
        outputs = self._local(inputs) if self.implementation == 1 else self._dense(inputs)
        if self.use_bias:
            # Each place's bias lies as 'channels_last' has it; for 'channels_first' Keras takes the memory as it is.
            outputs = outputs + ops.reshape(self.bias, (1, *self._ends[1]))
        return self.activation(outputs)

    def _local(self, inputs: Tensor) -> Tensor:
        kernel, first = self.kernel.value(), self._channel_axis == 1
        return ops.local_conv(inputs, kernel, self.kernel_size, self.strides, self._places, first)

    def _dense(self, inputs: Tensor) -> Tensor:
        """The product of flat samples with the kernel [inputs, outputs], zero where they are not connected."""
        rows, columns = map(math.prod, self._ends)
        samples, connected = ops.reshape(inputs, (inputs.shape[0], rows)), self._connected.reshape(rows, columns)
        kernel = self.kernel.value()
        if self.implementation == 2:
            matrix = ops.reshape(kernel, (rows, columns)) * ops.constant(connected, kernel.dtype)
        else:
            # The connections are counted by output, then by input; those that there are not follow them all.
            number = np.full((columns, rows), kernel.shape[0])
            number[connected.T] = np.arange(kernel.shape[0])
            matrix = ops.gather(ops.pad(kernel, [(0, 1)]), ops.constant(number.T))
        return ops.reshape(ops.matmul(samples, matrix), (inputs.shape[0], *self._ends[1]))

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "filters": self.filters,
            **self._weight_config("kernel"),
            "implementation": self.implementation,
        }
        del config["dilation_rate"]
        return config


@LAYERS.register("LocallyConnected1D")
class LocallyConnected1D(_LocallyConnected):
    """Locally connected layer for sequences: like `Conv1D`, but every place of the output has filters of its own.

    The arguments are those of `LocallyConnected2D`.

    >>> import distkeras as tf
    >>> tf.keras.layers.LocallyConnected1D(4, 3)(tf.ones((2, 5, 3))).shape
    TensorShape([2, 3, 4])
    """

    rank = 1


@LAYERS.register("LocallyConnected2D")
class LocallyConnected2D(_LocallyConnected):
    """Locally connected layer for images: like `Conv2D`, but every place of the output has filters of its own.

    The arguments are those of `Conv2D` without `dilation_rate` and groups, and at the end `implementation`: how the
    kernel is kept, 1 as small matrices, 2 as one large one, 3 as a vector.

    >>> import distkeras as tf
    >>> tf.keras.layers.LocallyConnected2D(4, 3)(tf.ones((2, 5, 5, 3))).shape
    TensorShape([2, 3, 3, 4])
    """

    rank = 2
