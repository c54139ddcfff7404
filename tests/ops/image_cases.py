"""Calls of `tf.image` whose results are compared with TensorFlow's, as a script writes them."""

from __future__ import annotations

import numpy as np

_rng = np.random.RandomState(5)
BATCH = _rng.uniform(0, 1, (2, 5, 7, 3)).astype(np.float32)
BATCH[0, 0, 0] = 0.25  # grey, which has no hue
BATCH[0, 0, 1] = 0
OTHER = np.clip(BATCH + _rng.normal(0, 0.1, BATCH.shape), 0, 1).astype(np.float32)
BYTES = _rng.randint(0, 256, (5, 7, 3)).astype(np.uint8)
WIDE = BYTES.astype(np.int16) * 100
LARGE = _rng.uniform(0, 1, (2, 13, 12, 1)).astype(np.float32)
BOXES = np.float32([[0, 0, 1, 1], [0.1, 0.7, 0.8, 0.2], [-0.5, 0.3, 0.6, 1.4]])

_METHODS = "bilinear nearest bicubic area lanczos3 lanczos5 gaussian mitchellcubic".split()
_SIZES = ((3, 4), (11, 9), (5, 13))

CALLS = [
    *(f"tf.image.resize(BATCH, {size}, {method!r})" for method in _METHODS for size in _SIZES),
    *(f"tf.image.resize(BATCH, (3, 9), {method!r}, antialias=True)" for method in _METHODS),
    "tf.image.resize(BYTES, (4, 6))",
    "tf.image.resize(BYTES, (4, 6), 'nearest')",
    "tf.image.resize(BYTES, (5, 7))",
    "tf.image.resize(BATCH, (5, 7), 'gaussian')",
    "tf.image.resize(BATCH, (9, 10), preserve_aspect_ratio=True)",
    "tf.image.resize(BATCH, (3, 10), 'area', preserve_aspect_ratio=True)",
    "tf.image.resize_with_pad(BATCH, 8, 8)",
    "tf.image.resize_with_pad(BYTES, 3, 9, 'bicubic', antialias=True)",
    "tf.image.resize_with_crop_or_pad(BATCH, 8, 4)",
    "tf.image.resize_with_crop_or_pad(BYTES, 2, 10)",
    "tf.image.central_crop(BATCH, 0.5)",
    "tf.image.central_crop(BYTES, 0.7)",
    "tf.image.crop_to_bounding_box(BATCH, 1, 2, 3, 4)",
    "tf.image.pad_to_bounding_box(BYTES, 1, 2, 8, 10)",
    "tf.image.crop_and_resize(BATCH, BOXES, [0, 1, 1], (4, 3), extrapolation_value=0.5)",
    "tf.image.crop_and_resize(BATCH, BOXES, [1, 0, 1], (3, 4), 'nearest')",
    "tf.image.crop_and_resize(BATCH, BOXES, [1, 0, 1], (1, 1))",
    "tf.image.flip_left_right(BATCH)",
    "tf.image.flip_up_down(BYTES)",
    *(f"tf.image.rot90(BATCH, {k})" for k in range(-1, 4)),
    "tf.image.transpose(BYTES)",
    "tf.image.adjust_brightness(BATCH, 0.2)",
    "tf.image.adjust_brightness(BYTES, -0.3)",
    "tf.image.adjust_contrast(BATCH, 1.7)",
    "tf.image.adjust_contrast(BYTES, 0.6)",
    "tf.image.adjust_gamma(BATCH, 2.0, 0.9)",
    "tf.image.adjust_gamma(BYTES, 0.7)",
    "tf.image.adjust_hue(BATCH, 0.3)",
    "tf.image.adjust_hue(BYTES, -0.2)",
    "tf.image.adjust_saturation(BATCH, 1.5)",
    "tf.image.adjust_saturation(BYTES, 0.4)",
    "tf.image.rgb_to_hsv(BATCH)",
    "tf.image.hsv_to_rgb(BATCH)",
    "tf.image.rgb_to_grayscale(BATCH)",
    "tf.image.rgb_to_grayscale(BYTES)",
    "tf.image.grayscale_to_rgb(LARGE)",
    "tf.image.per_image_standardization(BATCH)",
    "tf.image.per_image_standardization(BYTES)",
    "tf.image.sobel_edges(BATCH)",
    "tf.image.total_variation(BATCH)",
    "tf.image.total_variation(BATCH[0])",
    "tf.image.image_gradients(BATCH)[0]",
    "tf.image.image_gradients(BATCH)[1]",
    "tf.image.psnr(BATCH, OTHER, 1.0)",
    "tf.image.psnr(BYTES, BYTES[::-1], 255)",
    "tf.image.ssim(BATCH, OTHER, 1.0, filter_size=4)",
    "tf.image.ssim(LARGE, LARGE[::-1], 1.0)",
    "tf.image.extract_patches(BATCH, [1, 2, 3, 1], [1, 2, 1, 1], [1, 1, 2, 1], 'VALID')",
    "tf.image.extract_patches(BATCH, [1, 3, 2, 1], [1, 2, 3, 1], [1, 1, 1, 1], 'SAME')",
    "tf.image.convert_image_dtype(BYTES, tf.float32)",
    "tf.image.convert_image_dtype(BYTES, tf.uint16)",
    "tf.image.convert_image_dtype(WIDE, tf.uint8)",
    "tf.image.convert_image_dtype(BATCH, tf.uint8)",
    "tf.image.convert_image_dtype(BATCH * 3 - 1, tf.uint8, saturate=True)",
    "tf.image.convert_image_dtype(BATCH, tf.int32, saturate=True)",
    *(f"tf.image.{name}(BATCH)" for name in ("rgb_to_yiq", "yiq_to_rgb", "rgb_to_yuv", "yuv_to_rgb")),
    "tf.image.non_max_suppression(CORNERS, SCORES, 20, 0.3, 0.1)",
    "tf.image.non_max_suppression(CORNERS, SCORES, 4)",
    *(f"tf.image.non_max_suppression_with_scores(CORNERS, SCORES, 20, 0.6, 0.2, 0.5)[{i}]" for i in range(2)),
    *(
        f"tf.image.combined_non_max_suppression({arguments})[{i}]"
        for i in range(4)
        for arguments in (
            "CLASSED * 1.2 - 0.1, SCORED, 3, 5, 0.4, 0.2",
            "CLASSED[:, :, :1], SCORED, 2, 9, 0.3, pad_per_class=True, clip_boxes=False",
        )
    ),
    "tf.saturate_cast(BATCH * 600 - 200, tf.uint8)",
    "tf.saturate_cast(BATCH * 6e9 - 3e9, tf.int32)",
]

