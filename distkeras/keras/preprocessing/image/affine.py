"""Images turned, moved, sheared and zoomed: each new pixel is read at the place that an affine map gives it."""

from __future__ import annotations

from typing import Any

import numpy as np

FILL_MODES = ("constant", "nearest", "reflect", "wrap")


def apply_affine_transform(
    x: np.ndarray,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 0,
    col_axis: int = 1,
    channel_axis: int = 2,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """An image turned, moved, sheared and zoomed about its centre.

    Args:
        x: An image of three dimensions.
        theta: Angle in degrees.
        tx, ty: By how many rows and columns to move.
        shear: Angle in degrees.
        zx, zy: Zoom of rows and columns; below 1 things become larger.
        row_axis, col_axis, channel_axis: The order of the dimensions.
        fill_mode: What lies outside of the image: 'constant', 'nearest', 'reflect' or 'wrap'.
        cval: The constant.
        order: 0 for the nearest pixel, 1 for linear interpolation; splines of order 2 to 5 need SciPy.

    Returns:
        An array of x's shape and type.

    Raises:
        ValueError: Another fill mode, or x has not three dimensions.
        ImportError: Splines are wanted, but there is no SciPy.
    """
    if fill_mode not in FILL_MODES:
        raise ValueError(f"fill_mode must be one of {', '.join(FILL_MODES)}, received {fill_mode!r}.")
    if np.ndim(x) != 3:
        raise ValueError(
            f"Expected one image, an array of 3 dimensions, received shape {np.shape(x)}: call it for each of a batch."
        )
    matrix = _matrix(theta, tx, ty, shear, zx, zy)
    if matrix is None:
        return x
    channels = np.moveaxis(np.moveaxis(x, channel_axis, 0), _after(channel_axis, row_axis, col_axis, x.ndim), (1, 2))
    matrix, offset = _about_centre(matrix, *channels.shape[1:])
    moved = _read(channels, matrix, offset, order, fill_mode, cval)
    moved = np.moveaxis(moved, (1, 2), _after(channel_axis, row_axis, col_axis, x.ndim))
    return np.ascontiguousarray(np.moveaxis(moved, 0, channel_axis))


def _after(channel_axis: int, row_axis: int, col_axis: int, ndim: int) -> tuple[int, int]:
    """Where rows and columns are once the channels have been moved to the front."""
    rest = [axis for axis in range(ndim) if axis != channel_axis % ndim]
    return 1 + rest.index(row_axis % ndim), 1 + rest.index(col_axis % ndim)


def _matrix(theta: float, tx: float, ty: float, shear: float, zx: float, zy: float) -> np.ndarray | None:
    """The map from new to old places as a 3 x 3 matrix; None if it is the identity."""
    parts = []
    if theta:
        sine, cosine = np.sin(np.deg2rad(theta)), np.cos(np.deg2rad(theta))
        parts.append([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    if tx or ty:
        parts.append([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    if shear:
        sine, cosine = np.sin(np.deg2rad(shear)), np.cos(np.deg2rad(shear))
        parts.append([[1, -sine, 0], [0, cosine, 0], [0, 0, 1]])
    if zx != 1 or zy != 1:
        parts.append([[zx, 0, 0], [0, zy, 0], [0, 0, 1]])
    if not parts:
        return None
    product = np.eye(3)
    for part in parts:
        product = product @ np.array(part, np.float64)
    return product


def _about_centre(matrix: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    centre = np.array([(rows - 1) / 2, (columns - 1) / 2])
    return matrix[:2, :2], matrix[:2, 2] + centre - matrix[:2, :2] @ centre


def _read(
    channels: np.ndarray, matrix: np.ndarray, offset: np.ndarray, order: int, mode: str, cval: float
) -> np.ndarray:
    """channels [channel, row, column] at the places matrix @ (row, column) + offset."""
    if order not in (0, 1):
        ndimage = _scipy_ndimage(order)
        return np.stack(
            [ndimage.affine_transform(c, matrix, offset, order=order, mode=mode, cval=cval) for c in channels]
        )
    rows, columns = channels.shape[1:]
    i, j = np.arange(rows)[:, None], np.arange(columns)[None, :]
    axes = [
        _along(matrix[axis, 0] * i + matrix[axis, 1] * j + offset[axis], length, mode, order)
        for axis, length in enumerate((rows, columns))
    ]
    (top, bottom, down, is_row), (left, right, across, is_column) = axes
    if order == 0:
        moved = channels[:, top, left].astype(np.float64)
    else:
        upper = channels[:, top, left] * (1 - across) + channels[:, top, right] * across
        lower = channels[:, bottom, left] * (1 - across) + channels[:, bottom, right] * across
        moved = upper * (1 - down) + lower * down
    if mode == "constant":
        moved = np.where(is_row & is_column, moved, cval)
    return moved.astype(channels.dtype)


def _along(place: np.ndarray, length: int, mode: str, order: int) -> tuple[np.ndarray, ...]:
    """The two neighbours of each place along an axis, how far it is from the first, and whether it is inside."""
    inside = (place >= 0) & (place <= length - 1)
    if mode == "reflect":  # d c b a | a b c d | d c b a
        place = np.mod(place + 0.5, 2 * length) - 0.5
        place = np.where(place > length - 0.5, 2 * length - 1 - place, place)
    elif mode == "wrap" and length > 1:  # the last pixel is the first of the next period
        period = length - 1
        place = np.where(inside, place, np.where(place < 0, period - np.mod(-place, period), np.mod(place, period)))
    place = np.clip(place, 0, length - 1)
    first = np.floor(place + 0.5 if order == 0 else place).astype(np.intp)
    return np.minimum(first, length - 1), np.minimum(first + 1, length - 1), place - first, inside


def _scipy_ndimage(order: int) -> Any:
    if order not in (2, 3, 4, 5):
        raise ValueError(f"The interpolation order must be an int from 0 to 5, received {order!r}.")
    try:
        from scipy import ndimage
    except ImportError as error:
        raise ImportError(
            f"Splines of order {order} need SciPy, which is not installed: pip install scipy, or use order 0 or 1."
        ) from error
    return ndimage
