"""`tf.keras.wrappers`: models as estimators of other libraries."""

from distkeras.keras.wrappers import scikit_learn

__all__ = ["scikit_learn"]
