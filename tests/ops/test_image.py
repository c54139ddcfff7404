"""`tf.image`: values and gradients of TensorFlow, random draws, files, and compiled calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import distkeras as tf
from distkeras.core import context
from distkeras.testing import check_compiled, check_grads
from tests.ops.compare import check
from tests.ops.image_cases import BATCH, BYTES, CALLS, GRADIENTS, NAMES

RECORDED = np.load(Path(__file__).parent / "data" / "images.npz")


@pytest.mark.parametrize("number", range(len(CALLS)), ids=CALLS)
def test_values(number):
    result, expected = eval(CALLS[number], {"tf": tf, **NAMES}), RECORDED[f"call{number}"]
    if expected.dtype.kind in "iu":  # a rounding of floating-point numbers apart
        assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
        apart = np.abs(result.numpy().astype(np.int64) - expected.astype(np.int64))
        assert apart.max() <= np.abs(expected).max() * 1e-6 + (BYTES.dtype == expected.dtype), apart.max()
        assert np.mean(apart > 0) < 0.02 or expected.dtype == np.int32
    else:
        check(result, expected, rtol=1e-4, atol=3e-6)


@pytest.mark.parametrize("number", range(len(GRADIENTS)), ids=GRADIENTS)
def test_gradients(number):
    x = tf.constant(BATCH)
    with tf.GradientTape() as tape:
        tape.watch(x)
        target = tf.reduce_sum(eval(GRADIENTS[number], {"tf": tf, "x": x, **NAMES}) ** 2)
    np.testing.assert_allclose(tape.gradient(target, x).numpy(), RECORDED[f"gradient{number}"], rtol=1e-3, atol=1e-4)


# --- compiled, and differentiated again


@pytest.mark.parametrize(
    "call",
    [
        lambda x: tf.image.resize(x, (4, 9), "bicubic"),
        lambda x: tf.image.resize(x[0], (4, 9), "nearest"),
        lambda x: tf.image.crop_and_resize(x, NAMES["BOXES"][:2], [0, 0], (4, 3)),
        lambda x: tf.image.adjust_hue(x, 0.2),
        lambda x: tf.image.ssim(x, x[::-1], 1.0, filter_size=4),
    ],
)
def test_a_traced_call_gives_the_same(call):
    check_compiled(call, BATCH)


def test_derivatives_of_colours():
    x = BATCH[:1, 1:3, 2:4].astype(np.float64)
    check_grads(lambda x: tf.image.adjust_saturation(x, 0.6), x)


def test_resizing_keeps_the_type_of_nearest_and_of_float64():
    assert tf.image.resize(BYTES, (2, 2), "nearest").dtype == tf.uint8
    assert tf.image.resize(BATCH.astype(np.float64), (2, 2)).dtype == tf.float64


# --- at random


@pytest.fixture
def seeded():
    tf.random.set_seed(4)


RANDOM = [
    lambda x: tf.image.random_flip_left_right(x),
    lambda x: tf.image.random_flip_up_down(x, seed=3),
    lambda x: tf.image.random_crop(x, (2, 3, 4, 3)),
    lambda x: tf.image.random_brightness(x, 0.3),
    lambda x: tf.image.random_contrast(x, 0.5, 1.5),
    lambda x: tf.image.random_hue(x, 0.4),
    lambda x: tf.image.random_saturation(x, 0.5, 1.5),
]


@pytest.mark.parametrize("call", RANDOM)
def test_draws_follow_the_seed_and_differ_from_each_other(call, seeded):
    x = np.concatenate([BATCH] * 4)[: 2 if call is RANDOM[2] else 8]
    first = [call(x).numpy() for _ in range(4)]
    tf.random.set_seed(4)
    np.testing.assert_array_equal(call(x).numpy(), first[0])
    assert any(not np.array_equal(first[0], other) for other in first[1:])


@pytest.mark.parametrize("call", [call for call in RANDOM if call is not RANDOM[2]])
def test_a_rank_draws_for_its_rows_what_one_process_draws(call):
    """Rows 2 and 3 of four, read alone by a rank, are changed as they are in the whole batch."""
    x = np.concatenate([BATCH, BATCH])

    def drawn(images, first):
        with context.on_replica(context.Replica(random_state=tf.constant([4, 9, first], tf.int64))):
            return call(images).numpy()

    np.testing.assert_allclose(drawn(x, 0)[2:], drawn(x[2:], 2), atol=1e-6)


def test_random_crop_cuts_a_block_out(seeded):
    x = np.arange(5 * 6).reshape(5, 6, 1)
    found = {tuple(tf.image.random_crop(x, (3, 4, 1)).numpy()[0, 0]) for _ in range(60)}
    assert found == {(x[i, j, 0],) for i in range(3) for j in range(3)}


# --- files

pil = pytest.importorskip("PIL.Image")


def test_png_is_kept_as_it_is():
    for channels in (1, 2, 3, 4):
        pixels = np.random.default_rng(channels).integers(0, 256, (3, 5, channels)).astype(np.uint8)
        encoded = tf.image.encode_png(pixels, compression=1)
        assert encoded.dtype == tf.string and encoded.shape == () and encoded.numpy()[1:4] == b"PNG"
        check(tf.image.decode_png(encoded), pixels)
        check(tf.image.decode_image(encoded.numpy(), dtype=tf.float32), (pixels / 255).astype(np.float32))
    wide = (np.arange(6, dtype=np.uint16) * 9000).reshape(2, 3, 1)
    check(tf.image.decode_png(tf.image.encode_png(wide), dtype=tf.uint16), wide)
    assert tf.image.decode_png(tf.image.encode_png(BYTES), channels=1).shape == (5, 7, 1)


def test_jpeg_is_nearly_kept():
    smooth = (np.add.outer(np.arange(16), np.arange(24))[..., None] * np.uint8([2, 3, 1])).astype(np.uint8)
    encoded = tf.image.encode_jpeg(smooth, quality=100, chroma_downsampling=False)
    decoded = tf.image.decode_jpeg(encoded).numpy().astype(int)
    assert np.abs(decoded - smooth).max() <= 3
    assert tf.image.decode_jpeg(encoded, channels=1, ratio=2).shape == (8, 12, 1)
    poor = tf.image.adjust_jpeg_quality(smooth, 5).numpy()
    assert poor.shape == smooth.shape and np.abs(poor.astype(int) - smooth).max() > 3
    assert tf.image.random_jpeg_quality(smooth / np.float32(255), 5, 90).dtype == tf.float32
    with pytest.raises(ValueError, match="damaged"):
        tf.image.decode_jpeg(encoded.numpy()[:-80])
    assert tf.image.decode_jpeg(encoded.numpy()[:-80], try_recover_truncated=True).shape == smooth.shape


def test_gif_has_frames(tmp_path):
    frames = [pil.fromarray(np.full((4, 6), value, np.uint8)) for value in (0, 255)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    content = (tmp_path / "moving.gif").read_bytes()
    assert tf.image.decode_gif(content).numpy()[:, 0, 0, 0].tolist() == [0, 255]
    assert tf.image.decode_image(content).shape == (2, 4, 6, 3)
    assert tf.image.decode_image(content, expand_animations=False).shape == (4, 6, 3)


def test_bmp(tmp_path):
    pil.fromarray(BYTES).save(tmp_path / "image.bmp")
    check(tf.image.decode_bmp((tmp_path / "image.bmp").read_bytes()), BYTES)


def test_without_pillow_one_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"tf.image.decode_png needs Pillow.*pip install 'distkeras\[image\]'"):
        tf.image.decode_png(b"")


def test_files_are_read_in_a_dataset(tmp_path):
    """As the tutorials do it: path -> bytes -> image of one size, with a label from the folder's name."""
    for number, name in enumerate(("cats", "dogs")):
        (tmp_path / name).mkdir()
        pixels = np.full((4 + number, 6, 3), 40 * (number + 1), np.uint8)
        tf.io.write_file(str(tmp_path / name / "1.png"), tf.image.encode_png(pixels))

    def load(path):
        image = tf.image.resize(tf.io.decode_png(tf.io.read_file(path), channels=3), (3, 3)) / 255.0
        return tf.image.random_flip_left_right(image), tf.strings.split(path, "/")[-2] == "dogs"

    paths = [str(tmp_path / name / "1.png") for name in ("cats", "dogs")]
    ((images, labels),) = tf.data.Dataset.from_tensor_slices(paths).map(load).batch(2)
    assert images.shape == (2, 3, 3, 3) and labels.numpy().tolist() == [False, True]
    np.testing.assert_allclose(images.numpy()[:, 0, 0, 0], [40 / 255, 80 / 255], rtol=1e-6)


