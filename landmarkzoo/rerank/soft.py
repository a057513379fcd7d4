"""Soft discriminative re-ranking (Henkel 2021, section 2.4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import Labels, as_device, check_count
from landmarkzoo.rerank.voting import Votes, check_votes, vote
from landmarkzoo.retrieval.blockwise_top_k import top_k
from landmarkzoo.retrieval.descriptors import Vectors, as_vectors, check_comparable
from landmarkzoo.retrieval.exact_search import ids_of
from landmarkzoo.retrieval.ranking import Ranking

Confidence = Literal["vote_mean", "vote_sum", "top3_mean", "top1"]


def soft_discriminative(
    query: Vectors,
    index: Vectors,
    train: Vectors,
    train_labels: Labels,
    *,
    k: int = 100,
    neighbors: int = 3,
    up: float = 1.0,
    down: float = 0.1,
    confidence: Confidence = "vote_mean",
    index_votes: Votes | None = None,
    device: str | torch.device | None = None,
) -> Ranking:
    """Rank the whole index by cosine, plus or minus what the train set says about the labels.

    Query and index images are labelled by :func:`vote`. With ``c`` the confidence of an index image, its
    score is ``cos + up * c`` where its label is the query's and ``cos - down * c`` where it is not. A label
    of -1 on either side adds nothing; a negative c counts as 0. All index images are scored, not a
    shortlist: that is what pulls missed positives in.

    Args:
        query: Descriptors or an array (Q, D).
        index: Descriptors or an array (N, D).
        train: Descriptors or an array (T, D) of labelled images.
        train_labels: Integers (T,), -1 for no landmark.
        k: How many come back; ``min(k, N)``.
        neighbors: Train images that vote.
        up: Weight of the confidence for the query's label.
        down: Weight of the confidence for another label.
        confidence: ``"vote_mean"``: the winner's sum of cosines / neighbors. ``"vote_sum"``: that sum.
            ``"top3_mean"``: mean cosine of all voters, whatever their label. ``"top1"``: the nearest's.
        index_votes: Votes of the index, where they stand already.
        device: Where the products are computed; the CPU unless told otherwise.

    Raises:
        ValueError: If shapes do not fit, the index is empty, or a value is out of range.

    Examples:
        >>> train, labels, query = np.eye(2), [7, 9], np.array([[0.8, 0.6]])
        >>> index = np.array([[0.6, 0.8], [0.8, -0.6]])
        >>> lz.rerank.soft_discriminative(query, index, train, labels, neighbors=1).indices
        array([[1, 0]])
    """
    if confidence not in get_args(Confidence):
        raise ValueError(f"confidence must be one of {get_args(Confidence)}, got {confidence!r}")
    if not (np.isfinite(up) and np.isfinite(down)):
        raise ValueError(f"up and down must be finite, got up={up} and down={down}")
    q, x = as_vectors(query, "query"), as_vectors(index, "index")
    if len(x) == 0:
        raise ValueError("the index is empty: there is nothing to rank")
    check_comparable(query, index, "query", "index")
    check_comparable(query, train, "query", "train")
    query_votes = vote(query, train, train_labels, neighbors, device=device)
    if index_votes is None:
        index_votes = vote(index, train, train_labels, neighbors, device=device)
    check_votes(index_votes, len(x), query_votes.neighbors.shape[1])
    trust = _confidence(index_votes, confidence, neighbors)
    bonus = _LabelBonus(query_votes.labels, index_votes.labels, trust * up, trust * -down)
    indices, scores = top_k(q, x, min(check_count(k, "k"), len(x)), bonus=bonus, device=as_device(device))
    return Ranking(indices, scores, ids_of(query), ids_of(index))


def _confidence(votes: Votes, kind: Confidence, neighbors: int) -> NDArray[np.float64]:
    """Confidence (N,) of each index image, not negative."""
    similarities = votes.similarities.astype(np.float64)
    values: NDArray[np.float64] = {
        "vote_mean": votes.confidence,
        "vote_sum": votes.confidence * neighbors,
        "top3_mean": similarities.sum(axis=1) / neighbors,
        "top1": similarities[:, 0],
    }[kind]
    return values.clip(min=0.0)


@dataclass(frozen=True, eq=False)
class _LabelBonus:
    """``same`` where the labels of query and index image agree, ``other`` where not, 0 without label."""

    query_labels: NDArray[np.int64]
    index_labels: NDArray[np.int64]
    same: NDArray[np.float64]
    other: NDArray[np.float64]

    @property
    def largest(self) -> float:
        return float(max(np.abs(self.same).max(), np.abs(self.other).max()))

    def block(self, queries: slice, index: slice, device: torch.device) -> Tensor:
        rows = torch.arange(index.start, index.stop, device="cpu")
        labels = torch.from_numpy(self.query_labels[queries])
        return self._of(labels[:, None].to(device), rows, torch.float32, device)

    def pairs(self, queries: slice, index: Tensor) -> Tensor:
        labels = torch.from_numpy(self.query_labels[queries])
        return self._of(labels[:, None], index, torch.float64, torch.device("cpu"))

    def _of(self, query_labels: Tensor, rows: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
        labels = torch.from_numpy(self.index_labels)[rows].to(device)
        same = torch.from_numpy(self.same)[rows].to(device, dtype)
        other = torch.from_numpy(self.other)[rows].to(device, dtype)
        known = (labels != -1) & (query_labels != -1)
        return torch.where(labels == query_labels, same, other) * known
