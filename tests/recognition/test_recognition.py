"""Recognition with rejection, the quantile step, and thresholds."""

import csv
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz


def cosine(a, b):
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm > 0 else 0.0


def slow(q, train, labels, others, neighbors, train_k, query_k):
    def mean_nearest(x, k):
        return 0.0 if others is None else np.mean(sorted((cosine(x, o) for o in others), reverse=True)[:k])

    scores = [min(max(cosine(q, r), 0), 1) - mean_nearest(r, train_k) for r in train]
    best = sorted(range(len(train)), key=lambda j: (-np.float32(scores[j]), j))[:neighbors]
    sums = {}
    for j in best:
        sums[labels[j]] = sums.get(labels[j], 0.0) + scores[j]
    label = max(sums, key=lambda c: sums[c])  # the first of equal ones
    return label, sums[label] - mean_nearest(q, query_k), best, sums


def test_golden():
    test, train = np.array([[0.96, 0.28], [0.28, 0.96]]), np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]])
    r = lz.recognize(
        test, train, [1, 1, 2, 2], non_landmark=np.array([[0, 1], [-0.6, 0.8]]),
        train_penalty_k=2, query_penalty_k=2,
    )  # fmt: skip
    assert r.labels.tolist() == [1, 1]
    np.testing.assert_allclose(r.scores, [1.932, 0.30], atol=1e-6)


@given(
    st.integers(1, 4), st.integers(1, 10), st.integers(0, 6), st.integers(1, 4), st.integers(1, 6),
    st.integers(1, 6), st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_equals_a_slow_loop(q, t, m, neighbors, train_k, query_k, seed):
    random = np.random.default_rng(seed)
    queries, train, others = (random.standard_normal((n, 4)).astype(np.float32) for n in (q, t, m))
    labels = random.integers(-1, 3, t)
    others = others if m else None
    r = lz.recognize(
        queries, train, labels, non_landmark=others, neighbors=neighbors,
        train_penalty_k=train_k, query_penalty_k=query_k,
    )  # fmt: skip
    assert r.support.shape == (q, neighbors)
    for row in range(q):
        label, score, best, sums = slow(queries[row], train, labels, others, neighbors, train_k, query_k)
        assert r.scores[row] == pytest.approx(score, abs=1e-5)
        support = r.support[row][r.support[row] >= 0].tolist()
        assert support == best or len(set(sums.values())) < len(sums) or sorted(support) != sorted(best)
        if r.labels[row] != label:  # sums equal up to the order of adding
            assert sums[r.labels[row]] == pytest.approx(sums[label], abs=1e-5)


def test_negative_cosines_count_as_zero():
    r = lz.recognize(np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0], [-0.6, 0.8]]), [3, 4], neighbors=2)
    assert (r.scores[0], r.labels[0], r.support[0].tolist()) == (0.0, 3, [0, 1])


def test_order_of_the_sets_does_not_matter():
    random = np.random.default_rng(0)
    q, train, others = (random.standard_normal((n, 8)) for n in (5, 60, 40))
    labels, order = random.integers(0, 9, 60), random.permutation(60)
    one = lz.recognize(q, train, labels, non_landmark=others)
    other = lz.recognize(q, train[order], labels[order], non_landmark=others[::-1])
    assert np.array_equal(one.labels, other.labels)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
    assert np.array_equal(one.support, order[other.support])


@pytest.mark.slow  # needs the extra dev
def test_quantile_step_is_that_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.preprocessing")
    random = np.random.default_rng(0)
    q, train, others = (random.standard_normal((n, 8)) ** 3 for n in (50, 60, 40))
    labels = random.integers(0, 9, 60)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, train, others)]
    fitted = sklearn.QuantileTransformer(n_quantiles=50, output_distribution="normal").fit(unit[0])
    q2, train2, others2 = (fitted.transform(x) for x in unit)
    ours = lz.recognize(q, train, labels, non_landmark=others, quantile=True)
    theirs = lz.recognize(q2, train2, labels, non_landmark=others2)
    assert np.array_equal(ours.labels, theirs.labels)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)
    assert not np.allclose(ours.scores, lz.recognize(q, train, labels, non_landmark=others).scores)


def test_quantile_step_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.preprocessing", None)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
        lz.recognize(np.eye(2), np.eye(2), [0, 1], quantile=True)


