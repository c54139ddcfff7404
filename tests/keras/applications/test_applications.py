"""The architectures: the weights, and the mathematics, of Keras'; their arguments; ImageNet's images and classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras import applications
from distkeras.keras.applications import imagenet
from tests.keras.applications.architectures import ARCHITECTURES, LARGER, digest_of, features, weights_of

FOLDER = Path(__file__).parent / "data"
WEIGHTS = json.loads((FOLDER / "architectures.json").read_text())
FEATURES = np.load(FOLDER / "architectures.npz")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty cache and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("BASE", "_CLASSES"):
        monkeypatch.setattr(imagenet, name, (tmp_path / "nowhere").as_uri() + "/")
    return tmp_path


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if not name.startswith("VGG")])
def test_weights_are_those_of_keras(name):
    assert weights_of(getattr(applications, name)(weights=None)) == WEIGHTS[name]


@pytest.mark.parametrize("name", ["VGG16", "VGG19"])
def test_weights_of_vgg(name):
    """With images of 32 x 32 and two classes: the whole network takes half a gigabyte."""
    model = getattr(applications, name)(weights=None, input_shape=(32, 32, 3), classes=2)
    expected = [[layer, [list(shape) for shape in shapes]] for layer, shapes in WEIGHTS[name]]
    assert expected[-3][1][0] == [7 * 7 * 512, 4096]
    expected[-3][1][0][0], expected[-1][1] = 512, [[4096, 2], [2]]
    assert weights_of(model) == expected


@pytest.mark.parametrize("name", LARGER)
def test_larger_ones(name):
    """Names and shapes by a digest: DenseNet201's, for example, are those of DenseNet121 with longer blocks."""
    side = LARGER[name]
    model = getattr(applications, name)(weights=None, include_top=False, pooling="avg", input_shape=(side, side, 3))
    assert digest_of(model) == WEIGHTS[name]
    close(features(model, side), FEATURES[name])


def test_the_largest_has_as_many_parameters_as_documented():
    model = applications.NASNetLarge(weights=None)
    assert model.count_params() == 88949818 and model.output_shape == (None, 1000)


def test_nasnet_cells_have_keras_names():
    names = {layer.name for layer in applications.NASNetMobile(weights=None).layers}
    assert {
        "stem_bn1",
        "reduction_concat_stem_2",
        "adjust_conv_1_0",
        "reduction_left4_reduce_4",
        "adjust_bn_5",
    } <= names
    assert {"normal_add_5_12", "separable_conv_2_bn_reduction_right3_reduce_8", "predictions"} <= names
    assert not {"normal_conv_1_4", "adjust_conv_1_reduce_4"} & names


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "VGG19"])
def test_features_are_those_of_keras(name):
    side = ARCHITECTURES[name]
    model = getattr(applications, name)(weights=None, include_top=False, pooling="avg", input_shape=(side, side, 3))
    close(features(model, side), FEATURES[name])


def close(mine, expected):
    np.testing.assert_allclose(mine, expected, rtol=2e-3, atol=2e-4 * np.abs(expected).max())


# --- arguments


def small(**options):
    return applications.MobileNetV2(**{"weights": None, "alpha": 0.35, "input_shape": (32, 32, 3), **options})


def test_a_tensor_to_begin_with():
    image = tf.keras.Input((32, 32, 3), name="image")
    model = small(input_tensor=image * 2 - 1, include_top=False, pooling="max")
    assert model.input.name.startswith("image") and model.output_shape == (None, 1280)
    assert small(include_top=False, input_shape=None).output_shape == (None, None, None, 1280)
    with pytest.raises(ValueError, match="`pooling` should be None, 'avg' or 'max', received 'sum'"):
        small(include_top=False, pooling="sum")


def test_weights_from_a_file(home):
    model = small(classes=3)
    model.save_weights(str(home / "mine.h5"))
    again = small(classes=3, weights=str(home / "mine.h5"))
    for mine, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_weights_of_imagenet_are_taken_from_the_cache(home):
    model = small(input_shape=None, include_top=False)
    (home / "models").mkdir()
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
    model.save_weights(str(home / "models" / name))
    again = small(input_shape=None, include_top=False, weights="imagenet")
    np.testing.assert_array_equal(model.get_weights()[0], again.get_weights()[0])
    with pytest.raises(OSError, match="Where there is no network, put the file here yourself"):
        small(input_shape=(96, 96, 3), weights="imagenet", include_top=False)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"weights": "imagnet"}, "or the path to the weights file to be loaded, received 'imagnet'"),
        ({"weights": "imagenet", "classes": 3, "input_shape": None}, "`classes` should be 1000, received 3"),
        ({"weights": "imagenet"}, "square images with a side of 96, 128, 160, 192, 224"),
        ({"weights": "imagenet", "alpha": 0.3, "input_shape": None}, "received alpha=0.3"),
        ({"input_shape": (16, 32, 3)}, "at least 32x32, received the shape"),
        ({"input_shape": (32, 32)}, "a tuple of three integers"),
        ({"input_shape": (None, None, 3)}, "`input_shape` must be known"),
        ({"weights": "imagenet", "input_shape": (224, 224, 1), "include_top": False}, "must have 3 channels"),
    ],
)
def test_arguments_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


# --- images and classes

IMAGE = np.arange(24.0).reshape(2, 4, 3) * 10


def test_preprocess_input():
    """Values of Keras."""
    first = {
        "caffe": [-83.939, -106.779, -123.68],
        "tf": [-1.0, -0.92156863, -0.84313726],
        "torch": [-2.1179039, -1.8606443, -1.4558606],
    }
    for mode, module in (("caffe", "vgg16"), ("tf", "inception_v3"), ("torch", "densenet")):
        preprocess = getattr(applications, module).preprocess_input
        np.testing.assert_allclose(preprocess(IMAGE)[0, 0], first[mode], rtol=1e-5)
        tensor = preprocess(tf.constant(IMAGE[None], tf.float32))
        np.testing.assert_allclose(tensor[0, 0, 0], first[mode], rtol=1e-5)
        channels_first = preprocess(IMAGE.transpose(2, 0, 1), data_format="channels_first")
        np.testing.assert_allclose(channels_first, preprocess(IMAGE).transpose(2, 0, 1), rtol=1e-6)
    assert applications.vgg16.preprocess_input(IMAGE.astype(np.uint8)).dtype == np.float32
    with pytest.raises(ValueError, match="'caffe', 'tf' or 'torch', received 'jax'"):
        imagenet.preprocess_input(IMAGE, mode="jax")


def test_decode_predictions(home, monkeypatch):
    predictions = np.zeros((2, 1000), np.float32)
    predictions[0, 3], predictions[0, 5], predictions[1, 999] = 0.7, 0.2, 1
    with pytest.raises(OSError, match="Where there is no network.*imagenet_class_index.json"):
        applications.vgg19.decode_predictions(predictions)
    (home / "models").mkdir(exist_ok=True)
    classes = {str(i): [f"n{i}", f"thing {i}"] for i in range(1000)}
    (home / "models" / "imagenet_class_index.json").write_text(json.dumps(classes))
    monkeypatch.setattr(imagenet, "_CLASSES_HASH", None)
    decoded = applications.vgg19.decode_predictions(tf.constant(predictions), top=2)
    assert [row[0][:2] for row in decoded] == [("n3", "thing 3"), ("n999", "thing 999")]
    assert decoded[0][1] == ("n5", "thing 5", pytest.approx(0.2))
    with pytest.raises(ValueError, match="a 2D array of shape"):
        imagenet.decode_predictions(predictions[:, :10])
