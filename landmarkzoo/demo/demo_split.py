"""Labelled photos of the demo, split into train, index and query photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset
from tqdm import tqdm

from landmarkzoo.datasets import ImageFolder
from landmarkzoo.rendered import RenderedLandmarks


@dataclass(frozen=True, eq=False)
class DemoSplit:
    """Labelled photos, split into train, index and query photos.

    Attributes:
        photos: Pairs of a PIL image and its label.
        targets: Label (N,) of each photo, -1 for no landmark.
        classes: Names of the landmarks by label.
        train: Rows of the photos that vote.
        index: Rows of the photos that are searched.
        query: Rows of the photos that are looked up.
        skipped: Id and reason of the photos that could not be read; none of the rows above are theirs.
    """

    photos: Sequence[tuple[Any, Any]] | Dataset[tuple[Any, Any]]
    targets: NDArray[np.int64]
    classes: list[str]
    train: NDArray[np.int64]
    index: NDArray[np.int64]
    query: NDArray[np.int64]
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def without(self, unread: NDArray[np.bool_], skipped: list[tuple[str, str]]) -> DemoSplit:
        """The same without photos that could not be read.

        Args:
            unread: Whether each photo (N,) could not be read.
            skipped: Id and reason of these.

        Raises:
            ValueError: If nothing is left of the train, the index or the query photos.
        """
        left = {name: getattr(self, name) for name in ("train", "index", "query")}
        left = {name: rows[~unread[rows]] for name, rows in left.items()}
        for name, rows in left.items():
            if len(rows) == 0:
                first, reason = skipped[0]
                raise ValueError(f"none of the {name} photos could be read; the first, {first}: {reason}")
        return replace(self, skipped=skipped, **left)


def rendered_split(
    landmarks: int = 40, views: int = 12, seed: int = 0, *, progress: bool = True
) -> DemoSplit:
    """Rendered landmarks; of the scenes without landmark half are in the index, half are queries."""
    data = RenderedLandmarks(landmarks, views, distractors=landmarks, seed=seed)
    photos = [data[i] for i in tqdm(range(len(data)), "render", unit=" photos", disable=not progress)]
    parts = data.parts
    return DemoSplit(
        photos, data.targets, data.classes, train=parts.train, index=parts.index, query=parts.query
    )


def folder_split(root: str) -> DemoSplit:
    """Photos of one's own: a quarter of each landmark are queries, a quarter are the index, the rest train.

    Args:
        root: Folder with one folder per landmark.

    Raises:
        ValueError: If no landmark has 3 photos, one for each part.
    """
    data = ImageFolder(root)
    parts: dict[str, list[int]] = {"train": [], "index": [], "query": []}
    for label in range(len(data.classes)):
        rows = np.random.default_rng(label).permutation(np.flatnonzero(data.targets == label)).tolist()
        quarter = max(1, len(rows) // 4) if len(rows) >= 3 else 0
        parts["query"] += rows[:quarter]
        parts["index"] += rows[quarter : 2 * quarter]
        parts["train"] += rows[2 * quarter :]
    if not parts["query"]:
        raise ValueError(f"{root}: no landmark has 3 photos, one each for query, index and train")
    train, index, query = (np.array(sorted(parts[name]), np.int64) for name in ("train", "index", "query"))
    return DemoSplit(data, data.targets, data.classes, train, index, query)
