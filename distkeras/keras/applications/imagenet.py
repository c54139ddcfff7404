"""What the architectures share: arguments, weights, and images and predictions of ImageNet."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

import numpy as np

from distkeras._config import floatx, image_data_format, normalize_data_format
from distkeras.keras.layers import Dense, GlobalAveragePooling2D, GlobalMaxPooling2D, Input
from distkeras.keras.models import Model
from distkeras.keras.utils.data_utils import get_file

BASE = "https://storage.googleapis.com/tensorflow/keras-applications/"
_CLASSES = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
_CLASSES_HASH = "c2c37ea517e94d9795004a39431a14cb"
_MEANS, _DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEANS = (103.939, 116.779, 123.68)


class File(NamedTuple):
    """A file of weights: its address, its MD5 if that is known, and its name where it is kept if that is another."""

    address: str
    md5: str | None = None
    name: str | None = None


def usual_file(folder: str, name: str, include_top: bool, md5: str) -> File:
    """The file of a model's weights, named as those of most models are."""
    ending = "" if include_top else "_notop"
    return File(f"{BASE}{folder}/{name}_weights_tf_dim_ordering_tf_kernels{ending}.h5", md5)


class Size(NamedTuple):
    """The height and width of images that a model is meant for, and the least it can take."""

    default: int
    least: int


def channel_axis() -> int:
    """The dimension of channels in a batch."""
    return -1 if image_data_format() == "channels_last" else 1


# --- making a model


def image_input(
    include_top: bool, weights: Any, input_tensor: Any, input_shape: Any, classes: int, pooling: Any, size: Size
) -> Any:
    """The tensor that a model begins with, once the arguments that all have are known to go together.

    Raises:
        ValueError: They do not.
    """
    if not (weights is None or weights == "imagenet" or os.path.exists(weights)):
        raise ValueError(
            "`weights` should be None (random initialization), 'imagenet' (pre-training on ImageNet), or the path to "
            f"the weights file to be loaded, received {weights!r}."
        )
    if weights == "imagenet" and include_top and classes != 1000:
        raise ValueError(f"With weights='imagenet' and include_top, `classes` should be 1000, received {classes}.")
    if pooling not in (None, "avg", "max"):
        raise ValueError(f"`pooling` should be None, 'avg' or 'max', received {pooling!r}.")
    is_last = image_data_format() == "channels_last"
    plain = (size.default, size.default, 3) if is_last else (3, size.default, size.default)
    if input_tensor is not None:
        tensor = input_tensor if hasattr(input_tensor, "_keras_history") else Input(tensor=input_tensor)
        _check_shape(tuple(tensor.shape[1:]), include_top, weights, plain, size)
        return tensor
    if input_shape is None:
        sizes = (size.default, size.default) if include_top else (None, None)
        input_shape = (*sizes, 3) if is_last else (3, *sizes)
    _check_shape(tuple(input_shape), include_top, weights, plain, size)
    return Input(shape=tuple(input_shape))


def _check_shape(shape: tuple, include_top: bool, weights: Any, plain: tuple[int, ...], size: Size) -> None:
    if len(shape) != 3:
        raise ValueError(f"`input_shape` must be a tuple of three integers, received {shape}.")
    is_last = image_data_format() == "channels_last"
    sides, channels = (shape[:2], shape[2]) if is_last else (shape[1:], shape[0])
    if weights == "imagenet" and include_top and shape != plain:
        raise ValueError(f"With weights='imagenet' and include_top, `input_shape` should be {plain}, received {shape}.")
    if weights == "imagenet" and channels != 3:
        raise ValueError(f"The input must have 3 channels for weights='imagenet', received the shape {shape}.")
    if any(side is not None and side < size.least for side in sides):
        raise ValueError(f"Input size must be at least {size.least}x{size.least}, received the shape {shape}.")
    if include_top and None in shape:
        raise ValueError(f"If `include_top` is True, `input_shape` must be known, received {shape}.")


def pooled(x: Any, pooling: str | None, names: bool = False) -> Any:
    """The features without a classifier: as they are, or one number a channel.

    Args:
        names: Whether the layers are called avg_pool and max_pool.
    """
    if pooling is None:
        return x
    kind, name = {"avg": (GlobalAveragePooling2D, "avg_pool"), "max": (GlobalMaxPooling2D, "max_pool")}[pooling]
    return kind(name=name if names else None)(x)


