"""Labels of photos that are added: by id, in order, from folders, or those of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from landmarkzoo._utils.checks import Labels, as_numpy, encode_labels
from landmarkzoo._utils.unicode_names import ByName, nfc
from landmarkzoo.retrieval.row_selection import as_ids

GivenLabels: TypeAlias = "Mapping[str, Any] | Labels | Literal['folder'] | None"


def label_names(labels: GivenLabels, ids: Sequence[str], photos: object = None) -> dict[int, str | None]:
    """Labels by the position of a photo, as far as they are said; ``None`` for no landmark or unknown.

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
        >>> label_names("folder", ["big_ben/1.jpg"]), label_names({"b": "x"}, ["a", "b"])
        ({0: 'big_ben'}, {1: 'x'})
    """
    if labels is None:
        return _own_labels(photos, len(ids))
    if isinstance(labels, str):
        return _folders(labels, ids)
    if isinstance(labels, Mapping):
        if not isinstance(key := next(iter(labels), ""), str):  # reading all keys takes time
            raise TypeError(f"labels are a dictionary by id, and ids are texts, got the key {key!r}")
        by_name = ByName(labels)
        return {row: as_name(by_name[id_]) for row, id_ in enumerate(ids) if id_ in by_name}
    numbers, names = encode_labels(labels, len(ids), "labels")
    given = numbers.tolist() if names is None else names[numbers].tolist()
    return {row: as_name(label) for row, label in enumerate(given)}


def labels_by_id(labels: Mapping[str, Any]) -> dict[str, str | None]:
    """Labels of a dictionary as names.

    Raises:
        TypeError: If it is none, or has a key that is no id or a label that is none.
        ValueError: If a label is empty.

    Examples:
        >>> from landmarkzoo.index.label_sources import labels_by_id
        >>> labels_by_id({"a": 7, "b": None})
        {'a': '7', 'b': None}
    """
    if not isinstance(labels, Mapping):
        raise TypeError(f"labels are a dictionary by id, got {type(labels).__name__}")
    return dict(zip(as_ids(labels), map(as_name, labels.values())))


def as_name(label: object) -> str | None:
    """A label as a name: whole numbers become names, ``None`` and negative numbers stand for no landmark.

    Raises:
        TypeError: If it is neither.
        ValueError: If it is empty.

    Examples:
        >>> from landmarkzoo.index.label_sources import as_name
        >>> as_name("Big Ben"), as_name(7), as_name(-1)
        ('Big Ben', '7', None)
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


def _folders(labels: str, ids: Sequence[str]) -> dict[int, str | None]:
    if labels != "folder":
        raise ValueError(f"labels={labels!r} is not known: 'folder', a dictionary by id, or one a photo")
    loose = [id_ for id_ in ids if "/" not in id_]
    if loose:
        raise ValueError(
            f"labels='folder' needs a folder a landmark: {len(loose)} photos are in none, such as {loose[0]}"
        )
    return {row: nfc(id_.split("/", 1)[0]) for row, id_ in enumerate(ids)}


def _own_labels(photos: object, count: int) -> dict[int, str | None]:
    targets, classes = getattr(photos, "targets", None), getattr(photos, "classes", None)
    if targets is None or not isinstance(classes, Sequence):
        return {}
    numbers = as_numpy(targets)
    if numbers.shape != (count,) or numbers.dtype.kind not in "iu":
        return {}
    return {row: as_name(classes[n]) if n >= 0 else None for row, n in enumerate(numbers.tolist())}
