"""What a ranking is worth, in a line or two: how many queries are right, and their average precision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from landmarkzoo.metrics import mean_average_precision
from landmarkzoo.retrieval import Ranking

Labels = tuple[Sequence[str | None], Sequence[str | None]]


def summary(ranking: Ranking, labels: Labels | None) -> list[str]:
    """Lines of text about all queries.

    Args:
        ranking: The ranking.
        labels: Landmarks of the queries and of the index photos, ``None`` for none.

    Raises:
        ValueError: If there are not as many labels as queries and photos.

    Examples:
        >>> ranking = lz.Ranking([[0, 1], [1, 0]], [[0.9, 0.1], [0.8, 0.2]], ["q", "r"], ["a", "b"])
        >>> print(*summary(ranking, (["tower", None], ["tower", "gate"])), sep=chr(10))
        2 queries, 2 photos
        1 of 1 queries with a landmark: the first result is right (100%)
        mAP@2 1.000
    """
    count, k = ranking.indices.shape
    photos = count if ranking.index_ids is None else len(ranking.index_ids)
    lines = [f"{count:,} queries, {photos:,} photos"]
    if labels is None:
        return lines
    if (len(labels[0]), len(labels[1])) != (count, photos):
        raise ValueError(
            f"labels must be of the {count} queries and of the {photos} photos of the index, got "
            f"{len(labels[0])} and {len(labels[1])}"
        )
    first = [right for row in range(count) if (right := _first_is_right(ranking, labels, row)) is not None]
    if not first:
        return [*lines, "no query with a landmark"]
    share = 100 * sum(first) / len(first)
    lines.append(
        f"{sum(first):,} of {len(first):,} queries with a landmark: the first result is right ({share:.0f}%)"
    )
    relevant = _relevant(ranking, labels)
    if any(len(rows) for rows in relevant):
        score = float(mean_average_precision(ranking.indices, relevant, k=k, skip_empty=True))
        some = sum(1 for rows in relevant if len(rows))
        of = "" if some == len(first) else f" of the {some:,} queries whose landmark is in the index"
        lines.append(f"mAP@{k} {score:.3f}{of}")
    return lines


def _first_is_right(ranking: Ranking, labels: Labels | None, row: int) -> bool | None:
    """Whether the first result shows the landmark of the query; ``None`` for a query without one."""
    if labels is None or labels[0][row] is None:
        return None
    first = ranking.indices[row, :1]
    return bool(len(first)) and first[0] >= 0 and labels[1][first[0]] == labels[0][row]


def _relevant(ranking: Ranking, labels: Labels) -> list[np.ndarray]:
    """Index photos of each query's landmark; without the query, where a search left it out."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for image, label in enumerate(labels[1]):
        if label is not None:
            rows_of[label].append(image)
    arrays = {label: np.array(rows) for label, rows in rows_of.items()}
    own = {} if ranking.index_ids is None else {id_: i for i, id_ in enumerate(ranking.index_ids)}
    relevant = []
    for row, label in enumerate(labels[0]):
        rows = arrays.get(label, np.empty(0, int)) if label is not None else np.empty(0, int)
        query = -1 if ranking.query_ids is None else own.get(ranking.query_ids[row], -1)
        if query >= 0 and query not in ranking.indices[row]:
            rows = rows[rows != query]
        relevant.append(rows)
    return relevant
