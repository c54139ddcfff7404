"""Writes data/images.npz: images as Keras changes them. Needs TensorFlow, tf_keras and SciPy.

Usage, in the project's folder: TF_USE_LEGACY_KERAS=1 python -m tests.keras.preprocessing.record_images
"""

from pathlib import Path

import numpy as np
from tf_keras.preprocessing import image as keras

from tests.keras.preprocessing.image_cases import AFFINE, BATCH, IMAGE, STANDARDIZE, TRANSFORMS


def by_columns(x: np.ndarray, data_format: str = "channels_last") -> np.ndarray:
    """Rows as columns: TensorFlow 2.0 reads `tx` as rows, and angles accordingly, today's Keras as columns."""
    return x.swapaxes(0, 1) if data_format == "channels_last" else x.swapaxes(1, 2)


axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
arrays = {
    f"affine{i}": by_columns(keras.apply_affine_transform(by_columns(IMAGE), **axes, **options))
    for i, options in enumerate(AFFINE)
}
_FLIPS = {"flip_horizontal": "flip_vertical", "flip_vertical": "flip_horizontal"}
for i, (options, parameters) in enumerate(TRANSFORMS):
    layout = options.get("data_format", "channels_last")
    parameters = {_FLIPS.get(name, name): value for name, value in parameters.items()}
    changed = keras.ImageDataGenerator(**options).apply_transform(by_columns(IMAGE, layout), parameters)
    arrays[f"transform{i}"] = by_columns(changed, layout)
for i, options in enumerate(STANDARDIZE):
    generator = keras.ImageDataGenerator(**options)
    generator.fit(BATCH)
    arrays[f"standardized{i}"] = np.stack([generator.standardize(image.copy()) for image in BATCH])
np.savez_compressed(Path(__file__).parent / "data" / "images.npz", **arrays)
