"""Re-ranking by the labels of a train set: soft as a bonus on the cosine, hard as a rule."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo._utils.checks import (
    FloatArray,
    IntArray,
    Labels,
    as_device,
    check_count,
    check_number,
    encode_known,
    encode_labels,
)
from landmarkzoo.rerank.voting import Votes, vote
from landmarkzoo.retrieval.blockwise_top_k import top_k
from landmarkzoo.retrieval.descriptors import Vectors, check_comparable, descriptors_of
from landmarkzoo.retrieval.device_rows import sent
from landmarkzoo.retrieval.exact_search import ids_of, search
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.vector_rows import as_rows

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

    Section 2.4.1 of [Henkel 2021](https://arxiv.org/abs/2110.03786). Query and index images are labelled by
    ``vote``. With ``c`` the confidence of an index image, its score is ``cos + up * c`` where its label
    is the query's and ``cos - down * c`` where it is not. A label of -1 (or ``None``) on either side adds
    nothing; a negative c counts as 0. All index images are scored, not a shortlist: that is what pulls
    missed positives in.

    Args:
        query: Descriptors or an array (Q, D).
        index: Descriptors or an array (N, D).
        train: Descriptors or an array (T, D) of labelled images.
        train_labels: Labels (T,): integers, -1 for no landmark, or names, ``None`` for no landmark.
        k: How many come back; ``min(k, N)``.
        neighbors: Train images that vote.
        up: ``same_label_weight``: weight of the confidence of an index image with the query's label.
        down: ``other_label_weight``: weight of the confidence of an index image with another label.
        confidence: ``"vote_mean"``: the winner's sum of cosines / neighbors. ``"vote_sum"``: that sum.
            ``"top3_mean"``: mean cosine of all voters, whatever their label. ``"top1"``: the nearest's.
        index_votes: Votes of the index by the same train set, if you have computed them before.
        device: Where the products are computed; the CPU unless told otherwise.

    Raises:
        TypeError: If labels are neither integers nor names, or ``index_votes`` are not Votes.
        ValueError: If shapes do not fit, the index is empty, or a value is out of range.

    Examples:
        >>> train, labels, query = np.eye(2), ["Big Ben", "Old Town"], np.array([[0.8, 0.6]])
        >>> index = np.array([[0.6, 0.8], [0.8, -0.6]])  # the first is nearer, the second has query's label
        >>> lz.rerank.soft_discriminative(query, index, train, labels, neighbors=1).indices
        array([[1, 0]])
    """
    if confidence not in get_args(Confidence):
        raise ValueError(f"confidence must be one of {get_args(Confidence)}, got {confidence!r}")
    up, down = check_number(up, "up"), check_number(down, "down")
    query, index, train = descriptors_of(query), descriptors_of(index), descriptors_of(train)
    q, x = as_rows(query, "query"), as_rows(index, "index")
    if len(x) == 0:
        raise ValueError("the index is empty: there is nothing to rank")
    check_comparable(query, index, "query", "index")
    of_query, of_index = _votes(query, index, train, train_labels, neighbors, index_votes, device)
    trust = _confidence(of_index, confidence, neighbors)
    bonus = _LabelBonus(of_query.labels, of_index.labels, trust * up, trust * -down)
    indices, scores = top_k(q, x, min(check_count(k, "k"), len(x)), bonus=bonus, device=as_device(device))
    return Ranking(indices, scores, ids_of(query), ids_of(index))


