"""Images from and to the bytes of files. Pillow reads and writes the formats; without it these functions say so."""

from __future__ import annotations

import importlib
import io
from typing import Any

import numpy as np

from distkeras._errors import InvalidArgumentError
from distkeras.core.spec import as_dtype
from distkeras.core.tensor import Tensor, to_tensor
from distkeras.ops._op import op
from distkeras.ops.image_types import convert_image_dtype

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def pillow(module: str, wanted: str) -> Any:
    """A module of Pillow, such as 'Image'.

    Raises:
        ImportError: It is not installed.
    """
    try:
        return importlib.import_module(f"PIL.{module}")
    except ImportError as error:
        raise ImportError(f"{wanted} needs Pillow, which is not installed: pip install 'distkeras[image]'.") from error


# --- reading


@op
def decode_jpeg(
    contents: Any,
    channels: int = 0,
    ratio: int = 1,
    fancy_upscaling: bool = True,
    try_recover_truncated: bool = False,
    acceptable_fraction: float = 1,
    dct_method: str = "",
    name: str | None = None,
) -> Tensor:
    """The image in the bytes of a JPEG file, or of any other kind of file that `decode_image` reads.

    Args:
        contents: A string tensor, or bytes.
        channels: 1 or 3; 0 for what the file holds.
        ratio: 1, 2, 4 or 8: by how much to make it smaller, which is faster than resizing.
        fancy_upscaling: Only True.
        try_recover_truncated: Whether a file whose end is missing gives what there is of it.
        acceptable_fraction: Only 1.
        dct_method: '', 'INTEGER_FAST' or 'INTEGER_ACCURATE': a hint; accurate integers are used.

    Returns:
        uint8 [height, width, channels].

    Raises:
        InvalidArgumentError: The bytes are no image, or an argument is none of these.
        ImportError: There is no Pillow.
    """
    _one_of("decode_jpeg", "channels", channels, (0, 1, 3))
    _one_of("decode_jpeg", "ratio", ratio, (1, 2, 4, 8))
    _one_of("decode_jpeg", "fancy_upscaling", fancy_upscaling, (True,))
    _one_of("decode_jpeg", "acceptable_fraction", acceptable_fraction, (1,))
    _one_of("decode_jpeg", "dct_method", dct_method, ("", "INTEGER_FAST", "INTEGER_ACCURATE"))
    image = _open(contents, "decode_jpeg")
    if ratio > 1:
        image.draft(None, (-(-image.width // ratio), -(-image.height // ratio)))
    return Tensor(_pixels(image, channels, "decode_jpeg", try_recover_truncated))


@op
def decode_png(contents: Any, channels: int = 0, dtype: Any = "uint8", name: str | None = None) -> Tensor:
    """The image in the bytes of a PNG file: [height, width, channels].

    Args:
        contents: A string tensor, or bytes.
        channels: 1, 2, 3 or 4 (an even number has an opacity as its last); 0 for what the file holds.
        dtype: uint8; or uint16, for files that hold 16 bits and one channel.
    """
    _one_of("decode_png", "channels", channels, (0, 1, 2, 3, 4))
    dtype = as_dtype(dtype)
    _one_of("decode_png", "dtype", dtype.name, ("uint8", "uint16"))
    image = _open(contents, "decode_png")
    if dtype == "uint8":
        return Tensor(_pixels(image, channels, "decode_png"))
    if image.mode not in ("I;16", "I") or channels > 1:
        raise InvalidArgumentError(
            f"decode_png: uint16 is for files of 16 bits and one channel, received one of Pillow's mode {image.mode} "
            f"and channels={channels}: decode it as uint8."
        )
    return Tensor(np.asarray(image).astype(np.uint16)[..., None])


@op
def decode_bmp(contents: Any, channels: int = 0, name: str | None = None) -> Tensor:
    """The image in the bytes of a BMP file: uint8 [height, width, channels]."""
    _one_of("decode_bmp", "channels", channels, (0, 1, 3, 4))
    return Tensor(_pixels(_open(contents, "decode_bmp"), channels, "decode_bmp"))


@op
def decode_gif(contents: Any, name: str | None = None) -> Tensor:
    """The frames in the bytes of a GIF file: uint8 [frames, height, width, 3]."""
    return Tensor(_frames(_open(contents, "decode_gif"), 3, "decode_gif"))


@op
def decode_image(
    contents: Any,
    channels: int | None = None,
    dtype: Any = "uint8",
    name: str | None = None,
    expand_animations: bool = True,
) -> Tensor:
    """The image in the bytes of a BMP, GIF, JPEG or PNG file.

    Args:
        contents: A string tensor, or bytes.
        channels: 0 or None for what the file holds.
        dtype: Floating-point types give numbers in [0, 1].
        expand_animations: Whether a GIF gives [frames, height, width, 3]; else its first frame alone.

    Returns:
        [height, width, channels], or the frames of a GIF.
    """
    channels = channels or 0
    _one_of("decode_image", "channels", channels, (0, 1, 3, 4))
    image = _open(contents, "decode_image")
    is_animation = image.format == "GIF" and expand_animations
    if is_animation and channels not in (0, 3):
        raise InvalidArgumentError(f"decode_image: the frames of a GIF have 3 channels, received channels={channels}.")
    read = _frames if is_animation else _pixels
    return convert_image_dtype(
        Tensor(read(image, channels or (3 if image.format == "GIF" else 0), "decode_image")), dtype
    )


def _open(contents: Any, function: str) -> Any:
    image_module = pillow("Image", f"tf.image.{function}")
    data = contents
    if not isinstance(data, bytes):
        value = to_tensor(contents)._value("the bytes of an image")
        data = value.item() if value.dtype == object and value.size == 1 else None
    if not isinstance(data, (bytes, bytearray)):
        raise InvalidArgumentError(
            f"{function}: expected the bytes of one image file, as tf.io.read_file gives them, received {contents!r}."
        )
    try:
        return image_module.open(io.BytesIO(data))
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(
            f"{function}: these {len(data)} bytes are no image: they begin {data[:8]!r}."
        ) from error


def _pixels(image: Any, channels: int, function: str, accept_truncated: bool = False) -> np.ndarray:
    mode = _MODES.get(channels) or _own_mode(image)
    try:
        if accept_truncated:
            _load_what_there_is(image)
        pixels = np.asarray(image.convert(mode) if image.mode != mode else image, np.uint8)
    except (OSError, ValueError) as error:
        raise InvalidArgumentError(f"{function}: the image is damaged: {error}.") from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _own_mode(image: Any) -> str:
    """What it is decoded to when no number of channels is asked for."""
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    return image.mode if image.mode in _MODES.values() else "L" if image.mode in ("1", "I", "I;16", "F") else "RGB"


def _load_what_there_is(image: Any) -> None:
    settings = pillow("ImageFile", "tf.image.decode_jpeg")
    before, settings.LOAD_TRUNCATED_IMAGES = settings.LOAD_TRUNCATED_IMAGES, True
    try:
        image.load()
    finally:
        settings.LOAD_TRUNCATED_IMAGES = before


def _frames(image: Any, channels: int, function: str) -> np.ndarray:
    frames = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        frames.append(_pixels(image, channels, function))
    return np.stack(frames)


def _one_of(function: str, argument: str, value: Any, allowed: tuple) -> None:
    if value not in allowed:
        names = " or ".join(map(repr, allowed))
        raise InvalidArgumentError(f"{function}: {argument} must be {names}, received {value!r}.")


# --- writing


@op
def encode_jpeg(
    image: Any,
    format: str = "",
    quality: int = 95,
    progressive: bool = False,
    optimize_size: bool = False,
    chroma_downsampling: bool = True,
    density_unit: str = "in",
    x_density: int = 300,
    y_density: int = 300,
    xmp_metadata: str = "",
    name: str | None = None,
) -> Tensor:
    """An image as the bytes of a JPEG file: a scalar string tensor.

    Args:
        image: uint8 [height, width, 1 or 3].
        format: '', 'grayscale' or 'rgb'; must agree with the number of channels.
        quality: 0 to 100.
        progressive, optimize_size: As JPEG knows them.
        chroma_downsampling: Whether colours have half the resolution.
        density_unit, x_density, y_density: 'in' or 'cm', and pixels per unit.
        xmp_metadata: XMP to be put into the file.
    """
    pixels = _encodable(image, "encode_jpeg", (1, 3), ("uint8",))
    _one_of("encode_jpeg", "format", format, ("", {1: "grayscale", 3: "rgb"}[pixels.shape[-1]]))
    _one_of("encode_jpeg", "density_unit", density_unit, ("in", "cm"))
    if not 0 <= quality <= 100:
        raise InvalidArgumentError(f"encode_jpeg: quality must be in [0, 100], received {quality}.")
    per_inch = 1 if density_unit == "in" else 2.54
    return _encoded(
        pixels,
        "JPEG",
        quality=int(quality),
        progressive=progressive,
        optimize=optimize_size,
        subsampling=2 if chroma_downsampling else 0,
        dpi=(round(x_density * per_inch), round(y_density * per_inch)),
        **({"xmp": xmp_metadata.encode()} if xmp_metadata else {}),
    )


@op
def encode_png(image: Any, compression: int = -1, name: str | None = None) -> Tensor:
    """An image as the bytes of a PNG file: a scalar string tensor.

    Args:
        image: uint8 [height, width, 1 to 4], or uint16 [height, width, 1].
        compression: 0 (none) to 9 (slowest); -1 for the default.
    """
    pixels = _encodable(image, "encode_png", (1, 2, 3, 4), ("uint8", "uint16"))
    if pixels.dtype == np.uint16 and pixels.shape[-1] != 1:
        raise InvalidArgumentError(f"encode_png: uint16 is for one channel, received the shape {pixels.shape}.")
    return _encoded(pixels, "PNG", **({"compress_level": compression} if compression >= 0 else {}))


def _encodable(image: Any, function: str, channels: tuple[int, ...], dtypes: tuple[str, ...]) -> np.ndarray:
    pixels = to_tensor(image)._value("an image to be encoded")
    if pixels.ndim != 3 or pixels.shape[-1] not in channels or str(pixels.dtype) not in dtypes:
        raise InvalidArgumentError(
            f"{function}: expected an image of type {' or '.join(dtypes)} with {' or '.join(map(str, channels))} "
            f"channels, received {pixels.dtype} {pixels.shape}: tf.image.convert_image_dtype converts."
        )
    return pixels


def _encoded(pixels: np.ndarray, format: str, **options: Any) -> Tensor:
    target = io.BytesIO()
    array = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    pillow("Image", f"tf.image.encode_{format.lower()}").fromarray(array).save(target, format, **options)
    return Tensor(np.array(target.getvalue(), object))


@op
def adjust_jpeg_quality(image: Any, jpeg_quality: Any, name: str | None = None) -> Tensor:
    """An image after it has been a JPEG file of this quality: of its own type and shape."""
    tensor = to_tensor(image)
    encoded = encode_jpeg(convert_image_dtype(tensor, "uint8", saturate=True), quality=int(jpeg_quality))
    return convert_image_dtype(decode_jpeg(encoded, channels=tensor.shape[-1]), tensor.dtype, saturate=True)
