"""Photos in: files and images, decoded, listed and transformed."""

from landmarkzoo.photos.decoding import PhotoError, open_photo, to_rgb
from landmarkzoo.photos.sources import PhotoSource, photo_files, photo_source
from landmarkzoo.photos.transforms import create_transform

__all__ = [
    "PhotoError",
    "PhotoSource",
    "create_transform",
    "open_photo",
    "photo_files",
    "photo_source",
    "to_rgb",
]
