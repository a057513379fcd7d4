import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz
from landmarkzoo.rerank.voting import count_votes
from landmarkzoo.retrieval import blockwise_top_k

LABELS = [10, 10, 20, 30]
TO_TRAIN = {
    "q": [0.7, 0.6, 0.5, 0.1],
    "i0": [0.2, 0.1, 0.8, 0.3],
    "i1": [0.9, 0.8, 0.1, 0.0],
    "i2": [0.3, 0.3, 0.2, 0.9],
    "i3": [0.6, 0.5, 0.7, 0.1],
    "i4": [0.5, 0.45, 0.2, 0.1],
}
TO_QUERY = [0.80, 0.55, 0.50, 0.45, 0.30]


def golden_vectors():
    """Unit vectors with exactly the cosines of the golden example.

    They need not exist among themselves (the given Gram matrix is not positive), so each pair of sets gets
    what it needs: train images are orthogonal, and every other vector has free coordinates of its own that
    make it unit. Where the cosines are too large for that, all are scaled, which the tests undo.
    """
    scale = 0.5
    train = np.eye(4, 11)
    rows = {}
    for n, (name, cosines) in enumerate(TO_TRAIN.items()):
        rows[name] = np.zeros(11)
        rows[name][:4] = scale * np.array(cosines)
        if name == "q":
            rows["q"][4] = np.sqrt(1 - (rows["q"] ** 2).sum())
        else:
            inner = scale * TO_QUERY[n - 1] - (rows[name] * rows["q"]).sum()
            rows[name][4] = inner / rows["q"][4]
            rows[name][4 + n] = np.sqrt(1 - (rows[name] ** 2).sum())
    return rows, train, scale


def test_golden_votes():
    rows, train, scale = golden_vectors()
    votes = lz.rerank.vote(np.stack(list(rows.values())), train, LABELS)
    assert votes.labels.tolist() == [10, 20, 10, 30, 10, 10]
    expected = [0.4333333, 0.2666667, 0.5666667, 0.3, 0.3666667, 0.3166667]
    np.testing.assert_allclose(votes.confidence / scale, expected, atol=1e-6)
    assert votes.neighbors[0].tolist() == [0, 1, 2]
    np.testing.assert_allclose(votes.similarities[0] / scale, [0.7, 0.6, 0.5], atol=1e-6)


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        ("vote_mean", {"i1": 1.1166667, "i3": 0.8166667, "i0": 0.7733333, "i4": 0.6166667, "i2": 0.47}),
        ("vote_sum", {"i1": 2.25, "i3": 1.55, "i4": 1.25, "i0": 0.72, "i2": 0.41}),
        ("top3_mean", {"i1": 1.15, "i3": 1.05, "i0": 0.7566667, "i4": 0.6833333, "i2": 0.45}),
        ("top1", {"i1": 1.45, "i3": 1.15, "i4": 0.8, "i0": 0.72, "i2": 0.41}),
    ],
)
def test_golden_soft_re_ranking(confidence, expected):
    rows, train, scale = golden_vectors()
    index = np.stack([rows[f"i{n}"] for n in range(5)])
    r = lz.rerank.soft_discriminative(rows["q"][None], index, train, LABELS, confidence=confidence)
    assert [f"i{n}" for n in r.indices[0]] == list(expected)
    np.testing.assert_allclose(r.scores[0] / scale, list(expected.values()), atol=1e-6)


def slow_vote(x, train, labels, neighbors):
    cosines = [float(np.float32(cosine(x, t))) for t in train]
    nearest = sorted(range(len(train)), key=lambda i: (-cosines[i], i))[:neighbors]
    sums = {}
    for i in nearest:
        sums[labels[i]] = sums.get(labels[i], 0.0) + cosines[i]
    best = max(sums.values())
    label = next(labels[i] for i in nearest if sums[labels[i]] == best)
    return label, best / neighbors, [cosines[i] for i in nearest]


def cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    norm = np.sqrt((a * a).sum()) * np.sqrt((b * b).sum())
    return (a * b).sum() / norm if norm > 0 else 0.0


def small_integers(random, rows, dim):
    return random.integers(-1, 3, (rows, dim)).astype(np.float32)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_vote_equals_a_slow_loop(n, t, neighbors, seed):
    random = np.random.default_rng(seed)
    x, train = small_integers(random, n, 3), small_integers(random, t, 3)
    labels = random.integers(-1, 3, t)
    votes = lz.rerank.vote(x, train, labels, neighbors)
    for i in range(n):
        label, confidence, similarities = slow_vote(x[i], train, labels.tolist(), neighbors)
        assert votes.confidence[i] == pytest.approx(confidence, abs=1e-6)
        np.testing.assert_allclose(votes.similarities[i], similarities, atol=1e-6)
        if votes.labels[i] != label:  # two labels with sums equal up to the order of adding
            other = sum(s for s, m in zip(similarities, votes.neighbors[i]) if labels[m] == votes.labels[i])
            assert other / neighbors == pytest.approx(confidence, abs=1e-9)


