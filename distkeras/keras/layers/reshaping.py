"""Layers that arrange the elements of each sample otherwise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from distkeras import _config, ops
from distkeras.core.tensor import Tensor
from distkeras.keras.layers.arguments import positive_integer
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.input_spec import InputSpec


@LAYERS.register()
class Flatten(Layer):
    """All elements of a sample in one row.

    Args:
        data_format: With 'channels_first' the channels are moved to the end first, so that weights trained on the other
            layout fit.

    >>> import distkeras as tf
    >>> tf.keras.layers.Flatten()(tf.ones((2, 3, 4))).shape
    TensorShape([2, 12])
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = _config.normalize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Tensor) -> Tensor:
        rank = len(inputs.shape)
        if self.data_format == "channels_first" and rank > 2:
            inputs = ops.transpose(inputs, (0, *range(2, rank), 1))
        return ops.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


@LAYERS.register()
class Reshape(Layer):
    """Each sample in another shape.

    Args:
        target_shape: The shape without the batch; one size may be -1, which is then found out.

    >>> import distkeras as tf
    >>> tf.keras.layers.Reshape((-1, 2))(tf.ones((5, 6))).shape
    TensorShape([5, 3, 2])
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(int(size) for size in target_shape)
        if self.target_shape.count(-1) > 1 or any(size < -1 for size in self.target_shape):
            raise ValueError(f"target_shape may have one -1 and otherwise sizes, received {target_shape!r}.")

    def call(self, inputs: Tensor) -> Tensor:
        return ops.reshape(inputs, (inputs.shape[0], *self._sizes(inputs.shape[1:])))

    def _sizes(self, given: Sequence[int]) -> tuple[int, ...]:
        total, known = math.prod(given), math.prod(size for size in self.target_shape if size != -1)
        fits = total == known if -1 not in self.target_shape else known and total % known == 0
        if not fits:
            raise ValueError(
                f"total size of new array must be unchanged: layer {self.name} cannot give samples of shape "
                f"{tuple(given)} the target_shape {self.target_shape}."
            )
        return tuple(total // known if size == -1 else size for size in self.target_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


@LAYERS.register()
class Permute(Layer):
    """The axes of each sample in another order.

    Args:
        dims: For each axis of the output the input's, counted from 1 (0 is the batch).

    >>> import distkeras as tf
    >>> tf.keras.layers.Permute((2, 1))(tf.ones((5, 2, 3))).shape
    TensorShape([5, 3, 2])
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"Invalid permutation `dims` for Permute Layer: {self.dims}. "
                "The set of indices in `dims` must be consecutive and start from 1."
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.transpose(inputs, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


@LAYERS.register()
class RepeatVector(Layer):
    """Each sample, a vector, n times in a sequence.

    Args:
        n: How often.

    >>> import distkeras as tf
    >>> tf.keras.layers.RepeatVector(3)(tf.ones((5, 2))).shape
    TensorShape([5, 3, 2])
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive_integer(n, "n")
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.tile(ops.expand_dims(inputs, 1), (1, self.n, 1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
