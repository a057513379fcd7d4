"""Revisited Oxford and Paris: mAP and mP@k, each for easy, medium and hard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from landmarkzoo.datasets import RevisitedOxford, RevisitedParis
from landmarkzoo.evaluation.dataset_evaluation import EmbedFn, evaluate_dataset
from landmarkzoo.evaluation.evaluation_result import (
    Evaluation,
    evaluation_of_means,
    join_clauses,
    with_provenance,
)
from landmarkzoo.metrics import revisited_values
from landmarkzoo.metrics.ground_truth import FloatValues
from landmarkzoo.metrics.revisited_metrics import as_kinds
from landmarkzoo.retrieval import Descriptors, Ranking, search
from landmarkzoo.retrieval.descriptors import Vectors, as_vectors, descriptors_of
from landmarkzoo.retrieval.exact_search import ids_of

_BLOCK_RESULTS = 2**23  # of rankings at a time: 96 MiB

_HOW = {
    "easy": "easy images are relevant, hard and junk images are taken out",
    "medium": "easy and hard images are relevant, junk images are taken out",
    "hard": "hard images are relevant, easy and junk images are taken out",
}


def score_revisited(
    ranking: Ranking,
    gnd: Sequence[Mapping[str, Any]],
    *,
    ks: Sequence[int] = (1, 5, 10),
    data: str = "",
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Score a full ranking of any search or re-ranking by the Revisited protocol.

    The metrics are ``"easy mAP"``, ``"easy mP@1"`` and so on, as defined by
    [Radenovic et al. 2018](https://arxiv.org/abs/1803.11285) and ``landmarkzoo.metrics.revisited``. A
    set-up for which no query has positives is left out.

    Args:
        ranking: The whole index for each query, a row a query.
        gnd: For each query a dictionary with index rows ``easy``, ``hard`` and ``junk``.
        ks: Depths k of the precisions mP@k.
        data: What was searched and how, for the protocol.
        resamples: Resamples of the bootstrap over queries.
        seed: Its seed.

    Raises:
        TypeError: If ``ranking`` is not a Ranking, or an entry of ``gnd`` is not a dictionary of integers.
        ValueError: If shapes do not fit, the ranking does not hold the whole index, or no query has
            positives.
    """
    if not isinstance(ranking, Ranking):
        raise TypeError(
            f"ranking must be a Ranking, got {type(ranking).__name__}: pass what a search gave, not its "
            "indices, or lz.Ranking(indices, scores)"
        )
    width = ranking.indices.shape[1]
    if ranking.index_ids is not None and width < len(ranking.index_ids):
        raise ValueError(
            f"the protocol ranks the whole index of {len(ranking.index_ids)} images, the ranking has {width} "
            f"results a query: search with k={len(ranking.index_ids)}"
        )
    values = revisited_values(ranking, gnd, ks=ks)
    return _evaluation(values, ranking.query_ids, data, resamples, seed)


def _evaluation(
    setups: Mapping[str, Mapping[str, FloatValues]],
    query_ids: list[str] | None,
    data: str,
    resamples: int,
    seed: int,
) -> Evaluation:
    """From what ``revisited_values`` gave to the evaluation."""
    per_query: dict[str, FloatValues] = {}
    protocols: dict[str, str] = {}
    for setup, values in setups.items():
        asked, queries = int((~np.isnan(values["ap"])).sum()), len(values["ap"])
        if asked == 0:
            continue
        for name, column in values.items():
            metric = f"{setup} m{name}".replace("map", "mAP").replace("mp@", "mP@")
            per_query[metric] = column
            protocols[metric] = join_clauses(
                data, "Revisited protocol", _HOW[setup], f"{asked} of {queries} queries have positives"
            )
    if not per_query:
        raise ValueError("nothing can be scored: no query has an easy or hard image")
    return evaluation_of_means(per_query, protocols, query_ids, resamples=resamples, seed=seed)


