"""The one error for photos that cannot be read."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

# What decoders raise on damaged files, and hardly anybody else.
DECODING_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_START = "cannot read the photo "


class PhotoError(ValueError):
    """A photo that cannot be read; the message names it and says why.

    Args:
        photo: Its id or path.
        reason: Why it cannot be read. Left out, ``photo`` is a whole message, of which photo and reason are
            read: so PyTorch's ``DataLoader`` makes an error of a worker process anew.

    Examples:
        >>> error = lz.PhotoError("tower/1.jpg", "the file is empty")
        >>> str(error), error.photo, error.reason
        ('cannot read the photo tower/1.jpg: the file is empty', 'tower/1.jpg', 'the file is empty')
    """

    def __init__(self, photo: str, reason: str | None = None) -> None:
        if reason is None:
            _, _, known = photo.rpartition(_START)
            photo, separator, reason = known.strip().partition(": ")
            photo, reason = (photo, reason) if separator else ("unknown", known)
        super().__init__(photo, reason)
        self.photo = photo
        self.reason = reason

    def __str__(self) -> str:
        return f"{_START}{self.photo}: {self.reason}"


@contextmanager
def photo_errors(photo: str) -> Iterator[None]:
    """Turn whatever decoders raise into a ``PhotoError`` that names the photo."""
    try:
        yield
    except (PhotoError, MemoryError):
        raise
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise PhotoError(photo, reason_of(error)) from error


def blame(error: Exception, note: str) -> None:
    """Say in the traceback of an error which photo it is about; the error stays what it is."""
    if sys.version_info >= (3, 11):
        error.add_note(note)
    else:
        vars(error).setdefault("__notes__", []).append(note)


def reason_of(error: Exception) -> str:
    """Why a photo cannot be read, from what its decoder raised."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or of a format that Pillow cannot read"
    if isinstance(error, Image.DecompressionBombError):
        return (
            f"{str(error).partition(', could be')[0]}: if you trust the photo, raise the limit by "
            "PIL.Image.MAX_IMAGE_PIXELS = number of pixels, which holds in worker processes too"
        )
    return f"{error} ({type(error).__name__})"
