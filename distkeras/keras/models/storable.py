"""The files of a model."""

from __future__ import annotations

from typing import Any

from distkeras.keras import saving
from distkeras.keras.saving.exporting.onnx import export_onnx


class Storable:
    """What a model can be written to and read from; base of Network."""

    def save(
        self,
        filepath: Any,
        overwrite: bool = True,
        include_optimizer: bool = True,
        save_format: str | None = None,
        signatures: Any = None,
        options: Any = None,
    ) -> None:
        """Write the model - config, weights, optimizer - to a file; see `tf.keras.models.save_model`."""
        saving.save_model(self, filepath, overwrite, include_optimizer, save_format, signatures, options)

    def export(self, filepath: Any, format: str = "onnx", input_signature: Any = None) -> None:
        """Write what the model computes, without what trains it, for a runtime that serves it.

        Args:
            filepath: The file to make or to replace.
            format: 'onnx'; the package onnx must be installed.
            input_signature: For a model made by subclassing a TensorSpec, or a structure of them, of what it is called
                with.

        Raises:
            ValueError: Another format, or something that it has no operator for; see `saving.exporting`.

        >>> import distkeras as tf, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.onnx")
        >>> model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
        >>> model.export(path)
        """
        if format != "onnx":
            raise ValueError(
                f"export: format must be 'onnx', received {format!r}. A SavedModel is written by model.save(folder)."
            )
        export_onnx(self, filepath, input_signature)

    def save_weights(self, filepath: Any, overwrite: bool = True, save_format: str | None = None) -> None:
        """Write the weights to a file; see `load_weights`."""
        saving.save_weights(self, filepath, overwrite, save_format)

    def load_weights(self, filepath: Any, by_name: bool = False) -> Any:
        """Read weights from a file.

        Args:
            filepath: Written by `save_weights` or `save`.
            by_name: Whether layers are found by name, and those without a counterpart left alone, rather than in order.

        Returns:
            For TensorFlow's formats a status: `assert_consumed()` raises AssertionError if something is left over.
        """
        return saving.load_weights(self, filepath, by_name)