def test_padded_boxes_are_those_without_padding():
    corners, scores = NAMES["CORNERS"], NAMES["SCORES"]
    expected = tf.image.non_max_suppression(corners, scores, 10, 0.2).numpy()
    for padded in (tf.image.non_max_suppression_padded, tf.function(tf.image.non_max_suppression_padded)):
        indices, count = padded(corners, scores, 10, 0.2, pad_to_max_output_size=True)
        assert indices.shape == (10,) and indices.numpy()[: int(count)].tolist() == expected.tolist()
    assert tf.image.non_max_suppression_padded(corners, scores, 10, 0.2)[0].numpy().tolist() == expected.tolist()
    assert tf.image.non_max_suppression(corners[:0], scores[:0], 3).shape == (0,)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: tf.image.non_max_suppression(np.ones((2, 3, 4)), np.ones(2), 3), r"expected boxes \[n, 4\]"),
        (lambda: tf.image.non_max_suppression(np.ones((2, 4)), np.ones(2), 3, 1.5), r"must be in \[0, 1\]"),
        (lambda: tf.image.combined_non_max_suppression(np.ones((1, 2, 3, 4)), np.ones((1, 2, 2)), 1, 1), "classes"),
        (lambda: tf.image.rgb_to_yuv(BYTES), "expected floating-point"),
    ],
)
def test_what_boxes_and_colours_refuse(call, match):
    with pytest.raises(ValueError, match=match):
        call()
