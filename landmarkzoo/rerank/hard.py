"""Hard discriminative re-ranking (Ozaki and Yokoo 2019, section 4.3)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from landmarkzoo._utils.checks import FloatArray, IntArray, Labels
from landmarkzoo.rerank.voting import Votes, check_votes, vote
from landmarkzoo.retrieval.descriptors import Vectors
from landmarkzoo.retrieval.exact_search import search
from landmarkzoo.retrieval.ranking import Ranking


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

    Query and index images are labelled by :func:`vote`. Sort: of the k nearest images those with the query's
    label come first, both groups in their order. Insert: after them come all other index images with that
    label whose confidence and the query's add up to more than the threshold, the most confident first. The
    list is cut to k. A query whose label is -1 keeps its plain ranking.

    Args:
        query: Descriptors or an array (Q, D).
        index: Descriptors or an array (N, D).
        train: Descriptors or an array (T, D) of labelled images.
        train_labels: Integers (T,), -1 for no landmark.
        k: How many come back; ``min(k, N)``.
        threshold: What the two confidences must exceed together.
        neighbors: Train images that vote.
        index_votes: Votes of the index images, where they stand already.
        device: Where the products are computed; the CPU unless told otherwise.

    Returns:
        A ranking whose scores keep the order: the cosine, plus 4 for images of the query's label that were
        retrieved, and 2 plus the confidence for inserted ones.

    Raises:
        ValueError: If shapes do not fit, the index is empty, or a value is out of range.

    Examples:
        >>> train, labels, query = np.eye(2), [7, 9], np.array([[0.8, 0.6]])
        >>> index = np.array([[0.6, 0.8], [0.8, -0.6]])  # the first is nearer, the second has label 7 as well
        >>> lz.rerank.hard_discriminative(query, index, train, labels, neighbors=1).indices
        array([[1, 0]])
    """
    if not np.isfinite(threshold):
        raise ValueError(f"threshold must be finite, got {threshold}")
    plain = search(query, index, k, device=device)
    query_votes = vote(query, train, train_labels, neighbors, device=device)
    if index_votes is None:
        index_votes = vote(index, train, train_labels, neighbors, device=device)
    check_votes(index_votes, len(index), query_votes.neighbors.shape[1])
    indices, scores = plain.indices.copy(), plain.scores.copy()
    with_label = _by_label(index_votes)
    for row, label in enumerate(query_votes.labels.tolist()):
        if label == -1:
            continue
        same = with_label.get(label, np.empty(0, np.int64))
        sure = same[index_votes.confidence[same] + query_votes.confidence[row] > threshold]
        indices[row], scores[row] = _reorder(plain.indices[row], plain.scores[row], label, index_votes, sure)
    return Ranking(indices, scores, plain.query_ids, plain.index_ids)


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
