"""`tf.keras.preprocessing.image`: image files, random changes of images, and batches of them."""

from distkeras.keras.preprocessing.image.affine import apply_affine_transform
from distkeras.keras.preprocessing.image.arrays import NumpyArrayIterator
from distkeras.keras.preprocessing.image.augment import (
    apply_brightness_shift,
    apply_channel_shift,
    random_brightness,
    random_channel_shift,
    random_rotation,
    random_shear,
    random_shift,
    random_zoom,
)
from distkeras.keras.preprocessing.image.directory import DirectoryIterator
from distkeras.keras.preprocessing.image.files import array_to_img, img_to_array, load_img, save_img
from distkeras.keras.preprocessing.image.generator import ImageDataGenerator
from distkeras.keras.preprocessing.image.iterator import Iterator
from distkeras.keras.preprocessing.image.table import DataFrameIterator

__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "array_to_img",
    "img_to_array",
    "load_img",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
    "save_img",
]
