"""Learning rates that depend on the number of steps taken; `deserialize` finds them by name."""

from distkeras.keras.optimizers.schedules.base import SCHEDULES, LearningRateSchedule, deserialize, serialize
from distkeras.keras.optimizers.schedules.cosine import (
    CosineDecay,
    CosineDecayRestarts,
    LinearCosineDecay,
    NoisyLinearCosineDecay,
)
from distkeras.keras.optimizers.schedules.decay import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from distkeras.keras.optimizers.schedules.warmup import LinearWarmup

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "LinearCosineDecay",
    "LinearWarmup",
    "NoisyLinearCosineDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "SCHEDULES",
    "deserialize",
    "serialize",
]
