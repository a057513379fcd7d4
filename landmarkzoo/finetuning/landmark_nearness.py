"""How near photos are to their own landmark, to others and to none: means and votes of other photos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from landmarkzoo._utils.checks import FloatArray, IntArray, unit
from landmarkzoo.retrieval.exact_search import search_others

_VOTERS = 10
_COSINES = 2**24  # at a time

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Nearness:
    """Where each photo lies among the landmarks.

    Attributes:
        own: How near (N,) it is to its landmark; NaN if no other photo has it.
        other: How near (N,) to the nearest other landmark; NaN if there is none.
        likelier: That landmark (N,); its own where there is no other.
        stranger: How near (N,) to the photos of no landmark; NaN if there are none.
    """

    own: Floats
    other: Floats
    likelier: IntArray
    stranger: Floats

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Whether own and other are known (N,)."""
        return ~np.isnan(self.own) & ~np.isnan(self.other)

    @property
    def typical(self) -> float:
        """How much nearer photos usually are to their own landmark: the median; NaN if nothing is known."""
        return float(np.median((self.own - self.other)[self.judged])) if self.judged.any() else float("nan")

    @property
    def usual_other(self) -> float:
        """How near photos usually are to the nearest other landmark: the median; NaN if nothing is known."""
        return float(np.median(self.other[self.judged])) if self.judged.any() else float("nan")


def nearness_to_landmarks(
    vectors: FloatArray,
    labels: IntArray,
    classes: int,
    *,
    alike: Iterable[tuple[int, int]] = (),
    strangers: FloatArray | None = None,
    progress: bool = False,
) -> Nearness:
    """How near photos are to landmarks: the cosine to the mean descriptor, plus votes.

    The ten nearest photos vote for their landmark with a tenth of their cosine, if that is positive. A photo
    counts nowhere for itself, and neither do those that are nearly the same: a wrong label that a copy
    shares is still seen, and a copy in another landmark makes no label wrong. Photos of no landmark are one
    landmark more. Among equally near landmarks the first counts.

    Args:
        vectors: Descriptors (N, D).
        labels: Label (N,) of each, 0 to ``classes`` - 1.
        classes: Number C of labels; each has a photo.
        alike: Pairs of rows that are nearly the same.
        strangers: Descriptors (M, D) of photos of no landmark.
        progress: Show a bar on stderr where the search for neighbours takes long.

    Examples:
        >>> from landmarkzoo.finetuning.landmark_nearness import nearness_to_landmarks
        >>> x = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], np.float32)
        >>> found = nearness_to_landmarks(x, np.array([0, 0, 1, 1, 0]), classes=2)
        >>> found.own.round(1), found.other.round(1), found.likelier
        (array([0.8, 0.8, 1.1, 1.1, 0. ]), array([0. , 0. , 0.5, 0.5, 1.2]), array([1, 1, 0, 0, 1]))
    """
    count, copies = len(vectors), _copies_of(alike)
    if strangers is not None:
        vectors = np.concatenate([vectors, strangers])
        labels = np.concatenate([labels, np.full(len(strangers), classes)])
    total = classes + (strangers is not None)
    x = unit(vectors)  # (N + M, D)
    sums, counts = np.zeros((total, x.shape[1])), np.bincount(labels, minlength=total)
    np.add.at(sums, labels, x)
    votes = _Votes(vectors, labels, count, copies, progress)
    own, other, stranger = np.full((3, count), np.nan)
    found = Nearness(own, other, labels[:count].copy(), stranger)
    means = _means(sums)
    step = max(1, _COSINES // max(x.shape[1], total))
    for start in range(0, count, step):
        rows = np.arange(start, min(start + step, count))
        cosines = x[rows] @ means.T  # (n, C)
        rest = _means(sums[labels[rows]] - x[rows])
        cosines[np.arange(len(rows)), labels[rows]] = np.einsum("nd,nd->n", x[rows], rest)
        there = np.ones_like(cosines, bool)
        there[np.arange(len(rows)), labels[rows]] = counts[labels[rows]] > 1
        _judge(found, rows, cosines + votes.of(rows, total), there, labels, classes)
    for row, others in copies.items():
        gone = np.array([row, *sorted(others)])
        of_these, place = np.unique(labels[gone], return_inverse=True)
        left, number = sums[of_these], counts.copy()
        np.subtract.at(left, place, x[gone])
        np.subtract.at(number, labels[gone], 1)
        rows = np.array([row])
        cosines = x[rows] @ means.T
        cosines[0, of_these] = _means(left) @ x[row]
        _judge(found, rows, cosines + votes.of(rows, total), (number > 0)[None], labels, classes)
    return found


class _Votes:
    """Neighbours of the first rows, without copies.

    Args:
        vectors: Descriptors (N + M, D).
        labels: Their labels (N + M,).
        count: N.
        copies: Rows that are nearly the same as a row.
        progress: Whether to show a bar.
    """

    def __init__(
        self,
        vectors: FloatArray,
        labels: IntArray,
        count: int,
        copies: Mapping[int, set[int]],
        progress: bool,
    ) -> None:
        k = max(1, min(_VOTERS, len(vectors) - 1))
        ranking = search_others(vectors, k, rows=np.arange(count), progress=progress)
        self.labels = labels[ranking.indices]  # (N, k)
        self.weights = np.maximum(ranking.scores.astype(np.float64), 0) / _VOTERS
        self.weights[ranking.indices < 0] = 0
        for row, others in copies.items():
            self.weights[row, np.isin(ranking.indices[row], list(others))] = 0

    def of(self, rows: IntArray, classes: int) -> Floats:
        """Votes (n, C) for the landmarks."""
        votes = np.zeros((len(rows), classes))
        np.add.at(votes, (np.arange(len(rows))[:, None], self.labels[rows]), self.weights[rows])
        return votes


def _judge(
    found: Nearness,
    rows: IntArray,
    near: Floats,
    there: NDArray[np.bool_],
    labels: IntArray,
    classes: int,
) -> None:
    """Note how near (n, C) some rows are to landmarks that have other photos."""
    place = np.arange(len(rows))
    near = np.where(there, near, np.nan)
    found.own[rows] = near[place, labels[rows]]
    if near.shape[1] > classes:
        found.stranger[rows] = near[:, classes]
    others = np.where(np.isnan(near[:, :classes]), -np.inf, near[:, :classes])
    others[place, labels[rows]] = -np.inf
    best = others.argmax(axis=1)
    known = np.isfinite(others[place, best])
    found.other[rows] = np.where(known, others[place, best], np.nan)
    found.likelier[rows] = np.where(known, best, labels[rows])


def _means(sums: Floats) -> Floats:
    """Sums (n, D) at length 1; what is zero but for rounding becomes zero."""
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(lengths > 1e-9, sums / np.maximum(lengths, 1e-9), 0.0)


def _copies_of(alike: Iterable[tuple[int, int]]) -> Mapping[int, set[int]]:
    copies: defaultdict[int, set[int]] = defaultdict(set)
    for one, another in alike:
        copies[one].add(another)
        copies[another].add(one)
    return copies
