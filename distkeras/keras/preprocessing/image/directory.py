"""Images in a folder that has a folder for each class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.keras.preprocessing.image.image_files import FileIterator, files_below
from distkeras.keras.preprocessing.image.iterator import announce, split_bounds


class DirectoryIterator(FileIterator):
    """What `ImageDataGenerator.flow_from_directory` gives; see there.

    Attributes:
        class_indices: The classes' numbers by name.
        classes: The class number of each file.
        filenames: Paths of the files from the folder.
        samples, num_classes: How many files and classes there are.
    """

    allowed_class_modes = ("categorical", "binary", "sparse", "input", None)

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        dtype: Any = "float32",
    ) -> None:
        self._set_processing(
            image_data_generator, target_size, color_mode, class_mode, data_format, save_to_dir, save_prefix,
            save_format, interpolation, dtype,
        )  # fmt: skip
        self.directory = os.fspath(directory)
        names = sorted(entry.name for entry in os.scandir(self.directory) if entry.is_dir())
        names = list(classes) if classes else names
        self.class_indices = {name: number for number, name in enumerate(names)}
        self.num_classes = len(names)
        self.filenames: list[str] = []
        labels: list[int] = []
        for number, name in enumerate(names):
            files = files_below(os.path.join(self.directory, name), follow_links)
            chosen = slice(*split_bounds(len(files), subset, image_data_generator._validation_split))
            self.filenames += [os.path.join(name, file) for file in files[chosen]]
            labels += [number] * len(files[chosen])
        self.classes = np.array(labels, np.int32)
        self.samples = len(self.filenames)
        self.filepaths = [os.path.join(self.directory, name) for name in self.filenames]
        announce(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    @property
    def labels(self) -> np.ndarray:
        return self.classes
