"""Images that a table names, with their targets."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.keras.preprocessing.image.image_files import FileIterator, is_image_file
from distkeras.keras.preprocessing.image.iterator import announce, split_bounds

_BY_CLASS = ("binary", "categorical", "sparse")


class DataFrameIterator(FileIterator):
    """What `ImageDataGenerator.flow_from_dataframe` gives; see there. Its attributes are DirectoryIterator's."""

    allowed_class_modes = ("binary", "categorical", "input", "multi_output", "raw", "sparse", None)

    def __init__(
        self,
        dataframe: Any,
        directory: str | None = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: str | Sequence[str] = "class",
        weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[Any] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str = "channels_last",
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        dtype: Any = "float32",
        validate_filenames: bool = True,
    ) -> None:
        self._set_processing(
            image_data_generator, target_size, color_mode, class_mode, data_format, save_to_dir, save_prefix,
            save_format, interpolation, dtype,
        )  # fmt: skip
        _check_columns(x_col, y_col, class_mode)
        self.directory = directory or ""
        names = list(dataframe[x_col])
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"All values in column x_col={x_col!r} must be strings.")
        targets = _targets_of(dataframe, y_col, class_mode)
        rows = self._existing(names, x_col) if validate_filenames else list(range(len(names)))
        if class_mode in _BY_CLASS:
            rows = self._number_classes(targets, rows, classes)
        start, stop = split_bounds(len(rows), subset, image_data_generator._validation_split)
        rows = rows[start:stop]
        self.filenames = [names[row] for row in rows]
        self.filepaths = [os.path.join(self.directory, name) for name in self.filenames]
        self.samples = len(rows)
        self.labels = self._labels_of(targets, rows)
        if weight_col is not None:
            self.sample_weight = np.asarray(list(dataframe[weight_col]), np.float64)[rows]
        self._announce()
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _announce(self) -> None:
        if self.class_mode in _BY_CLASS:
            announce(f"Found {self.samples} validated image filenames belonging to {len(self.class_indices)} classes.")
        else:
            announce(f"Found {self.samples} validated image filenames.")

    def _existing(self, names: list[str], x_col: str) -> list[int]:
        paths = [os.path.join(self.directory, name) for name in names]
        rows = [row for row, path in enumerate(paths) if is_image_file(path) and os.path.isfile(path)]
        if len(rows) < len(names):
            warnings.warn(
                f"Found {len(names) - len(rows)} invalid image filename(s) in x_col={x_col!r}. These filename(s) will "
                "be ignored.",
                stacklevel=4,
            )
        return rows

    def _number_classes(self, targets: list, rows: list[int], classes: Sequence[Any] | None) -> list[int]:
        """Number the classes; the rows that have one of them."""
        if classes and len(set(classes)) != len(classes):
            raise ValueError(f"`classes` must name each class once, received {list(classes)}.")
        wanted = list(classes) if classes else sorted({name for row in rows for name in _as_list(targets[row])})
        if self.class_mode == "binary" and len(wanted) != 2:
            raise ValueError(f'If class_mode="binary" there must be 2 classes. Found {len(wanted)} classes: {wanted}.')
        self.class_indices = {name: number for number, name in enumerate(wanted)}
        return [row for row in rows if any(name in self.class_indices for name in _as_list(targets[row]))]

    def _labels_of(self, targets: Any, rows: list[int]) -> Any:
        if self.class_mode == "multi_output":
            return [np.asarray(column)[rows] for column in targets]
        if self.class_mode == "raw":
            return np.asarray(targets)[rows]
        if self.class_mode == "categorical":
            numbers = self.class_indices
            return [[numbers[name] for name in _as_list(targets[row]) if name in numbers] for row in rows]
        return [self.class_indices[targets[row]] for row in rows] if self.class_mode in _BY_CLASS else []

    @property
    def classes(self) -> Any:
        """The class numbers of the files, of modes that have classes."""
        if self.class_mode not in _BY_CLASS:
            raise AttributeError(f"class_mode={self.class_mode!r} has targets, but no classes: see `labels`.")
        return self.labels


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _check_columns(x_col: Any, y_col: Any, class_mode: str | None) -> None:
    if not isinstance(x_col, str):
        raise TypeError(f"x_col must be a string, received {x_col!r}.")
    if class_mode == "multi_output" and not isinstance(y_col, (list, tuple)):
        raise TypeError(f'If class_mode="multi_output", y_col must be a list. Received {y_col!r}.')
    if class_mode in _BY_CLASS and not isinstance(y_col, str):
        raise TypeError(f"If class_mode={class_mode!r}, y_col must be a string. Received {y_col!r}.")


def _targets_of(dataframe: Any, y_col: Any, class_mode: str | None) -> list:
    if class_mode in (None, "input"):
        return []
    if class_mode == "multi_output" or (class_mode == "raw" and isinstance(y_col, (list, tuple))):
        columns = [list(dataframe[name]) for name in y_col]
        return columns if class_mode == "multi_output" else list(zip(*columns, strict=True))
    targets = list(dataframe[y_col])
    if class_mode in ("binary", "sparse") and not all(isinstance(target, str) for target in targets):
        raise TypeError(f"If class_mode={class_mode!r}, the values of column y_col={y_col!r} must be strings.")
    if class_mode == "categorical" and not all(isinstance(target, (str, list, tuple)) for target in targets):
        raise TypeError(
            f"If class_mode='categorical', the values of column y_col={y_col!r} must be strings, lists or tuples."
        )
    return targets
