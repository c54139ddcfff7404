"""Images: changes and standardization as in Keras, the iterators, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.keras.preprocessing import image as images
from distkeras.keras.preprocessing.image import ImageDataGenerator
from tests.keras.preprocessing.image_cases import AFFINE, BATCH, IMAGE, STANDARDIZE, TRANSFORMS

RECORDED = np.load(Path(__file__).parent / "data" / "images.npz")


# --- changes


@pytest.mark.parametrize("number", range(len(AFFINE)), ids=map(str, AFFINE))
def test_affine_transform(number):
    if AFFINE[number].get("order", 1) > 1:
        pytest.importorskip("scipy")
    moved = images.apply_affine_transform(IMAGE, **AFFINE[number])
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved, RECORDED[f"affine{number}"], rtol=1e-5, atol=1e-3)


def test_splines_need_scipy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy", None)
    with pytest.raises(ImportError, match="Splines of order 3 need SciPy.*or use order 0 or 1"):
        images.apply_affine_transform(IMAGE, theta=10, order=3)


@pytest.mark.parametrize("number", range(len(TRANSFORMS)))
def test_apply_transform(number):
    options, parameters = TRANSFORMS[number]
    changed = ImageDataGenerator(**options).apply_transform(IMAGE, parameters)
    np.testing.assert_allclose(changed, RECORDED[f"transform{number}"], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("number", range(len(STANDARDIZE)))
def test_standardize(number):
    generator = ImageDataGenerator(**STANDARDIZE[number])
    generator.fit(BATCH)
    result = np.stack([generator.standardize(image.copy()) for image in BATCH])
    np.testing.assert_allclose(result, RECORDED[f"standardized{number}"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(generator.standardize(BATCH.copy())[0].shape, result[0].shape)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: images.random_rotation(x, 90, 0, 1, 2),
        lambda x: images.random_shift(x, 0.4, 0.4, 0, 1, 2),
        lambda x: images.random_shear(x, 40, 0, 1, 2),
        lambda x: images.random_zoom(x, (0.5, 2), 0, 1, 2),
        lambda x: images.random_channel_shift(x, 90, 2),
        lambda x: images.random_brightness(x, (0.3, 0.9)),
    ],
)
def test_random_changes_follow_the_global_seed(change):
    tf.random.set_seed(1)
    first, second = change(IMAGE), change(IMAGE)
    assert first.shape == IMAGE.shape and not np.array_equal(first, second)
    tf.random.set_seed(1)
    np.testing.assert_array_equal(change(IMAGE), first)


def test_the_ranges_of_a_random_transform():
    options = {
        "rotation_range": 30, "width_shift_range": [1, 2], "height_shift_range": 0.5, "shear_range": 9.0,
        "zoom_range": 0.2, "channel_shift_range": 4.0, "brightness_range": (0.5, 2.0), "horizontal_flip": True,
    }  # fmt: skip
    drawn = [ImageDataGenerator(**options).get_random_transform((10, 8, 3), seed) for seed in range(80)]

    def values(name):
        return np.array([parameters[name] for parameters in drawn])

    assert set(values("ty")) == {-2, -1, 1, 2} and set(values("flip_horizontal")) == {False, True}
    for name, limit in (("theta", 30), ("tx", 5), ("shear", 9), ("channel_shift_intensity", 4)):
        assert 0.8 * limit < np.abs(values(name)).max() <= limit, name
    assert values("zx").min() < 0.85 and values("zy").max() > 1.15 and 0.5 <= values("brightness").min() < 0.7
    assert not values("flip_vertical").any() and drawn[3] == ImageDataGenerator(**options).get_random_transform(
        (10, 8), 3
    )


def test_what_implies_what_is_said():
    with pytest.warns(UserWarning, match="`zca_whitening`, which overrides setting of `featurewise_center`"):
        assert ImageDataGenerator(zca_whitening=True).featurewise_center
    with pytest.warns(UserWarning, match="hasn't been fit on any training data"):
        ImageDataGenerator(featurewise_center=True).standardize(BATCH.copy())
    augmented = ImageDataGenerator(featurewise_center=True, brightness_range=(0.5, 0.5))
    augmented.fit(BATCH, augment=True, rounds=2, seed=1)
    assert augmented.mean.item() == pytest.approx(BATCH.mean() / 2, rel=0.02)


# --- iterators

X, Y = np.arange(7.0).reshape(7, 1, 1, 1).repeat(4, 1).repeat(4, 2), np.arange(7)


def test_an_epoch_is_every_sample_once_in_an_order_of_its_own():
    tf.random.set_seed(2)
    flow = ImageDataGenerator().flow(X, Y, batch_size=3)
    epochs = []
    for _ in range(2):
        batches = [flow[i] for i in range(len(flow))]
        for x, y in batches:
            np.testing.assert_array_equal(x[:, 0, 0, 0], y)
        epochs.append([label for _, y in batches for label in y])
        flow.on_epoch_end()
    assert [sorted(epoch) for epoch in epochs] == [list(range(7))] * 2 and epochs[0] != epochs[1]
    tf.random.set_seed(2)
    again = ImageDataGenerator().flow(X, Y, batch_size=3)
    streamed = [label for _ in range(6) for label in next(again)[1]]
    assert streamed == epochs[0] + epochs[1] and again.total_batches_seen == 6
    again.reset()
    with pytest.raises(ValueError, match="retrieve element 3, but the Sequence has length 3"):
        again[3]


def test_a_sample_is_changed_alike_whatever_batch_it_is_read_in():
    generator = ImageDataGenerator(rotation_range=90, channel_shift_range=3.0, samplewise_center=True)
    x = np.random.default_rng(0).random((6, 5, 5, 3))
    flows = [generator.flow(x, batch_size=size, shuffle=False, seed=5) for size in (6, 2)]
    for _ in range(2):
        whole, parts = flows[0][0], np.concatenate([flows[1][i] for i in (2, 0, 1)])
        np.testing.assert_array_equal(whole, parts[[2, 3, 4, 5, 0, 1]])
        for flow in flows:
            flow.on_epoch_end()
    assert not np.array_equal(flows[0][0], whole)


def test_what_comes_with_the_images():
    weights = np.linspace(0, 1, 7)
    inputs, y, weight = ImageDataGenerator().flow((X, [Y * 2, Y * 3]), Y, 4, False, sample_weight=weights)[1]
    assert [part.ravel()[0] for part in inputs] == [4, 8, 12] and y.tolist() == [4, 5, 6] and len(weight) == 3
    generator = ImageDataGenerator(validation_split=0.3)
    with pytest.raises(ValueError, match="different number of classes after the split"):
        generator.flow(X, Y, subset="training")
    assert generator.flow(X, subset="training").n == 5 and generator.flow(X, subset="validation").n == 2
    with pytest.warns(UserWarning, match="expected either 1, 3, or 4 channels"):
        ImageDataGenerator().flow(X.repeat(2, 3))


def test_a_model_is_trained_and_evaluated_on_a_flow():
    model = tf.keras.Sequential([tf.keras.layers.Flatten(input_shape=(4, 4, 1)), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    flow = ImageDataGenerator(rescale=0.1, horizontal_flip=True).flow(X, Y / 10, batch_size=3)
    history = model.fit(flow, epochs=8, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert model.predict(ImageDataGenerator().flow(X, shuffle=False)).shape == (7, 1)


# --- files


@pytest.fixture
def folder(tmp_path):
    """Folders 'cats' and 'dogs' of 3 and 2 images of one grey each, the dogs' in a folder inside; and other files."""
    pytest.importorskip("PIL.Image")
    for name, greys in (("cats", (10, 20, 30)), ("dogs/small", (40, 50))):
        (tmp_path / name).mkdir(parents=True)
        for grey in greys:
            images.save_img(tmp_path / name / f"{grey}.png", np.full((4, 6, 3), grey), scale=False)
    (tmp_path / "cats" / "notes.txt").write_text("not an image")
    return tmp_path