@given(
    st.integers(1, 5), st.integers(1, 15), st.integers(1, 10), st.integers(1, 20),
    st.sampled_from(["vote_mean", "vote_sum", "top3_mean", "top1"]), st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_soft_re_ranking_equals_a_slow_loop(q, n, t, k, confidence, seed):
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
            term = 0.0 if -1 in (label, wanted) else up * max(c, 0) if label == wanted else -down * max(c, 0)
            scores.append(np.float32(cosine(query[i], x) + term))
        order = sorted(range(n), key=lambda j: (-scores[j], j))[:k]
        assert ours.indices[i].tolist() == order
        np.testing.assert_allclose(ours.scores[i], [scores[j] for j in order], atol=1e-6)


def test_without_labels_nothing_changes():
    random = np.random.default_rng(0)
    query, index, train = (random.standard_normal((n, 8)) for n in (4, 30, 10))
    soft = lz.rerank.soft_discriminative(query, index, train, [-1] * 10)
    plain = lz.search(query, index)
    assert np.array_equal(soft.indices, plain.indices)
    assert np.array_equal(soft.scores, plain.scores)


def test_finds_what_a_shortlist_would_miss_and_blocks_do_not_matter(monkeypatch):
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


def test_votes_can_be_computed_once():
    random = np.random.default_rng(0)
    query, index, train = (lz.Descriptors(range(n), random.standard_normal((n, 8))) for n in (4, 30, 10))
    labels = random.integers(0, 3, 10)
    votes = lz.rerank.vote(index, train, labels)
    expected = lz.rerank.soft_discriminative(query, index, train, labels)
    ours = lz.rerank.soft_discriminative(query, index, train, labels, index_votes=votes)
    assert np.array_equal(ours.scores, expected.scores)
    assert ours.ids.tolist() == expected.ids.tolist()
    with pytest.raises(ValueError, match="index_votes are of 4 images and 3 neighbors, needed are 30 and 3"):
        lz.rerank.soft_discriminative(
            query, index, train, labels, index_votes=lz.rerank.vote(query, train, labels)
        )


def test_votes_of_another_number_of_neighbours_are_refused():
    x = np.random.default_rng(0).standard_normal((6, 4))
    votes = lz.rerank.vote(x, x, [1] * 6, neighbors=5)
    with pytest.raises(ValueError, match="6 images and 5 neighbors, needed are 6 and 3"):
        lz.rerank.soft_discriminative(x, x, x, [1] * 6, index_votes=votes)


def test_tie_of_sums_goes_to_the_nearer_neighbour_and_minus_1_can_win():
    labels, confidence = count_votes(np.array([[7, 9, 9]]), np.array([[0.5, 0.25, 0.25]], np.float32), 3)
    assert (labels[0], confidence[0]) == (7, 0.5 / 3)
    labels, _ = count_votes(np.array([[7, -1, -1]]), np.array([[0.5, 0.4, 0.4]], np.float32), 3)
    assert labels[0] == -1


def test_fewer_train_images_than_neighbours_divide_by_the_neighbours_asked_for():
    votes = lz.rerank.vote(np.eye(2)[:1], np.eye(2)[:1], [4], neighbors=3)
    assert votes.neighbors.shape == (1, 1)
    assert votes.confidence[0] == pytest.approx(1 / 3)


def test_wrong_input():
    x = np.eye(3)
    with pytest.raises(TypeError, match=r"train_labels must be integers, got dtype .*np\.unique"):
        lz.rerank.vote(x, x, ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"train_labels must have shape \(3,\)"):
        lz.rerank.vote(x, x, [1, 2])
    with pytest.raises(ValueError, match="nobody can vote"):
        lz.rerank.vote(x, np.empty((0, 3)), [])
    with pytest.raises(ValueError, match="x has 3 dimensions, train has 2"):
        lz.rerank.vote(x, np.ones((3, 2)), [1, 2, 3])
    with pytest.raises(ValueError, match="confidence must be one of"):
        lz.rerank.soft_discriminative(x, x, x, [1, 2, 3], confidence="mean")
    with pytest.raises(ValueError, match="up and down must be finite"):
        lz.rerank.soft_discriminative(x, x, x, [1, 2, 3], up=np.nan)
    with pytest.raises(ValueError, match="index is empty"):
        lz.rerank.soft_discriminative(x, np.empty((0, 3)), x, [1, 2, 3])
