"""Photos turned upright."""

from __future__ import annotations

from PIL import ExifTags, Image

# What brings an image upright that is stored in one of EXIF's orientations.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image) -> Image.Image:
    """An image turned as its EXIF or XMP block says, or itself if there is nothing to turn.

    ``ImageOps.exif_transpose`` would write the rest of the block anew, and fail if that is damaged.
    """
    image.load()
    if image.format == "TIFF":  # Pillow turned it while it loaded it
        return image
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged block; it says nothing, and the photo is there
        return 1
