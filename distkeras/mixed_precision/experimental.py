"""`tf.mixed_precision.experimental`: loss scales."""

from distkeras.keras.mixed_precision.loss_scale import DynamicLossScale, FixedLossScale, LossScale

__all__ = ["DynamicLossScale", "FixedLossScale", "LossScale"]
