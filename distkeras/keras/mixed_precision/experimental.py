"""`tf.keras.mixed_precision.experimental`: names that TensorFlow 2.0 has there."""

from distkeras.keras.mixed_precision.policy import Policy, global_policy, set_policy
from distkeras.keras.optimizers.loss_scale_optimizer import LossScaleOptimizer

__all__ = ["LossScaleOptimizer", "Policy", "global_policy", "set_policy"]
