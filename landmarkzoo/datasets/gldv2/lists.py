"""GLDv2c and GLDv2x, the two train lists of Henkel 2021, from the published CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo.datasets.gldv2.csv_tables import need_csv, read_clean_landmarks, read_image_landmarks


@dataclass(frozen=True, eq=False)
class ImageList:
    """Images with class ids.

    Attributes:
        ids: Image ids.
        labels: Class id (N,) of each, int64.
    """

    ids: list[str]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class GLDv2Lists:
    """GLDv2c and GLDv2x.

    Attributes:
        clean: GLDv2c, the images of ``train_clean.csv``, in its order.
        x: GLDv2x, all train images of the clean landmarks, in the order of ``train.csv``.
        landmark_ids: Landmark id (C,) of each class, ascending: a class id is the rank of its landmark.
    """

    clean: ImageList
    x: ImageList
    landmark_ids: NDArray[np.int64]

    def save(self, folder: str | Path) -> None:
        """Write ``gldv2c.csv`` and ``gldv2x.csv`` (id, landmark_id, class_id) and ``gldv2_classes.csv``.

        The last has a line for each class: class_id, landmark_id, and its number of images in each list.

        Raises:
            FileNotFoundError: If the folder does not exist.
        """
        folder = Path(folder)
        for name, images in (("gldv2c.csv", self.clean), ("gldv2x.csv", self.x)):
            landmarks = self.landmark_ids[images.labels].tolist()
            rows = zip(images.ids, landmarks, images.labels.tolist())
            _write(folder / name, ["id", "landmark_id", "class_id"], rows)
        classes = len(self.landmark_ids)
        counts = [np.bincount(images.labels, minlength=classes).tolist() for images in (self.clean, self.x)]
        _write(
            folder / "gldv2_classes.csv",
            ["class_id", "landmark_id", "clean_images", "x_images"],
            zip(range(classes), self.landmark_ids.tolist(), *counts),
        )

    def __repr__(self) -> str:
        return (
            f"GLDv2Lists(clean: {len(self.clean)} images, x: {len(self.x)} images, "
            f"{len(self.landmark_ids)} classes)"
        )


def build_gldv2_lists(root: str | Path, *, progress: bool = False) -> GLDv2Lists:
    r"""Build GLDv2c and GLDv2x from ``train.csv`` and ``train_clean.csv``.

    These are the lists that [Henkel 2021](https://arxiv.org/abs/2110.03786) trains on. GLDv2c is the clean
    list as published. GLDv2x adds the train images of the clean landmarks that the cleaning left out. A class
    id is the rank of its landmark id among the sorted clean ones, the same in both lists.

    Args:
        root: Folder with both files, or with a folder ``metadata`` that has them.
        progress: Show a progress bar on stderr.

    Raises:
        FileNotFoundError: If one of the files is missing.
        ValueError: If one is wrong or they contradict each other; with file and line.

    Examples:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> rows = ["id,url,landmark_id", "a,,5", "b,,5", "c,,9", "d,,7", "e,,9"]
        >>> _ = (root / "train.csv").write_text("\n".join(rows))
        >>> _ = (root / "train_clean.csv").write_text("landmark_id,images\n5,a\n9,c e\n")
        >>> lists = lz.datasets.build_gldv2_lists(root)
        >>> lists.x.ids, lists.clean.ids, lists.x.labels, lists.landmark_ids
        (['a', 'b', 'c', 'e'], ['a', 'c', 'e'], array([0, 0, 1, 1]), array([5, 9]))
    """
    clean_path = need_csv(root, "train_clean.csv")  # looked for first: reading the other takes seconds
    train = read_image_landmarks(need_csv(root, "train.csv"), progress=progress)
    clean = read_clean_landmarks(clean_path, train)
    clean_list, landmark_ids = ranked(clean)
    classes = {landmark: label for label, landmark in enumerate(landmark_ids.tolist())}
    x = {id_: classes[landmark] for id_, landmark in train.items() if landmark in classes}
    return GLDv2Lists(clean_list, ImageList(list(x), _int64(x.values(), len(x))), landmark_ids)


def ranked(landmark_of: dict[str, int]) -> tuple[ImageList, NDArray[np.int64]]:
    """Images with the ranks of their landmarks among all that occur, and these landmarks, ascending."""
    landmarks = _int64(landmark_of.values(), len(landmark_of))
    landmark_ids, labels = np.unique(landmarks, return_inverse=True)
    return ImageList(list(landmark_of), labels.astype(np.int64)), landmark_ids


def _int64(numbers: Iterable[int], count: int) -> NDArray[np.int64]:
    return np.fromiter(numbers, np.int64, count)


def _write(path: Path, header: list[str], rows: Iterable[Iterable[object]]) -> None:
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
