"""Retrieval: queries against an index; mAP@k, recall@k and hit rate@1."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from landmarkzoo._utils.checks import check_count
from landmarkzoo._utils.unicode_names import ByName
from landmarkzoo.evaluation.evaluation_result import (
    Evaluation,
    evaluation_of_means,
    join_clauses,
    with_provenance,
)
from landmarkzoo.metrics import average_precisions, hit_rate_at_k, recall_at_k
from landmarkzoo.retrieval import Descriptors, Ranking, search
from landmarkzoo.retrieval.descriptors import HasDescriptors, descriptors_of
from landmarkzoo.retrieval.row_selection import first_repeated


def score_retrieval(
    ranking: Ranking,
    relevant: Sequence[Collection[int]],
    *,
    k: int = 100,
    data: str = "",
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Score a ranking of any search or re-ranking: mAP@k, recall@k, hit rate@1.

    Queries without relevant image are left out; the protocol counts them.

    Args:
        ranking: Results of each query, a row a query.
        relevant: Index rows that are relevant for each query.
        k: Depth of mAP and recall.
        data: What was searched and how, for the protocol.
        resamples: Resamples of the bootstrap over queries.
        seed: Its seed.

    Raises:
        TypeError: If ``ranking`` is not a Ranking, or an entry of ``relevant`` not a collection of integers.
        ValueError: If shapes do not fit, the ranking has fewer than k results although the index has more,
            or no query has a relevant image.
    """
    if not isinstance(ranking, Ranking):
        raise TypeError(
            f"ranking must be a Ranking, got {type(ranking).__name__}: pass what a search gave, not its "
            "indices, or lz.Ranking(indices, scores)"
        )
    depth = check_count(k, "k")
    width = ranking.indices.shape[1]
    if ranking.index_ids is not None and width < min(depth, len(ranking.index_ids)):
        raise ValueError(
            f"the ranking has {width} results a query, k={depth} needs more: search with k={depth}"
        )
    per_query = {
        f"mAP@{depth}": average_precisions(ranking, relevant, k=depth),
        f"recall@{depth}": recall_at_k(ranking, relevant, depth),
        "hit rate@1": hit_rate_at_k(ranking, relevant, 1),
    }
    empty = int(np.isnan(per_query["hit rate@1"]).sum())
    if empty == len(ranking):
        raise ValueError("nothing can be scored: no query has a relevant image")
    protocol = join_clauses(
        data,
        f"{_queries(len(ranking) - empty)}, the first {depth} results of each",
        f"{_queries(empty, 'more ')} without relevant image left out" if empty else "",
    )
    protocols = dict.fromkeys(per_query, protocol)
    return evaluation_of_means(per_query, protocols, ranking.query_ids, resamples=resamples, seed=seed)


def _queries(count: int, more: str = "") -> str:
    return f"{count} {more}{'query' if count == 1 else 'queries'}"


def evaluate_retrieval(
    queries: Descriptors | HasDescriptors,
    index: Descriptors | HasDescriptors,
    relevant: Sequence[Collection[str]],
    *,
    k: int = 100,
    data: str = "",
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Search the index by cosine, and score it: mAP@k, recall@k, hit rate@1.

    mAP@100 is the metric of Google Landmark Retrieval
    ([Weyand et al. 2020](https://arxiv.org/abs/2004.01804)). A query that is in the index itself counts as
    any other result; ``evaluate_leave_one_out`` takes it out.

    Args:
        queries: Descriptors of the queries.
        index: Descriptors of the index.
        relevant: Ids of the index images that are relevant for each query, in the order of the queries; empty
            for a query that is left out.
        k: Depth of mAP and recall.
        data: Name of the data, for the protocol.
        resamples: Resamples of the bootstrap over queries.
        seed: Its seed.

    Raises:
        TypeError: If ``queries`` or ``index`` are not Descriptors.
        ValueError: If lengths do not fit, an id is not in the index or is in it twice, or no query has a
            relevant image.

    Examples:
        >>> index = lz.Descriptors(["a", "b", "c"], np.eye(3))
        >>> result = lz.evaluation.evaluate_retrieval(index[:2], index, [["a"], ["b", "a"]])
        >>> result["mAP@100"], result["hit rate@1"]
        (1.0, 1.0)
    """
    queries, index = _named(queries, "queries"), _named(index, "index")
    if len(relevant) != len(queries):
        raise ValueError(f"got {len(relevant)} entries of relevant for {len(queries)} queries")
    rows = rows_by_id(index.ids, relevant)
    ranking = search(queries, index, k=check_count(k, "k"))
    data = join_clauses(data, f"exact cosine search among {len(index)} images")
    result = score_retrieval(ranking, rows, k=k, data=data, resamples=resamples, seed=seed)
    return with_provenance(result, queries)


def _named(side: Descriptors | HasDescriptors, name: str) -> Descriptors:
    descriptors = descriptors_of(side)
    if not isinstance(descriptors, Descriptors):
        raise TypeError(
            f"{name} must be Descriptors, got {type(side).__name__}: lz.Descriptors(ids, vectors) gives "
            "vectors their ids"
        )
    return descriptors


def rows_by_id(index_ids: Sequence[str], relevant: Sequence[Collection[str]]) -> list[list[int]]:
    """Index rows of relevant ids; both Unicode forms of an id are one id.

    Args:
        index_ids: Ids of the index.
        relevant: Ids that are relevant for each query.

    Raises:
        TypeError: If an entry of ``relevant`` is a string.
        ValueError: If an id is not in the index, or the index has an id twice.

    Examples:
        >>> rows_by_id(["a", "b"], [["b"], []])
        [[1], []]
    """
    row_of = ByName({id_: row for row, id_ in enumerate(index_ids)})
    if (twice := first_repeated(index_ids)) is not None:
        raise ValueError(f"the index has the id {twice!r} more than once: each image needs an id of its own")
    for query, ids in enumerate(relevant):
        if isinstance(ids, (str, bytes)) or not isinstance(ids, Collection):
            raise TypeError(f"relevant[{query}] must be a collection of ids, got {ids!r}; one id is [id]")
    wanted = dict.fromkeys(id_ for ids in relevant for id_ in ids)
    missing = [id_ for id_ in wanted if id_ not in row_of]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(wanted)} relevant images are not in the index, the first is "
            f"{missing[0]!r}; index ids look like {index_ids[0]!r}"
        )
    return [[row_of[id_] for id_ in ids] for ids in relevant]
