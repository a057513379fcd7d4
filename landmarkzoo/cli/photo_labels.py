"""Labels of photos on the command line: from a CSV file, or from the folders of the photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from landmarkzoo._utils.unicode_names import ByName, nfc


def label_names(ids: Sequence[str], path: str | None) -> list[str | None]:
    """Name of the landmark of each photo, in its composed Unicode form; ``None`` for no landmark.

    Args:
        ids: Ids of the photos.
        path: A CSV file with columns ``id`` and ``label``, empty for no landmark; spaces around labels are
            left out. ``None``: the name is the first folder of the id, as in a folder with one folder per
            landmark.

    Raises:
        ValueError: If the file is wrong, a photo is missing in it, or an id has no folder.

    Examples:
        >>> label_names(["taj_mahal/1.jpg", "big_ben/day/2.jpg"], None)
        ['taj_mahal', 'big_ben']
    """
    if path is None:
        loose = [id_ for id_ in ids if "/" not in id_]
        if loose:
            raise ValueError(
                f"{len(loose)} photos are not in a folder that names their landmark, the first is "
                f"{loose[0]}: use one folder per landmark, or give a CSV file with columns id,label"
            )
        return [nfc(id_.split("/", 1)[0]) for id_ in ids]
    labels = ByName(labels_of_file(path))
    missing = [id_ for id_ in ids if id_ not in labels]
    if missing:
        raise ValueError(f"{path} has no label for {len(missing)} photos, the first is {missing[0]!r}")
    return [labels[id_] for id_ in ids]


def labels_of_file(path: str) -> dict[str, str | None]:
    """Name of the landmark by id, in its composed Unicode form; ``None`` for no landmark.

    Args:
        path: A CSV file as ``label_names`` takes it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is wrong.
    """
    from landmarkzoo.datasets.csv_files import csv_error, csv_rows

    file, names = Path(path), dict[str, str | None]()
    for line, (id_, label) in csv_rows(file, ("id", "label")):
        if id_ in names:
            raise csv_error(file, line, f"the id {id_!r} is there twice")
        names[id_] = nfc(label.strip()) or None
    return names


def folders_among(ids: Sequence[str], known: set[str]) -> list[str | None]:
    """The folder of each photo that is one of the known landmarks, at any level of its path.

    Args:
        ids: Ids of the photos.
        known: Names of landmarks in their composed Unicode form.

    Raises:
        ValueError: If a photo is not in such a folder.

    Examples:
        >>> folders_among(["photos/taj_mahal/1.jpg"], {"taj_mahal", "big_ben"})
        ['taj_mahal']
    """
    names: list[str | None] = []
    for id_ in ids:
        found = [part for part in map(nfc, id_.split("/")[:-1]) if part in known]
        if not found:
            raise ValueError(
                f"the query {id_!r} is not in a folder of a landmark of the index: give --labels, a CSV "
                "file with columns id,label"
            )
        names.append(found[-1])
    return names