def test_wrong_input():
    with pytest.raises(ValueError, match="nobody can vote"):
        lz.recognize(np.eye(2), np.empty((0, 2)), [])
    with pytest.raises(ValueError, match="non_landmark is empty"):
        lz.recognize(np.eye(2), np.eye(2), [0, 1], non_landmark=np.empty((0, 2)))
    with pytest.raises(ValueError, match="queries has 2 dimensions, train has 3"):
        lz.recognize(np.eye(2), np.eye(3), [0, 1, 2])
    with pytest.raises(TypeError, match="train_labels must be integers"):
        lz.recognize(np.eye(2), np.eye(2), [0.5, 1.5])
    with pytest.raises(ValueError, match=r"scores \(Q,\) and support \(Q, neighbors\) do not fit"):
        lz.Recognition([1, 2], [0.5, 0.4], [[0]])
    with pytest.raises(ValueError, match=r"labels must have shape \(1,\)"):
        lz.Recognition([1, 2], [0.5], [[0]])
    with pytest.raises(ValueError, match="got 2 query ids for 1 photos"):
        lz.Recognition([1], [0.5], [[0]], ["a", "b"])
    with pytest.raises(ValueError, match="row 5 is not in a train set of 1 ids"):
        lz.Recognition([1], [0.5], [[5]], ["q"], ["t"])
    with pytest.raises(ValueError, match="row -2 is not a row of a train set; -1 is padding"):
        lz.Recognition([1], [0.5], [[-2]])
    with pytest.raises(TypeError, match="integers, got dtype float64"):
        lz.Recognition([1], [0.5], [[0.5]])
    with pytest.raises(ValueError, match=r"non_landmark must have shape \(N, D\), got \(2,\)"):
        lz.recognize(np.eye(2), np.eye(2), [0, 1], non_landmark=np.ones(2))


def test_a_recognition_by_itself():
    r = lz.Recognition(["a", None], torch.tensor([0.5, 0.25], dtype=torch.bfloat16), [[0], [-1]], [5, 6], [7])
    assert repr(r) == "Recognition(2 photos, 1 neighbors)"
    assert r.scores.tolist() == [0.5, 0.25]
    assert (r.query_ids, r.train_ids) == (["5", "6"], ["7"])


NAMES = np.array(["Old Town", "Big Ben", None], dtype=object)


@pytest.fixture
def named():
    """Three photos recognised with names as labels, and the same with integers."""
    random = np.random.default_rng(0)
    queries = lz.Descriptors(["q,1.jpg", "ü.jpg", "z"], random.standard_normal((3, 4)))
    train = lz.Descriptors([f"t{n}" for n in range(12)], random.standard_normal((12, 4)))
    integers = np.arange(12) % 3 - 1
    by_name = lz.recognize(queries, train, NAMES[integers])
    return by_name, lz.recognize(queries, train, integers)


class TestNames:
    def test_equal_integers(self, named):
        by_name, by_integer = named
        assert by_name.labels.tolist() == NAMES[by_integer.labels].tolist()
        np.testing.assert_array_equal(by_name.scores, by_integer.scores)
        middle = float(np.median(by_name.scores))
        assert by_name.above(middle).tolist() == NAMES[by_integer.above(middle)].tolist()
        assert None in by_name.above(np.inf)

    def test_lists_and_arrays_of_strings(self):
        for labels in (["a", "b"], np.array(["a", "b"]), ("a", "b")):
            r = lz.recognize(np.eye(2), np.eye(2), labels, neighbors=1)
            assert r.labels.tolist() == ["a", "b"]

    def test_threshold(self):
        r = lz.Recognition(["a", "b", None, "c"], [0.9, 0.8, 0.7, 0.6], np.zeros((4, 1), int))
        assert lz.recognition.threshold_at_precision(r, [["a"], ["b", "x"], [], []], 1.0) == 0.8
        with pytest.raises(TypeError, match="labels are names, but truth"):
            lz.recognition.threshold_at_precision(r, [[1], [2], [], []], 1.0)

    def test_without_queries_names_stay_names(self):
        r = lz.recognize(np.empty((0, 2)), np.eye(2), ["a", "b"])
        assert (r.labels.dtype, r.above(0.5).dtype) == (object, object)
        assert lz.recognize(np.empty((0, 2)), np.eye(2), [0, 1]).labels.dtype == np.int64
        assert lz.Recognition([], [], np.empty((0, 3), int)).labels.dtype == np.int64

    def test_the_empty_name_is_refused(self):
        with pytest.raises(ValueError, match='labels has the name "" at row 0: use None for no landmark'):
            lz.Recognition(["", "a"], [0.9, 0.8], [[0], [1]])


