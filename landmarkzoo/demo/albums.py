"""What the demo works on: labelled photos, and who plays which part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset
from tqdm import tqdm

from landmarkzoo.datasets import ImageFolder
from landmarkzoo.rendered import RenderedLandmarks


@dataclass(frozen=True, eq=False)
class Album:
    """Labelled photos and who plays which part.

    Attributes:
        photos: Pairs of a PIL image and its label.
        labels: Label (N,), -1 for no landmark.
        class_names: Landmarks by label.
        train: Rows of the labelled database.
        index: Rows that are searched.
        query: Rows that are asked.
    """

    photos: Sequence[tuple[Any, Any]] | Dataset[tuple[Any, Any]]
    labels: NDArray[np.int64]
    class_names: list[str]
    train: NDArray[np.int64]
    index: NDArray[np.int64]
    query: NDArray[np.int64]


def rendered_album(landmarks: int = 40, views: int = 12, seed: int = 0, *, progress: bool = True) -> Album:
    """Rendered landmarks; scenes without one stand half in the index, half among the queries."""
    data = RenderedLandmarks(landmarks, views, distractors=landmarks, seed=seed)
    photos = [data[i] for i in tqdm(range(len(data)), "render", unit=" photos", disable=not progress)]
    parts = data.parts
    return Album(photos, data.targets, data.classes, train=parts.train, index=parts.index, query=parts.query)


def folder_album(root: str) -> Album:
    """A folder of the user's: of each landmark a quarter asks, a quarter is searched, the rest trains.

    Raises:
        ValueError: If no landmark has the 3 photos that the three parts need.
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
        raise ValueError(f"{root}: no landmark has 3 photos, so there is nothing to ask and to find")
    rows_of = {name: np.array(sorted(rows), dtype=np.int64) for name, rows in parts.items()}
    return Album(data, data.targets, data.classes, **rows_of)
