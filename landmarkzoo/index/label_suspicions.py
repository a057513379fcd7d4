"""Labels that the nearest photos contradict."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from landmarkzoo.retrieval.exact_search import search_others
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors, StoredVectors


def contradicted_labels(
    descriptors: StoredDescriptors, labels: NDArray[np.object_], neighbors: int, progress: bool = False
) -> list[tuple[str, str, str, float]]:
    """Photos whose neighbours have another label, the most suspicious first.

    Each of the nearest other photos that has a label votes for it with its cosine, if that is positive. The
    score of a photo is (votes for the label with most of them - votes for its own label) / neighbors, which
    is from 0 to 1: 1 if all neighbours are the same photo with the same other label.

    Args:
        descriptors: Those of an index.
        labels: Labels (N,); photos with ``None`` neither vote nor are suspicious.
        neighbors: How many vote.
        progress: Show a progress bar on stderr, if it takes more than two seconds.

    Returns:
        Id, label, likelier label and score of each photo with a score above 0; ties by the row.
    """
    rows = np.flatnonzero(np.array([label is not None for label in labels], bool))
    if len(rows) < 2:
        return []
    stored = descriptors.stored
    live = [
        of_part if len(rows) == len(stored) else _rows_of_part(stored, number, rows)
        for number, of_part in enumerate(stored.live)
    ]
    norms = None if stored.norms is None else stored.norms[rows]
    names = [descriptors.ids[row] for row in rows.tolist()]
    labelled = StoredDescriptors(names, StoredVectors(stored.parts, live, norms))
    ranking = search_others(labelled, min(neighbors, len(rows) - 1), progress=progress)
    found = []
    for place, (near, cosines) in enumerate(zip(ranking.indices.tolist(), ranking.scores.tolist())):
        votes: defaultdict[str, float] = defaultdict(float)
        for other, cosine in zip(near, cosines):
            if other >= 0:
                votes[labels[rows[other]]] += max(cosine, 0.0)
        own = labels[rows[place]]
        likelier = max(votes, key=lambda label: votes[label])  # of equal ones that of the nearest
        score = (votes[likelier] - votes[own]) / neighbors
        if score > 0:
            found.append((names[place], own, likelier, score))
    return sorted(found, key=lambda suspicion: -suspicion[3])


def _rows_of_part(stored: StoredVectors, number: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    begin, end = int(stored.starts[number]), int(stored.starts[number + 1])
    inside = rows[(rows >= begin) & (rows < end)] - begin
    live = stored.live[number]
    return inside if live is None else live[inside]
