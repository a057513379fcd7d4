"""Photos that should not be trained on as they are, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from landmarkzoo._utils.checks import FloatArray, IntArray
from landmarkzoo._utils.csv_and_pandas import write_csv
from landmarkzoo._utils.user_warnings import warn_user
from landmarkzoo.finetuning.landmark_nearness import Floats, Nearness, nearness_to_landmarks
from landmarkzoo.index.near_duplicates import similar_pairs
from landmarkzoo.retrieval.exact_search import search_others
from landmarkzoo.retrieval.stored_vectors import StoredVectors

_EXAMPLES = 3
_ASKED = 2000  # photos at most that say how near neighbours usually are

Reason = Literal["duplicate elsewhere", "no landmark", "wrong label", "duplicate"]


class Suspicion(NamedTuple):
    """A photo and what is wrong with it.

    Attributes:
        id: The photo.
        reason: ``"duplicate elsewhere"``, ``"no landmark"``, ``"wrong label"`` or ``"duplicate"``.
        label: Its landmark.
        likelier: The landmark that it seems to show; "" if there is none.
        score: How sure that is. Of labels and landmarks: in units of how much nearer photos usually are to
            their own landmark than to another. Of duplicates: the cosine.
        other: The photo that it is a duplicate of, and which fits its landmark better; "" if it is none.
    """

    id: str
    reason: Reason
    label: str
    likelier: str
    score: float
    other: str


@dataclass(frozen=True)
class Suspicions:
    """What ``suspicious_photos`` found: each photo once, with the first of its reasons, the surest first.

    ``found[0]`` and ``for one in found`` give a ``Suspicion``.

    Attributes:
        rows: The photos, by reason, then by score.
        photos: How many were looked at.
        landmarks: How many landmarks they have.
        examples: A few photos of each landmark that is named in ``rows``, which show it best.
        unjudged: Photos whose label cannot be judged, as no other photo has it.
        skipped: Photos that could not be read, with the reason.
    """

    rows: list[Suspicion]
    photos: int
    landmarks: int
    examples: dict[str, list[str]] = field(default_factory=dict)
    unjudged: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """The photos, for ``lz.finetune(..., exclude=found.ids)``."""
        return [row.id for row in self.rows]

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each reason."""
        of_reason = Counter(row.reason for row in self.rows)
        return {reason: of_reason[reason] for reason in get_args(Reason)}

    def to_csv(self, path: str | Path) -> None:
        """Write ``id,reason,label,likelier,score,other``, which ``landmarkzoo finetune --exclude`` takes.

        Raises:
            FileNotFoundError: If the folder does not exist.
        """
        lines = (row._replace(score=f"{row.score:.4f}") for row in self.rows)  # type: ignore[arg-type]
        write_csv(path, Suspicion._fields, lines)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Suspicion]:
        return iter(self.rows)

    def __getitem__(self, row: int) -> Suspicion:
        return self.rows[row]

    def __repr__(self) -> str:
        return f"Suspicions({len(self)} of {self.photos} photos)"


