"""The one place that decodes photos: any file or image in memory to upright 8-bit RGB."""

from __future__ import annotations

import os
import re
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, features

from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.photos.color_profiles import rgb_of
from landmarkzoo.photos.heic import heif_kind, open_heic
from landmarkzoo.photos.orientation import upright
from landmarkzoo.photos.photo_error import DECODING_ERRORS, PhotoError, photo_errors
from landmarkzoo.photos.repairs import jpegs_with_end, png_without_metadata

_WHITE = (255, 255, 255, 255)
_URL = re.compile(r"[a-zA-Z][\w+.-]+:/")  # a Path has lost one slash


def open_photo(photo: str | Path | bytes | bytearray | memoryview | IO[bytes]) -> Image.Image:
    """Decode a photo as ``to_rgb`` does.

    Args:
        photo: File of any format that Pillow reads, and HEIC with pillow-heif; or the content of one: bytes,
            or a file open in binary mode, which is read from its start and stays open, where it was.

    Returns:
        An RGB image, fully loaded; a file is closed.

    Raises:
        PhotoError: If the file is missing, empty, truncated, not an image, or larger than
            ``2 * PIL.Image.MAX_IMAGE_PIXELS``.
        TypeError: If it is neither a path nor bytes nor a file that gives bytes.
    """
    if not isinstance(photo, (str, Path)):
        data = bytes_of(photo)
        if not data:
            raise PhotoError("in memory", "it has no bytes")
        return _decoded("in memory", BytesIO(data))
    path = user_path(photo)
    with photo_errors(str(photo)):  # also of looking for it, without permission
        if not path.is_file():
            raise PhotoError(str(photo), _why_no_file(path))
        if path.stat().st_size == 0:
            raise PhotoError(str(photo), "the file is empty")
    return _decoded(str(photo), path)


def bytes_of(content: bytes | bytearray | memoryview | IO[bytes]) -> bytes:
    """What is in bytes of any kind, or in a file, which is read from its start and stays where it was.

    Raises:
        TypeError: If it is neither.
    """
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    if not callable(getattr(content, "read", None)):
        raise TypeError(f"a photo must be a path, bytes or an open file, got {type(content).__name__}")
    seekable = callable(getattr(content, "seekable", None)) and content.seekable()
    place = content.tell() if seekable else 0
    if seekable:
        content.seek(0)
    data = content.read()
    if seekable:
        content.seek(place)
    if not isinstance(data, bytes):
        raise TypeError(
            f"a file must be open in binary mode, as open(path, 'rb'): got {type(data).__name__} from it"
        )
    return data


def is_url(path: str | Path) -> bool:
    """Whether a path is a URL, maybe one that has lost a slash on its way through ``Path``."""
    return _URL.match(str(path)) is not None


def _why_no_file(path: Path) -> str:
    if is_url(path):
        return "it is a URL: download it first"
    if not path.is_dir():
        return "it is a device, a pipe or a broken link" if os.path.lexists(path) else "no such file"
    return "it is a folder" if os.access(path, os.R_OK | os.X_OK) else "no permission to list this folder"


def _decoded(name: str, file: Path | BytesIO) -> Image.Image:
    with photo_errors(name):
        try:
            with Image.open(file) as image:
                if image.format == "EPS":  # Pillow would have Ghostscript run it
                    raise PhotoError(name, "it is PostScript, a program, which is not run: save it as PNG")
                return to_rgb(image)
        except (Image.DecompressionBombError, MemoryError, PhotoError):
            raise
        except Exception:
            image = _opened_otherwise(file.read_bytes() if isinstance(file, Path) else file.getvalue())
            if image is None:
                raise
            return to_rgb(image)


def _opened_otherwise(data: bytes) -> Image.Image | None:
    """The image in a file that Pillow refuses; ``None`` if it is rightly refused.

    Raises:
        ValueError: If another program is needed.
    """
    kind = heif_kind(data)
    if kind == "HEIC":
        return _within_limit(open_heic(data))
    if kind == "AVIF" and not features.check("avif"):
        raise ValueError("it is an AVIF photo, which this Pillow cannot read: pip install 'pillow>=11.3'")
    png = png_without_metadata(data)
    if png is not None:
        return Image.open(BytesIO(png))
    try:
        images = [Image.open(BytesIO(jpeg)) for jpeg in jpegs_with_end(data)]
        whole = len({image.tobytes() for image in images}) == 1
    except DECODING_ERRORS:
        return None
    return images[0] if whole else None


