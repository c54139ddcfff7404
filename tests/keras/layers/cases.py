"""Layers with arguments and inputs, for the recorder and for the tests."""

from __future__ import annotations

import numpy as np

from tests.keras.layers import cases_blocks, cases_convolution
from tests.keras.layers.case import IMAGE, ROW, SEQUENCE, Case, case

_CASES = [
    case("Dense", {"units": 3}, ROW),
    case("Dense", {"units": 3, "activation": "relu", "use_bias": False}, SEQUENCE),
    case("Dense", {"units": 2, "activation": "softmax", "kernel_regularizer": "l2"}, (2, 3, 4, 5)),
    case("Conv2D", {"filters": 4, "kernel_size": 3}, IMAGE),
    case("Conv2D", {"filters": 4, "kernel_size": (3, 2), "padding": "same", "strides": 2, "activation": "relu"}, IMAGE),
    case("Conv2D", {"filters": 2, "kernel_size": 2, "dilation_rate": (2, 1), "use_bias": False}, IMAGE),
    case("Conv1D", {"filters": 4, "kernel_size": 3}, SEQUENCE),
    case("Conv1D", {"filters": 4, "kernel_size": 2, "padding": "causal", "dilation_rate": 2}, SEQUENCE),
    case("Conv1D", {"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2}, SEQUENCE),
    case("MaxPooling2D", {}, IMAGE),
    case("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGE),
    case("AveragePooling2D", {}, IMAGE),
    case("AveragePooling2D", {"pool_size": (3, 2), "strides": (1, 2), "padding": "same"}, IMAGE),
    case("MaxPooling1D", {}, SEQUENCE),
    case("AveragePooling1D", {"pool_size": 3, "strides": 1, "padding": "same"}, SEQUENCE),
    case("GlobalAveragePooling2D", {}, IMAGE),
    case("GlobalMaxPooling2D", {}, IMAGE),
    case("GlobalAveragePooling2D", {"data_format": "channels_first"}, IMAGE),
    case("GlobalAveragePooling1D", {}, SEQUENCE),
    case("GlobalMaxPooling1D", {}, SEQUENCE),
    case("Flatten", {}, IMAGE),
    case("Flatten", {"data_format": "channels_first"}, IMAGE),
    case("Reshape", {"target_shape": (3, 2)}, ROW),
    case("Reshape", {"target_shape": (-1, 5)}, SEQUENCE),
    case("Permute", {"dims": (3, 1, 2)}, IMAGE),
    case("RepeatVector", {"n": 3}, ROW),
    case("ZeroPadding2D", {}, IMAGE),
    case("ZeroPadding2D", {"padding": ((1, 0), (2, 3))}, IMAGE),
    case("ZeroPadding2D", {"padding": (2, 1), "data_format": "channels_first"}, IMAGE),
    case("Cropping2D", {"cropping": ((1, 0), (2, 3))}, IMAGE),
    case("Cropping2D", {"cropping": 1, "data_format": "channels_first"}, (4, 3, 7, 6)),
    case("UpSampling2D", {}, IMAGE),
    case("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, IMAGE),
    case("Activation", {"activation": "tanh"}, ROW),
    case("Activation", {"activation": "selu"}, ROW),
    case("ReLU", {}, ROW),
    case("ReLU", {"max_value": 0.5, "negative_slope": 0.1, "threshold": 0.2}, ROW),
    case("LeakyReLU", {}, ROW),
    case("LeakyReLU", {"alpha": 0.1}, ROW),
    case("ELU", {"alpha": 0.7}, ROW),
    case("ThresholdedReLU", {"theta": 0.3}, ROW),
    case("Softmax", {}, ROW),
    case("Softmax", {"axis": 1}, SEQUENCE),
    case("PReLU", {"alpha_initializer": "ones"}, SEQUENCE),
    case("PReLU", {"shared_axes": [1, 2], "alpha_initializer": "random_uniform"}, IMAGE),
    case("BatchNormalization", {}, ROW),
    case("BatchNormalization", {}, ROW, training=True),
    case("BatchNormalization", {"momentum": 0.9, "epsilon": 1e-2}, IMAGE, training=True),
    case("BatchNormalization", {"axis": 1}, SEQUENCE, training=True),
    case("BatchNormalization", {"scale": False, "center": False}, SEQUENCE, training=True),
    case("BatchNormalization", {"scale": False}, IMAGE, training=False),
    case("BatchNormalization", {"trainable": False}, ROW, training=True),
    case("Dropout", {"rate": 0.5}, ROW),
    case("Dropout", {"rate": 0.3, "noise_shape": (4, 1), "seed": 3}, ROW, training=False),
    case("SpatialDropout1D", {"rate": 0.5}, SEQUENCE),
    case("SpatialDropout2D", {"rate": 0.5}, IMAGE),
    case("GaussianNoise", {"stddev": 0.5}, ROW),
    case("GaussianDropout", {"rate": 0.5}, ROW),
    case("ActivityRegularization", {"l1": 0.1, "l2": 0.2}, ROW),
    case("Add", {}, ROW, ROW, ROW),
    case("Add", {}, (4, 5, 3), (4, 3)),
    case("Subtract", {}, ROW, ROW),
    case("Multiply", {}, (4, 5, 3), (4, 1, 3)),
    case("Average", {}, ROW, ROW, ROW),
    case("Maximum", {}, ROW, ROW),
    case("Minimum", {}, ROW, ROW),
    case("Concatenate", {}, ROW, (4, 2)),
    case("Concatenate", {"axis": 1}, (4, 5, 3), (4, 2, 3)),
    case("Dot", {"axes": 1}, ROW, ROW),
    case("Dot", {"axes": (2, 1)}, (4, 5, 3), (4, 3, 2)),
    case("Dot", {"axes": -1, "normalize": True}, (4, 5, 3), (4, 2, 3)),
    case("Embedding", {"input_dim": 9, "output_dim": 3}, (4, 5), integers=9),
    case("Embedding", {"input_dim": 9, "output_dim": 3, "mask_zero": True, "input_length": 5}, (4, 5), integers=9),
    case("Masking", {"mask_value": 0.5}, SEQUENCE),
]  # fmt: skip

# Each family's values are recorded in files of its name.
FAMILIES = {"layers": _CASES, "convolution": cases_convolution.CASES, "blocks": cases_blocks.CASES}
CASES = [case for cases in FAMILIES.values() for case in cases]


def arguments_of(case: Case, inputs: list) -> tuple:
    """What the layer is called with: its inputs one by one, or as a list."""
    if case.layer == "MultiHeadAttention":
        return tuple(inputs)
    return (inputs if len(inputs) > 1 else inputs[0],)


def masks_of(case: Case) -> dict[int, np.ndarray]:
    """The masks that inputs carry, by their number."""
    random = np.random.RandomState(len(case.name))
    return {index: random.uniform(size=case.shapes[index][:2]) < 0.7 for index in case.masked}


def inputs_of(case: Case) -> list[np.ndarray]:
    """Inputs that are the same wherever this runs."""
    random = np.random.RandomState(sum(map(ord, case.name)))
    if case.integers:
        return [random.randint(0, case.integers, shape).astype("int32") for shape in case.shapes]
    arrays = [random.uniform(-1, 1, shape).astype("float32") for shape in case.shapes]
    if case.layer == "Masking":
        arrays[0][0, 1] = arrays[0][2, 4] = 0.5
    return arrays


def new_weights(shapes: list[tuple[int, ...]], case: Case) -> list[np.ndarray]:
    """Weights of no particular pattern; variances among them must be positive, so all are."""
    random = np.random.RandomState(len(case.name))
    return [random.uniform(0.5, 1.0, shape).astype("float32") for shape in shapes]