def classified(
    x: Any, include_top: bool, pooling: str | None, classes: int, mean: str | None = "avg_pool", names: bool = False
) -> Any:
    """The probabilities of the classes, from the mean of each channel; or without the classifier `pooled` features.

    Args:
        mean: What the layer before the classifier is called.
        names: As for `pooled`.
    """
    if not include_top:
        return pooled(x, pooling, names)
    return Dense(classes, activation="softmax", name="predictions")(GlobalAveragePooling2D(name=mean)(x))


def finished(inputs: Any, outputs: Any, name: str, weights: Any, file: File) -> Model:
    """The model, with its weights.

    Args:
        file: What weights='imagenet' stands for.

    Raises:
        OSError: The weights are nowhere and cannot be downloaded.
    """
    model = Model(source_of(inputs), outputs, name=name)
    if weights == "imagenet":
        address, md5, kept = file
        weights = get_file(kept or address.rpartition("/")[2], address, cache_subdir="models", file_hash=md5)
    if weights is not None:
        model.load_weights(weights)
    return model


def source_of(tensor: Any) -> Any:
    """The inputs of the model that a symbolic tensor comes from."""
    sources, seen, waiting = [], set(), [tensor]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        parents = current.node.keras_inputs
        waiting += parents
        sources += [] if parents else [current]
    return sources[0] if len(sources) == 1 else sources


# --- images and predictions


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Images with numbers in [0, 255] as a model was trained on.

    Args:
        x: One image or a batch, red, green and blue; an array, which is left as it is, or a tensor.
        data_format: By default `image_data_format()`.
        mode: 'tf': to [-1, 1]; 'torch': to [0, 1], then by ImageNet's mean and standard deviation; 'caffe': blue, green
            and red, less ImageNet's mean.

    >>> preprocess_input(np.float32([[[0, 127.5, 255]]]), mode="tf").tolist()
    [[[-1.0, 0.0, 1.0]]]
    """
    if mode not in ("caffe", "tf", "torch"):
        raise ValueError(f"Expected mode to be one of 'caffe', 'tf' or 'torch', received {mode!r}.")
    is_last = (image_data_format() if data_format is None else normalize_data_format(data_format)) == "channels_last"
    if not hasattr(x, "dtype") or isinstance(x, np.ndarray):
        x = np.asarray(x)
        x = x if x.dtype.kind == "f" else x.astype(floatx())
    else:
        x = _as_float_tensor(x)
    if mode == "tf":
        return x / 127.5 - 1.0
    dtype = getattr(x.dtype, "name", floatx())
    layout = (3,) if is_last else (3, 1, 1)
    if mode == "torch":
        means, deviations = (np.asarray(values, dtype).reshape(layout) for values in (_MEANS, _DEVIATIONS))
        return (x / 255.0 - means) / deviations
    reverse = (..., slice(None, None, -1)) if is_last else (..., slice(None, None, -1), slice(None), slice(None))
    return x[reverse] - np.asarray(_CAFFE_MEANS, dtype).reshape(layout)


def _as_float_tensor(x: Any) -> Any:
    from distkeras.ops import cast

    return x if x.dtype.is_floating else cast(x, floatx())


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """The likeliest classes of ImageNet: for each sample (WordNet's id, name, probability), the likeliest first.

    The names come from imagenet_class_index.json, in $KERAS_HOME (or ~/.keras) under models, else downloaded.

    Args:
        preds: [samples, 1000].
        top: How many classes.
    """
    preds = np.asarray(preds)
    if preds.ndim != 2 or preds.shape[1] != 1000:
        raise ValueError(
            "`decode_predictions` expects a batch of predictions (i.e. a 2D array of shape (samples, 1000)). Found "
            f"array with shape: {preds.shape}"
        )
    path = get_file("imagenet_class_index.json", _CLASSES, cache_subdir="models", file_hash=_CLASSES_HASH)
    with open(path, encoding="utf-8") as file:
        classes = json.load(file)
    return [[(*classes[str(number)], float(row[number])) for number in np.argsort(row)[::-1][:top]] for row in preds]
