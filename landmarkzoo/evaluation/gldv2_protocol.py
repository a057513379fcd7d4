"""Google Landmarks v2: the protocols of its retrieval and its recognition competition."""

from __future__ import annotations

import numpy as np
from torch.utils.data import Subset

from landmarkzoo.datasets import GLDv2
from landmarkzoo.evaluation.dataset_evaluation import EmbedFn, evaluate_dataset, rows_with_descriptor
from landmarkzoo.evaluation.evaluation_result import Evaluation, join_clauses, with_provenance
from landmarkzoo.evaluation.recognition_protocol import score_recognition
from landmarkzoo.evaluation.retrieval_protocol import rows_by_id, score_retrieval
from landmarkzoo.rerank import vote
from landmarkzoo.retrieval import Descriptors, Ranking, search


@evaluate_dataset.register(GLDv2)
def _gldv2(dataset: GLDv2, embed_fn: EmbedFn, *, resamples: int, seed: int) -> Evaluation:
    """Index: retrieval, the test photos are the queries. Test: recognition by the vote of GLDv2c."""
    if dataset.split not in ("index", "test"):
        raise ValueError(
            f"the split {dataset.split!r} is for training: evaluate on GLDv2(root, 'index') for retrieval, "
            "on GLDv2(root, 'test') for recognition"
        )
    test = dataset if dataset.split == "test" else GLDv2(dataset.root, "test")
    if dataset.split == "index":
        return _gldv2_retrieval(dataset, test, embed_fn, resamples, seed)
    return _gldv2_recognition(test, GLDv2(dataset.root, "clean"), embed_fn, resamples, seed)


def _gldv2_retrieval(index: GLDv2, test: GLDv2, embed_fn: EmbedFn, resamples: int, seed: int) -> Evaluation:
    if index.retrieval is None:
        raise ValueError(
            f"no retrieval_solution_v2.1.csv in {index.root}: without it there is nothing to compare with"
        )
    row = {id_: row for row, id_ in enumerate(test.ids)}
    solution = index.retrieval
    asked = [n for n, usage in enumerate(solution.usage) if usage != "Ignored"]
    query_ids = [solution.ids[n] for n in asked]
    queries = embed_fn(Subset(test, [row[id_] for id_ in query_ids]), allow_skipped=True)
    searched = embed_fn(index, allow_skipped=True)
    result = score_retrieval(
        _ranking_of_all(search(queries, searched, 100), query_ids, index.ids),
        rows_by_id(index.ids, [solution.truth[n] for n in asked]),
        data=join_clauses(
            "Google Landmarks v2 retrieval, solution v2.1, queries of usage Public and Private",
            _skipped(queries, "queries", "find nothing"),
            _skipped(searched, "index photos", "are never found"),
            f"exact cosine search among {len(searched)} images",
        ),
        resamples=resamples,
        seed=seed,
    )
    return with_provenance(result, queries)


def _ranking_of_all(ranking: Ranking, query_ids: list[str], index_ids: list[str]) -> Ranking:
    """The ranking with a row for each query and the row numbers of the whole index, skipped ones among them.

    A query that was skipped has no results.
    """
    if len(query_ids) == len(ranking) and len(index_ids) == len(ranking.index_ids or ()):
        return ranking
    query_row = {id_: row for row, id_ in enumerate(query_ids)}
    index_row = {id_: row for row, id_ in enumerate(index_ids)}
    rows = np.array([query_row[id_] for id_ in ranking.query_ids or ()], dtype=np.int64)
    columns = np.array([index_row[id_] for id_ in ranking.index_ids or ()], dtype=np.int64)
    shape = (len(query_ids), min(100, len(index_ids)))
    indices, scores = np.full(shape, -1), np.full(shape, -np.inf, dtype=np.float32)
    indices[rows, : ranking.indices.shape[1]] = columns[ranking.indices]
    scores[rows, : ranking.indices.shape[1]] = ranking.scores
    return Ranking(indices, scores, query_ids, index_ids)


def _gldv2_recognition(test: GLDv2, train: GLDv2, embed_fn: EmbedFn, resamples: int, seed: int) -> Evaluation:
    if test.truth is None or test.usage is None:
        raise ValueError(
            f"no recognition_solution_v2.1.csv in {test.root}: without it there is nothing to compare with"
        )
    asked = [n for n, usage in enumerate(test.usage) if usage != "Ignored"]
    query_ids = [test.ids[n] for n in asked]
    queries = embed_fn(Subset(test, asked), allow_skipped=True)
    voters = embed_fn(train, allow_skipped=True)
    landmarks = train.landmarks_of(train.targets[rows_with_descriptor(train.ids, voters)])
    votes = vote(queries, voters, landmarks)
    answered = rows_with_descriptor(query_ids, queries)
    labels, scores = np.full(len(asked), -1), np.zeros(len(asked))  # -1: no prediction
    labels[answered], scores[answered] = votes.labels, votes.confidence
    result = score_recognition(
        labels,
        scores,
        [test.truth[n] for n in asked],
        ids=query_ids,
        data=join_clauses(
            "Google Landmarks v2 recognition, solution v2.1, test images of usage Public and Private",
            _skipped(queries, "test images", "have no prediction"),
            _skipped(voters, "train photos", "do not vote"),
            f"vote of the 3 nearest of {len(voters)} train photos",
        ),
        resamples=resamples,
        seed=seed,
    )
    return with_provenance(result, queries)


def _skipped(descriptors: Descriptors, which: str, so: str) -> str:
    count = len(descriptors.skipped)
    return f"{count} {which} could not be read and {so}" if count else ""