def suspicions_of(
    ids: Sequence[str],
    vectors: FloatArray,
    labels: IntArray,
    classes: Sequence[str],
    *,
    threshold: float,
    duplicates: float | None,
    non_landmark: FloatArray | None = None,
    progress: bool = False,
) -> Suspicions:
    """Suspicious photos by their descriptors; see ``suspicious_photos`` for what they are.

    Args:
        ids: Id (N,) of each photo.
        vectors: Its descriptor (N, D).
        labels: Its label (N,), a row of ``classes``.
        classes: Names of the labels.
        threshold: Score from which a label is wrong.
        duplicates: Cosine from which two photos are nearly the same; ``None``: half way from the one that
            photos usually have to their nearest neighbour to 1.
        non_landmark: Descriptors (M, D) of photos that show no landmark.
        progress: Show a bar on stderr where all pairs take long.
    """
    if duplicates is None:
        duplicates = _half_way_to_the_same(vectors)
    one, another, cosines = similar_pairs(StoredVectors([vectors], [None]), duplicates, progress)
    pairs = list(zip(one.tolist(), another.tolist()))
    found = nearness_to_landmarks(
        vectors, labels, len(classes), alike=pairs, strangers=non_landmark, progress=progress
    )
    stranger, scores = _scores(found)
    rows: dict[int, Suspicion] = {}

    def add(row: int, reason: Reason, likelier: str, score: float, other: str) -> None:
        rows.setdefault(row, Suspicion(ids[row], reason, classes[labels[row]], likelier, float(score), other))

    copies = _worse_copies(pairs, cosines.tolist(), found)
    for row, kept, cosine in copies:
        if labels[row] != labels[kept]:
            add(row, "duplicate elsewhere", classes[labels[kept]], cosine, ids[kept])
    for row in _sure_first(stranger, 0.0):
        add(row, "no landmark", "", stranger[row], "")
    for row in _sure_first(scores, threshold):
        add(row, "wrong label", classes[found.likelier[row]], scores[row], "")
    for row, kept, cosine in copies:
        add(row, "duplicate", "", cosine, ids[kept])
    return Suspicions(
        list(rows.values()),
        len(ids),
        len(classes),
        _examples(rows, ids, labels, classes, found),
        [ids[row] for row in np.flatnonzero(np.bincount(labels)[labels] == 1).tolist()],
    )


def _half_way_to_the_same(vectors: FloatArray) -> float:
    if len(vectors) < 2:
        return 1.0
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), _ASKED)).round().astype(np.int64))
    usual = float(np.median(search_others(vectors, 1, rows=rows).scores))
    return min(1.0, (1 + usual) / 2)


def _scores(found: Nearness) -> tuple[Floats, Floats]:
    """How surely each photo shows no landmark (N,), and another one (N,); NaN where that is unknown."""
    if not found.typical > 0:
        if found.judged.any():
            warn_user(
                "most photos are no nearer to their own landmark than to another, so no label can be judged: "
                "take a model that tells these landmarks apart"
            )
        unknown = np.full(len(found.own), np.nan)
        return unknown, unknown
    best = np.maximum(found.own, found.other)
    nothing = np.where(np.isnan(found.stranger), found.usual_other, found.stranger)
    return (nothing - best) / found.typical, (found.other - found.own) / found.typical


def _sure_first(scores: Floats, threshold: float) -> list[int]:
    """Rows with a score above a threshold, largest first, ties by the row."""
    order = np.argsort(-scores, kind="stable")
    return [row for row in order.tolist() if scores[row] > threshold]


def _worse_copies(
    pairs: Iterable[tuple[int, int]], cosines: Sequence[float], found: Nearness
) -> list[tuple[int, int, float]]:
    """Of each pair the photo that fits its landmark less well, the one that is kept, and their cosine.

    All pairs are decided by one order, so that of several that are alike one is kept.
    """
    fits = np.nan_to_num(found.own) - np.nan_to_num(found.other)  # nothing else of its landmark: 0
    copies = []
    for (one, another), cosine in zip(pairs, cosines):
        kept, worse = (one, another) if fits[one] >= fits[another] else (another, one)
        copies.append((worse, kept, cosine))
    return copies


def _examples(
    listed: Mapping[int, Suspicion],
    ids: Sequence[str],
    labels: IntArray,
    classes: Sequence[str],
    found: Nearness,
) -> dict[str, list[str]]:
    """Of each landmark that is named, the photos nearest to its mean that are not listed."""
    named = {name for one in listed.values() for name in (one.label, one.likelier)}
    examples: dict[str, list[str]] = {name: [] for name in classes if name in named}
    for row in np.argsort(-np.nan_to_num(found.own), kind="stable").tolist():
        of_landmark = examples.get(classes[labels[row]])
        if of_landmark is not None and row not in listed and len(of_landmark) < _EXAMPLES:
            of_landmark.append(ids[row])
    return examples
