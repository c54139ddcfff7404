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
        """Write the model: architecture, weights, what it was compiled with and the optimizer's state.

        Args:
            filepath: A path ending in .h5, .hdf5 or .keras for HDF5; otherwise a folder, which becomes a SavedModel.
            overwrite: Whether to replace what is there; if not, asks at the terminal.
            include_optimizer: Whether to store what `compile` was given and the optimizer's state.
            save_format: 'h5' or 'tf', or None to go by the path's ending; 'keras_v3' for an archive of Keras 3.
            signatures: For a SavedModel a tf.function with an input_signature, a concrete function, or a dict of them
                by the names under which they are served; by default the forward pass, as 'serving_default'.
            options: A tf.saved_model.SaveOptions.

        Raises:
            ValueError: The format is unknown, or has no signatures; a signature is none; or the model is made by
                subclassing and its inputs are not known yet.
            OSError: The file cannot be written, or exists and there is nobody to ask.

        >>> import distkeras as tf, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "model.h5")
        >>> model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
        >>> model.compile("sgd", "mse")
        >>> model.save(path)
        >>> tf.keras.models.load_model(path).output_shape
        (None, 2)
        """
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
        """Write the weights; `load_weights` reads them.

        Args:
            filepath: A path ending in .h5, .hdf5 or .keras for HDF5; otherwise the prefix of the files of a checkpoint,
                which holds the optimizer's state as well.
            overwrite: Whether to replace what is there; if not, asks at the terminal.
            save_format: 'h5' or 'tf', or None to go by the path's ending.

        Raises:
            ValueError: The format is unknown, or the model has no weights yet.
            OSError: The file cannot be written, or exists and there is nobody to ask.
        """
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
