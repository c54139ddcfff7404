"""Models as ONNX files, for runtimes that serve them: the graph of the forward pass, with the weights in it."""

from distkeras.keras.saving.exporting.onnx.export import export_onnx

__all__ = ["export_onnx"]