def test_files_and_arrays(tmp_path, folder):
    path = folder / "cats" / "20.png"
    assert images.img_to_array(images.load_img(path)).tolist() == np.full((4, 6, 3), 20.0).tolist()
    small = images.load_img(path, color_mode="grayscale", target_size=(2, 3), interpolation="bilinear")
    assert images.img_to_array(small, dtype="uint8").shape == (2, 3, 1)
    assert images.img_to_array(images.load_img(path, color_mode="rgba"), "channels_first").shape == (4, 4, 6)
    x = np.float32([[[0.0], [2.0]], [[1.0], [1.0]]])
    assert images.img_to_array(images.array_to_img(x)).ravel().tolist() == [0, 255, 127, 127]
    assert images.array_to_img(x * 300, scale=False).mode == "I"
    images.save_img(tmp_path / "opaque.jpg", np.full((4, 4, 4), 200.0), scale=False)
    assert images.load_img(tmp_path / "opaque.jpg").size == (4, 4)


@pytest.mark.parametrize(
    "class_mode, expected",
    [("categorical", [[1, 0]] * 3 + [[0, 1]] * 2), ("binary", [0, 0, 0, 1, 1]), ("sparse", [0, 0, 0, 1, 1])],
)
def test_flow_from_directory(folder, class_mode, expected, capsys):
    flow = ImageDataGenerator().flow_from_directory(folder, (2, 2), class_mode=class_mode, shuffle=False)
    x, y = flow[0]
    assert x.shape == (5, 2, 2, 3) and x[:, 0, 0, 0].tolist() == [10, 20, 30, 40, 50] and y.tolist() == expected
    assert (
        y.dtype == np.float32
        and flow.class_indices == {"cats": 0, "dogs": 1}
        and flow.classes.tolist() == [0, 0, 0, 1, 1]
    )
    assert flow.filenames[-1] == "dogs/small/50.png" and flow.samples == 5
    assert capsys.readouterr().out == "Found 5 images belonging to 2 classes.\n"


