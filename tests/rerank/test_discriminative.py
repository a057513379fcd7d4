"""Re-ranking by the labels of a train set, soft and hard."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import LABELS, cosine, descriptors, golden_vectors, nearest, slow_vote

import landmarkzoo as lz
from landmarkzoo.retrieval import blockwise_top_k


class TestSoft:
    @pytest.mark.parametrize(
        ("confidence", "expected"),
        [
            ("vote_mean", {"i1": 1.1166667, "i3": 0.8166667, "i0": 0.7733333, "i4": 0.6166667, "i2": 0.47}),
            ("vote_sum", {"i1": 2.25, "i3": 1.55, "i4": 1.25, "i0": 0.72, "i2": 0.41}),
            ("top3_mean", {"i1": 1.15, "i3": 1.05, "i0": 0.7566667, "i4": 0.6833333, "i2": 0.45}),
            ("top1", {"i1": 1.45, "i3": 1.15, "i4": 0.8, "i0": 0.72, "i2": 0.41}),
        ],
    )
    def test_golden_order(self, confidence, expected):
        rows, train, scale = golden_vectors()
        index = np.stack([rows[f"i{n}"] for n in range(5)])
        r = lz.rerank.soft_discriminative(rows["q"][None], index, train, LABELS, confidence=confidence)
        assert [f"i{n}" for n in r.indices[0]] == list(expected)
        np.testing.assert_allclose(r.scores[0] / scale, list(expected.values()), atol=1e-6)

    @given(
        st.integers(1, 5), st.integers(1, 15), st.integers(1, 10), st.integers(1, 20),
        st.sampled_from(["vote_mean", "vote_sum", "top3_mean", "top1"]), st.integers(0, 10**6),
    )  # fmt: skip
    @settings(max_examples=60, deadline=None)
    def test_equals_a_slow_loop(self, q, n, t, k, confidence, seed):
        random = np.random.default_rng(seed)
        query, index, train = (random.standard_normal((rows, 4)).astype(np.float32) for rows in (q, n, t))
        index[n // 2] = index[0]  # a duplicate
        labels = random.integers(-1, 3, t)
        up, down = 0.7, 0.2
        ours = lz.rerank.soft_discriminative(
            query, index, train, labels, k=k, up=up, down=down, confidence=confidence
        )
        assert ours.indices.shape == (q, min(k, n))
        for i in range(q):
            wanted, _, _ = slow_vote(query[i], train, labels.tolist(), 3)
            scores = []
            for x in index:
                label, mean, similarities = slow_vote(x, train, labels.tolist(), 3)
                c = {"vote_mean": mean, "vote_sum": 3 * mean, "top3_mean": sum(similarities) / 3,
                     "top1": similarities[0]}[confidence]  # fmt: skip
                term = (
                    0.0 if -1 in (label, wanted) else up * max(c, 0) if label == wanted else -down * max(c, 0)
                )
                scores.append(np.float32(cosine(query[i], x) + term))
            order = sorted(range(n), key=lambda j: (-scores[j], j))[:k]
            assert ours.indices[i].tolist() == order
            np.testing.assert_allclose(ours.scores[i], [scores[j] for j in order], atol=1e-6)

    def test_without_labels_nothing_changes(self):
        random = np.random.default_rng(0)
        query, index, train = (random.standard_normal((n, 8)) for n in (4, 30, 10))
        soft = lz.rerank.soft_discriminative(query, index, train, [-1] * 10)
        plain = lz.search(query, index)
        assert np.array_equal(soft.indices, plain.indices)
        assert np.array_equal(soft.scores, plain.scores)

    def test_finds_what_a_shortlist_would_miss_and_blocks_do_not_matter(self, monkeypatch):
        random = np.random.default_rng(0)
        train = np.eye(8)
        index = random.standard_normal((700, 8))
        index[650] = [1, 0, 0, 0, 0, 0, 0, 0]  # the only sure image of the query's label
        query = np.array([[1.0, 0.9, 0.9, 0.9, 0, 0, 0, 0]])
        labels = list(range(8))
        assert 650 not in lz.search(query, index, 20).indices
        r = lz.rerank.soft_discriminative(query, index, train, labels, neighbors=1, up=3.0)
        assert r.indices[0, 0] == 650
        monkeypatch.setattr(blockwise_top_k, "_INDEX_BLOCK", 64)
        blocks = lz.rerank.soft_discriminative(query, index, train, labels, neighbors=1, up=3.0)
        assert np.array_equal(blocks.indices, r.indices)
        assert np.array_equal(blocks.scores, r.scores)

    def test_votes_can_be_computed_once(self):
        random = np.random.default_rng(0)
        query, index, train = (lz.Descriptors(range(n), random.standard_normal((n, 8))) for n in (4, 30, 10))
        labels = random.integers(0, 3, 10)
        votes = lz.rerank.vote(index, train, labels)
        expected = lz.rerank.soft_discriminative(query, index, train, labels)
        ours = lz.rerank.soft_discriminative(query, index, train, labels, index_votes=votes)
        assert np.array_equal(ours.scores, expected.scores)
        assert ours.ids.tolist() == expected.ids.tolist()
        with pytest.raises(
            ValueError, match="index_votes are of 4 images and 3 neighbors, needed are 30 and 3"
        ):
            lz.rerank.soft_discriminative(
                query, index, train, labels, index_votes=lz.rerank.vote(query, train, labels)
            )

    def test_votes_of_another_number_of_neighbours_are_refused(self):
        x = np.random.default_rng(0).standard_normal((6, 4))
        votes = lz.rerank.vote(x, x, [1] * 6, neighbors=5)
        with pytest.raises(ValueError, match="6 images and 5 neighbors, needed are 6 and 3"):
            lz.rerank.soft_discriminative(x, x, x, [1] * 6, index_votes=votes)

    def test_wrong_input(self):
        x = np.eye(3)
        with pytest.raises(ValueError, match="confidence must be one of"):
            lz.rerank.soft_discriminative(x, x, x, [1, 2, 3], confidence="mean")
        with pytest.raises(ValueError, match="up must be finite"):
            lz.rerank.soft_discriminative(x, x, x, [1, 2, 3], up=np.nan)
        with pytest.raises(ValueError, match="index is empty"):
            lz.rerank.soft_discriminative(x, np.empty((0, 3)), x, [1, 2, 3])


@pytest.mark.parametrize("method", [lz.rerank.soft_discriminative, lz.rerank.hard_discriminative])
def test_sets_of_different_models_are_refused(method):
    one, other = (lz.Descriptors(["a", "b"], np.eye(2), provenance={"weights": w}) for w in ("1", "2"))
    with pytest.raises(
        ValueError, match=r"(query|queries) comes from .*, index from .*: embed both with one"
    ):
        method(one, other, one, [1, 2])
    with pytest.raises(ValueError, match=r"query comes from .*, train from .*: embed both with one"):
        method(one, one, other, [1, 2])


class TestHard:
    def test_golden_order(self):
        rows, train, scale = golden_vectors()  # whose cosines, and so confidences, are halved
        index = np.stack([rows[f"i{n}"] for n in range(5)])
        options = {"train": train, "train_labels": LABELS, "threshold": 0.6 * scale}
        ranking = lz.rerank.hard_discriminative(rows["q"][None], index, k=4, **options)
        assert [f"i{n}" for n in ranking.indices[0]] == ["i1", "i3", "i4", "i0"]
        three = lz.rerank.hard_discriminative(rows["q"][None], index, k=3, **options)
        assert [f"i{n}" for n in three.indices[0]] == ["i1", "i3", "i4"]  # of i0, i1, i2 retrieved
        strict = {**options, "threshold": (0.4333333 + 0.3166667) * scale + 1e-6}  # i4 is not sure enough
        ranking = lz.rerank.hard_discriminative(rows["q"][None], index, k=4, **strict)
        assert [f"i{n}" for n in ranking.indices[0]] == ["i1", "i3", "i0", "i2"]

    @given(
        st.integers(1, 4), st.integers(1, 15), st.integers(1, 10), st.integers(1, 20), st.floats(-1, 2),
        st.integers(0, 10**6),
    )  # fmt: skip
    @settings(max_examples=60, deadline=None)
    def test_equals_a_slow_loop(self, q, n, t, k, threshold, seed):
        query, index, train = descriptors(seed, q, n, t)
        labels = np.random.default_rng(seed).integers(-1, 2, t)
        ranking = lz.rerank.hard_discriminative(query, index, train, labels, k=k, threshold=threshold)
        of_query, of_index = (lz.rerank.vote(x, train, labels) for x in (query, index))
        for row in range(q):
            retrieved = nearest(query[row], index, min(k, n))
            label = of_query.labels[row]
            first = [i for i in retrieved if of_index.labels[i] == label]
            sure = [
                i
                for i in range(n)
                if of_index.labels[i] == label
                and i not in retrieved
                and of_index.confidence[i] + of_query.confidence[row] > threshold
            ]
            sure.sort(key=lambda i: (-of_index.confidence[i], i))
            rest = [i for i in retrieved if i not in first]
            expected = retrieved if label == -1 else (first + sure + rest)[: len(retrieved)]
            assert ranking.indices[row].tolist() == expected
            assert (np.diff(ranking.scores[row]) <= 0).all()
            if label == -1:
                cosines = [cosine(query[row], index[i]) for i in expected]
                np.testing.assert_allclose(ranking.scores[row], cosines, atol=1e-6)

    def test_votes_computed_before_are_taken_and_checked(self):
        query, index, train = descriptors(3, 2, 9, 6)
        labels = [0, 0, 1, 1, 2, -1]
        votes = lz.rerank.vote(index, train, labels)
        fresh = lz.rerank.hard_discriminative(query, index, train, labels, threshold=0.1)
        again = lz.rerank.hard_discriminative(query, index, train, labels, threshold=0.1, index_votes=votes)
        assert np.array_equal(fresh.indices, again.indices)
        with pytest.raises(
            ValueError, match="index_votes are of 9 images and 3 neighbors, needed are 8 and 3"
        ):
            lz.rerank.hard_discriminative(query, index[:8], train, labels, index_votes=votes)
        with pytest.raises(ValueError, match="threshold must be finite"):
            lz.rerank.hard_discriminative(query, index, train, labels, threshold=np.nan)

    def test_two_confidences_at_the_threshold_are_not_enough(self):
        train, labels, query = np.eye(3), [7, 8, 9], np.array([[1.0, 0, 0]])
        # The first has the query's label; the second is nearer than the third, which has that label too.
        index = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0.59, 0.57, 0.57]])
        votes = lz.rerank.vote(index, train, labels, 1)
        assert votes.labels.tolist() == [7, 8, 7]
        at = float(votes.confidence[2] + lz.rerank.vote(query, train, labels, 1).confidence[0])
        for threshold, expected in ((at, [0, 1]), (np.nextafter(at, 0), [0, 2])):
            options = {"k": 2, "neighbors": 1, "threshold": threshold}
            ranking = lz.rerank.hard_discriminative(query, index, train, labels, **options)
            assert ranking.indices[0].tolist() == expected


@pytest.mark.parametrize("method", [lz.rerank.soft_discriminative, lz.rerank.hard_discriminative])
def test_names_are_labels_as_well(method):
    query, index, train = descriptors(3, 6, 40, 20)
    integers = np.random.default_rng(3).integers(-1, 4, 20)
    names = np.array(["d", "b", "a", "c", None], dtype=object)[integers]
    expected = method(query, index, train, integers)
    ours = method(query, index, train, names)
    np.testing.assert_array_equal(ours.indices, expected.indices)
    np.testing.assert_array_equal(ours.scores, expected.scores)
    votes = lz.rerank.vote(index, train, names)
    np.testing.assert_array_equal(method(query, index, train, names, index_votes=votes).scores, ours.scores)
    with pytest.raises(ValueError, match="index_votes must have labels of the same kind as train_labels"):
        method(query, index, train, integers, index_votes=votes)
    with pytest.raises(ValueError, match="index_votes must have labels of the same kind as train_labels"):
        method(query, index, train, names, index_votes=lz.rerank.vote(index, train, integers))
    others = np.where(names == "a", "x", names)
    with pytest.raises(ValueError, match="index_votes has the label 'a', which train_labels do not have"):
        method(query, index, train, others, index_votes=votes)


@pytest.mark.parametrize("method", [lz.rerank.soft_discriminative, lz.rerank.hard_discriminative])
def test_wrong_types_and_shapes(method):
    x = np.eye(2)
    with pytest.raises(
        ValueError, match=r"train must have shape \(N, D\), got \(2,\); one vector is x\[None\]"
    ):
        method(x, x, x[0], [1, 2])
    with pytest.raises(
        TypeError, match=r"index_votes must be what vote\(index, train, \.\.\.\) gave, got tuple"
    ):
        method(x, x, x, [1, 2], index_votes=(1, 2))
