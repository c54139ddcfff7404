"""Input: where a functional model begins."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

from distkeras import _config
from distkeras.keras.layers.base import LAYERS, Layer
from distkeras.keras.layers.keras_tensor import History, KerasTensor
from distkeras.keras.layers.naming import unique_name
from distkeras.keras.layers.node import Node


@LAYERS.register()
class InputLayer(Layer):
    """The layer behind a symbolic input.

    Args:
        input_shape: The shape without the batch; None for unknown sizes.
        batch_size: The number of samples, if it is fixed.
        dtype: The element type, `floatx()` by default.
        input_tensor: Not supported: a value that a model always takes as input belongs into a layer.
        sparse: Whether SparseTensors or SciPy's sparse matrices are fed; batches of them are made dense.
        ragged: Whether RaggedTensors are fed, whose ragged dimensions are those of size None after the samples.
        name: The layer's name, `input_1` and so on by default.
        batch_input_shape: The shape with the batch, instead of the first two.

    Raises:
        ValueError: No shape was given, or something unsupported.
    """

    def __init__(
        self,
        input_shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        input_tensor: Any = None,
        sparse: bool = False,
        name: str | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        ragged: bool = False,
        **kwargs: Any,
    ) -> None:
        if input_tensor is not None:
            raise ValueError("An input is given when the model is called: input_tensor is not supported.")
        if batch_input_shape is None:
            if input_shape is None:
                raise ValueError("An InputLayer needs `input_shape`, which does not include the batch dimension.")
            batch_input_shape = (
                batch_size,
                *((input_shape,) if isinstance(input_shape, numbers.Integral) else input_shape),
            )
        elif input_shape is not None:
            raise ValueError(
                "Only provide the input_shape OR batch_input_shape argument to InputLayer, not both at the same time."
            )
        super().__init__(
            name=name or unique_name("input", zero_based=False),
            dtype=_config.dtype_name(dtype),
            batch_input_shape=batch_input_shape,
            **kwargs,
        )
        self.sparse, self.ragged = bool(sparse), bool(ragged)
        if self.sparse and self.ragged:
            raise ValueError("Cannot set both sparse and ragged to True in a Keras input.")
        self.built = True
        self.supports_masking = True
        make = KerasTensor.of_ragged if self.ragged else KerasTensor.from_spec
        tensor = make(self._batch_input_shape, self.dtype, self.name)
        tensor._keras_history = History(self, 0, 0)
        tensor._keras_mask = None
        outputs = [tensor]
        Node(self, outputs, (), {}, outputs)

    def get_config(self) -> dict[str, Any]:
        config = {
            "batch_input_shape": self._batch_input_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "name": self.name,
        }
        return {**config, "ragged": True} if self.ragged else config


def Input(  # noqa: N802 - TensorFlow's name
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    sparse: bool = False,
    tensor: Any = None,
    batch_shape: Sequence[int | None] | None = None,
    batch_input_shape: Sequence[int | None] | None = None,
    ragged: bool = False,
) -> KerasTensor:
    """A symbolic input of a functional model.

    Args:
        shape: The shape of a sample; None for unknown sizes.
        batch_size: The number of samples, if it is fixed.
        name: The input's name, `input_1` and so on by default.
        dtype: The element type, `floatx()` by default.
        sparse: Whether SparseTensors or SciPy's sparse matrices are fed; batches of them are made dense.
        tensor: Not supported, as in `InputLayer`.
        batch_shape, batch_input_shape: The shape with the batch, instead of the first two.
        ragged: Whether RaggedTensors are fed, as in `InputLayer`. Such models run step by step.

    Raises:
        ValueError: No shape was given, or two.

    >>> import distkeras as tf
    >>> x = tf.keras.Input(shape=(3,))
    >>> y = tf.keras.layers.Dense(2)(x)
    >>> y.shape
    TensorShape([None, 2])
    """
    if batch_shape is not None and shape is not None:
        raise ValueError("Only provide the `shape` OR `batch_shape` argument to Input, not both at the same time.")
    whole = batch_shape if batch_shape is not None else batch_input_shape
    if shape is None and whole is None and tensor is None:
        raise ValueError(
            "Please provide to Input a `shape` argument. Note that `shape` does not include the batch dimension."
        )
    layer = InputLayer(
        input_shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        input_tensor=tensor,
        sparse=sparse,
        name=name,
        batch_input_shape=whole,
        ragged=ragged,
    )
    return layer.output
