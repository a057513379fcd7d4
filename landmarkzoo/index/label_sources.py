"""Labels of photos that are added: by id, in order, from folders, or those of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from landmarkzoo._utils.checks import Labels, as_numpy, encode_labels
from landmarkzoo._utils.unicode_names import ByName, nfc

GivenLabels: TypeAlias = "Mapping[str, Any] | Labels | Literal['folder'] | None"


def label_names(labels: GivenLabels, ids: Sequence[str], photos: object) -> list[str | None] | None:
    """Label of each photo as a name, ``None`` for no landmark or unknown; all ``None`` if nothing says it.

    Args:
        labels: A dictionary by id, in which others may be missing; one a photo, in order; ``"folder"``: the
            first folder of an id; ``None``: those of a data set with ``targets`` and ``classes``.
        ids: Ids of the photos.
        photos: Where they come from.

    Raises:
        TypeError: If they are something else.
        ValueError: If there are more or fewer than photos, or an id has no folder.

    Examples:
        >>> from landmarkzoo.index.label_sources import label_names
        >>> label_names("folder", ["big_ben/1.jpg"], None), label_names({"a": "x"}, ["a", "b"], None)
        (['big_ben'], ['x', None])
    """
    if labels is None:
        return _own_labels(photos, len(ids))
    if isinstance(labels, str):
        return _folders(labels, ids)
    if isinstance(labels, Mapping):
        by_name = ByName(labels)
        given = [by_name.get(id_) for id_ in ids]
        return [as_name(label) for label in given]
    numbers, names = encode_labels(labels, len(ids), "labels")
    return [as_name(number if names is None else names[number]) for number in numbers.tolist()]


def as_name(label: object) -> str | None:
    """A label as a name: whole numbers become names, ``None`` and negative numbers stand for no landmark.

    Raises:
        TypeError: If it is neither.
        ValueError: If it is empty.
    """
    if label is None:
        return None
    if isinstance(label, str):
        if not label:
            raise ValueError('a label is "": use None for no landmark')
        return nfc(label)
    if isinstance(label, bool) or not isinstance(label, (int, np.integer)):
        raise TypeError(f"a label is a name, an integer or None, got {label!r}")
    return None if label < 0 else str(label)


def _folders(labels: str, ids: Sequence[str]) -> list[str | None]:
    if labels != "folder":
        raise ValueError(f"labels={labels!r} is not known: 'folder', a dictionary by id, or one a photo")
    loose = [id_ for id_ in ids if "/" not in id_]
    if loose:
        raise ValueError(
            f"labels='folder' needs a folder a landmark: {len(loose)} photos are in none, such as {loose[0]}"
        )
    return [nfc(id_.split("/", 1)[0]) for id_ in ids]


def _own_labels(photos: object, count: int) -> list[str | None] | None:
    targets, classes = getattr(photos, "targets", None), getattr(photos, "classes", None)
    if targets is None or not isinstance(classes, Sequence):
        return None
    numbers = as_numpy(targets)
    if numbers.shape != (count,) or numbers.dtype.kind not in "iu":
        return None
    return [as_name(classes[number]) if number >= 0 else None for number in numbers.tolist()]
