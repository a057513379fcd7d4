"""Photos in: files and images in memory, decoded, listed and transformed.

Public are ``open_photo`` and ``to_rgb``, which decode as ``landmarkzoo.embed`` does;
``allow_pixels`` for very large photos; ``photo_files`` and ``photo_source``, which list what a user calls
"my photos"; and ``create_transform`` and ``PhotoError``, which are in ``landmarkzoo`` too.
"""

from landmarkzoo.photos.decoding import open_photo, to_rgb
from landmarkzoo.photos.listing import photo_files
from landmarkzoo.photos.photo_error import PhotoError
from landmarkzoo.photos.pillow_settings import allow_pixels
from landmarkzoo.photos.sources import PhotoSource, photo_source
from landmarkzoo.photos.transforms import create_transform

__all__ = [
    "PhotoError",
    "PhotoSource",
    "allow_pixels",
    "create_transform",
    "open_photo",
    "photo_files",
    "photo_source",
    "to_rgb",
]
