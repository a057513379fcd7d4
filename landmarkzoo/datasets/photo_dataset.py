"""What all data sets here have in common: labelled photos, map-style as in torchvision."""

from __future__ import annotations

import operator
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from landmarkzoo.photos import open_photo
from landmarkzoo.photos.pillow_settings import SettingsForWorkers

PhotoTransform: TypeAlias = "Callable[[Image.Image], Any] | None"
TargetTransform: TypeAlias = "Callable[[int], Any] | None"


class PhotoDataset(Dataset[tuple[Any, Any]], ABC):
    """Labelled photos: ``dataset[i]`` is ``(image, label)``. Each photo is read when it is asked for.

    A subclass sets ``ids``, ``targets`` and ``classes`` and says how a photo is read.

    Args:
        transform: From an RGB PIL image to what ``dataset[i]`` gives, such as a tensor; ``None`` leaves it.
            ``landmarkzoo.embed`` does not apply it: it reads ``photo``.
        target_transform: The same for the label, an ``int``.

    Attributes:
        ids: One a photo.
        targets: Label (N,) of each photo, int64, the row of its name in ``classes``; -1 for no landmark or
            unknown.
        classes: Name of each label.
    """

    ids: list[str]
    targets: NDArray[np.int64]
    classes: list[str]

    def __init__(self, transform: PhotoTransform = None, target_transform: TargetTransform = None) -> None:
        self.transform = transform
        self.target_transform = target_transform

    @abstractmethod
    def photo(self, position: int) -> Image.Image:
        """A photo alone, as RGB PIL image, not transformed.

        Raises:
            IndexError: If there is no such position.
        """

    def __len__(self) -> int:
        return len(self.ids)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_settings": SettingsForWorkers()}  # for the workers of a DataLoader

    def __getitem__(self, position: int) -> tuple[Any, Any]:
        """A photo and its label, transformed; raises what ``photo`` raises."""
        position = as_position(position, len(self))
        image, label = self.photo(position), int(self.targets[position])
        return (
            image if self.transform is None else self.transform(image),
            label if self.target_transform is None else self.target_transform(label),
        )


class PhotoFiles(PhotoDataset):
    """Labelled photos in files, which may be missing.

    A subclass says where the file of a photo is. Large data sets are often on the disk in part only, so a
    file is not looked for before its photo is asked for.

    Examples:
        >>> class Places(lz.datasets.PhotoFiles):
        ...     def __init__(self, folder, names, transform=None):
        ...         super().__init__(transform)
        ...         self.folder, self.ids, self.classes = Path(folder), names, sorted(set(names))
        ...         self.targets = np.array([self.classes.index(name) for name in names], dtype=np.int64)
        ...
        ...     def path(self, position):
        ...         return self.folder / f"{self.ids[position]}.jpg"
        >>> places = Places("photos", ["tower", "dome"])
        >>> places.missing(), places.targets
        (['tower', 'dome'], array([1, 0]))
    """

    @abstractmethod
    def path(self, position: int) -> Path:
        """File of a photo, there or not."""

    def photo(self, position: int) -> Image.Image:
        """A photo alone, as RGB PIL image, not transformed.

        Raises:
            FileNotFoundError: If its file is missing.
            IndexError: If there is no such position.
            PhotoError: If the file cannot be decoded.
            TypeError: If the position is not an integer.
        """
        path = self.path(as_position(position, len(self)))
        if not _is_there(path):
            raise FileNotFoundError(
                f"the photo {self.ids[position]} is missing: there is no file {path}; missing() lists all "
                "that are"
            )
        return open_photo(path)

    def missing(self) -> list[str]:
        """Ids of the photos whose files are not there, in order.

        Raises:
            PermissionError: If a folder may not be opened, so that it is not known.
        """
        return [id_ for position, id_ in enumerate(self.ids) if not _is_there(self.path(position))]


def as_position(position: object, length: int) -> int:
    """Where a photo stands, counted from 0; a negative position counts from the end.

    Raises:
        IndexError: If there is no such position.
        TypeError: If it is not an integer.

    Examples:
        >>> as_position(-1, 3), as_position(np.int64(2), 3)
        (2, 2)
    """
    try:
        row = operator.index(None if isinstance(position, (bool, np.bool_)) else position)  # type: ignore[arg-type]
    except TypeError as error:
        raise TypeError(
            f"a photo is chosen by its position, an integer, got {position!r}: some photos are "
            "torch.utils.data.Subset(dataset, positions)"
        ) from error
    if not -length <= row < length:
        raise IndexError(f"there is no photo {row}, the data set has {length}")
    return row % length


def is_file_name(name: str) -> bool:
    """Whether a name from a list of photos is that of a file in its folder, and does not lead elsewhere.

    Examples:
        >>> is_file_name("all_souls_000013"), is_file_name("../../etc/passwd"), is_file_name("/etc/passwd")
        (True, False, False)
    """
    return name not in ("", ".", "..") and not any(mark in name for mark in "/\\\0")


def _is_there(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError as error:
        raise PermissionError(
            error.errno,
            "its folder may not be opened, so it is not known whether the photo is there",
            str(path),
        ) from error
    except (OSError, ValueError):  # nothing there, or nothing can have that name
        return False
