"""Labels by the vote of the nearest train images."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import LABELS, golden_vectors, slow_vote

import landmarkzoo as lz
from landmarkzoo.rerank.voting import count_votes


def test_golden_votes():
    rows, train, scale = golden_vectors()
    votes = lz.rerank.vote(np.stack(list(rows.values())), train, LABELS)
    assert votes.labels.tolist() == [10, 20, 10, 30, 10, 10]
    expected = [0.4333333, 0.2666667, 0.5666667, 0.3, 0.3666667, 0.3166667]
    np.testing.assert_allclose(votes.confidence / scale, expected, atol=1e-6)
    assert votes.neighbors[0].tolist() == [0, 1, 2]
    np.testing.assert_allclose(votes.similarities[0] / scale, [0.7, 0.6, 0.5], atol=1e-6)


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


def test_tie_of_sums_goes_to_the_nearer_neighbour_and_minus_1_can_win():
    labels, confidence = count_votes(np.array([[7, 9, 9]]), np.array([[0.5, 0.25, 0.25]], np.float32), 3)
    assert (labels[0], confidence[0]) == (7, 0.5 / 3)
    labels, _ = count_votes(np.array([[7, -1, -1]]), np.array([[0.5, 0.4, 0.4]], np.float32), 3)
    assert labels[0] == -1


def test_fewer_train_images_than_neighbours_divide_by_the_neighbours_asked_for():
    votes = lz.rerank.vote(np.eye(2)[:1], np.eye(2)[:1], [4], neighbors=3)
    assert votes.neighbors.shape == (1, 1)
    assert votes.confidence[0] == pytest.approx(1 / 3)


def test_names_are_labels_as_well():
    random = np.random.default_rng(0)
    x, train = random.standard_normal((20, 4)), random.standard_normal((30, 4))
    integers = random.integers(-1, 3, 30)
    names = np.array(["Tower", "Big Ben", "Old Town", None], dtype=object)[integers]
    expected = lz.rerank.vote(x, train, integers)
    for labels in (names, list(names), tuple(names)):
        votes = lz.rerank.vote(x, train, labels)
        wanted = np.array(["Tower", "Big Ben", "Old Town", None], dtype=object)[expected.labels]
        assert votes.labels.tolist() == wanted.tolist()
        np.testing.assert_array_equal(votes.confidence, expected.confidence)
    assert None in votes.labels
    every = lz.rerank.vote(x[:2], train[:2], np.array(["b", "a"]), neighbors=1)
    assert set(every.labels) <= {"a", "b"}
    assert all(type(label) is str for label in every.labels)
    assert lz.rerank.vote(x, train, torch.from_numpy(integers)).labels.dtype == np.int64


def test_labels_of_pandas_columns_and_of_object_arrays():
    pandas = pytest.importorskip("pandas")
    x = np.eye(3)

    def labels(train_labels):
        return lz.rerank.vote(x, x, train_labels, 1).labels.tolist()

    for nothing in (None, float("nan"), np.float32("nan"), pandas.NA):
        assert labels(["a", nothing, "b"]) == ["a", None, "b"]
        assert labels(np.array(["a", nothing, "b"], dtype=object)) == ["a", None, "b"]
    assert labels(pandas.Series(["a", None, "b"])) == ["a", None, "b"]
    assert labels(pandas.Series(["a", pandas.NA, "b"], dtype="string")) == ["a", None, "b"]
    assert labels(pandas.Series([4, 2, -1], dtype="Int64")) == [4, 2, -1]
    assert labels(np.array([4, np.int32(2), -1], dtype=object)) == [4, 2, -1]


def test_mixed_labels_are_told_apart():
    x = np.eye(3)
    for labels, message in (
        ([1, None, 2], "got integers mixed with None at row 1: with integers, no landmark is -1"),
        (np.array([None, 1, 2], dtype=object), "got integers mixed with None at row 0: with integers"),
        ([1, float("nan"), 2], "got integers mixed with nan at row 1"),
        ([1, "b", 2], "got integers mixed with the name 'b' at row 1: use one kind"),
        (["a", None, 3], "got names mixed with the integer 3 at row 2: use one kind"),
        (["a", 0.5, 3], "got 0.5 at row 1"),
        (np.array([True, 1, 2], dtype=object), "got True at row 0"),
        ([1, 2, 2**70], f"got {2**70} at row 2"),
        ([float("nan")] * 3, "got nan at row 0"),
    ):
        with pytest.raises(TypeError, match=message):
            lz.rerank.vote(x, x, labels)


def test_the_empty_name_is_refused():
    for labels in (["a", "", "b"], np.array(["a", "", "b"]), np.array(["a", "", None], dtype=object)):
        with pytest.raises(ValueError, match='train_labels has the name "" at row 1: use None for no landm'):
            lz.rerank.vote(np.eye(3), np.eye(3), labels)


def test_memory_does_not_grow_with_the_pairs_of_voters():
    random = np.random.default_rng(0)
    x, train, labels = random.random((2000, 4)), random.random((200, 4)), random.integers(0, 5, 200)
    tracemalloc.start()
    lz.rerank.vote(x, train, labels, neighbors=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 * 2**20  # all 2,000 x 100 x 100 pairs at once: 175


def peak_of_votes(rows, voters):
    random = np.random.default_rng(0)
    labels, cosines = random.integers(0, 9, (rows, voters)), random.random((rows, voters), np.float32)
    tracemalloc.start()
    count_votes(labels, cosines, voters)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_many_voters_take_no_more_memory_than_as_many_votes_of_few():
    assert peak_of_votes(4, 5000) < 3 * peak_of_votes(2000, 10)  # their pairs: 200 MB


def test_many_voters_of_many_labels_equal_a_slow_loop():
    random = np.random.default_rng(1)
    labels, cosines = random.integers(-1, 4, (6, 300)), random.integers(1, 4, (6, 300)).astype(np.float32)
    winners, confidence = count_votes(labels, cosines, 300)
    for row in range(6):
        sums = {label: cosines[row, labels[row] == label].sum() for label in labels[row].tolist()}
        best = next(label for label in labels[row].tolist() if sums[label] == max(sums.values()))
        assert (winners[row], confidence[row]) == (best, float(sums[best]) / 300)


def test_wrong_input():
    x = np.eye(3)
    for labels in ([0.5, 1, 2], ["a", 1, None], [1, None, 2], [True, False, True], [b"a", b"b", b"c"]):
        with pytest.raises(TypeError, match=r"train_labels must be integers .* or names .*, got .* at row"):
            lz.rerank.vote(x, x, labels)
    with pytest.raises(ValueError, match=r"train_labels must have shape \(3,\)"):
        lz.rerank.vote(x, x, [1, 2])
    with pytest.raises(ValueError, match="nobody can vote"):
        lz.rerank.vote(x, np.empty((0, 3)), [])
    with pytest.raises(ValueError, match="x has 3 dimensions, train has 2"):
        lz.rerank.vote(x, np.ones((3, 2)), [1, 2, 3])
