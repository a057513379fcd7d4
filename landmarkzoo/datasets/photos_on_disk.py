"""Data sets whose photos are files that a list names: they may be missing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from landmarkzoo.photos import open_photo


class PhotosOnDisk(Dataset[Image.Image], ABC):
    """Photos with ids and labels; each is decoded when it is asked for.

    Subclasses say where the file of a photo is. The list comes from elsewhere than the photos, and of large
    data sets often only a part is on the disk, so files are not looked for before they are needed.

    Attributes:
        ids: One a photo.
        labels: Label (N,) of each photo, int64; -1 for no landmark or unknown.
        class_names: Name of each label.
    """

    ids: list[str]
    labels: NDArray[np.int64]
    class_names: list[str]

    @abstractmethod
    def path(self, position: int) -> Path:
        """File of a photo, there or not."""

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, position: int) -> Image.Image:
        """Decode a photo.

        Raises:
            FileNotFoundError: If its file is missing.
            IndexError: If there is no such position.
            PhotoError: If the file cannot be decoded.
        """
        path = self.path(position)
        if not path.is_file():
            raise FileNotFoundError(
                f"the photo {self.ids[position]} is missing: there is no file {path}; missing() lists all "
                "that are"
            )
        return open_photo(path)

    def missing(self) -> list[str]:
        """Ids of the photos whose files are not there, in order."""
        return [id_ for position, id_ in enumerate(self.ids) if not self.path(position).is_file()]
