"""Max and average pooling of NHWC images over windows of any size, stride and padding.

The functions without an underscore lower a pooling to kernel calls, to be made in order: `for fn, args in calls:
fn(*args)`. `padding` is ((top, bottom), (left, right)). Padding is never a maximum and never counted in a mean; a
window that holds padding only gives minus infinity or 0.

>>> import numpy as np
>>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
>>> out = np.empty((1, 2, 2, 1), np.float32)
>>> for fn, args in max_pool2d(x, out, None, window=(2, 2), strides=(2, 2), padding=((0, 0), (0, 0))):
...     fn(*args)
>>> out.ravel()
array([ 5.,  7., 13., 15.], dtype=float32)
"""

from __future__ import annotations

import numpy as np

from distkeras.kernels import vmath
from distkeras.kernels.compile import Calls, inlined, kernel
from distkeras.kernels.pool_vectors import fills_vectors, spread_line

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
_NO_PADDING = ((0, 0), (0, 0))


def pooled_size(size: int, window: int, stride: int, padding: Pair) -> int:
    """The number of windows along an axis of `size` entries."""
    return max(0, (size + sum(padding) - window) // stride + 1)


def index_dtype(window: Pair) -> np.dtype:
    """The element type of `max_pool2d`'s index: uint8 while a window has at most 256 places, else int32."""
    return np.dtype(np.uint8 if window[0] * window[1] <= 256 else np.int32)


def max_pool2d(
    x: np.ndarray, out: np.ndarray, index: np.ndarray | None, *, window: Pair, strides: Pair, padding: Padding
) -> Calls:
    """Lower out[n, p, q, c] = max over the window at (p, q) of x[n, :, :, c]; NaN in a window gives NaN.

    Args:
        x: [N, H, W, C].
        out: [N, P, Q, C], of x's dtype.
        index: [N, P, Q, C] of `index_dtype(window)`; receives the place of the first maximum in its window, counted row
            by row, which the gradient needs. None where no gradient is wanted.
        window, strides: (height, width).
        padding: ((top, bottom), (left, right)).
    """
    _check(x, out, window, strides, padding)
    if index is None:
        return [(_max_pool_values[x.dtype], (x, *_geometry(window, strides, padding), out))]
    _check_index(index, out, window)
    if index.dtype == np.int32:
        return [(_max_pool_large[x.dtype], (x, *_geometry(window, strides, padding), out, index))]
    if _is_two_by_two(window, strides, padding):
        return [(_max_pool_two[x.dtype], (x, out, index))]
    return [(_max_pool[x.dtype], (x, *_geometry(window, strides, padding), out, index))]


def max_pool2d_gradient(
    dy: np.ndarray, index: np.ndarray, dx: np.ndarray, *, window: Pair, strides: Pair, padding: Padding
) -> Calls:
    """Lower dx[n, h, w, c] = the sum of dy[n, p, q, c] over the windows whose first maximum is (h, w).

    Args:
        dy: [N, P, Q, C].
        index: [N, P, Q, C], as `max_pool2d` left it.
        dx: [N, H, W, C].
        window, strides, padding: as for `max_pool2d`.
    """
    _check(dx, dy, window, strides, padding)
    _check_index(index, dy, window)
    if index.dtype == np.int32:
        return [(_max_pool_large_gradient[dx.dtype], (dy, index, *_geometry(window, strides, padding), dx))]
    if _is_two_by_two(window, strides, padding):
        by_vectors = fills_vectors(dx.shape[3], dx.itemsize)
        kernels = _max_pool_two_gradient_by_vectors if by_vectors else _max_pool_two_gradient
        return [(kernels[dx.dtype], (dy, index, dx))]
    return [(_max_pool_gradient[dx.dtype], (dy, index, *_geometry(window, strides, padding), dx))]


def average_pool2d(x: np.ndarray, out: np.ndarray, *, window: Pair, strides: Pair, padding: Padding) -> Calls:
    """Lower out[n, p, q, c] = mean over the window at (p, q) of x[n, :, :, c], padding left out of sum and count.

    Args:
        x: [N, H, W, C].
        out: [N, P, Q, C], of x's dtype.
        window, strides, padding: as for `max_pool2d`.
    """
    _check(x, out, window, strides, padding)
    return [(_average_pool[x.dtype], (x, *_geometry(window, strides, padding), out))]


def average_pool2d_gradient(dy: np.ndarray, dx: np.ndarray, *, window: Pair, strides: Pair, padding: Padding) -> Calls:
    """Lower dx[n, h, w, c] = the sum of dy[n, p, q, c] / count(p, q) over the windows that hold (h, w).

    Args:
        dy: [N, P, Q, C].
        dx: [N, H, W, C].
        window, strides, padding: as for `max_pool2d`.
    """
    _check(dx, dy, window, strides, padding)
    return [(_average_pool_gradient[dx.dtype], (dy, *_geometry(window, strides, padding), dx))]


def _geometry(window: Pair, strides: Pair, padding: Padding) -> tuple[int, ...]:
    return (*map(int, window), *map(int, strides), int(padding[0][0]), int(padding[1][0]))


def _is_two_by_two(window: Pair, strides: Pair, padding: Padding) -> bool:
    return tuple(window) == tuple(strides) == (2, 2) and tuple(map(tuple, padding)) == _NO_PADDING


def _check(image: np.ndarray, pooled: np.ndarray, window: Pair, strides: Pair, padding: Padding) -> None:
    if min(*window, *strides) < 1 or min(*padding[0], *padding[1]) < 0:
        raise ValueError(
            f"pooling needs a window and strides of at least 1 and no negative padding; "
            f"received window={window}, strides={strides}, padding={padding}"
        )
    rows, columns = (
        pooled_size(size, *arguments)
        for size, *arguments in zip(image.shape[1:3], window, strides, padding, strict=True)
    )
    expected = (image.shape[0], rows, columns, image.shape[3])
    if pooled.shape != expected or pooled.dtype != image.dtype:
        raise ValueError(
            f"pooling {image.dtype} {image.shape} with window={window}, strides={strides}, padding={padding} "
            f"gives {image.dtype} {expected}; received {pooled.dtype} {pooled.shape}"
        )


def _check_index(index: np.ndarray, pooled: np.ndarray, window: Pair) -> None:
    if index.shape != pooled.shape or index.dtype != index_dtype(window):
        expected = f"{index_dtype(window)} {pooled.shape}"
        raise ValueError(f"the index must be {expected}; received {index.dtype} {index.shape}")


# --- kernels ----------------------------------------------------------------------------------------------------------
# The innermost loop runs along the channels, which are contiguous. (top, left) is the padding before the first window.


@inlined
def _window_range(position, stride, before, window, size):
    """(start, first, last): window `position` begins at `start` and covers first <= i < last of the unpadded axis."""
    start = position * stride - before
    return start, max(start, 0), min(start + window, size)


@inlined
def _better(held, place, value, value_place):
    """The larger of held and value with its place; held where they are equal, and the first NaN."""
    wins = (not value <= held) & (held == held)
    return (value if wins else held), (value_place if wins else place)


@inlined
def _keep_maximum(values, place, best, index):
    """Puts values into best, and their place into index, where they are the better."""
    for c in range(values.size):
        held = best[c]
        _, index[c] = _better(held, index[c], values[c], place)
        # Not what _better gives: a select back to its own place becomes a masked store, which a load must wait for.
        best[c] = vmath.maximum(held, values[c])


@inlined
def _max_pool_image(x, window_h, window_w, stride_h, stride_w, top, left, out, index):
    to_index = index.dtype.type
    for p in range(out.shape[0]):
        top_row, first_row, last_row = _window_range(p, stride_h, top, window_h, x.shape[0])
        for q in range(out.shape[1]):
            left_column, first, last = _window_range(q, stride_w, left, window_w, x.shape[1])
            best, places = out[p, q], index[p, q]
            first_place = to_index(max(0, (first_row - top_row) * window_w + first - left_column))
            for c in range(best.size):
                best[c] = -np.inf
                places[c] = first_place
            for h in range(first_row, last_row):
                for w in range(first, last):
                    _keep_maximum(x[h, w], to_index((h - top_row) * window_w + w - left_column), best, places)


@kernel("void({t}[:, :, :, ::1], int64, int64, int64, int64, int64, int64, {t}[:, :, :, ::1], uint8[:, :, :, ::1])")
def _max_pool(x, window_h, window_w, stride_h, stride_w, top, left, out, index):
    """Maximum and its place, any window of at most 256 places."""
    for n in range(x.shape[0]):
        _max_pool_image(x[n], window_h, window_w, stride_h, stride_w, top, left, out[n], index[n])


@kernel("void({t}[:, :, :, ::1], int64, int64, int64, int64, int64, int64, {t}[:, :, :, ::1], int32[:, :, :, ::1])")
def _max_pool_large(x, window_h, window_w, stride_h, stride_w, top, left, out, index):
    """Maximum and its place, any window."""
    for n in range(x.shape[0]):
        _max_pool_image(x[n], window_h, window_w, stride_h, stride_w, top, left, out[n], index[n])


@kernel("void({t}[:, :, :, ::1], int64, int64, int64, int64, int64, int64, {t}[:, :, :, ::1])")
def _max_pool_values(x, window_h, window_w, stride_h, stride_w, top, left, out):
    """Maximum alone."""
    for n in range(x.shape[0]):
        for p in range(out.shape[1]):
            _, first_row, last_row = _window_range(p, stride_h, top, window_h, x.shape[1])
            for q in range(out.shape[2]):
                _, first, last = _window_range(q, stride_w, left, window_w, x.shape[2])
                best = out[n, p, q]
                best[:] = -np.inf
                for h in range(first_row, last_row):
                    for w in range(first, last):
                        values = x[n, h, w]
                        for c in range(values.size):
                            best[c] = vmath.maximum(best[c], values[c])


@kernel("void({t}[:, :, :, ::1], {t}[:, :, :, ::1], uint8[:, :, :, ::1])")
def _max_pool_two(x, out, index):
    """Maximum and its place in 2x2 windows that touch and do not overlap."""
    for n in range(out.shape[0]):
        for p in range(out.shape[1]):
            for q in range(out.shape[2]):
                best, place = out[n, p, q], index[n, p, q]
                a, b = x[n, 2 * p, 2 * q], x[n, 2 * p, 2 * q + 1]
                d, e = x[n, 2 * p + 1, 2 * q], x[n, 2 * p + 1, 2 * q + 1]
                for c in range(best.size):
                    value, where = _better(a[c], np.uint8(0), b[c], np.uint8(1))
                    value, where = _better(value, where, d[c], np.uint8(2))
                    best[c], place[c] = _better(value, where, e[c], np.uint8(3))


@inlined
def _max_pool_image_gradient(dy, index, window_h, window_w, stride_h, stride_w, top, left, dx):
    for p in range(dy.shape[0]):
        top_row, first_row, last_row = _window_range(p, stride_h, top, window_h, dx.shape[0])
        for q in range(dy.shape[1]):
            left_column, first, last = _window_range(q, stride_w, left, window_w, dx.shape[1])
            gradient, places = dy[p, q], index[p, q]
            for h in range(first_row, last_row):
                for w in range(first, last):
                    place = index.dtype.type((h - top_row) * window_w + w - left_column)
                    result = dx[h, w]
                    for c in range(result.size):
                        share = gradient[c]
                        result[c] += share if places[c] == place else dx.dtype.type(0)


@kernel("void({t}[:, :, :, ::1], uint8[:, :, :, ::1], int64, int64, int64, int64, int64, int64, {t}[:, :, :, ::1])")
def _max_pool_gradient(dy, index, window_h, window_w, stride_h, stride_w, top, left, dx):
    """Gradient of the maximum, any window of at most 256 places."""
    for n in range(dx.shape[0]):
        dx[n] = 0
        _max_pool_image_gradient(dy[n], index[n], window_h, window_w, stride_h, stride_w, top, left, dx[n])


@kernel("void({t}[:, :, :, ::1], int32[:, :, :, ::1], int64, int64, int64, int64, int64, int64, {t}[:, :, :, ::1])")
def _max_pool_large_gradient(dy, index, window_h, window_w, stride_h, stride_w, top, left, dx):
    """Gradient of the maximum, any window."""
    for n in range(dx.shape[0]):
        dx[n] = 0
        _max_pool_image_gradient(dy[n], index[n], window_h, window_w, stride_h, stride_w, top, left, dx[n])


@kernel("void({t}[:, :, :, ::1], uint8[:, :, :, ::1], {t}[:, :, :, ::1])")
def _max_pool_two_gradient(dy, index, dx):
    """Gradient of the maximum of 2x2 windows: every entry is written once."""
    zero = dx.dtype.type(0)
    for n in range(dy.shape[0]):
        for p in range(dy.shape[1]):
            for i in range(2):
                for q in range(dy.shape[2]):
                    gradient, place = dy[n, p, q], index[n, p, q]
                    left, right = dx[n, 2 * p + i, 2 * q], dx[n, 2 * p + i, 2 * q + 1]
                    for c in range(gradient.size):
                        value, where = gradient[c], place[c]
                        left[c] = value if where == np.uint8(2 * i) else zero
                        right[c] = value if where == np.uint8(2 * i + 1) else zero
                dx[n, 2 * p + i, 2 * dy.shape[2] :] = 0
        dx[n, 2 * dy.shape[1] :] = 0


@kernel("void({t}[:, :, :, ::1], uint8[:, :, :, ::1], {t}[:, :, :, ::1])")
def _max_pool_two_gradient_by_vectors(dy, index, dx):
    """The same where the channels are whole vectors."""
    windows, channels = dy.shape[2], dy.shape[3]
    for n in range(dy.shape[0]):
        for p in range(dy.shape[1]):
            upper, lower = dx[n, 2 * p].ctypes.data, dx[n, 2 * p + 1].ctypes.data
            spread_line(dx, upper, lower, dy[n, p].ctypes.data, index[n, p].ctypes.data, windows, channels)
            for i in range(2):
                dx[n, 2 * p + i, 2 * windows :] = 0
        dx[n, 2 * dy.shape[1] :] = 0


@kernel("void({t}[:, :, :, ::1], int64, int64, int64, int64, int64, int64, {t}[:, :, :, ::1])")
def _average_pool(x, window_h, window_w, stride_h, stride_w, top, left, out):
    """Mean over the part of each window that is not padding."""
    for n in range(x.shape[0]):
        for p in range(out.shape[1]):
            _, first_row, last_row = _window_range(p, stride_h, top, window_h, x.shape[1])
            for q in range(out.shape[2]):
                _, first, last = _window_range(q, stride_w, left, window_w, x.shape[2])
                total = out[n, p, q]
                total[:] = 0
                for h in range(first_row, last_row):
                    for w in range(first, last):
                        values = x[n, h, w]
                        for c in range(values.size):
                            total[c] += values[c]
                factor = out.dtype.type(1) / out.dtype.type(max(1, (last_row - first_row) * (last - first)))
                for c in range(total.size):
                    total[c] *= factor


@kernel("void({t}[:, :, :, ::1], int64, int64, int64, int64, int64, int64, {t}[:, :, :, ::1])")
def _average_pool_gradient(dy, window_h, window_w, stride_h, stride_w, top, left, dx):
    """Each window's gradient, divided by its count, added to its entries."""
    dx[:] = 0
    for n in range(dx.shape[0]):
        for p in range(dy.shape[1]):
            _, first_row, last_row = _window_range(p, stride_h, top, window_h, dx.shape[1])
            for q in range(dy.shape[2]):
                _, first, last = _window_range(q, stride_w, left, window_w, dx.shape[2])
                gradient = dy[n, p, q]
                factor = dx.dtype.type(1) / dx.dtype.type(max(1, (last_row - first_row) * (last - first)))
                for h in range(first_row, last_row):
                    for w in range(first, last):
                        result = dx[n, h, w]
                        for c in range(result.size):
                            result[c] += gradient[c] * factor