def test_subsets_of_a_directory_and_other_targets(folder):
    generator = ImageDataGenerator(validation_split=0.5)
    flows = [generator.flow_from_directory(folder, (2, 2), subset=part) for part in ("training", "validation")]
    assert [flow.samples for flow in flows] == [3, 2] and not set(flows[0].filenames) & set(flows[1].filenames)
    x, y = generator.flow_from_directory(folder, (2, 2), "grayscale", class_mode="input")[0]
    np.testing.assert_array_equal(x, y)
    (folder / "out").mkdir()
    alone = ImageDataGenerator().flow_from_directory(
        folder, (2, 2), classes=["dogs"], class_mode=None, save_to_dir=str(folder / "out"), save_prefix="p"
    )
    assert alone[0].shape == (2, 2, 2, 3) and len(list((folder / "out").glob("p_*.png"))) == 2


def test_flow_from_a_table(folder):
    table = {
        "filename": ["cats/10.png", "cats/20.png", "dogs/small/40.png", "missing.png"],
        "class": ["cat", "cat", "dog", "dog"],
        "many": [["cat"], ["cat", "old"], ["dog"], ["dog"]],
        "weight": [1, 2, 3, 4],
        "age": [5.0, 6.0, 7.0, 8.0],
    }

    def flow(**options):
        with pytest.warns(UserWarning, match="Found 1 invalid image filename"):
            return ImageDataGenerator().flow_from_dataframe(
                table, str(folder), shuffle=False, target_size=(2, 2), **options
            )

    x, y, weights = flow(weight_col="weight")[0]
    assert y.tolist() == [[1, 0], [1, 0], [0, 1]] and weights.tolist() == [1, 2, 3] and x.shape == (3, 2, 2, 3)
    assert flow(y_col="many")[0][1].tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert flow(class_mode="binary", classes=["dog", "cat"])[0][1].tolist() == [1, 1, 0]
    assert flow(classes=["dog"]).filenames == ["dogs/small/40.png"]
    assert flow(class_mode="raw", y_col="age")[0][1].tolist() == [5, 6, 7]
    assert [part.tolist() for part in flow(class_mode="multi_output", y_col=["age", "weight"])[0][1]] == [
        [5, 6, 7],
        [1, 2, 3],
    ]
    assert flow(class_mode=None)[0].shape == (3, 2, 2, 3)
    assert ImageDataGenerator().flow_from_dataframe(table, str(folder), validate_filenames=False).samples == 4
    with pytest.raises(ValueError, match="there must be 2 classes. Found 1"), pytest.warns(UserWarning):
        ImageDataGenerator().flow_from_dataframe(table, str(folder), class_mode="binary", classes=["cat"])
    with pytest.raises(TypeError, match="y_col must be a list"):
        ImageDataGenerator().flow_from_dataframe(table, class_mode="multi_output")
