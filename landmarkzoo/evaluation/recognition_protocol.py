"""Recognition: predicted labels with scores against the true ones, GAP."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from landmarkzoo._utils.checks import Labels
from landmarkzoo.evaluation.evaluation_result import Evaluation, join_clauses, with_provenance
from landmarkzoo.metrics import Score, bootstrap, gap_statistic, per_image_gap
from landmarkzoo.metrics.ground_truth import Scores, Truth
from landmarkzoo.rerank import vote
from landmarkzoo.retrieval.descriptors import Vectors, descriptors_of
from landmarkzoo.retrieval.exact_search import ids_of


def score_recognition(
    labels: Labels,
    scores: Scores,
    truth: Truth,
    *,
    ids: Sequence[str] | None = None,
    data: str = "",
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Score the predictions of any recogniser by GAP; images without landmark count.

    GAP is the metric of Google Landmark Recognition
    ([Weyand et al. 2020](https://arxiv.org/abs/2004.01804)), called micro-AP there. For the interval images
    are resampled and GAP is computed anew. The values of the images are those of
    ``landmarkzoo.metrics.per_image_gap``.

    Args:
        labels: Predicted label (N,) of each image: integers, -1 for no prediction, or names, ``None`` for no
            prediction.
        scores: Score (N,) of each prediction.
        truth: True labels of each image, integers or names as the predictions are; empty for an image
            without landmark.
        ids: Ids (N,) of the images; predictions of equal score are sorted by them.
        data: What was recognised and how, for the protocol.
        resamples: Resamples of the bootstrap over images.
        seed: Its seed.

    Raises:
        TypeError: If labels are neither integers nor names, or an entry of ``truth`` is not a collection of
            the same.
        ValueError: If lengths differ, a score is NaN, or no image has a landmark.

    Examples:
        >>> result = lz.evaluation.score_recognition([3, 4], [0.9, 0.8], [[3], []])
        >>> result["GAP"], result.per_query["GAP"]
        (1.0, array([ 1., nan]))
    """
    ids = None if ids is None else list(ids)
    terms = per_image_gap(labels, scores, truth, ids=ids)
    interval = bootstrap(
        gap_statistic(labels, scores, truth, ids=ids), len(terms), resamples=resamples, seed=seed
    )
    empty = int(np.isnan(terms).sum())
    counts = f"{len(terms) - empty} images with a landmark and {empty} without, whose predictions count"
    names = [str(i) for i in range(len(terms))] if ids is None else [str(id_) for id_ in ids]
    score = Score("GAP", interval.value, join_clauses(data, counts))
    return Evaluation((score,), {"GAP": interval}, {"GAP": terms}, names)


def evaluate_recognition(
    queries: Vectors,
    train: Vectors,
    train_labels: Labels,
    truth: Truth,
    *,
    neighbors: int = 3,
    data: str = "",
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Label queries by the vote of their nearest train photos, and score it: GAP.

    Args:
        queries: Descriptors or an array (Q, D).
        train: Descriptors or an array (T, D).
        train_labels: Labels (T,) of the train photos: integers, -1 for no landmark, or names, ``None`` for no
            landmark.
        truth: True labels of each query, integers or names as the train labels are; empty for a photo
            without landmark.
        neighbors: How many train photos vote.
        data: Name of the data, for the protocol.
        resamples: Resamples of the bootstrap over queries.
        seed: Its seed.

    Raises:
        TypeError: If labels are neither integers nor names, or an entry of ``truth`` is not a collection of
            the same.
        ValueError: If shapes do not fit, the train set is empty, or no query has a landmark.

    Examples:
        >>> labels = ["Big Ben", "Old Town"]
        >>> result = lz.evaluation.evaluate_recognition(np.eye(2), np.eye(2), labels, [["Big Ben"], []])
        >>> result["GAP"]
        1.0
    """
    queries, train = descriptors_of(queries), descriptors_of(train)
    votes = vote(queries, train, train_labels, neighbors)
    how = f"vote of the {neighbors} nearest of {len(train)} train photos"
    result = score_recognition(
        votes.labels,
        votes.confidence,
        truth,
        ids=ids_of(queries),
        data=join_clauses(data, how),
        resamples=resamples,
        seed=seed,
    )
    return with_provenance(result, queries)
