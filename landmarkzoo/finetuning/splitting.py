"""Which photos are trained on and which only measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landmarkzoo._utils.checks import IntArray
from landmarkzoo._utils.user_warnings import warn_user
from landmarkzoo.finetuning.landmark_labels import LabelledPhotos, labelled_photos


@dataclass(frozen=True, eq=False)
class Split:
    """What is trained on, and what measures.

    Attributes:
        train: The photos that are trained on.
        validation: The photos that measure; ``None`` for none.
        not_measured: Landmarks that are trained on and have no validation photo.
    """

    train: LabelledPhotos
    validation: LabelledPhotos | None
    not_measured: list[str]

    def digest(self) -> dict[str, str]:
        """What another split changes."""
        validation = "none" if self.validation is None else self.validation.digest()
        return {"photos": self.train.digest(), "validation": validation}


def split_photos(photos: LabelledPhotos, validation: Any, seed: int) -> Split:
    """Hold out a share of each landmark's photos, or take other photos to measure with.

    Args:
        photos: All photos.
        validation: A share, photos as ``labelled_photos`` takes them, or ``None`` or 0 for none.
        seed: Which photos a share is.

    Raises:
        ValueError: If there are fewer than two landmarks, or the share is not below 1.
    """
    if len(photos.classes) < 2:
        raise ValueError(
            f"one landmark only, {photos.classes[0]!r}: a model learns by telling landmarks apart. Give "
            "each a folder of its own, at least two"
        )
    if validation is None or (isinstance(validation, (int, float)) and validation == 0):
        return Split(photos, None, [])
    if not isinstance(validation, (int, float)):
        measuring = labelled_photos(validation, "validation photos")
        _check_apart(photos, measuring)
        return Split(photos, measuring, [])
    rows = held_out(photos.labels, float(validation), seed)
    measured = set(photos.labels[rows].tolist())
    others = [name for label, name in enumerate(photos.classes) if label not in measured]
    if len(others) == len(photos.classes):
        warn_user(
            "each landmark has one photo: all are trained on, and nothing is measured. Photos to measure "
            "with are validation=..., or a second photo of each landmark"
        )
        return Split(photos, None, others)
    if others:
        landmarks = "1 landmark has" if len(others) == 1 else f"{len(others)} landmarks have"
        warn_user(f"{landmarks} one photo, which is trained on and not measured, such as {others[0]!r}")
    train = photos.take(np.setdiff1d(np.arange(len(photos)), rows))
    return Split(train, photos.take(rows), others)


def _check_apart(photos: LabelledPhotos, validation: LabelledPhotos) -> None:
    """Raise if a file is trained on and measures: its score would say nothing."""
    measuring = _ids_by_file(validation)
    both = [id_ for path, id_ in _ids_by_file(photos).items() if path in measuring]
    if both:
        raise ValueError(
            f"{len(both)} validation photos are among those to train on, such as {both[0]!r}: leave them out "
            "by exclude=..."
        )


def _ids_by_file(photos: LabelledPhotos) -> dict[Path, str]:
    source = photos.source
    files = {row: source.file(row) for row in range(len(source))}
    return {path.absolute(): source.ids[row] for row, path in files.items() if path is not None}


def held_out(labels: IntArray, share: float, seed: int) -> IntArray:
    """Rows of a share of each landmark's photos: one at least where there are two, and never all.

    Raises:
        ValueError: If the share is not between 0 and 1.

    Examples:
        >>> from landmarkzoo.finetuning.splitting import held_out
        >>> rows = held_out(np.repeat([0, 1, 2], [8, 2, 1]), 0.25, seed=0)
        >>> np.repeat([0, 1, 2], [8, 2, 1])[rows]
        array([0, 0, 1])
    """
    if not 0 < share < 1:
        raise ValueError(f"validation is a share of the photos, between 0 and 1, or photos; got {share:g}")
    random = np.random.default_rng(seed)
    order = np.argsort(labels, kind="stable")
    rows = []
    for of_label in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        shuffled = random.permutation(of_label)
        rows.append(shuffled[: min(len(shuffled) - 1, max(1, round(share * len(shuffled))))])
    return np.sort(np.concatenate(rows))
