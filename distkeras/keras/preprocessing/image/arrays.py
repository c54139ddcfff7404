"""Images in an array, batch by batch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from distkeras.keras.preprocessing.image.iterator import Iterator, split_bounds


class NumpyArrayIterator(Iterator):
    """What `ImageDataGenerator.flow` gives; see there.

    Yields:
        x alone, (x, y) or (x, y, sample_weight); x is a list where it was given with other arrays.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str = "channels_last",
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        dtype: Any = "float32",
    ) -> None:
        x, others = _images_and_others(x)
        if x.ndim != 4:
            raise ValueError(
                f"Input data in `NumpyArrayIterator` should have rank 4. You passed an array with shape {x.shape}"
            )
        parts = [x, *others, *(np.asarray(part) for part in (y, sample_weight) if part is not None)]
        lengths = [len(part) for part in parts]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"Images, labels, weights and what comes with them must be of one length, received {lengths}."
            )
        start, stop = split_bounds(len(x), subset, image_data_generator._validation_split)
        if y is not None and subset is not None:
            _check_classes(np.asarray(y), int(image_data_generator._validation_split * len(x)))
        self.x = np.asarray(x[start:stop], dtype)
        self.x_misc = [other[start:stop] for other in others]
        self.y = None if y is None else np.asarray(y)[start:stop]
        self.sample_weight = None if sample_weight is None else np.asarray(sample_weight)[start:stop]
        axis = 3 if data_format == "channels_last" else 1
        if self.x.shape[axis] not in (1, 3, 4):
            warnings.warn(
                f"NumpyArrayIterator is set to use the data format {data_format!r} (channels on axis {axis}), i.e. "
                f"expected either 1, 3, or 4 channels; it was passed an array with shape {self.x.shape}.",
                stacklevel=3,
            )
        self.image_data_generator = image_data_generator
        self.data_format = data_format
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        self.dtype = dtype
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        images = np.stack([self._changed(self.image_data_generator, self.x[i].copy(), i) for i in index_array])
        images = images.astype(self.dtype, copy=False)
        self._save(images, index_array, self.data_format)
        inputs = [images, *(other[index_array] for other in self.x_misc)] if self.x_misc else images
        if self.y is None:
            return inputs
        rest = (self.y, self.sample_weight) if self.sample_weight is not None else (self.y,)
        return inputs, *(part[index_array] for part in rest)


def _images_and_others(x: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    if not isinstance(x, (tuple, list)) or (len(x) and np.ndim(x[0]) < 4 and not isinstance(x, tuple)):
        return np.asarray(x), []
    others = x[1] if isinstance(x[1], list) else [x[1]]
    return np.asarray(x[0]), [np.asarray(other) for other in others]


def _check_classes(y: np.ndarray, cut: int) -> None:
    before, after = np.unique(y[:cut]), np.unique(y[cut:])
    if not np.array_equal(before, after):
        raise ValueError(
            "Training and validation subsets have different number of classes after the split. If your numpy arrays "
            f"are sorted by the label, you might want to shuffle them. The first {cut} have the classes "
            f"{before.tolist()}, the others {after.tolist()}."
        )
