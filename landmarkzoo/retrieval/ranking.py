"""The result of every search and re-ranking."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.atomic_writing import atomic_write
from landmarkzoo._utils.checks import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Ranking:
    """For each query the best index images, best first.

    Args:
        indices: Rows of the index (Q, k), int64; -1 is padding.
        scores: Their scores (Q, k), float32, not ascending.
        query_ids: Ids of the queries, where known.
        index_ids: Ids of the whole index, where known.

    Raises:
        ValueError: If the shapes do not fit each other.

    Examples:
        >>> r = lz.Ranking(np.array([[1, 0]]), np.array([[0.9, 0.2]]), ["q"], ["a", "b"])
        >>> r.ids
        array([['b', 'a']], dtype=object)
    """

    indices: IntArray
    scores: FloatArray
    query_ids: list[str] | None = None
    index_ids: list[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", np.asarray(self.indices, dtype=np.int64))
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float32))
        if self.indices.ndim != 2 or self.indices.shape != self.scores.shape:
            raise ValueError(
                "a ranking needs indices and scores of one shape (Q, k), got "
                f"{self.indices.shape} and {self.scores.shape}"
            )
        if self.index_ids is not None and self.indices.size and self.indices.max() >= len(self.index_ids):
            raise ValueError(f"row {self.indices.max()} is not in an index of {len(self.index_ids)} ids")
        if self.query_ids is not None and len(self.query_ids) != len(self.indices):
            raise ValueError(f"got {len(self.query_ids)} query ids for {len(self.indices)} queries")

    def __repr__(self) -> str:
        queries, results = self.indices.shape
        return f"Ranking({queries} queries x {results} results)"

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def ids(self) -> NDArray[Any] | None:
        """Index ids (Q, k) as an array of strings, "" for padding; None without index ids."""
        if self.index_ids is None:
            return None
        table = np.empty(len(self.index_ids) + 1, dtype=object)
        table[:-1] = self.index_ids
        table[-1] = ""  # what -1 points to
        return table[self.indices]

    def to_csv(self, path: str | Path) -> None:
        """Write ``query,rank,id,score``, a line a result, ranks from 1.

        Where ids are not known the row numbers stand in their place.

        Raises:
            FileNotFoundError: If the folder does not exist.
        """
        names = self.indices if self.ids is None else self.ids
        queries = self.query_ids or [str(q) for q in range(len(self))]
        lines = [
            [query, rank + 1, names[row, rank], f"{self.scores[row, rank]:.7g}"]
            for row, query in enumerate(queries)
            for rank in range(self.indices.shape[1])
            if self.indices[row, rank] >= 0
        ]
        # File names that are no Unicode go out with the bytes that they came in with.
        with (
            atomic_write(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
        ):
            csv.writer(file).writerows([["query", "rank", "id", "score"], *lines])
