"""`tf.keras.applications.resnet`."""

from distkeras.keras.applications.resnet50 import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
