"""Layers where later versions of TensorFlow had them first."""

from distkeras.keras.layers.normalization import SyncBatchNormalization

__all__ = ["SyncBatchNormalization"]
