"""Whatever a user calls "my photos", as a sequence of images with ids."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from landmarkzoo.photos.crops import Box, crop
from landmarkzoo.photos.decoding import PhotoError, from_array, open_photo, photo_errors, to_rgb

Photos: TypeAlias = (
    "str | Path | Image.Image | np.ndarray | Tensor | Dataset[Any] | Iterable[Any] | PhotoSource"
)

PHOTO_SUFFIXES = frozenset(
    [
        ".avif",
        ".bmp",
        ".gif",
        ".heic",
        ".heif",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".mpo",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    ]
)


@dataclass(frozen=True, eq=False)
class PhotoSource:
    """Photos with ids; each is read when it is asked for.

    Attributes:
        ids: One a photo.
        items: Paths, images in memory, or a data set of either.
        root: Folder that relative paths start from; ``None`` where paths stand as given.
        boxes: The part of each photo that counts; ``None`` for all of it.
    """

    ids: list[str]
    items: Any
    root: Path | None = None
    boxes: Sequence[Box | None] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def load(self, position: int) -> Image.Image | Tensor:
        """An RGB image, or a float tensor (3, H, W) that is ready for the model.

        Raises:
            PhotoError: If the photo cannot be read.
            TypeError: If the item is no photo.
        """
        try:
            return self._cropped(self._load(self.items[position]), position)
        except PhotoError as error:
            raise PhotoError(self.ids[position], error.reason) from error
        except OSError as error:  # of a data set that decodes by itself
            raise PhotoError(self.ids[position], f"{error} ({type(error).__name__})") from error

    def _cropped(self, photo: Image.Image | Tensor, position: int) -> Image.Image | Tensor:
        box = None if self.boxes is None else self.boxes[position]
        if box is None:
            return photo
        if isinstance(photo, Tensor):
            raise TypeError("boxes are for photos, not for tensors that are transformed already: crop these")
        try:
            return crop(photo, box)
        except ValueError as error:
            raise PhotoError(self.ids[position], str(error)) from error

    def _load(self, item: Any) -> Image.Image | Tensor:
        if isinstance(item, (tuple, list)):  # a data set of (image, label, ...)
            item = item[0]
        if isinstance(item, (str, Path)):
            return open_photo(item if self.root is None else self.root / item)
        if isinstance(item, Image.Image):
            with photo_errors("in memory"):
                return to_rgb(item)
        if isinstance(item, np.ndarray):
            return from_array(item)
        if isinstance(item, Tensor) and item.ndim == 3 and item.is_floating_point():
            return item
        if isinstance(item, Tensor) and item.ndim == 3:  # torch images are (C, H, W)
            return from_array(item.permute(1, 2, 0).cpu().numpy())
        raise TypeError(
            "a photo must be a path, a PIL image, a uint8 array (H, W, 3), a uint8 tensor (3, H, W), or "
            f"a float tensor (3, H, W) that is transformed already, got {type(item).__name__}"
        )


def photo_source(photos: Photos) -> PhotoSource:
    """Photos of any kind as a :class:`PhotoSource`.

    Args:
        photos: A folder (searched through all levels, in sorted order, hidden files left out), a file, a
            list of paths, PIL images or uint8 arrays (H, W, 3), one of these alone, an array
            (N, H, W, 3), a map-style ``Dataset`` that gives any of these (first, if it gives tuples), or
            a float tensor (N, 3, H, W) that is transformed already.

    Raises:
        FileNotFoundError: If a folder or file does not exist.
        TypeError: If it is none of these.
        ValueError: If a folder has no photos, or there are none.
    """
    if isinstance(photos, PhotoSource):
        return photos
    if isinstance(photos, (str, Path)):
        return _path_source(photos)
    if isinstance(photos, Image.Image):
        photos = [photos]
    if isinstance(photos, (np.ndarray, Tensor)):
        photos = photos[None] if photos.ndim in (2, 3) else photos
        if len(photos) == 0:
            raise ValueError("there are no photos: the array is empty")
        return PhotoSource(_numbers(len(photos)), photos)
    if isinstance(photos, IterableDataset):
        raise TypeError("an IterableDataset has no order to rely on: pass a map-style Dataset")
    if isinstance(photos, Dataset):
        return _dataset_source(photos)
    if not isinstance(photos, Iterable):
        raise TypeError(
            "photos must be a folder, paths, PIL images, uint8 arrays or a Dataset, got "
            f"{type(photos).__name__}"
        )
    items = photos if isinstance(photos, Sequence) else list(photos)
    if len(items) == 0:
        raise ValueError("there are no photos: the list is empty")
    paths = [isinstance(item, (str, Path)) for item in items]
    if any(paths) and not all(paths):
        raise TypeError("a list of photos must hold paths only, or images in memory only")
    return PhotoSource([str(i) for i in items] if all(paths) else _numbers(len(items)), items)


def photo_files(folder: str | Path) -> list[str]:
    """Relative paths, with forward slashes and sorted, of all photos in a folder and below.

    A photo is a file with a suffix of ``PHOTO_SUFFIXES``; hidden files and folders are left out. Links to
    folders are followed, each folder once.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder or file: {folder}")
    found, seen = [], set[str]()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link back up would never end
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in PHOTO_SUFFIXES:
                found.append((Path(parent) / name).relative_to(folder).as_posix())
    return sorted(found)


def _path_source(path: str | Path) -> PhotoSource:
    if Path(path).is_file():
        return PhotoSource([str(path)], [path])
    files = photo_files(path)
    if not files:
        raise ValueError(f"no photos in {path}: looked for {', '.join(sorted(PHOTO_SUFFIXES))}")
    return PhotoSource(files, files, Path(path))


def _dataset_source(dataset: Dataset[Any]) -> PhotoSource:
    length = len(dataset)  # type: ignore[arg-type]
    if length == 0:
        raise ValueError("there are no photos: the data set is empty")
    ids = [str(id_) for id_ in getattr(dataset, "ids", _numbers(length))]
    if len(ids) != length:
        raise ValueError(f"the data set has {length} photos but {len(ids)} ids")
    return PhotoSource(ids, dataset)


def _numbers(length: int) -> list[str]:
    return [str(i) for i in range(length)]