def hard_discriminative(
    query: Vectors,
    index: Vectors,
    train: Vectors,
    train_labels: Labels,
    *,
    k: int = 100,
    threshold: float = 0.6,
    neighbors: int = 3,
    index_votes: Votes | None = None,
    device: str | torch.device | None = None,
) -> Ranking:
    """Put the images of the query's label first, and insert more of them from the whole index.

    Section 4.3 of [Ozaki and Yokoo 2019](https://arxiv.org/abs/1906.04087). Query and index images are
    labelled by ``vote``. Sort: of the k nearest images those with the query's label come first, both
    groups in their order. Insert: after them come all other index images with that label whose confidence
    and the query's add up to more than ``threshold``, the most confident first. The list is cut to k. A
    query whose label is -1 (or ``None``) keeps its plain ranking.

    The other arguments are those of ``soft_discriminative``.

    Returns:
        A ranking whose scores keep the order: the cosine, plus 4 for images of the query's label that were
        retrieved, and 2 plus the confidence for inserted ones.

    Raises:
        TypeError: If labels are neither integers nor names, or ``index_votes`` are not Votes.
        ValueError: If shapes do not fit, the index is empty, or a value is out of range.

    Examples:
        >>> train, labels, query = np.eye(2), [7, 9], np.array([[0.8, 0.6]])
        >>> index = np.array([[0.6, 0.8], [0.8, -0.6]])  # the first is nearer, the second has query's label
        >>> lz.rerank.hard_discriminative(query, index, train, labels, neighbors=1).indices
        array([[1, 0]])
    """
    threshold = check_number(threshold, "threshold")
    query, index, train = descriptors_of(query), descriptors_of(index), descriptors_of(train)
    plain = search(query, index, k, device=device)
    of_query, of_index = _votes(query, index, train, train_labels, neighbors, index_votes, device)
    indices, scores = plain.indices.copy(), plain.scores.copy()
    with_label = _by_label(of_index)
    width = indices.shape[1]
    for row, label in enumerate(of_query.labels.tolist()):
        if label == -1:
            continue
        # The most confident ones are enough: at most `width` are inserted, and as many were retrieved before.
        same = with_label.get(label, np.empty(0, np.int64))[: 2 * width]
        sure = same[of_index.confidence[same] + of_query.confidence[row] > threshold]
        indices[row], scores[row] = _reorder(plain.indices[row], plain.scores[row], label, of_index, sure)
    return Ranking(indices, scores, plain.query_ids, plain.index_ids)


def _votes(
    query: Vectors,
    index: Vectors,
    train: Vectors,
    train_labels: Labels,
    neighbors: int,
    index_votes: Votes | None,
    device: str | torch.device | None,
) -> tuple[Votes, Votes]:
    """Votes of the queries and of the index, both with integer labels."""
    check_comparable(query, train, "query", "train")
    labels, names = encode_labels(train_labels, len(train), "train_labels")
    of_query = vote(query, train, labels, neighbors, device=device)
    if index_votes is None:
        return of_query, vote(index, train, labels, neighbors, device=device)
    if not isinstance(index_votes, Votes):
        raise TypeError(
            f"index_votes must be what vote(index, train, ...) gave, got {type(index_votes).__name__}"
        )
    needed = (len(index), of_query.neighbors.shape[1])
    if index_votes.neighbors.shape != needed:
        came = "{} images and {} neighbors".format(*index_votes.neighbors.shape)
        raise ValueError(f"index_votes are of {came}, needed are {needed[0]} and {needed[1]}")
    known = encode_known(index_votes.labels, names, "index_votes")
    return of_query, dataclasses.replace(index_votes, labels=known)


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

    query_labels: IntArray
    index_labels: IntArray
    same: NDArray[np.float64]
    other: NDArray[np.float64]

    @property
    def largest(self) -> float:
        return float(max(np.abs(self.same).max(), np.abs(self.other).max()))

    def block(self, queries: IntArray, index: slice, device: torch.device) -> Tensor:
        rows = torch.arange(index.start, index.stop, device="cpu")
        labels = torch.from_numpy(self.query_labels[queries])
        return self._of(sent(labels[:, None], device), rows, torch.float32, device)

    def pairs(self, queries: IntArray, index: Tensor) -> Tensor:
        labels = torch.from_numpy(self.query_labels[queries])
        return self._of(labels[:, None], index, torch.float64, torch.device("cpu"))

    def _of(self, query_labels: Tensor, rows: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
        labels = sent(torch.from_numpy(self.index_labels)[rows], device)
        same = sent(torch.from_numpy(self.same)[rows].to(dtype), device)
        other = sent(torch.from_numpy(self.other)[rows].to(dtype), device)
        known = (labels != -1) & (query_labels != -1)
        return torch.where(labels == query_labels, same, other) * known


def _by_label(votes: Votes) -> dict[int, IntArray]:
    """Images of each label, the most confident first, ties by the smaller row."""
    order = np.lexsort((np.arange(len(votes)), -votes.confidence, votes.labels))
    labels, starts = np.unique(votes.labels[order], return_index=True)
    return dict(zip(labels.tolist(), np.split(order, starts[1:])))


def _reorder(
    retrieved: IntArray, cosines: FloatArray, label: int, votes: Votes, sure: IntArray
) -> tuple[IntArray, NDArray[np.floating]]:
    """One row (k,): retrieved images of the label, inserted ones, the other retrieved ones."""
    positive = votes.labels[retrieved] == label
    inserted = sure[~np.isin(sure, retrieved)]
    indices = np.concatenate([retrieved[positive], inserted, retrieved[~positive]])
    scores = [cosines[positive] + 4, votes.confidence[inserted] + 2, cosines[~positive]]
    return indices[: len(retrieved)], np.concatenate(scores)[: len(retrieved)]
