"""`ImageDataGenerator`: how images are changed at random and standardized, and the iterators that do so."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras._config import image_data_format, normalize_data_format
from distkeras.core.random_state import next_numpy_generator
from distkeras.keras.preprocessing.image.affine import FILL_MODES, apply_affine_transform
from distkeras.keras.preprocessing.image.arrays import NumpyArrayIterator
from distkeras.keras.preprocessing.image.augment import apply_brightness_shift, apply_channel_shift, flip_axis
from distkeras.keras.preprocessing.image.directory import DirectoryIterator
from distkeras.keras.preprocessing.image.table import DataFrameIterator


class ImageDataGenerator:
    """Batches of images with augmentation at random.

    What is drawn for a sample is a function of the seed, the epoch and the sample's number: the same for any number of
    ranks and workers.

    Args:
        featurewise_center, featurewise_std_normalization: Whether to subtract the mean of the data that `fit` has seen,
            and to divide by its standard deviation.
        samplewise_center, samplewise_std_normalization: The same by each image's own.
        zca_whitening: Whether to remove the correlations of pixels, after `fit`; `zca_epsilon` keeps it finite.
        rotation_range: Greatest angle, in degrees.
        width_shift_range, height_shift_range: A fraction of the size (below 1), a number of pixels, or the shifts to
            choose from, of both signs.
        brightness_range: (least, greatest) factor.
        shear_range: Greatest angle, in degrees.
        zoom_range: (least, greatest) factor, or z for (1 - z, 1 + z).
        channel_shift_range: The most that is added.
        fill_mode, cval: What lies outside of an image: 'constant', 'nearest', 'reflect' or 'wrap'; the constant.
        horizontal_flip, vertical_flip: Whether to flip half of the images.
        rescale: A factor, applied after the changes and before everything else.
        preprocessing_function: Called with each image (three dimensions) after the changes.
        data_format: 'channels_last' or 'channels_first'; by default `image_data_format()`.
        validation_split: The share that is the subset 'validation'.
        dtype: Element type of what is yielded; float32 by default.

    >>> import numpy as np
    >>> generator = ImageDataGenerator(rescale=0.5, horizontal_flip=True)
    >>> x, y = generator.flow(np.ones((5, 4, 4, 1)), np.arange(5), batch_size=2, shuffle=False)[0]
    >>> x.shape, float(x.max()), y.tolist()
    ((2, 4, 4, 1), 0.5, [0, 1])
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: float | Sequence[float] = 0.0,
        height_shift_range: float | Sequence[float] = 0.0,
        brightness_range: tuple[float, float] | None = None,
        shear_range: float = 0.0,
        zoom_range: float | tuple[float, float] = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], np.ndarray] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        dtype: Any = None,
    ) -> None:
        self.featurewise_center = featurewise_center
        self.samplewise_center = samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening = zca_whitening
        self.zca_epsilon = zca_epsilon
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.brightness_range = _pair("brightness_range", brightness_range)
        self.shear_range = shear_range
        is_number = isinstance(zoom_range, (int, float))
        self.zoom_range = _pair("zoom_range", (1 - zoom_range, 1 + zoom_range) if is_number else zoom_range)
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.data_format = image_data_format() if data_format is None else normalize_data_format(data_format)
        self.dtype = dtype or "float32"
        self._validation_split = validation_split
        if fill_mode not in FILL_MODES:
            raise ValueError(f"fill_mode must be one of {', '.join(FILL_MODES)}, received {fill_mode!r}.")
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(f"`validation_split` must be strictly between 0 and 1. Received: {validation_split}")
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.principal_components: np.ndarray | None = None
        # Axes of a batch.
        is_last = self.data_format == "channels_last"
        self.channel_axis, self.row_axis, self.col_axis = (3, 1, 2) if is_last else (1, 2, 3)
        self._settle()

    def _settle(self) -> None:
        """Some standardizations imply others, or leave them nothing to do."""
        if self.zca_whitening and self.featurewise_std_normalization:
            self.featurewise_std_normalization = False
            _warn("zca_whitening", "featurewise_std_normalization", False)
        for cause, effect in (
            ("zca_whitening", "featurewise_center"),
            ("featurewise_std_normalization", "featurewise_center"),
            ("samplewise_std_normalization", "samplewise_center"),
        ):
            if getattr(self, cause) and not getattr(self, effect):
                setattr(self, effect, True)
                _warn(cause, effect, True)

    # --- iterators

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches of the images of an array.

        Args:
            x: Images, [samples, ...]; or a pair of them and an array, or a list of arrays, that goes with them.
            y: Targets.
            batch_size: Samples in a (global) batch.
            shuffle: Whether each epoch has an order of its own.
            sample_weight: Weights.
            seed: Of orders and changes.
            save_to_dir, save_prefix, save_format: A folder to write all changed images to, and how to name them.
            subset: 'training' or 'validation', of `validation_split`.
        """
        return NumpyArrayIterator(
            x, y, self, batch_size, shuffle, sample_weight, seed, self.data_format, save_to_dir, save_prefix,
            save_format, subset, self.dtype,
        )  # fmt: skip

    def flow_from_directory(
        self,
        directory: Any,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
    ) -> DirectoryIterator:
        """Batches of the image files in a folder that has a folder for each class.

        Args:
            directory: The folder.
            target_size: (height, width) that all images are resized to.
            color_mode: 'grayscale', 'rgb' or 'rgba'.
            classes: The folders to be read, in the order of their numbers; by default all, in order of their names.
            class_mode: What targets are: 'categorical', one-hot rows; 'binary' or 'sparse', numbers; 'input', the
                images; None, there are none.
            batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, subset: As for `flow`.
            follow_links: Whether links to folders are followed.
            interpolation: How to resize, as for `load_img`.
        """
        return DirectoryIterator(
            directory, self, target_size, color_mode, classes, class_mode, batch_size, shuffle, seed, self.data_format,
            save_to_dir, save_prefix, save_format, follow_links, subset, interpolation, self.dtype,
        )  # fmt: skip

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: str | None = None,
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
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
    ) -> DataFrameIterator:
        """Batches of the image files that a table names.

        Args:
            dataframe: A pandas DataFrame, or a dict of columns.
            directory: The folder that the names are paths from; None if they are absolute.
            x_col: The column of names.
            y_col: The column, or columns, of targets.
            weight_col: The column of weights.
            class_mode: 'categorical' (a name, or a list of names, in each row), 'binary', 'sparse', 'raw' (the
                column's, or columns', numbers), 'multi_output' (an array for each column), 'input', or None.
            validate_filenames: Whether names that are no image files are left out.
            target_size, color_mode, classes, interpolation: As for `flow_from_directory`.
            batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, subset: As for `flow`.
        """
        return DataFrameIterator(
            dataframe, directory, self, x_col, y_col, weight_col, target_size, color_mode, classes, class_mode,
            batch_size, shuffle, seed, self.data_format, save_to_dir, save_prefix, save_format, subset, interpolation,
            self.dtype, validate_filenames,
        )  # fmt: skip

    # --- one image

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """An image, or a batch, standardized; an array of floating-point numbers is changed in place."""
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + 1e-6
        if self.featurewise_center and self._is_fitted("featurewise_center", self.mean):
            x -= self.mean
        if self.featurewise_std_normalization and self._is_fitted("featurewise_std_normalization", self.std):
            x /= self.std + 1e-6
        if self.zca_whitening and self._is_fitted("zca_whitening", self.principal_components):
            x = (x.reshape(_images_in(x), -1) @ self.principal_components).reshape(x.shape)
        return x

    def _is_fitted(self, wanted: str, statistic: np.ndarray | None) -> bool:
        if statistic is None:
            warnings.warn(
                f"This ImageDataGenerator specifies `{wanted}`, but it hasn't been fit on any training data. Fit it "
                "first by calling `.fit(numpy_data)`.",
                stacklevel=3,
            )
        return statistic is not None

    def get_random_transform(self, img_shape: tuple[int, ...], seed: int | None = None) -> dict[str, Any]:
        """Draw the changes for an image of this shape, as `apply_transform` takes them."""
        draw = next_numpy_generator(seed)
        rows, columns = img_shape[self.row_axis - 1], img_shape[self.col_axis - 1]
        zoomed = self.zoom_range[0] != 1 or self.zoom_range[1] != 1
        zx, zy = draw.uniform(*self.zoom_range, 2) if zoomed else (1, 1)
        brightness = None if self.brightness_range is None else draw.uniform(*self.brightness_range)
        shift = self.channel_shift_range
        return {
            "theta": draw.uniform(-self.rotation_range, self.rotation_range) if self.rotation_range else 0,
            "tx": _shift(draw, self.height_shift_range, rows),
            "ty": _shift(draw, self.width_shift_range, columns),
            "shear": draw.uniform(-self.shear_range, self.shear_range) if self.shear_range else 0,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": bool(draw.random() < 0.5) and self.horizontal_flip,
            "flip_vertical": bool(draw.random() < 0.5) and self.vertical_flip,
            "channel_shift_intensity": draw.uniform(-shift, shift) if shift else None,
            "brightness": brightness,
        }

    def apply_transform(self, x: np.ndarray, transform_parameters: dict[str, Any]) -> np.ndarray:
        """An image after changes.

        Args:
            x: An image of three dimensions.
            transform_parameters: Any of theta, tx, ty, shear, zx, zy (see `apply_affine_transform`), flip_horizontal,
                flip_vertical, channel_shift_intensity, brightness.
        """
        get = transform_parameters.get
        rows, columns, channels = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        x = apply_affine_transform(
            x, get("theta", 0), get("tx", 0), get("ty", 0), get("shear", 0), get("zx", 1), get("zy", 1),
            rows, columns, channels, self.fill_mode, self.cval,
        )  # fmt: skip
        if get("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, get("channel_shift_intensity"), channels)
        x = flip_axis(x, columns) if get("flip_horizontal", False) else x
        x = flip_axis(x, rows) if get("flip_vertical", False) else x
        return x if get("brightness") is None else apply_brightness_shift(x, get("brightness"), scale=False)

    def random_transform(self, x: np.ndarray, seed: int | None = None) -> np.ndarray:
        """An image after changes that are drawn for it."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    # --- statistics

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Take mean, standard deviation and principal components of images, where standardization needs them.

        Args:
            x: Images, [samples, ...].
            augment: Whether to take those of changed images.
            rounds: How many times the images are changed anew.
            seed: Of the changes.

        Raises:
            ValueError: There are not four dimensions.
        """
        x = np.array(x, self.dtype)
        if x.ndim != 4:
            raise ValueError(f"Input to `.fit()` should have rank 4. Got array with shape: {x.shape}")
        if augment:
            draw = next_numpy_generator(seed)
            seeds = draw.integers(0, 2**63, (rounds, len(x)))
            x = np.concatenate([[self.random_transform(*pair) for pair in zip(x, row, strict=True)] for row in seeds])
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = np.mean(x, axes, keepdims=True)[0]
            x = x - self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(x, axes, keepdims=True)[0]
            x = x / (self.std + 1e-6)
        if self.zca_whitening:
            flat = x.reshape(len(x), -1)
            vectors, values, _ = np.linalg.svd(flat.T @ flat / len(flat))
            self.principal_components = (vectors / np.sqrt(values + self.zca_epsilon)) @ vectors.T


def _images_in(x: np.ndarray) -> int:
    return len(x) if x.ndim == 4 else 1


def _pair(name: str, values: Any) -> tuple[float, float] | None:
    if values is None:
        return None
    if not isinstance(values, (tuple, list)) or len(values) != 2 or isinstance(values[0], str):
        raise ValueError(f"`{name}` should be a tuple or list of two floats. Received: {values!r}")
    return tuple(values)


def _shift(draw: np.random.Generator, limits: Any, size: int) -> float:
    """How many rows, or columns, to move an image by."""
    if np.ndim(limits):
        shift = float(draw.choice(np.asarray(limits))) * float(draw.choice([-1, 1]))
    else:
        shift = draw.uniform(-limits, limits) if limits else 0
    return shift * size if np.max(limits) < 1 else shift


def _warn(cause: str, effect: str, value: bool) -> None:
    warnings.warn(
        f"This ImageDataGenerator specifies `{cause}`, which overrides setting of `{effect}`: it is {value} now.",
        stacklevel=4,
    )
