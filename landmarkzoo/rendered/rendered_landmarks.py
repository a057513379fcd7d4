"""The data set of rendered landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from landmarkzoo.datasets.photo_dataset import PhotoDataset, PhotoTransform, TargetTransform
from landmarkzoo.photos.resizing import LARGEST_SIDE
from landmarkzoo.rendered.buildings import FAMILIES, draw_names, make_building
from landmarkzoo.rendered.photographs import photograph, photograph_anywhere
from landmarkzoo.rendered.surroundings import Subject, make_subject

_MOST = 10_000_000  # photos

# Each use of the seed has a stream of its own: adding draws to one leaves the others as they are.
_FAMILIES, _NAMES, _BUILDINGS, _VIEWS, _SPLITS, _DISTRACTORS = range(6)


@lru_cache(maxsize=512)
def _subject(seed: int, label: int, family: str) -> Subject:
    """Build a landmark once per process: its many views share it."""
    solids = make_building(family, [seed, _BUILDINGS, label])
    rng = np.random.default_rng([seed, _BUILDINGS, label, 1])
    kind = FAMILIES[family]
    wet = kind.wet or (family == "rock" and label % 3 == 0)
    return make_subject(solids, rng, kind.finishes, wet=wet, inside=kind.inside)


@dataclass(frozen=True, eq=False)
class Parts:
    """Rows of the photos that play each part of an evaluation.

    Attributes:
        train: The labelled photos that vote.
        index: The photos that are searched, with half of the distractors.
        query: The photos that are looked up, with the other half of the distractors.
    """

    train: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    query: npt.NDArray[np.int64]


class RenderedLandmarks(PhotoDataset):
    """Photos of invented landmarks, drawn on demand.

    Cathedrals, castles, pagodas, bridges, statues, ruins, rocks, towers of glass, streets, halls and
    more, of stone, brick, plaster and metal, seen from several sides, near and far, in all lights and
    weathers, mirrored in water, behind trees and people, and stored as phones and collectors store
    photos; and distractors, places without a landmark. Needs no files and no network. The same seed and
    index give the same pixels in every process.

    Args:
        landmarks: Number of buildings, at least 1.
        views: Photos of each building, at least 4.
        distractors: Number of photos without a landmark, at least 0.
        image_size: Longer side of the photos in pixels, at least 32; photos are landscapes, portraits and
            squares.
        seed: Not negative; another seed gives other buildings.
        transform: From an RGB PIL image to what ``dataset[i]`` gives; ``None`` leaves it.
        target_transform: The same for the label.

    Attributes:
        ids: A name for each photo, such as "building_07/view_03" or "no_landmark/012".
        targets: Label (N,) of the building that each photo shows, int64; -1 for a scene without one.
        classes: Names of the buildings by label.
        split: For each photo "train" (about half of a building's views), "index" (a quarter), "query" (a
            quarter) or "non_landmark".
        families: Kinds of the buildings by label, such as "castle".

    Raises:
        ValueError: If an argument is out of its range.

    Examples:
        >>> from landmarkzoo.rendered import RenderedLandmarks
        >>> photos = RenderedLandmarks(landmarks=3, views=4, distractors=2, image_size=64)
        >>> photo, label = photos[5]
        >>> len(photos), max(photo.size), photo.mode, label, photos.ids[5]
        (14, 64, 'RGB', 1, 'building_01/view_01')
        >>> photos.targets[-1].item(), len(photos.classes)
        (-1, 3)
        >>> sorted(photos.split[:4])
        ['index', 'query', 'train', 'train']
    """

    def __init__(
        self,
        landmarks: int = 40,
        views: int = 12,
        distractors: int = 40,
        *,
        image_size: int = 224,
        seed: int = 0,
        transform: PhotoTransform = None,
        target_transform: TargetTransform = None,
    ) -> None:
        super().__init__(transform, target_transform)
        _check("landmarks", landmarks, 1)
        _check("views", views, 4)
        _check("distractors", distractors, 0)
        _check("image_size", image_size, 32)
        _check("seed", seed, 0)
        if landmarks * views + distractors > _MOST:
            raise ValueError(
                f"{landmarks} landmarks x {views} views and {distractors} distractors are more than "
                f"{_MOST:,} photos"
            )
        if image_size > LARGEST_SIDE:
            raise ValueError(f"image_size must be at most {LARGEST_SIDE:,} pixels a side, got {image_size}")
        self.landmarks, self.views, self.distractors = landmarks, views, distractors
        self.image_size, self.seed = image_size, seed
        self.families: list[str] = self._draw_families()
        self.classes: list[str] = draw_names([seed, _NAMES], self.families)
        self.targets: npt.NDArray[np.int64] = np.concatenate(
            [np.repeat(np.arange(landmarks), views), np.full(distractors, -1)]
        ).astype(np.int64)
        self.ids: list[str] = [
            f"building_{label:02d}/view_{view:02d}" for label in range(landmarks) for view in range(views)
        ] + [f"no_landmark/{number:03d}" for number in range(distractors)]
        self.split: list[str] = self._draw_split() + ["non_landmark"] * distractors

    @property
    def parts(self) -> Parts:
        """Rows of the train, index and query photos; index and query share the distractors."""
        split = np.array(self.split)
        train, index, query, empty = (
            np.flatnonzero(split == role) for role in ("train", "index", "query", "non_landmark")
        )
        return Parts(train, np.concatenate([index, empty[::2]]), np.concatenate([query, empty[1::2]]))

    def _draw_families(self) -> list[str]:
        """Deal the families out evenly, in chance order."""
        rng = np.random.default_rng([self.seed, _FAMILIES])
        deck = rng.permutation(list(FAMILIES)).tolist()
        return [str(deck[label % len(deck)]) for label in range(self.landmarks)]

    def _draw_split(self) -> list[str]:
        """Deal each building's views out to training, index and queries."""
        quarter = self.views // 4
        roles = ["query"] * quarter + ["index"] * quarter
        roles += ["train"] * (self.views - len(roles))
        rng = np.random.default_rng([self.seed, _SPLITS])
        return [role for _ in range(self.landmarks) for role in rng.permutation(roles).tolist()]

    def photo(self, position: int) -> Image.Image:
        """Draw a photo: RGB, with ``image_size`` pixels on its longer side, not transformed.

        Args:
            position: Which; negative numbers count from the end.

        Raises:
            IndexError: If there is no such photo.
        """
        if not -len(self) <= position < len(self):
            raise IndexError(f"index must be within -{len(self)}..{len(self) - 1}, got {position}")
        position = int(position) % len(self)
        label = int(self.targets[position])
        if label < 0:
            number = position - self.landmarks * self.views
            rng = np.random.default_rng([self.seed, _DISTRACTORS, number])
            return photograph_anywhere(rng, self.image_size)
        rng = np.random.default_rng([self.seed, _VIEWS, label, position % self.views])
        return photograph(_subject(self.seed, label, self.families[label]), rng, self.image_size)


def _check(name: str, value: int, least: int) -> None:
    """Raise ValueError unless the value is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
