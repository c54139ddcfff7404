"""`tf.keras.applications.imagenet_utils`."""

from distkeras.keras.applications.imagenet import decode_predictions, preprocess_input

__all__ = ["decode_predictions", "preprocess_input"]
