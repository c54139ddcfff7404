"""Images in files, batch by batch: what the iterators over folders and over tables share."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from distkeras._config import image_data_format
from distkeras.keras.preprocessing.image.files import (
    check_color_mode,
    check_interpolation,
    img_to_array,
    load_img,
)
from distkeras.keras.preprocessing.image.iterator import Iterator

WHITE_LIST_FORMATS = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")
_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}


class FileIterator(Iterator):
    """Reads `filepaths` and gives them the targets of `class_mode`.

    Attributes:
        filepaths: The files.
        class_mode: 'categorical', 'binary', 'sparse', 'raw', 'multi_output', 'input' or None.
        labels: A class number, or a list of them, or a target, for each file.
        sample_weight: Weights of the files, or None.
    """

    allowed_class_modes: tuple[str | None, ...] = ()
    filepaths: list[str]
    class_mode: str | None
    class_indices: dict[Any, int]
    labels: Any
    sample_weight: np.ndarray | None = None

    def _set_processing(
        self,
        image_data_generator: Any,
        target_size: tuple[int, int],
        color_mode: str,
        class_mode: str | None,
        data_format: str | None,
        save_to_dir: str | None,
        save_prefix: str,
        save_format: str,
        interpolation: str,
        dtype: Any,
    ) -> None:
        if class_mode not in self.allowed_class_modes:
            allowed = ", ".join(map(repr, self.allowed_class_modes))
            raise ValueError(f"Invalid class_mode: {class_mode!r}; expected one of: {allowed}")
        self.image_data_generator = image_data_generator
        self.target_size = tuple(target_size)
        self.color_mode = check_color_mode(color_mode)
        self.class_mode = class_mode
        self.data_format = data_format or image_data_format()
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        self.interpolation = check_interpolation(interpolation)
        self.dtype = dtype
        channels = (_CHANNELS[color_mode],)
        self.image_shape = (
            self.target_size + channels if self.data_format == "channels_last" else channels + self.target_size
        )

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        images = np.empty((len(index_array), *self.image_shape), self.dtype)
        for row, sample in zip(images, index_array, strict=True):
            row[...] = self._changed(self.image_data_generator, self._load(sample), sample)
        self._save(images, index_array, self.data_format)
        if self.class_mode is None:
            return images
        weights = () if self.sample_weight is None else (self.sample_weight[index_array],)
        return images, self._targets(images, index_array), *weights

    def _load(self, sample: int) -> np.ndarray:
        image = load_img(
            self.filepaths[sample],
            color_mode=self.color_mode,
            target_size=self.target_size,
            interpolation=self.interpolation,
        )
        return img_to_array(image, self.data_format, self.dtype)

    def _targets(self, images: np.ndarray, samples: np.ndarray) -> Any:
        if self.class_mode == "input":
            return images.copy()
        if self.class_mode == "multi_output":
            return [np.asarray(output)[samples] for output in self.labels]
        if self.class_mode != "categorical":
            values = np.asarray(self.labels)[samples]
            return values if self.class_mode == "raw" else values.astype(self.dtype)
        targets = np.zeros((len(samples), len(self.class_indices)), self.dtype)
        for row, sample in zip(targets, samples, strict=True):
            row[self.labels[sample]] = 1
        return targets


def is_image_file(name: str) -> bool:
    """Whether its ending is one of those that are read."""
    return name.lower().endswith(tuple(f".{ending}" for ending in WHITE_LIST_FORMATS))


def files_below(folder: str, follow_links: bool) -> list[str]:
    """The image files in a folder and those inside of it, as paths from it, in order of their names."""
    found = [
        os.path.relpath(os.path.join(root, name), folder)
        for root, _, names in os.walk(folder, followlinks=follow_links)
        for name in names
    ]
    return sorted(name for name in found if is_image_file(name))
