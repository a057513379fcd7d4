"""Photos in: files and images, decoded, listed and transformed."""

from landmarkzoo.data.photos import PhotoError, open_photo, to_rgb
from landmarkzoo.data.sources import PhotoSource, photo_files, photo_source
from landmarkzoo.data.transforms import create_transform

__all__ = [
    "PhotoError",
    "PhotoSource",
    "create_transform",
    "open_photo",
    "photo_files",
    "photo_source",
    "to_rgb",
]
