"""What metrics refuse rather than count: rows that are not there, no numbers, labels that would wrap."""

import numpy as np
import pytest
import torch

import landmarkzoo as lz

LARGE = np.array([2**63 + 5, 3], dtype=np.uint64)
OF_ROWS = (lz.metrics.recall_at_k, lz.metrics.precision_at_k, lz.metrics.hit_rate_at_k)


def known_ranking(k=2):
    """Of two queries in an index of four images with ids."""
    index = lz.Descriptors(["a", "b", "c", "d"], np.eye(4))
    return lz.search(index[:2], index, k)


@pytest.mark.parametrize("metric", [*OF_ROWS, lambda i, r, k: lz.metrics.average_precisions(i, r, k=k)])
class TestRetrieval:
    def test_a_ranking_that_knows_its_index_knows_its_rows(self, metric):
        with pytest.raises(ValueError, match=r"relevant\[1\] has the row 4, but the index .* has 4 images"):
            metric(known_ranking(), [[0], [1, 4]], 2)
        assert metric(known_ranking(), [[0], [1]], 1).tolist() == [1.0, 1.0]
        assert len(metric(known_ranking().indices, [[0], [1, 4]], 2)) == 2  # an array does not know

    def test_a_ranking_that_was_cut_before_k(self, metric):
        with pytest.warns(UserWarning, match="has 2 results a query, fewer than k=3: what it") as caught:
            metric(known_ranking(2), [[0], [1]], 3)
        assert caught[0].filename == __file__
        whole = metric(known_ranking(4), [[0], [1]], 100)
        assert whole.tolist() == metric(known_ranking(4).indices, [[0], [1]], 100).tolist()

    def test_rows_below_the_padding(self, metric):
        with pytest.raises(ValueError, match=r"row 1 of indices has -7: rows count from 0, -1 is padding"):
            metric([[0, 1], [-7, -1]], [[0], [1]], 2)

    def test_rows_that_would_wrap(self, metric):
        with pytest.raises(ValueError, match="indices has 9223372036854775813, which does not fit"):
            metric(LARGE[None], [[3]], 2)


def test_rows_of_the_revisited_ground_truth():
    gnd = [{"easy": [0], "hard": [], "junk": []}, {"easy": [1], "hard": [], "junk": [9]}]
    with pytest.raises(ValueError, match=r"junk images of gnd\[1\] has the row 9, but the index .* 4 images"):
        lz.metrics.revisited(known_ranking(4), gnd)


class TestRecognition:
    def test_scores_that_are_no_numbers(self):
        for scores in (["0.5", "0.1"], [0.5, None], [True, False], np.array([0.5, 0.1j])):
            with pytest.raises(TypeError, match="scores must be numbers, got dtype"):
                lz.metrics.gap([1, 2], scores, [[1], [2]])
        for scores in (np.array([np.nan, 1.0]), torch.tensor([float("nan"), 1.0])):
            with pytest.raises(ValueError, match="the score of image 0 is NaN"):
                lz.metrics.gap([1, 2], scores, [[1], [2]])
        assert lz.metrics.gap([1, 2], [np.inf, -np.inf], [[1], [2]]) == 1.0  # they can be sorted
        assert lz.metrics.gap([1, 2], torch.tensor([0.5, 0.2]).bfloat16(), [[1], [2]]) == 1.0

    def test_ids_of_a_series_go_by_position(self):
        pandas = pytest.importorskip("pandas")
        ids = pandas.Series(["b", "a"], index=[7, 9])
        assert lz.metrics.gap([1, 9], [0.5, 0.5], [[1], [2]], ids=ids) == 0.25
        turned = pandas.Series(["b", "a"], index=[1, 0])
        assert lz.metrics.gap([1, 9], [0.5, 0.5], [[1], [2]], ids=turned) == 0.25
        assert lz.evaluation.score_recognition([1, 9], [0.5, 0.5], [[1], [2]], ids=ids)["GAP"] == 0.25

    def test_labels_that_would_wrap(self):
        with pytest.raises(ValueError, match="labels has 9223372036854775813, which does not fit into int64"):
            lz.metrics.gap(LARGE, [0.5, 0.1], [[1], [3]])
        with pytest.raises(ValueError, match=r"truth\[0\] has 9223372036854775813, which does not fit"):
            lz.metrics.gap([1, 3], [0.5, 0.1], [[2**63 + 5], [3]])
        with pytest.raises(ValueError, match="train_labels has 9223372036854775813"):
            lz.rerank.vote(np.eye(2), np.eye(2), LARGE)
        small = np.array([1, 3], dtype=np.uint64)
        assert lz.metrics.gap(small, [0.5, 0.1], [[1], [3]]) == 1.0

    def test_labels_of_other_kinds(self):
        pandas = pytest.importorskip("pandas")
        for labels in (
            [1.0, 2.0], [True, False], np.array([1.5, 2]), pandas.Series([1, None], dtype="Int64"), [1, None],
        ):  # fmt: skip
            with pytest.raises(TypeError, match="labels must be integers"):
                lz.metrics.gap(labels, [0.5, 0.1], [[1], [2]])
        with pytest.raises(TypeError, match=r"truth\[1\] must be a collection .*got nan; .*none is \[\]"):
            lz.metrics.gap([1, 2], [0.5, 0.1], [[1], float("nan")])

    def test_both_unicode_forms_of_a_name_are_one_label(self):
        composed, decomposed = "M\u00fcnster", "Mu\u0308nster"
        assert lz.metrics.gap([composed, "Dom"], [0.9, 0.8], [[decomposed], ["Dom"]]) == 1.0
        train = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2]])
        votes = lz.rerank.vote(train[:1], train, ["Dom", composed, decomposed])
        assert votes.labels.tolist() == [decomposed]  # two of three; the first spelling of the sorted ones
        ranking = lz.rerank.soft_discriminative(
            train[:1], train, train, ["Dom", composed, decomposed],
            index_votes=lz.rerank.vote(train, train, ["Dom", decomposed, decomposed]),
        )  # fmt: skip
        assert len(ranking) == 1


@pytest.mark.parametrize("truth", [None, "a", {0: [1]}, 5, iter([[1]])])
def test_a_truth_that_is_no_list(truth):
    for measure in (
        lambda: lz.metrics.gap([1], [0.5], truth),
        lambda: lz.metrics.recall_at_k([[1]], truth, 1),
    ):
        with pytest.raises(TypeError, match="must be a list of collections of integers"):
            measure()


def test_options_of_other_kinds():
    with pytest.raises(TypeError, match=r"ks must be a list of depths, got 5; one depth is \[k\]"):
        lz.metrics.revisited([[0]], [{"easy": [0], "hard": [], "junk": []}], ks=5)
    with pytest.raises(TypeError, match="ids must be strings, got strings mixed with others"):
        lz.metrics.gap([1, 2], [0.5, 0.5], [[1], [2]], ids=["a", 2])
    with pytest.raises(TypeError, match="values must be numbers"):
        lz.metrics.bootstrap(["a"])
    with pytest.raises(ValueError, match="there are no queries"):
        lz.evaluation.evaluate_revisited(np.empty((0, 2)), np.eye(2), [])


def test_a_bootstrap_of_infinite_values():
    with pytest.raises(ValueError, match="the value of query 1 is inf: values must be finite, or NaN"):
        lz.metrics.bootstrap([0.5, np.inf, np.nan])