# Gradients of the sum of squares with respect to `x`.
GRADIENTS = [
    *(f"tf.image.resize(x, (3, 9), {method!r})" for method in ("bilinear", "nearest", "bicubic", "lanczos3")),
    "tf.image.resize(x, (3, 9), 'bilinear', antialias=True)",
    "tf.image.crop_and_resize(x, BOXES, [0, 1, 1], (4, 3))",
    "tf.image.flip_left_right(x)",
    "tf.image.rot90(x)",
    "tf.image.central_crop(x, 0.6)",
    "tf.image.adjust_brightness(x, 0.3)",
    "tf.image.sobel_edges(x)",
    "tf.image.total_variation(x)",
    "tf.image.per_image_standardization(x)",
    "tf.image.extract_patches(x, [1, 2, 3, 1], [1, 2, 1, 1], [1, 1, 1, 1], 'SAME')",
]
_corners = _rng.uniform(0, 1, (2, 12, 3, 4)).astype(np.float32)
_places = (_rng.permutation(72) / 72).astype(np.float32)  # no two scores are alike
NAMES = {
    "CORNERS": _corners[0, :, 0],
    "SCORES": _places[:12],
    "CLASSED": _corners,
    "SCORED": _places.reshape(2, 12, 3),
    "BATCH": BATCH,
    "OTHER": OTHER,
    "BYTES": BYTES,
    "LARGE": LARGE,
    "BOXES": BOXES,
    "WIDE": BYTES.astype(np.int16) * 100,
}
