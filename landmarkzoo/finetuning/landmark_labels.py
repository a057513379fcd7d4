"""What is trained on: photos with the names of their landmarks, from whatever the user has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from torch.utils.data import Subset

from landmarkzoo._utils.checks import IntArray
from landmarkzoo._utils.unicode_names import ByName
from landmarkzoo._utils.user_warnings import warn_user
from landmarkzoo.datasets import CsvPhotos, ImageFolder, PhotoFiles
from landmarkzoo.datasets.csv_files import csv_rows
from landmarkzoo.index.label_sources import label_names
from landmarkzoo.photos import PhotoSource, photo_source
from landmarkzoo.retrieval.row_selection import first_repeated

LabelledInput: TypeAlias = "str | Path | tuple[Any, Any] | Any"


@dataclass(frozen=True, eq=False)
class LabelledPhotos:
    """Photos that each show one landmark.

    Attributes:
        source: The photos, with ids.
        labels: Label (N,) of each, the row of its name in ``classes``.
        classes: Names of the landmarks, each of which has a photo.
        name: What they are called in the card of the model.
    """

    source: PhotoSource
    labels: IntArray
    classes: list[str]
    name: str

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> list[str]:
        """The landmark of each photo."""
        return [self.classes[label] for label in self.labels]

    def take(self, rows: IntArray) -> LabelledPhotos:
        """Some of the photos; landmarks without photos are dropped, and labels are counted anew."""
        kept, labels = np.unique(self.labels[rows], return_inverse=True)
        classes = [self.classes[label] for label in kept]
        return LabelledPhotos(self.source.take(rows.tolist()), labels, classes, self.name)

    def digest(self) -> str:
        """A short text that other photos, ids or labels change."""
        lines = "\n".join(f"{id_}\t{name}" for id_, name in zip(self.source.ids, self.names))
        return f"{len(self)} photos of {len(self.classes)} landmarks, {_short_hash(lines)}"


def labelled_photos(photos: LabelledInput, what: str = "photos") -> LabelledPhotos:
    """Photos with labels from a folder, a CSV file, a data set, or a pair; those without label are left out.

    Args:
        photos: A folder with a folder for each landmark; a CSV file as ``CsvPhotos`` takes it; a data set
            with ``targets`` and ``classes``, or a ``Subset`` of one; or a pair (photos, labels).
        what: What they are called in messages.

    Raises:
        TypeError: If they are something else.
        ValueError: If there are no labels, or two photos have one id.

    Examples:
        >>> from landmarkzoo.finetuning.landmark_labels import labelled_photos
        >>> photos = labelled_photos((["1.jpg", "2.jpg", "3.jpg"], ["Big Ben", "Taj Mahal", None]))
        >>> photos.source.ids, photos.labels, photos.classes
        (['1.jpg', '2.jpg'], array([0, 1]), ['Big Ben', 'Taj Mahal'])
    """
    if isinstance(photos, LabelledPhotos):
        return photos
    name = type(photos).__name__
    if isinstance(photos, (str, Path)):
        name = Path(photos).expanduser().resolve().name
        photos = CsvPhotos(photos) if str(photos).lower().endswith(".csv") else ImageFolder(photos)
    if isinstance(photos, tuple) and len(photos) == 2:
        name = "a list"
        source = photo_source(photos[0])
        labels = label_names(photos[1], source.ids)
        known: Sequence[str] | None = None
    else:
        source, labels, known = _of_dataset(photos, what)
    if (twice := first_repeated(source.ids)) is not None:
        raise ValueError(f"two of the {what} have the id {twice!r}: each photo needs an id of its own")
    rows = np.array([row for row in range(len(source)) if labels.get(row) is not None], dtype=np.int64)
    if len(rows) == 0:
        raise ValueError(f"none of the {len(source)} {what} has a label: each needs the name of its landmark")
    names = [str(labels[row]) for row in rows.tolist()]
    classes = _in_order(set(names), known)
    label_of = {name: label for label, name in enumerate(classes)}
    encoded = np.array([label_of[name] for name in names], dtype=np.int64)
    return LabelledPhotos(source.take(rows.tolist()), encoded, classes, name)


def _of_dataset(photos: Any, what: str) -> tuple[PhotoSource, dict[int, str | None], list[str] | None]:
    """Photos, label names and the order of the classes of a data set."""
    dataset, rows = photos, None
    while type(dataset) is Subset:
        indices = np.asarray(dataset.indices)
        rows = indices if rows is None else indices[rows]
        dataset = dataset.dataset
    labels = label_names(None, [""] * len(dataset), dataset) if hasattr(dataset, "__len__") else {}
    if not labels:
        raise TypeError(
            f"{what} are a folder with a folder for each landmark, a data set with targets and classes, or a "
            f"pair (paths, labels), got {type(photos).__name__}"
        )
    if rows is not None:
        labels = {row: labels[int(inner)] for row, inner in enumerate(rows)}
    files = type(dataset).photo is PhotoFiles.photo if isinstance(dataset, PhotoFiles) else False
    if files:  # by their paths, which processes can be given
        chosen = range(len(dataset)) if rows is None else rows.tolist()
        ids, paths = [dataset.ids[row] for row in chosen], [dataset.path(row) for row in chosen]
        return PhotoSource(ids, paths), labels, list(dataset.classes)
    return photo_source(photos), labels, [str(name) for name in dataset.classes]


def _in_order(names: Iterable[str], known: Sequence[str] | None) -> list[str]:
    """Names in the order of a data set's classes; else sorted, by value where all are whole numbers."""
    if known is not None:
        place = ByName({name: row for row, name in enumerate(known)})
        return sorted(names, key=lambda name: place[name])
    names = list(names)
    numbers = all(name.isascii() and name.isdigit() for name in names)
    return sorted(names, key=int if numbers else None)


def without(photos: LabelledPhotos, exclude: Iterable[str] | str | Path) -> tuple[LabelledPhotos, list[str]]:
    """The photos without some ids, and the ids that were found.

    Args:
        photos: The photos.
        exclude: Ids, or a CSV file with a column ``id``, as ``landmarkzoo clean`` writes it.

    Raises:
        FileNotFoundError: If there is no such CSV file.
        ValueError: If none of the ids is there, or nothing is left.
    """
    if isinstance(exclude, (str, Path)):
        ids = [cells[0] for _, cells in csv_rows(exclude, ["id"])]
    else:
        ids = [str(id_) for id_ in exclude]
    known = ByName({id_: row for row, id_ in enumerate(photos.source.ids)})
    rows = sorted({known[id_] for id_ in ids if id_ in known})
    unknown = [id_ for id_ in ids if id_ not in known]
    if unknown:
        said = f"{len(unknown)} of {len(ids)} ids to exclude are not among the photos, such as {unknown[0]!r}"
        if not rows:
            raise ValueError(f"{said}; ids look like {photos.source.ids[0]!r}")
        warn_user(said)
    if not rows:
        return photos, []
    left = np.setdiff1d(np.arange(len(photos)), rows)
    if len(left) == 0:
        raise ValueError("exclude names all photos: none is left to train on")
    return photos.take(left), [photos.source.ids[row] for row in rows]


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
