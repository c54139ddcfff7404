"""Optimizers; `get` finds them by name."""

from distkeras.keras.optimizers import schedules
from distkeras.keras.optimizers.adam import Adam, Adamax, Nadam
from distkeras.keras.optimizers.adaptive import Adadelta, Adagrad, Ftrl
from distkeras.keras.optimizers.base import OPTIMIZERS, Optimizer
from distkeras.keras.optimizers.layerwise import LAMB, LARS, AdamW
from distkeras.keras.optimizers.lookup import deserialize, get, serialize
from distkeras.keras.optimizers.rmsprop import RMSprop
from distkeras.keras.optimizers.sgd import SGD

__all__ = [
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "LAMB",
    "LARS",
    "Nadam",
    "OPTIMIZERS",
    "Optimizer",
    "RMSprop",
    "SGD",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]
__dir__ = __all__.copy
