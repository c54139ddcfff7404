"""`tf.keras.experimental`: names that TensorFlow 2.0 has there."""

from distkeras.keras.layers.dense_features import SequenceFeatures
from distkeras.keras.layers.lstm import PeepholeLSTMCell
from distkeras.keras.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    LinearCosineDecay,
    NoisyLinearCosineDecay,
)

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "LinearCosineDecay",
    "NoisyLinearCosineDecay",
    "PeepholeLSTMCell",
    "SequenceFeatures",
]
