"""Images and changes of them, whose results are compared with Keras'."""

import numpy as np

_rng = np.random.RandomState(2)
# Square: of others today's Keras, unlike TensorFlow 2.0, does not turn about the centre.
IMAGE = (_rng.uniform(0, 255, (6, 6, 3))).astype(np.float32)
BATCH = (_rng.uniform(0, 255, (12, 3, 2, 1))).astype(np.float32)

AFFINE = [
    {"theta": 30, "fill_mode": "constant", "cval": 7.0},
    {"tx": 1.5, "ty": -2, "fill_mode": "nearest"},
    {"shear": 20, "zx": 0.7, "zy": 1.4, "fill_mode": "reflect"},
    {"theta": -70, "tx": 7, "ty": 9, "shear": -10, "zx": 1.2, "fill_mode": "wrap"},
    {"theta": 50, "zy": 2, "order": 0},
    {"theta": 50, "zy": 2, "order": 3},
    {},
]
TRANSFORMS = [
    ({}, {"theta": 20, "flip_horizontal": True, "channel_shift_intensity": 30.5}),
    ({"fill_mode": "constant", "cval": 3.0}, {"zx": 1.5, "zy": 1.5, "flip_vertical": True, "brightness": 0.6}),
    ({"data_format": "channels_first"}, {"tx": 1, "ty": 2, "flip_horizontal": True}),
]
STANDARDIZE = [
    {"featurewise_center": True, "featurewise_std_normalization": True},
    {"samplewise_center": True, "samplewise_std_normalization": True, "rescale": 1 / 255},
    {"featurewise_center": True, "zca_whitening": True},
    {"preprocessing_function": np.sqrt},
]
