"""A list of your own: a CSV file with the path of each photo and, if known, its label."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np

from landmarkzoo._utils.suggestions import did_you_mean
from landmarkzoo._utils.unicode_names import nfc
from landmarkzoo.datasets.csv_files import csv_error, csv_header, csv_rows, separator_hint
from landmarkzoo.datasets.photo_dataset import PhotoFiles, PhotoTransform, TargetTransform


class CsvPhotos(PhotoFiles):
    r"""Photos that a CSV file lists, with or without labels.

    Cells are separated by commas, in UTF-8. Columns are found by their names, whatever their case and the
    spaces around them; other columns are ignored. Paths are taken as they stand: they may be absolute or
    lead out of the folder, so do not read lists of strangers.

    Args:
        path: CSV file with a header.
        root: Folder that the photos' paths start from; the folder of the CSV file if ``None``.
        path_column: Column of the paths.
        label_column: Column of the labels, any text. ``None``: ``label`` if there is such a column, otherwise
            the photos have no labels.
        transform: From an RGB PIL image to what ``dataset[i]`` gives; ``None`` leaves it.
        target_transform: The same for the label.

    Attributes:
        ids: Paths as in the file, in its order.
        targets: Label (N,) of each photo, int64, the row of its name in ``classes``; -1 where the cell is
            empty.
        classes: Labels as in the file without spaces around them, sorted; by value where all are whole
            numbers. Both Unicode forms of a name are one label.
        class_to_idx: Label of each name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing, a row is too long or too short, a path is empty or listed twice
            (with file and line), or there are no photos.

    Examples:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "photos.csv"
        >>> _ = path.write_text("path,label\n1.jpg,Big Ben\n2.jpg,\n3.jpg,Altes Rathaus\n")
        >>> photos = lz.datasets.CsvPhotos(path)
        >>> photos.ids, photos.targets, photos.classes
        (['1.jpg', '2.jpg', '3.jpg'], array([ 1, -1,  0]), ['Altes Rathaus', 'Big Ben'])
        >>> photos.missing()
        ['1.jpg', '2.jpg', '3.jpg']
    """

    def __init__(
        self,
        path: str | Path,
        root: str | Path | None = None,
        *,
        path_column: str = "path",
        label_column: str | None = None,
        transform: PhotoTransform = None,
        target_transform: TargetTransform = None,
    ) -> None:
        super().__init__(transform, target_transform)
        self.csv = Path(path)
        self.root = self.csv.parent if root is None else Path(root)
        header = csv_header(path)
        if any('"' in column for column in header):
            raise csv_error(
                path, 1, "a quote inside a name: quotes start right behind a comma, with no space"
            )
        columns = [_column(path, header, path_column)]
        if label_column is not None or _alike(header, "label"):
            columns.append(_column(path, header, label_column or "label"))
        label_of: dict[str, str] = {}
        for line, (photo, *label) in csv_rows(path, columns):
            if not photo or photo in label_of:
                what = f"the photo {photo} occurs a second time" if photo else f"the {path_column} is empty"
                raise csv_error(path, line, what)
            label_of[photo] = nfc(label[0].strip()) if label else ""
        if not label_of:
            raise ValueError(f"{path} lists no photos: it has a header only")
        self.ids = list(label_of)
        self.classes = _sorted_names(set(label_of.values()) - {""})
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}
        labels = [self.class_to_idx.get(name, -1) for name in label_of.values()]
        self.targets = np.array(labels, dtype=np.int64)

    def path(self, position: int) -> Path:
        """File of a photo, there or not; where only the other Unicode form of its name is there, that one."""
        id_ = self.ids[position]
        path = self.root / id_
        if id_.isascii() or path.exists():
            return path
        others = (self.root / unicodedata.normalize(form, id_) for form in ("NFC", "NFD"))
        return next((other for other in others if other.exists()), path)

    def __repr__(self) -> str:
        names = f"{len(self.classes)} landmarks" if self.classes else "without labels"
        return f"CsvPhotos({str(self.csv)!r}: {len(self)} photos, {names})"


def _column(path: str | Path, header: list[str], name: str) -> str:
    """The column of a name as the header spells it."""
    alike = _alike(header, name)
    if len(alike) == 1:
        return alike[0]
    has = f"the columns are {', '.join(header)}" if header else "the file is empty"
    if alike:
        raise csv_error(path, 1, f"the column {name} is there {len(alike)} times, {has}")
    how = f"path_column and label_column name other columns.{did_you_mean(name, header)}"
    raise csv_error(path, 1, f"no column {name!r}, {has}{separator_hint(header)}; {how}")


def _alike(header: list[str], name: str) -> list[str]:
    """Columns of that name; if there are none, those that differ by case and spaces around them."""
    exact = [column for column in header if column == name]
    return exact or [column for column in header if column.strip().casefold() == name.strip().casefold()]


def _sorted_names(names: set[str]) -> list[str]:
    if all(name.isascii() and name.isdigit() for name in names):  # landmark ids: 9 before 10
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)
