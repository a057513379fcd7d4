"""A folder of your own, with one folder for each landmark."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from landmarkzoo._utils.user_paths import user_path
from landmarkzoo.datasets.photo_dataset import PhotoFiles, PhotoTransform, TargetTransform
from landmarkzoo.photos import photo_files


class ImageFolder(PhotoFiles):
    """Photos in ``root/<landmark>/...``; the first folder of the path names the landmark.

    Args:
        root: The folder.
        transform: From an RGB PIL image to what ``dataset[i]`` gives; ``None`` leaves it.
        target_transform: The same for the label.

    Attributes:
        ids: Paths relative to the folder, sorted.
        targets: Label (N,) of each photo, int64, the row of its landmark in ``classes``.
        classes: Landmarks, sorted.
        class_to_idx: Label of each landmark.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no photos, or photos outside of any landmark's folder.

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> root = Path(tempfile.mkdtemp())
        >>> for name in ("big_ben", "tower_bridge"):
        ...     (root / name).mkdir()
        ...     Image.new("RGB", (32, 32)).save(root / name / "1.png")
        >>> photos = lz.datasets.ImageFolder(root)
        >>> photos.ids, photos.targets, photos.classes
        (['big_ben/1.png', 'tower_bridge/1.png'], array([0, 1]), ['big_ben', 'tower_bridge'])
        >>> photos[1]
        (<PIL.Image.Image image mode=RGB size=32x32 at 0x...>, 1)
    """

    def __init__(
        self,
        root: str | Path,
        transform: PhotoTransform = None,
        target_transform: TargetTransform = None,
    ) -> None:
        super().__init__(transform, target_transform)
        self.root = user_path(root)
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
        self.classes = sorted(set(names))
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}
        self.targets = np.array([self.class_to_idx[name] for name in names], dtype=np.int64)

    def path(self, position: int) -> Path:
        """File of a photo, there or not."""
        return self.root / self.ids[position]

    def __repr__(self) -> str:
        most = Counter(self.targets.tolist()).most_common(1)[0][1]
        return (
            f"ImageFolder({str(self.root)!r}: {len(self)} photos of {len(self.classes)} landmarks, "
            f"at most {most} each)"
        )
