"""`tf.saved_model`: folders with variables, functions and, for Keras models, configs."""

from distkeras.keras.saving.saved_objects import (
    DEFAULT_SERVING_SIGNATURE_DEF_KEY,
    SERVING,
    SaveOptions,
    contains_saved_model,
    load,
    save,
)

__all__ = ["DEFAULT_SERVING_SIGNATURE_DEF_KEY", "SERVING", "SaveOptions", "contains_saved_model", "load", "save"]
