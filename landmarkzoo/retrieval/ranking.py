"""The result of every search and re-ranking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import FloatArray, IntArray, as_array_protocol, as_dlpack, as_numpy
from landmarkzoo._utils.csv_and_pandas import import_pandas, write_csv
from landmarkzoo.retrieval.row_selection import (
    Rows,
    RowsById,
    as_ids,
    id_of,
    ids_or_numbers,
    select_rows,
    take,
)

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Ranking:
    """For each query the best index images, best first.

    It behaves like the array (Q, k) of its indices: ``len(r)``, ``np.asarray(r)``, and all metrics take it.
    ``r[0]``, ``r[10:20]``, ``r[mask]`` and ``r["query.jpg"]`` are the rankings of some queries; ``for row in
    r`` gives them one by one.

    Args:
        indices: Rows of the index (Q, k), int64; -1 is padding.
        scores: Their scores (Q, k), float32, not ascending.
        query_ids: Ids of the queries, where known.
        index_ids: Ids of the whole index, where known.

    Raises:
        TypeError: If the indices are not integers.
        ValueError: If the shapes do not fit each other, an index is below -1 or not in the index, or a score
            is NaN.

    Examples:
        >>> r = lz.Ranking([[1, 0], [0, -1]], [[0.9, 0.2], [0.8, 0]], ["q", "p"], ["a.jpg", "b.jpg"])
        >>> r.ids
        array([['b.jpg', 'a.jpg'],
               ['a.jpg', '']], dtype=object)
        >>> r["p"].indices
        array([[ 0, -1]])
    """

    indices: IntArray
    scores: FloatArray
    query_ids: list[str] | None = None
    index_ids: list[str] | None = None

    def __post_init__(self) -> None:
        indices, scores = as_numpy(self.indices), as_numpy(self.scores)
        if indices.ndim != 2 or indices.shape != scores.shape:
            raise ValueError(
                "a ranking needs indices and scores of one shape (Q, k), got "
                f"{indices.shape} and {scores.shape}"
            )
        if indices.size and indices.dtype.kind not in "iu":
            raise TypeError(f"the indices of a ranking are row numbers, integers, got dtype {indices.dtype}")
        object.__setattr__(self, "indices", indices.astype(np.int64, copy=False))
        object.__setattr__(self, "scores", scores.astype(np.float32, copy=False))
        for name in ("query_ids", "index_ids"):
            ids = getattr(self, name)
            object.__setattr__(self, name, None if ids is None else as_ids(ids))
        self._check_values()

    def _check_values(self) -> None:
        if self.indices.size and self.indices.min() < -1:
            raise ValueError(f"row {self.indices.min()} is not a row of an index; -1 is padding")
        if np.isnan(self.scores).any():
            query = int(np.isnan(self.scores).any(axis=1).argmax())
            raise ValueError(
                f"query {query} has a score that is NaN: a ranking needs numbers that can be sorted"
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

    @cached_property
    def _row_of(self) -> RowsById | None:
        return None if self.query_ids is None else RowsById(self.query_ids)

    def __contains__(self, query_id: object) -> bool:
        return self._row_of is not None and query_id in self._row_of

    def __getitem__(self, queries: Rows) -> Ranking:
        """Rankings of some queries: a number, an id, or several as a slice, a list, an array or a mask."""
        rows = select_rows(queries, len(self), self._row_of)
        ids = None if self.query_ids is None else take(self.query_ids, rows)
        some = Ranking(self.indices[rows], self.scores[rows], ids)
        object.__setattr__(some, "index_ids", self.index_ids)  # checked before: again for each query is slow
        return some

    def __iter__(self) -> Iterator[Ranking]:
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: np.dtype[Any] | type | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The indices, for ``np.asarray``."""
        return as_array_protocol(self.indices, dtype, copy)

    def __dlpack__(self, **options: Any) -> Any:
        """The indices, for ``torch.as_tensor``."""
        return as_dlpack(self.indices, options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.indices.__dlpack_device__()

    @property
    def ids(self) -> NDArray[np.object_]:
        """Index ids (Q, k) as strings, ``""`` for padding.

        They are known where both sides of a search were Descriptors; otherwise the row numbers stand in their
        place, as ids of images in memory do.
        """
        if self.index_ids is not None and len(self.index_ids) <= self.indices.size:
            table = np.array([*self.index_ids, ""], dtype=object)  # -1 points to the last
            return table[self.indices]
        names = [id_of(row, self.index_ids) for row in self.indices.ravel().tolist()]
        return np.array(names, dtype=object).reshape(self.indices.shape)

    def to_csv(self, path: str | Path) -> None:
        """Write ``query,rank,id,score``, a line a result, ranks from 1.

        Where ids are not known the row numbers stand in their place.

        Raises:
            FileNotFoundError: If the folder does not exist.
        """
        write_csv(path, ["query", "rank", "id", "score"], self._lines())

    def _lines(self) -> Iterator[tuple[str, int, str, str]]:
        queries = ids_or_numbers(self.query_ids, len(self))
        for query, indices, scores in zip(queries, self.indices, self.scores):
            for rank, (row, score) in enumerate(zip(indices.tolist(), scores.tolist()), start=1):
                if row >= 0:
                    yield query, rank, id_of(row, self.index_ids), f"{score:.7g}"

    def to_pandas(self) -> pandas.DataFrame:
        """A frame of pandas with the columns ``query``, ``rank``, ``id`` and ``score``, a row a result.

        Raises:
            ModuleNotFoundError: If pandas is not installed.
        """
        rows, columns = np.nonzero(self.indices >= 0)
        data = {
            "query": np.array(ids_or_numbers(self.query_ids, len(self)), dtype=object)[rows],
            "rank": columns + 1,
            "id": self.ids[rows, columns],
            "score": self.scores[rows, columns],
        }
        return import_pandas().DataFrame(data)
