"""Labels whose scores rank photos of landmarks before others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import (
    IntArray,
    Labels,
    as_device,
    as_int64,
    as_numpy,
    check_count,
    encode_labels,
    unit,
)
from landmarkzoo._utils.csv_and_pandas import import_pandas, write_csv
from landmarkzoo.rerank.voting import count_votes
from landmarkzoo.retrieval.blockwise_top_k import top_k
from landmarkzoo.retrieval.descriptors import Vectors, check_comparable, descriptors_of
from landmarkzoo.retrieval.device_rows import sent
from landmarkzoo.retrieval.exact_search import ids_of
from landmarkzoo.retrieval.row_selection import as_ids, id_of, ids_or_numbers
from landmarkzoo.retrieval.vector_rows import VectorRows, as_rows

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Recognition:
    """Outcome of ``recognize`` for Q photos.

    Args:
        labels: Label (Q,): int64, -1 for no landmark; or names, ``None`` for no landmark.
        scores: Score (Q,), float64: the higher, the surer that this landmark is there. Scores rank photos;
            they are not probabilities.
        support: Rows of the train photos that voted (Q, neighbors), best first; -1 where there are fewer.
        query_ids: Ids of the photos, where known.
        train_ids: Ids of all train photos, where known.

    Raises:
        TypeError: If labels are neither integers nor names, scores are not numbers, or the support is not of
            integers.
        ValueError: If the shapes do not fit each other, a score is NaN, or a row of the support is below -1
            or not in the train set.
    """

    labels: NDArray[Any]
    scores: NDArray[np.float64]
    support: IntArray
    query_ids: list[str] | None = None
    train_ids: list[str] | None = None

    def __post_init__(self) -> None:
        scores, support = as_numpy(self.scores), as_numpy(self.support)
        if scores.ndim != 1 or support.ndim != 2 or len(support) != len(scores):
            raise ValueError(
                f"scores (Q,) and support (Q, neighbors) do not fit: got {scores.shape} and {support.shape}"
            )
        if scores.size and scores.dtype.kind not in "fiu":
            raise TypeError(f"the scores are numbers, got dtype {scores.dtype}")
        if support.size and support.dtype.kind not in "iu":
            raise TypeError(f"the support are row numbers, integers, got dtype {support.dtype}")
        for name in ("query_ids", "train_ids"):
            ids = getattr(self, name)
            object.__setattr__(self, name, None if ids is None else as_ids(ids))
        labels, names = encode_labels(self.labels, len(scores), "labels")
        object.__setattr__(self, "labels", labels if names is None else names[labels])
        object.__setattr__(self, "scores", scores.astype(np.float64, copy=False))
        object.__setattr__(self, "support", as_int64(support, "the support"))
        self._check_rows()

    def _check_rows(self) -> None:
        if np.isnan(self.scores).any():
            raise ValueError(f"the score of photo {int(np.isnan(self.scores).argmax())} is NaN")
        if self.query_ids is not None and len(self.query_ids) != len(self):
            raise ValueError(f"got {len(self.query_ids)} query ids for {len(self)} photos")
        if self.support.size and self.support.min() < -1:
            raise ValueError(f"row {self.support.min()} is not a row of a train set; -1 is padding")
        if self.train_ids is not None and self.support.size and self.support.max() >= len(self.train_ids):
            raise ValueError(f"row {self.support.max()} is not in a train set of {len(self.train_ids)} ids")

    def __repr__(self) -> str:
        return f"Recognition({len(self)} photos, {self.support.shape[1]} neighbors)"

    def __len__(self) -> int:
        return len(self.labels)

    def above(self, threshold: float) -> NDArray[Any]:
        """Labels (Q,), -1 or ``None`` (no landmark) where the score is below a threshold.

        Raises:
            ValueError: If the threshold is not a number.

        Examples:
            >>> r = lz.Recognition([4, 7], [1.2, 0.1], [[0], [1]])
            >>> r.above(0.5)
            array([ 4, -1])
            >>> lz.Recognition(["Big Ben", "Old Town"], [1.2, 0.1], [[0], [1]]).above(0.5)
            array(['Big Ben', None], dtype=object)
        """
        if not isinstance(threshold, (int, float, np.integer, np.floating)) or np.isnan(threshold):
            raise ValueError(f"threshold must be a number, got {threshold!r}")
        nothing: Any = -1 if self.labels.dtype.kind == "i" else None
        return np.where(self.scores >= threshold, self.labels, nothing)

    def to_csv(self, path: str | Path, *, threshold: float = -np.inf) -> None:
        """Write ``id,label,score,support1,...``, a line a photo; the support are ids of train photos.

        Where ids are not known the row numbers stand in their place. The label is empty for no landmark.

        Args:
            path: The file to write.
            threshold: No landmark where the score is lower.

        Raises:
            FileNotFoundError: If the folder does not exist.
        """
        columns = self._columns(threshold)
        columns["label"] = ["" if label in (None, -1) else label for label in columns["label"]]
        columns["score"] = [f"{score:.7g}" for score in columns["score"]]
        write_csv(path, list(columns), zip(*columns.values()))

    def to_pandas(self, *, threshold: float = -np.inf) -> pandas.DataFrame:
        """A frame of pandas with the columns ``id``, ``label``, ``score``, ``support1``, ...

        Args:
            threshold: No landmark, -1 or ``None``, where the score is lower.

        Raises:
            ModuleNotFoundError: If pandas is not installed.
        """
        pandas, columns = import_pandas(), self._columns(threshold)
        if self.labels.dtype.kind == "O":  # a column of strings would turn None into NaN
            columns["label"] = pandas.Series(columns["label"], dtype=object)
        return pandas.DataFrame(columns)

    def _columns(self, threshold: float) -> dict[str, Any]:
        support = {
            f"support{n}": [id_of(row, self.train_ids) for row in column]
            for n, column in enumerate(self.support.T.tolist(), start=1)
        }
        return {
            "id": ids_or_numbers(self.query_ids, len(self)),
            "label": self.above(threshold).tolist(),
            "score": self.scores.tolist(),
            **support,
        }


def recognize(
    queries: Vectors,
    train: Vectors,
    train_labels: Labels,
    *,
    non_landmark: Vectors | None = None,
    neighbors: int = 3,
    train_penalty_k: int = 5,
    query_penalty_k: int = 10,
    quantile: bool = False,
    device: str | torch.device | None = None,
) -> Recognition:
    """Label photos by their nearest train photos, and lower the score of those that look like no landmark.

    The recognition of [Henkel and Singer 2020](https://arxiv.org/abs/2010.01650) and of
    [Henkel 2021](https://arxiv.org/abs/2110.03786), section 2.4.2:

    1. A train photo's penalty is its mean cosine with the 5 nearest photos without landmark.
    2. A query's similarity to a train photo is ``clip(cos, 0, 1)`` less that penalty; the 3 train photos with
       the largest similarity vote.
    3. The label with the largest sum wins, on a tie that of the nearest; the sum is the score,
    4. less the query's mean cosine with its 10 nearest photos without landmark.

    Nothing is dropped: a low score says "no landmark". ``Recognition.above`` draws a line.

    Args:
        queries: Descriptors or an array (Q, D).
        train: Descriptors or an array (T, D) of labelled photos.
        train_labels: Labels (T,): integers, -1 for no landmark, or names, ``None`` for no landmark.
        non_landmark: Descriptors or an array (M, D) of photos that show no landmark. Without them steps 1 and
            4 fall away.
        neighbors: Train photos that vote.
        train_penalty_k: See 1; all where there are fewer.
        query_penalty_k: See 4; all where there are fewer.
        quantile: First map each dimension to a normal distribution by its quantiles among the queries.
        device: Where the products are computed; the CPU unless told otherwise.

    Returns:
        Labels of the kind of the train labels, scores, and the train photos that voted.

    Raises:
        ModuleNotFoundError: If ``quantile`` is asked for without scikit-learn.
        TypeError: If labels are neither integers nor names.
        ValueError: If shapes do not fit, a set is empty, or they come from different models.

    Examples:
        >>> test, train = np.array([[0.96, 0.28]]), np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]])
        >>> others = np.array([[0, 1], [-0.6, 0.8]])
        >>> r = lz.recognize(test, train, ["Big Ben", "Big Ben", "Old Town", "Old Town"], non_landmark=others)
        >>> r.labels, r.support
        (array(['Big Ben'], dtype=object), array([[0, 1, 3]]))
    """
    neighbors = check_count(neighbors, "neighbors")
    queries, train, non_landmark = map(descriptors_of, (queries, train, non_landmark))
    q, x, others = _checked(queries, train, non_landmark)
    labels, names = encode_labels(train_labels, len(x), "train_labels")
    if quantile:
        q, x, others = _quantile_normal(q, x, others)
    where = as_device(device)
    penalty = _Penalty(_mean_cosines(x, others, check_count(train_penalty_k, "train_penalty_k"), where))
    rows, similarities = top_k(q, x, min(neighbors, len(x)), bonus=penalty, lowest=0.0, device=where)
    winners, sums = count_votes(labels[rows], similarities, 1)
    sums -= _mean_cosines(q, others, check_count(query_penalty_k, "query_penalty_k"), where)
    support = np.full((len(q), neighbors), -1)
    support[:, : rows.shape[1]] = rows
    found = winners if names is None else names[winners]
    return Recognition(found, sums, support, ids_of(queries), ids_of(train))


def _checked(
    queries: Vectors, train: Vectors, non_landmark: Vectors | None
) -> tuple[VectorRows, VectorRows, VectorRows | None]:
    q, x = as_rows(queries, "queries"), as_rows(train, "train")
    if len(x) == 0:
        raise ValueError("the train set is empty: nobody can vote")
    check_comparable(queries, train, "queries", "train")
    if non_landmark is None:
        return q, x, None
    check_comparable(queries, non_landmark, "queries", "non_landmark")
    others = as_rows(non_landmark, "non_landmark")
    if len(others) == 0:
        raise ValueError("non_landmark is empty: leave it out")
    return q, x, others


def _quantile_normal(
    queries: VectorRows, train: VectorRows, others: VectorRows | None
) -> tuple[VectorRows, VectorRows, VectorRows | None]:
    """Each dimension of vectors of length 1, by its quantiles among the queries, as a normal distribution."""
    try:
        from sklearn.preprocessing import QuantileTransformer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("quantile=True needs scikit-learn: pip install scikit-learn") from error
    x = unit(queries[:].numpy())
    transformer = QuantileTransformer(
        n_quantiles=min(1000, len(x)), output_distribution="normal", subsample=None
    ).fit(x)

    def transform(vectors: VectorRows) -> VectorRows:
        vectors.check_finite()
        return VectorRows(np.asarray(transformer.transform(unit(vectors[:].numpy())), dtype=np.float32))

    return transform(queries), transform(train), None if others is None else transform(others)


def _mean_cosines(
    x: VectorRows, others: VectorRows | None, k: int, device: torch.device
) -> NDArray[np.float64]:
    """Mean cosine (N,) with the k nearest of the others; 0 without others."""
    if others is None:
        return np.zeros(len(x))
    cosines = top_k(x, others, min(k, len(others)), device=device)[1]
    return np.asarray(cosines.mean(axis=1, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class _Penalty:
    """Taken off the cosine with each train photo (T,)."""

    values: NDArray[np.float64]

    @property
    def largest(self) -> float:
        return float(np.abs(self.values).max())

    def block(self, queries: IntArray, index: slice, device: torch.device) -> Tensor:
        row = sent(torch.from_numpy(-self.values[index]).float(), device)
        return row.expand(len(queries), -1)

    def pairs(self, queries: IntArray, index: Tensor) -> Tensor:
        return torch.from_numpy(-self.values)[index]
