"""A folder of your own: one folder a landmark."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from landmarkzoo.photos import open_photo, photo_files


class ImageFolder(Dataset[Image.Image]):
    """Photos in ``root/<landmark>/...``; the first folder of the path names the landmark.

    Args:
        root: The folder.

    Attributes:
        ids: Paths relative to the folder, sorted.
        labels: Label (N,) of each photo, the row of its landmark in ``class_names``.
        class_names: Landmarks, sorted.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no photos, or photos that stand in no landmark's folder.

    Examples:
        >>> import tempfile
        >>> root = Path(tempfile.mkdtemp())
        >>> for name in ("big_ben", "tower_bridge"):
        ...     (root / name).mkdir()
        ...     Image.new("RGB", (32, 32)).save(root / name / "1.png")
        >>> photos = lz.datasets.ImageFolder(root)
        >>> photos.ids, photos.labels, photos.class_names
        (['big_ben/1.png', 'tower_bridge/1.png'], array([0, 1]), ['big_ben', 'tower_bridge'])
    """

    ids: list[str]
    labels: NDArray[np.int64]
    class_names: list[str]

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.ids = photo_files(root)
        if not self.ids:
            raise ValueError(f"no photos in {root}: one folder a landmark is needed, with its photos in it")
        loose = [id_ for id_ in self.ids if "/" not in id_]
        if loose:
            raise ValueError(
                f"{root} has {len(loose)} photos outside of any landmark's folder, such as {loose[0]}: "
                "one folder a landmark is needed, with its photos in it"
            )
        names = [id_.split("/", 1)[0] for id_ in self.ids]
        self.class_names = sorted(set(names))
        rows = {name: row for row, name in enumerate(self.class_names)}
        self.labels = np.array([rows[name] for name in names], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, position: int) -> Image.Image:
        return open_photo(self.root / self.ids[position])

    def __repr__(self) -> str:
        most = Counter(self.labels.tolist()).most_common(1)[0][1]
        return (
            f"ImageFolder({str(self.root)!r}: {len(self)} photos of {len(self.class_names)} landmarks, "
            f"at most {most} each)"
        )
