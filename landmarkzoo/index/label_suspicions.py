"""Labels that the nearest photos, or a trained head, contradict."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from landmarkzoo.index.head_suspicions import KnownHead, Suspicion
from landmarkzoo.retrieval.exact_search import search_others
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors, StoredVectors


def suspicious_labels(
    descriptors: StoredDescriptors,
    labels: NDArray[np.object_],
    neighbors: int,
    head: KnownHead | None = None,
    progress: bool = False,
) -> list[tuple[str, str, str, float]]:
    """Photos that have another label by their neighbours or by a head, the most suspicious first.

    Args:
        descriptors: Those of an index.
        labels: Labels (N,); photos with ``None`` neither vote nor are suspicious.
        neighbors: How many vote.
        head: A head with the names of its classes.
        progress: Show progress bars on stderr, if it takes more than two seconds.

    Returns:
        Id, label, likelier label and score, each photo once, with the larger of two scores; ties by the row.
    """
    found = contradicted_by_neighbors(descriptors, labels, neighbors, progress)
    of_head = {} if head is None else head.contradicted(descriptors, labels, progress)
    for row, suspicion in of_head.items():
        if row not in found or suspicion.score > found[row].score:
            found[row] = suspicion
    worst_first = sorted(found.items(), key=lambda item: (-item[1].score, item[0]))
    return [(descriptors.ids[row], labels[row], likelier, score) for row, (likelier, score) in worst_first]


def contradicted_by_neighbors(
    descriptors: StoredDescriptors, labels: NDArray[np.object_], neighbors: int, progress: bool = False
) -> dict[int, Suspicion]:
    """Photos whose neighbours have another label, by their row.

    Each of the nearest other photos that has a label votes for it with its cosine, if that is positive. The
    score of a photo is (votes for the label with most of them - votes for its own label) / neighbors, which
    is from 0 to 1: 1 if all neighbours are the same photo with the same other label. Those with a score above
    0 are suspicious. See ``suspicious_labels`` for the arguments.
    """
    rows = np.flatnonzero(np.array([label is not None for label in labels], bool))
    if len(rows) < 2:
        return {}
    stored = descriptors.stored
    live = [
        of_part if len(rows) == len(stored) else _rows_of_part(stored, number, rows)
        for number, of_part in enumerate(stored.live)
    ]
    norms = None if stored.norms is None else stored.norms[rows]
    names = [descriptors.ids[row] for row in rows.tolist()]
    labelled = StoredDescriptors(names, StoredVectors(stored.parts, live, norms))
    ranking = search_others(labelled, min(neighbors, len(rows) - 1), progress=progress)
    found = {}
    for place, (near, cosines) in enumerate(zip(ranking.indices.tolist(), ranking.scores.tolist())):
        votes: defaultdict[str, float] = defaultdict(float)
        for other, cosine in zip(near, cosines):
            if other >= 0:
                votes[labels[rows[other]]] += max(cosine, 0.0)
        own = labels[rows[place]]
        likelier = max(votes, key=lambda label: votes[label])  # of equal ones that of the nearest
        score = (votes[likelier] - votes[own]) / neighbors
        if score > 0:
            found[int(rows[place])] = Suspicion(likelier, score)
    return found


def _rows_of_part(stored: StoredVectors, number: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    begin, end = int(stored.starts[number]), int(stored.starts[number + 1])
    inside = rows[(rows >= begin) & (rows < end)] - begin
    live = stored.live[number]
    return inside if live is None else live[inside]