class TestTables:
    def test_csv(self, named, tmp_path):
        by_name, by_integer = named
        by_name.to_csv(tmp_path / "out.csv")
        with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0] == ["id", "label", "score", "support1", "support2", "support3"]
        for n, row in enumerate(rows[1:]):
            assert row[0] == ["q,1.jpg", "ü.jpg", "z"][n]
            assert row[1] == (by_name.labels[n] or "")
            assert float(row[2]) == pytest.approx(by_name.scores[n], abs=1e-6)
            assert row[3:] == [f"t{train}" for train in by_name.support[n]]
        by_integer.to_csv(tmp_path / "out.csv", threshold=np.inf)
        with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
            assert [row[1] for row in csv.reader(file)] == ["label", "", "", ""]
        with pytest.raises(FileNotFoundError):
            by_name.to_csv(tmp_path / "no" / "out.csv")

    def test_without_ids_rows_are_numbered(self, tmp_path):
        lz.recognize(np.eye(2), np.eye(2), [7, 8], neighbors=3).to_csv(tmp_path / "out.csv")
        assert (tmp_path / "out.csv").read_text().splitlines()[1:] == ["0,7,1,0,1,", "1,8,1,1,0,"]

    def test_frame(self, named):
        pytest.importorskip("pandas")
        by_name, by_integer = named
        frame = by_name.to_pandas()
        assert frame.columns.tolist() == ["id", "label", "score", "support1", "support2", "support3"]
        assert frame["id"].tolist() == ["q,1.jpg", "ü.jpg", "z"]
        np.testing.assert_array_equal(frame["score"], by_name.scores)
        assert frame["support1"].tolist() == [f"t{row}" for row in by_name.support[:, 0]]
        assert by_integer.to_pandas(threshold=np.inf)["label"].tolist() == [-1, -1, -1]

    def test_frames_keep_no_landmark_and_give_labels_back(self, named):
        pytest.importorskip("pandas")
        labels = named[0].to_pandas(threshold=float(np.median(named[0].scores)))["label"]
        assert None in labels.tolist()
        assert labels.dtype == object
        vectors = np.eye(len(labels))
        for column in (labels, labels.astype("string"), labels.astype("str")):
            again = lz.recognize(vectors, vectors, column, neighbors=1)
            assert again.labels.tolist() == labels.tolist()


class TestThreshold:
    def answers(self, labels, scores):
        return lz.Recognition(np.array(labels), np.array(scores), np.zeros((len(labels), 1), int))

    def test_lowest_score_with_the_precision(self):
        r = self.answers([1, 2, 3, 4, 5], [0.9, 0.8, 0.7, 0.6, 0.5])
        truth = [[1], [2], [], [4], [9]]
        for precision, expected in ((1.0, 0.8), (0.75, 0.6), (0.6, 0.5)):
            threshold = lz.recognition.threshold_at_precision(r, truth, precision)
            assert threshold == expected
            kept = r.above(threshold) != -1
            right = [label in t for label, t in zip(r.labels, truth)]
            assert np.mean(np.array(right)[kept]) >= precision

    def test_equal_scores_stand_or_fall_together(self):
        r = self.answers([1, 2, 3], [0.9, 0.9, 0.9])
        assert lz.recognition.threshold_at_precision(r, [[1], [2], []], 0.6) == 0.9
        with pytest.raises(ValueError, match=r"no threshold has a precision of 1\.0; the highest is 0\.667"):
            lz.recognition.threshold_at_precision(r, [[1], [2], []], 1.0)

    @given(st.integers(1, 12), st.floats(0.1, 1.0), st.integers(0, 10**6))
    @settings(max_examples=60, deadline=None)
    def test_equals_trying_every_score(self, n, precision, seed):
        random = np.random.default_rng(seed)
        r = self.answers(random.integers(0, 3, n), random.integers(0, 5, n) / 4)
        truth = [[int(x)] if x >= 0 else [] for x in random.integers(-1, 3, n)]
        right = np.array([label in t for label, t in zip(r.labels, truth)])
        good = [s for s in r.scores if right[r.scores >= s].mean() >= precision]  # labels are not -1 here
        if good:
            assert lz.recognition.threshold_at_precision(r, truth, precision) == min(good)
        else:
            with pytest.raises(ValueError, match="no threshold"):
                lz.recognition.threshold_at_precision(r, truth, precision)

    def test_no_answer_is_neither_right_nor_wrong(self):
        r = self.answers([-1, 1], [0.9, 0.8])
        assert lz.recognition.threshold_at_precision(r, [[], np.array([1])], 1.0) == 0.8

    def test_wrong_input(self):
        with pytest.raises(ValueError, match="the score of photo 0 is NaN"):
            lz.recognition.threshold_at_precision(self.answers([1], [np.nan]), [[1]], 0.5)
        with pytest.raises(ValueError, match="precision must be in"):
            lz.recognition.threshold_at_precision(self.answers([1], [1.0]), [[1]], 95)
        with pytest.raises(ValueError, match="truth of 2 photos for 1 answers"):
            lz.recognition.threshold_at_precision(self.answers([1], [1.0]), [[1], []])


def test_scores_and_thresholds_that_are_no_numbers():
    with pytest.raises(ValueError, match="the score of photo 1 is NaN"):
        lz.Recognition([1, 2], [0.5, np.nan], [[0], [1]])
    for scores in (["0.5", "0.1"], [0.5, None]):
        with pytest.raises(TypeError, match="the scores are numbers, got dtype"):
            lz.Recognition([1, 2], scores, [[0], [1]])
    answers = lz.Recognition([1, 2], [0.5, -np.inf], [[0], [1]])
    for threshold in (np.nan, None, "0.5"):
        with pytest.raises(ValueError, match="threshold must be a number, got"):
            answers.above(threshold)
    assert answers.above(-np.inf).tolist() == [1, 2]
    assert answers.above(np.float32(0.1)).tolist() == [1, -1]
