"""`tf.train.experimental`: loss scales."""

from __future__ import annotations

from typing import Any

from distkeras.keras.mixed_precision.loss_scale import DynamicLossScale, FixedLossScale, LossScale

__all__ = [
    "DynamicLossScale",
    "FixedLossScale",
    "LossScale",
    "disable_mixed_precision_graph_rewrite",
    "enable_mixed_precision_graph_rewrite",
]


def enable_mixed_precision_graph_rewrite(opt: Any, loss_scale: Any = "dynamic") -> Any:
    """Not available: it rewrites graphs for GPUs, which then compute parts of a model in float16.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(
        "enable_mixed_precision_graph_rewrite makes GPUs compute parts of a graph in float16, and there are only CPUs, "
        "on which float32 is faster: leave it out. To train as with float16 all the same, call "
        "tf.keras.mixed_precision.experimental.set_policy('mixed_float16') before the model is made."
    )


def disable_mixed_precision_graph_rewrite() -> None:
    """Graphs are not rewritten, so that there is nothing to do."""
