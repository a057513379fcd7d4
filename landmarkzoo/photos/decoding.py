"""The one place that decodes photos: any file or image in memory to upright 8-bit RGB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

_WHITE = (255, 255, 255, 255)


class PhotoError(ValueError):
    """A photo that cannot be read; the message names it and says why."""

    def __init__(self, photo: str, reason: str) -> None:
        super().__init__(photo, reason)
        self.photo = photo
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot read the photo {self.photo}: {self.reason}"


def open_photo(path: str | Path) -> Image.Image:
    """Decode a photo as ``to_rgb`` does.

    Args:
        path: File of any format that Pillow reads.

    Returns:
        An RGB image, fully loaded; the file is closed.

    Raises:
        PhotoError: If the file is missing, empty, truncated, not an image, or larger than
            ``2 * PIL.Image.MAX_IMAGE_PIXELS``.
    """
    path = Path(path)
    if not path.is_file():
        raise PhotoError(str(path), "it is a folder" if path.is_dir() else "no such file")
    if path.stat().st_size == 0:
        raise PhotoError(str(path), "the file is empty")
    with photo_errors(str(path)), Image.open(path) as image:
        return to_rgb(image)


@contextmanager
def photo_errors(photo: str) -> Iterator[None]:
    """Turn whatever decoders raise into a ``PhotoError`` that names the photo."""
    try:
        yield
    except (PhotoError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise PhotoError(photo, "not an image, or of a format that Pillow cannot read") from error
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise PhotoError(photo, f"{error} ({type(error).__name__})") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Upright 8-bit RGB of an image of any mode.

    EXIF orientation is applied. Transparency, also of palettes, is laid on white as viewers show it. 16-bit
    grayscale is scaled to 8 bits, where Pillow's own conversion would clip it.

    Args:
        image: A PIL image.

    Raises:
        ValueError: If the pixels are floats or wider than 16 bits: their range is not known.
    """
    if image.mode == "I" and image.format != "PNG":  # older versions of Pillow read 16-bit PNG as "I"
        raise ValueError("32-bit integer pixels, whose range is not known: convert to 8 or 16 bits")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return _from_16_bits(image).convert("RGB")
    palette_alpha = image.palette is not None and image.palette.mode.endswith("A")
    if image.mode.lower().endswith("a") or palette_alpha or "transparency" in image.info:
        image = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image).convert("RGB")
    return image.convert("RGB")  # a copy also of RGB: the file behind the original is about to close


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
    gray = pixels.ndim == 2
    if not gray and not (pixels.ndim == 3 and pixels.shape[2] in (3, 4)):
        raise ValueError(
            f"images in memory must have shape (H, W, 3), (H, W, 4) or (H, W), got {pixels.shape}"
        )
    return to_rgb(Image.fromarray(pixels))
