"""Layers behind `model.add_loss` and `model.add_metric` on symbolic tensors."""

from __future__ import annotations

from typing import Any

from distkeras.core.tensor import Tensor
from distkeras.keras.layers.base import LAYERS, Layer


@LAYERS.register()
class AddLoss(Layer):
    """Adds its input, a scalar, to the loss.

    Args:
        unconditional: Kept in the config for TensorFlow's sake: whether the loss does not depend on data.
    """

    def __init__(self, unconditional: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.unconditional = unconditional

    def call(self, inputs: Tensor) -> Tensor:
        self.add_loss(inputs)
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unconditional": self.unconditional}


@LAYERS.register()
class AddMetric(Layer):
    """Reports its input beside the loss.

    Args:
        aggregation: 'mean': how the values of an epoch are put together.
        metric_name: What it is called in logs.
    """

    def __init__(self, aggregation: str | None = None, metric_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.aggregation = aggregation
        self.metric_name = metric_name

    def call(self, inputs: Tensor) -> Tensor:
        self.add_metric(inputs, self.aggregation, self.metric_name)
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "aggregation": self.aggregation, "metric_name": self.metric_name}