def evaluate_revisited(
    queries: Vectors,
    index: Vectors,
    gnd: Sequence[Mapping[str, Any]],
    *,
    ks: Sequence[int] = (1, 5, 10),
    data: str = "",
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Rank the whole index by cosine, and score it by the Revisited protocol.

    Queries go through in blocks, so that rankings of the whole index are held for a few of them at a time.
    The query photos must be cropped to ``bbx`` before they are embedded. See
    [Radenovic et al. 2018](https://arxiv.org/abs/1803.11285).

    Args:
        queries: Descriptors or an array (Q, D).
        index: Descriptors or an array (N, D), in the order that ``gnd`` refers to.
        gnd: For each query a dictionary with index rows ``easy``, ``hard`` and ``junk``.
        ks: Depths k of the precisions mP@k.
        data: Name of the data, for the protocol.
        resamples: Resamples of the bootstrap over queries.
        seed: Its seed.

    Raises:
        TypeError: If an entry of ``gnd`` is not a dictionary of integers.
        ValueError: If shapes do not fit, ``gnd`` names rows that the index does not have, or no query has
            positives.

    Examples:
        >>> gnd = [{"easy": [0], "hard": [1], "junk": [2]}]
        >>> result = lz.evaluation.evaluate_revisited(np.eye(3)[:1], np.eye(3), gnd)
        >>> result["easy mAP"], result["hard mP@10"]
        (1.0, 1.0)
    """
    queries, index = descriptors_of(queries), descriptors_of(index)
    asking: Any = queries
    if not isinstance(index, Descriptors):
        index = as_vectors(index, "index")  # once, not for each block
    images = len(index)
    if len(queries) == 0:
        raise ValueError("there are no queries: nothing can be scored")
    if len(gnd) != len(queries):
        raise ValueError(f"got {len(gnd)} entries of gnd for {len(queries)} queries: one for each is needed")
    for query, kinds in enumerate(as_kinds(gnd)):
        for kind, rows in kinds.items():
            if rows and max(rows) >= images:
                raise ValueError(
                    f"gnd[{query}] names the {kind} image {max(rows)}, but the index has only {images} "
                    "images: is it complete, and in the order of gnd?"
                )
    step = max(1, _BLOCK_RESULTS // max(images, 1))
    blocks = [slice(start, start + step) for start in range(0, len(gnd), step)]
    parts = [
        revisited_values(search(asking[block], index, k=max(images, 1)), gnd[block], ks=ks)
        for block in blocks
    ]
    values = {
        setup: {name: np.concatenate([part[setup][name] for part in parts]) for name in parts[0][setup]}
        for setup in parts[0]
    }
    data = join_clauses(data, f"exact cosine search among {images} images")
    result = _evaluation(values, ids_of(queries), data, resamples, seed)
    return with_provenance(result, queries)


_OVERLAP = "the clean landmarks of GLDv2 overlap those of {} of the 70 queries"


@evaluate_dataset.register(RevisitedOxford)
def _oxford(dataset: RevisitedOxford, embed_fn: EmbedFn, *, resamples: int, seed: int) -> Evaluation:
    return _revisited(dataset, embed_fn, f"Revisited Oxford, {_OVERLAP.format(36)}", resamples, seed)


@evaluate_dataset.register(RevisitedParis)
def _paris(dataset: RevisitedParis, embed_fn: EmbedFn, *, resamples: int, seed: int) -> Evaluation:
    return _revisited(dataset, embed_fn, f"Revisited Paris, {_OVERLAP.format(38)}", resamples, seed)


def _revisited(
    dataset: RevisitedOxford | RevisitedParis, embed_fn: EmbedFn, data: str, resamples: int, seed: int
) -> Evaluation:
    queries, index = embed_fn(dataset.queries), embed_fn(dataset.index)
    return evaluate_revisited(queries, index, dataset.gnd, data=data, resamples=resamples, seed=seed)
