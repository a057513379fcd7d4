"""HEIC, the photos of iPhones, which Pillow reads with the plug-in pillow-heif only."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

from PIL import Image

_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF = {b"avif", b"avis"}
_EITHER = {b"mif1", b"msf1"}


def heif_kind(data: bytes) -> str | None:
    r"""``"HEIC"`` or ``"AVIF"`` by the first bytes of a file, whatever its name; ``None`` for other files.

    Examples:
        >>> heif_kind(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")
        'HEIC'
    """
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    if brands & _AVIF and data[8:12] not in _HEIC:
        return "AVIF"
    return "HEIC" if brands & (_HEIC | _EITHER) else None


def open_heic(data: bytes) -> Image.Image:
    """The image in a HEIC file.

    Raises:
        ValueError: If pillow-heif is missing.
    """
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise ValueError(
            "it is a HEIC photo, which Pillow cannot read alone: pip install pillow-heif"
        ) from None
    open_image: Callable[[BytesIO], Image.Image] = HeifImageFile
    return open_image(BytesIO(data))
