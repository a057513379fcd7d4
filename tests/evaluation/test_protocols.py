"""Descriptors in, scores out, each against loops over plain arrays."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz
from landmarkzoo import evaluation


def cosine_order(query, index):
    """All rows of the index, best first, ties by the smaller row."""
    query, index = query.astype(float), index.astype(float)
    unit = index / np.linalg.norm(index, axis=1, keepdims=True)
    return np.argsort(-(unit @ query).round(9), kind="stable").tolist()


def average_precision(ranked, relevant, k):
    found, total = 0, 0.0
    for place, row in enumerate(ranked[:k], 1):
        if row in relevant:
            found += 1
            total += found / place
    return total / min(len(relevant), k)


@given(st.integers(2, 14), st.integers(1, 20), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_leave_one_out_equals_a_slow_loop(n, k, seed):
    random = np.random.default_rng(seed)
    vectors = random.integers(-2, 3, (n, 3)) + 0.5  # copies among them
    labels = random.integers(-1, 4, n)
    precisions, recalls, hits, ids = [], [], [], []
    for row in range(n):
        relevant = [i for i in range(n) if i != row and labels[i] == labels[row] != -1]
        if relevant:
            ranked = [i for i in cosine_order(vectors[row], vectors) if i != row]
            precisions.append(average_precision(ranked, relevant, k))
            recalls.append(len(set(ranked[:k]) & set(relevant)) / len(relevant))
            hits.append(float(ranked[0] in relevant))
            ids.append(f"photo {row}")
    descriptors = lz.Descriptors([f"photo {row}" for row in range(n)], vectors)
    if not ids:
        with pytest.raises(ValueError, match="no two photos share a label"):
            evaluation.evaluate_leave_one_out(descriptors, labels, k=k)
        return
    result = evaluation.evaluate_leave_one_out(descriptors, labels, k=k, resamples=10)
    assert result.query_ids == ids
    np.testing.assert_allclose(result.per_query[f"mAP@{k}"], precisions)
    np.testing.assert_allclose(result.per_query[f"recall@{k}"], recalls)
    np.testing.assert_allclose(result.per_query["hit rate@1"], hits)
    assert result[f"mAP@{k}"] == pytest.approx(np.mean(precisions))
    assert result.intervals["hit rate@1"] == lz.metrics.bootstrap(hits, resamples=10)


def test_own_row_is_taken_out_even_behind_many_copies():
    vectors = np.repeat([[1.0, 0.0]], 8, axis=0)  # all rows tie: the last one stands behind all others
    result = evaluation.evaluate_leave_one_out(vectors, [0] * 6 + [1, 1], k=2)
    np.testing.assert_allclose(result.per_query["mAP@2"], [1, 1, 1, 1, 1, 1, 0, 0])
    assert result.query_ids == [str(row) for row in range(8)]


def test_photos_that_are_no_queries_are_counted_in_the_protocol():
    result = evaluation.evaluate_leave_one_out(np.eye(5), [0, 0, 1, -1, -1], data="five photos")
    assert result.scores[0].protocol == (
        "five photos; each photo by exact cosine against the 4 others; "
        "1 photo whose label no other photo has is in the index only; "
        "2 photos without label are in the index only; 2 queries, the first 100 results of each"
    )


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 10), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_retrieval_equals_a_slow_loop(q, n, k, seed):
    random = np.random.default_rng(seed)
    queries = lz.Descriptors([f"q{i}" for i in range(q)], random.integers(-2, 3, (q, 3)) + 0.5)
    index = lz.Descriptors([f"i{i}" for i in range(n)], random.integers(-2, 3, (n, 3)) + 0.5)
    rows = [random.integers(0, n, random.integers(0, 4)).tolist() for _ in range(q)]
    rows[0] = rows[0] or [0]
    relevant = [{f"i{i}" for i in truth} for truth in rows]
    result = evaluation.evaluate_retrieval(queries, index, relevant, k=k, resamples=5)
    expected = [
        average_precision(cosine_order(vector, index.vectors), set(truth), k) if truth else np.nan
        for vector, truth in zip(queries.vectors, rows)
    ]
    np.testing.assert_allclose(result.per_query[f"mAP@{k}"], expected)
    assert result[f"mAP@{k}"] == pytest.approx(np.nanmean(expected))
    empty = rows.count([])
    more = "1 more query" if empty == 1 else f"{empty} more queries"
    assert (f"{more} without relevant image left out" in result.scores[0].protocol) == (empty > 0)
    order = random.permutation(q)
    shuffled = evaluation.evaluate_retrieval(
        queries[order], index, [relevant[i] for i in order], k=k, resamples=5
    )
    assert shuffled[f"mAP@{k}"] == pytest.approx(result[f"mAP@{k}"])
    assert shuffled.query_ids == [f"q{i}" for i in order]


def test_rankings_that_were_re_ranked_are_scored_as_they_are():
    ranking = lz.Ranking([[2, 0], [1, 2]], [[2.0, 1.5], [1.1, 0.3]], ["a", "b"], ["x", "y", "z"])
    result = evaluation.score_retrieval(ranking, [[0], [1]], k=2, data="re-ranked")
    assert result.per_query["mAP@2"].tolist() == [0.5, 1.0]
    assert result.worst("mAP@2", 1) == [("a", 0.5)]
    assert result.scores[0].protocol.startswith("re-ranked; 2 queries")
    with pytest.raises(ValueError, match=r"the ranking has 2 results a query.*k=3"):
        evaluation.score_retrieval(ranking, [[0], [1]], k=3)
    with pytest.raises(TypeError, match="ranking must be a Ranking, got ndarray: pass what a search gave"):
        evaluation.score_retrieval(ranking.indices, [[0], [1]], k=2)
    with pytest.raises(TypeError, match="ranking must be a Ranking, got ndarray"):
        evaluation.score_revisited(ranking.indices, [])


def test_revisited_is_that_of_the_metrics_on_the_full_search():
    random = np.random.default_rng(0)
    queries, index = random.standard_normal((4, 8)), random.standard_normal((30, 8))
    gnd = [
        dict(zip(("easy", "hard", "junk"), np.split(random.permutation(30)[:9], [3, 6]))) for _ in range(4)
    ]
    gnd[1]["easy"] = np.array([], int)
    result = evaluation.evaluate_revisited(queries, index, gnd, data="Thirty photos")
    expected = lz.metrics.revisited([cosine_order(query, index) for query in queries], gnd)
    for setup in ("easy", "medium", "hard"):
        for name, value in expected[setup].items():
            assert result[f"{setup} m{name[1:].replace('ap', 'AP').replace('p@', 'P@')}"] == pytest.approx(
                value
            )
    assert len(result.metrics) == 12
    assert np.isnan(result.per_query["easy mAP"][1])
    easy, *_ = result.scores
    assert easy.protocol == (
        "Thirty photos; exact cosine search among 30 images; Revisited protocol; easy images are relevant, "
        "hard and junk images are taken out; 3 of 4 queries have positives"
    )


def test_revisited_leaves_a_set_up_out_that_nobody_asks():
    gnd = [{"easy": [0], "hard": [], "junk": [1]}]
    result = evaluation.evaluate_revisited(np.eye(3)[:1], np.eye(3), gnd, ks=[1])
    assert result.metrics == ["easy mAP", "easy mP@1", "medium mAP", "medium mP@1"]


def test_recognition_is_gap_of_the_vote():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 40)
    centers = random.standard_normal((4, 16))
    train = centers[labels] + random.standard_normal((40, 16))
    queries = lz.Descriptors(
        [f"{i:02d}" for i in random.permutation(20)],
        np.repeat(centers, 5, 0) + random.standard_normal((20, 16)),
    )
    truth = [[i // 5] if i % 4 else [] for i in range(20)]
    result = evaluation.evaluate_recognition(queries, train, labels, truth, data="Blobs", seed=5)
    votes = lz.rerank.vote(queries, train, labels)
    assert result["GAP"] == lz.metrics.gap(votes.labels, votes.confidence, truth, ids=queries.ids)
    terms = lz.metrics.per_image_gap(votes.labels, votes.confidence, truth, ids=queries.ids)
    np.testing.assert_array_equal(result.per_query["GAP"], terms)
    statistic = lz.metrics.gap_statistic(votes.labels, votes.confidence, truth, ids=queries.ids)
    assert result.intervals["GAP"] == lz.metrics.bootstrap(statistic, 20, seed=5)
    assert result.scores[0].protocol == (
        "Blobs; vote of the 3 nearest of 40 train photos; "
        "15 images with a landmark and 5 without, whose predictions count"
    )


def test_recognition_takes_names():
    random = np.random.default_rng(0)
    names = np.array(["arch", "dome", "gate", None], dtype=object)
    labels = random.integers(0, 4, 30)
    train, queries = random.standard_normal((30, 8)), random.standard_normal((10, 8))
    truth = [[label] if label < 3 else [] for label in random.integers(0, 4, 10)]
    numbers = evaluation.evaluate_recognition(queries, train, np.where(labels < 3, labels, -1), truth)
    by_name = [[names[label] for label in row] for row in truth]
    named = evaluation.evaluate_recognition(queries, train, names[labels].tolist(), by_name)
    assert named.to_dict() == numbers.to_dict()


def test_wrong_input():
    d = lz.Descriptors(["a", "b"], np.eye(2))
    with pytest.raises(
        ValueError, match=r"2 of 3 relevant images are not in the index, the first is 'x'; .*'a'"
    ):
        evaluation.evaluate_retrieval(d, d, [["a", "x"], ["x", "y"]])
    with pytest.raises(ValueError, match="the index has the id 'a' more than once"):
        evaluation.evaluate_retrieval(d, lz.Descriptors(["a", "a"], np.eye(2)), [["a"], ["a"]])
    with pytest.raises(
        TypeError, match=r"relevant\[0\] must be a collection of ids, got 'a'; one id is \[id\]"
    ):
        evaluation.evaluate_retrieval(d, d, ["a", "b"])
    with pytest.raises(TypeError, match=r"index must be Descriptors, got ndarray: lz\.Descriptors\(ids"):
        evaluation.evaluate_retrieval(d, np.eye(2), [["a"], ["b"]])
    with pytest.raises(ValueError, match="got 1 entries of relevant for 2 queries"):
        evaluation.evaluate_retrieval(d, d, [["a"]])
    with pytest.raises(ValueError, match="no query has a relevant image"):
        evaluation.evaluate_retrieval(d, d, [[], []])
    with pytest.raises(ValueError, match=r"gnd\[0\] names the junk image 2, but the index has only 2 images"):
        evaluation.evaluate_revisited(np.eye(2)[:1], np.eye(2), [{"easy": [0], "hard": [], "junk": [2]}])
    with pytest.raises(ValueError, match="no query has an easy or hard image"):
        evaluation.evaluate_revisited(np.eye(2)[:1], np.eye(2), [{"easy": [], "hard": [], "junk": [1]}])
    ranking = lz.search(d, d, k=1)
    with pytest.raises(ValueError, match="search with k=2"):
        evaluation.score_revisited(ranking, [{"easy": [0], "hard": [], "junk": []}] * 2)
    with pytest.raises(ValueError, match="no image has a landmark"):
        evaluation.evaluate_recognition(d, d, [0, 1], [[], []])


def test_ids_order_predictions_of_equal_score():
    result = evaluation.score_recognition([1, 9], [0.5, 0.5], [[1], [2]], ids=["b", "a"])
    assert result["GAP"] == 0.25
    assert result.per_query["GAP"].tolist() == [0.5, 0.0]
    assert evaluation.score_recognition([1, 9], [0.5, 0.5], [[1], [2]])["GAP"] == 0.5


def test_relevant_ids_in_the_other_unicode_form():
    index = lz.Descriptors(["Mu\u0308nster.jpg", "a.jpg"], np.eye(2))
    result = lz.evaluation.evaluate_retrieval(index[1:], index, [["M\u00fcnster.jpg"]])
    assert result["recall@100"] == 1.0


def test_revisited_does_not_hold_the_rankings_of_all_queries(monkeypatch):
    random = np.random.default_rng(0)
    queries, index = random.standard_normal((60, 3)), random.standard_normal((20_000, 3))
    gnd = [{"easy": [row], "hard": [row + 1], "junk": []} for row in range(60)]
    monkeypatch.setattr(evaluation.oxford_paris_protocol, "_BLOCK_RESULTS", 10**9)
    whole = evaluation.evaluate_revisited(queries, index, gnd)
    monkeypatch.setattr(evaluation.oxford_paris_protocol, "_BLOCK_RESULTS", 100_000)  # 5 queries
    tracemalloc.start()
    result = evaluation.evaluate_revisited(queries, index, gnd)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * 20_000 * 8 / 2  # half of the rankings' rows
    assert result.to_dict() == whole.to_dict()
    with pytest.raises(ValueError, match="got 2 entries of gnd for 60 queries"):
        evaluation.evaluate_revisited(queries, index, gnd[:2])
