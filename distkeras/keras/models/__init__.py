"""Models: the functional API, Sequential, and making models from configs."""

from distkeras.keras.models.clone import clone_model
from distkeras.keras.models.model import Model, model_from_config, model_from_json, model_from_yaml
from distkeras.keras.models.sequential import Sequential

__all__ = ["Model", "Sequential", "clone_model", "model_from_config", "model_from_json", "model_from_yaml"]
