"""`tf.keras.preprocessing`: images, sequences and texts made into arrays."""

from distkeras.keras.preprocessing import image, sequence, text

__all__ = ["image", "sequence", "text"]
