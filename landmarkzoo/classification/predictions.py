"""The answer of a classification: the best classes of each photo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import FloatArray, IntArray, as_int64, as_numpy
from landmarkzoo._utils.csv_and_pandas import import_pandas, write_csv
from landmarkzoo.retrieval.row_selection import Rows, RowsById, as_ids, select_rows, take

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Predictions:
    """Best classes of each photo, best first, with their cosines.

    ``p[0]``, ``p[10:20]``, ``p[mask]`` and ``p["tower.jpg"]`` are the predictions of some photos; ``for one
    in p`` gives them one by one.

    Args:
        ids: One id a photo.
        labels: Classes (N, k), int64.
        scores: Their cosines (N, k), float32, not ascending.
        names: Names of these classes (N, k), where they are known.
        skipped: Photos that could not be read, with the reason.

    Raises:
        TypeError: If the labels are not integers.
        ValueError: If the shapes do not fit each other, a label is negative, or a score is NaN.

    Examples:
        >>> p = lz.Predictions(["a.jpg"], [[7, 2]], [[0.8, 0.1]], [["Taj Mahal", "Charminar"]])
        >>> p
        Predictions(1 photos x 2 classes)
        >>> p["a.jpg"].names[0, 0]
        'Taj Mahal'
    """

    ids: list[str]
    labels: IntArray
    scores: FloatArray
    names: NDArray[np.object_] | None = None
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        ids, labels, scores = as_ids(self.ids), as_numpy(self.labels), as_numpy(self.scores)
        if labels.ndim != 2 or labels.shape != scores.shape or len(labels) != len(ids):
            raise ValueError(
                "predictions need labels and scores of one shape (N, k), a row an id, got "
                f"{labels.shape}, {scores.shape} and {len(ids)} ids"
            )
        if labels.size and labels.dtype.kind not in "iu":
            raise TypeError(f"the labels are numbers of classes, integers, got dtype {labels.dtype}")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "labels", as_int64(labels, "labels"))
        object.__setattr__(self, "scores", scores.astype(np.float32, copy=False))
        if labels.size and self.labels.min() < 0:
            raise ValueError(f"the label {self.labels.min()} is not a class: classes start at 0")
        if np.isnan(self.scores).any():
            bad = ids[int(np.isnan(self.scores).any(axis=1).argmax())]
            raise ValueError(f"the photo {bad} has a score that is NaN")
        if self.names is not None:
            names = np.array(self.names, dtype=object)
            if names.shape != labels.shape:
                raise ValueError(
                    f"names must have the shape of the labels, {labels.shape}, got {names.shape}"
                )
            object.__setattr__(self, "names", names)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        skipped = f", skipped={len(self.skipped)}" if self.skipped else ""
        return f"Predictions({len(self)} photos x {self.labels.shape[1]} classes{skipped})"

    @cached_property
    def _row_of(self) -> RowsById:
        return RowsById(self.ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._row_of

    def __getitem__(self, rows: Rows) -> Predictions:
        """Predictions of some photos: a number, an id, or several as a slice, a list, an array or a mask."""
        some = select_rows(rows, len(self), self._row_of)
        names = None if self.names is None else self.names[some]
        return Predictions(take(self.ids, some), self.labels[some], self.scores[some], names)

    def __iter__(self) -> Iterator[Predictions]:
        return (self[row] for row in range(len(self)))

    def to_csv(self, path: str | Path) -> None:
        """Write ``id,rank,label,name,score``, a line a class, ranks from 1; unknown names are empty.

        Args:
            path: The file to write.

        Raises:
            FileNotFoundError: If the folder does not exist.
        """
        write_csv(path, ["id", "rank", "label", "name", "score"], self._lines())

    def _lines(self) -> Iterator[tuple[str, int, int, str, str]]:
        for row, (id_, labels, scores) in enumerate(zip(self.ids, self.labels, self.scores)):
            for column, (label, score) in enumerate(zip(labels.tolist(), scores.tolist())):
                name = "" if self.names is None else self.names[row, column]
                yield id_, column + 1, label, name, f"{score:.7g}"

    def to_pandas(self) -> pandas.DataFrame:
        """A frame of pandas with the columns ``id``, ``rank``, ``label``, ``name``, ``score``, a row a class.

        The names are ``None`` where they are not known.

        Raises:
            ModuleNotFoundError: If pandas is not installed.
        """
        pandas, (count, k) = import_pandas(), self.labels.shape
        names = np.full((count, k), None, dtype=object) if self.names is None else self.names
        data = {
            "id": np.repeat(np.array(self.ids, dtype=object), k),
            "rank": np.tile(np.arange(1, k + 1), count),
            "label": self.labels.ravel(),
            "name": pandas.Series(names.ravel(), dtype=object),
            "score": self.scores.ravel(),
        }
        return pandas.DataFrame(data)