def _within_limit(image: Image.Image) -> Image.Image:
    """An image itself, if it has no more pixels than ``Image.open``, which did not open it, allows."""
    pixels, limit = image.width * image.height, Image.MAX_IMAGE_PIXELS
    if limit is not None and pixels > 2 * limit:
        raise Image.DecompressionBombError(
            f"Image size ({pixels} pixels) exceeds limit of {2 * limit} pixels"
        )
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Upright 8-bit sRGB of an image of any mode.

    EXIF orientation is applied. Colors are converted to sRGB by the image's ICC profile, such as Display P3,
    Adobe RGB, or that of a press for CMYK; a profile that is damaged or of another color space counts as
    none.
    Transparency, also of palettes, is laid on white as viewers show it. 16-bit grayscale is scaled to 8 bits,
    where Pillow's own conversion would clip it.

    Args:
        image: A PIL image. It is loaded, and not changed otherwise.

    Returns:
        A new image without any metadata: it is upright and sRGB already.

    Raises:
        ValueError: If there are no pixels, or they are floats or wider than 16 bits, of unknown range.
    """
    if 0 in image.size:
        raise ValueError(f"it has no pixels: {image.width} x {image.height}")
    if image.mode == "I" and image.format not in ("PNG", "PPM"):  # both have 16 bits at most
        raise ValueError("32-bit integer pixels, whose range is not known: convert to 8 or 16 bits")
    image = upright(image)
    profile = image.info.get("icc_profile")
    palette_alpha = image.palette is not None and image.palette.mode.endswith("A")
    if image.mode.startswith(("I", "F")):
        rgb = rgb_of(_from_16_bits(image), profile)
    elif image.mode.lower().endswith("a") or palette_alpha or "transparency" in image.info:
        rgb = _on_white(image, profile)
    else:
        rgb = rgb_of(image, profile)  # a copy also of RGB: the file behind the original is about to close
    rgb.info.clear()
    return rgb


def _on_white(image: Image.Image, profile: object) -> Image.Image:
    gray = image.mode in ("1", "L", "LA", "La")
    image = image.convert("LA" if gray else "RGBA")
    rgb = rgb_of(image.convert("L" if gray else "RGB"), profile)
    rgb.putalpha(image.getchannel("A"))
    return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), rgb).convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image)
    if pixels.dtype.kind == "f" or pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError(
            f"pixels of mode {image.mode} from {pixels.min()} to {pixels.max()}: convert to 8 or 16 bits"
        )
    return Image.fromarray(((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8))


def jpeg_round_trip(image: Image.Image, quality: int) -> Image.Image:
    """What JPEG compression leaves of an RGB image.

    Args:
        image: An RGB image.
        quality: 1 (worst) to 100.
    """
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def from_array(pixels: np.ndarray) -> Image.Image:
    """RGB image of an array in memory.

    Args:
        pixels: uint8 array (H, W, 3), (H, W, 4) or (H, W).

    Raises:
        TypeError: If the dtype is not uint8.
        ValueError: If it has another shape.
    """
    if pixels.dtype != np.uint8:
        raise TypeError(
            f"images in memory must be uint8 arrays, got {pixels.dtype}; floats in [0, 1] are "
            "(x * 255).round().astype(np.uint8)"
        )
    pixels = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.size == 0:
        raise ValueError(f"an image in memory has no pixels: its shape is {pixels.shape}")
    gray = pixels.ndim == 2
    if not gray and not (pixels.ndim == 3 and pixels.shape[2] in (3, 4)):
        raise ValueError(
            f"images in memory must have shape (H, W, 3), (H, W, 4) or (H, W), got {pixels.shape}"
        )
    return to_rgb(Image.fromarray(pixels))
