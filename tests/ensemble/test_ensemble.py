"""Sums of scores, concatenated families, and the paper's ensembles from descriptors to answers."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz


def ranking(*rows, **ids):
    return lz.Ranking([list(row) for row in rows], [list(row.values()) for row in rows], **ids)


class TestSumScores:
    def test_golden(self):
        a, b, c, d, e = range(5)
        one, other = ranking({a: 0.9, b: 0.8, c: 0.7, d: 0.1}), ranking({c: 0.95, a: 0.5, e: 0.45, b: 0.2})
        summed = lz.ensemble.sum_scores([one, other], per_model=3)
        assert summed.indices.tolist() == [[c, a, b, e]]
        np.testing.assert_allclose(summed.scores, [[1.65, 1.40, 0.80, 0.45]], atol=1e-6)
        assert lz.ensemble.sum_scores([one, other], per_model=3, k=2).indices.tolist() == [[c, a]]

    def test_ties_by_more_models_then_by_the_smaller_row(self):
        one, other = ranking({5: 1.0, 9: 0.5, 1: 0.25}), ranking({9: 0.5, 2: 0.25})
        assert lz.ensemble.sum_scores([ranking({5: 1.0, 9: 0.5})]).indices.tolist() == [[5, 9]]
        other = lz.Ranking([[9, 2, -1]], [[0.5, 0.25, -np.inf]])
        assert lz.ensemble.sum_scores([one, other]).indices.tolist() == [[9, 5, 1, 2]]

    @given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 8), st.integers(1, 9), st.integers(0, 10**6))
    @settings(max_examples=60, deadline=None)
    def test_equals_a_slow_loop(self, models, queries, per_model, k, seed):
        random = np.random.default_rng(seed)
        rankings = []
        for _ in range(models):
            indices = np.stack([random.permutation(9)[:6] for _ in range(queries)])
            scores = -np.sort(-random.integers(-3, 4, (queries, 6)) / 4, axis=1)
            rankings.append(lz.Ranking(indices, scores))
        summed = lz.ensemble.sum_scores(rankings, per_model=per_model, k=k)
        for q in range(queries):
            totals, counts = {}, {}
            for r in rankings:
                for i, s in list(zip(r.indices[q].tolist(), r.scores[q].tolist()))[:per_model]:
                    totals[i], counts[i] = totals.get(i, 0) + s, counts.get(i, 0) + 1
            expected = sorted(totals, key=lambda i: (-totals[i], -counts[i], i))[:k]
            found = summed.indices[q]
            assert found[found >= 0].tolist() == expected
            assert (summed.scores[q][found < 0] == -np.inf).all()

    def test_other_photos_are_refused(self):
        one = lz.Ranking([[0]], [[1.0]], ["q"], ["a", "b"])
        for other, message in (
            (lz.Ranking([[0]], [[1.0]], ["q"], ["b", "a"]), "different index_ids"),
            (lz.Ranking([[0]], [[1.0]], ["p"], ["a", "b"]), "different query_ids"),
            (lz.Ranking([[0], [0]], [[1.0], [1.0]]), "ranking 0 has 1 queries, ranking 1 has 2"),
        ):
            with pytest.raises(ValueError, match=message):
                lz.ensemble.sum_scores([one, other])
        with pytest.raises(ValueError, match="at least one ranking"):
            lz.ensemble.sum_scores([])
        assert lz.ensemble.sum_scores([one, lz.Ranking([[1]], [[2.0]])]).ids.tolist() == [["b", "a"]]

    def test_infinite_scores(self):
        endless = [lz.Ranking([[0]], [[score]]) for score in (np.inf, -np.inf)]
        with pytest.raises(ValueError, match="query 0 has infinite scores"):
            lz.ensemble.sum_scores(endless)

    def test_rankings_must_be_in_a_list(self):
        three = lz.search(np.eye(3), np.eye(3))
        with pytest.raises(TypeError, match=r"takes a list of rankings: \[ranking\], not ranking"):
            lz.ensemble.sum_scores(three)
        with pytest.raises(TypeError, match=r"rankings\[1\] must be a Ranking, got ndarray"):
            lz.ensemble.sum_scores([three, three.indices])

    def test_memory_is_that_of_the_result_not_of_all_scores(self):
        rows = np.tile(np.arange(2000), (300, 1))
        wide = [lz.Ranking(rows, np.zeros((300, 2000), np.float32)) for _ in range(3)]
        tracemalloc.start()
        lz.ensemble.sum_scores(wide, per_model=2000, k=10)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < wide[0].indices.nbytes / 4

    def test_both_unicode_forms_of_an_id_are_one_photo(self):
        one = lz.Ranking([[0]], [[1.0]], ["q"], ["M\u00fcnster", "b"])
        other = lz.Ranking([[1]], [[2.0]], ["q"], ["Mu\u0308nster", "b"])
        assert lz.ensemble.sum_scores([one, other]).ids.tolist() == [["b", "M\u00fcnster"]]


class TestConcatFamilies:
    def test_memory_is_that_of_the_result(self):
        members = [np.random.default_rng(n).random((20_000, 64), np.float32) for n in range(6)]
        tracemalloc.start()
        together = lz.ensemble.concat_families([members[:3], members[3:]])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * together.nbytes + 40 * 2**20  # in float64 all at once: 14 times

    def test_in_blocks_as_at_once(self, monkeypatch):
        members = [np.random.default_rng(n).standard_normal((7, 3 + n)) for n in range(3)]
        whole = lz.ensemble.concat_families([[member] for member in members])
        monkeypatch.setattr(lz.ensemble.descriptor_fusion, "_BLOCK_VALUES", 1)
        np.testing.assert_array_equal(lz.ensemble.concat_families([[m] for m in members]), whole)

    def test_ensembles_of_unlike_descriptors_are_told_apart(self):
        def member(weights, transform, **more):
            stated = {"weights": weights, "transform": transform, **more}
            return lz.Descriptors(["x", "y"], np.eye(2), provenance=stated)

        def ensemble(*members):
            return lz.ensemble.concat_families([[one] for one in members]).provenance

        small, large = member("1", "Resize(96)"), member("1", "Resize(224)")
        other = member("2", "Resize(224)")
        assert ensemble(large, other)["transform"] == "Resize(224)"
        assert ensemble(small, other)["transform"] == "Resize(96); Resize(224)"
        assert "views" not in ensemble(large, other)
        assert ensemble(large, member("2", "Resize(224)", views="flip"))["views"] == "none; flip"
        silent = lz.Descriptors(["x", "y"], np.eye(2), provenance={"weights": "3"})
        assert "transform" not in ensemble(large, silent)

    def test_both_unicode_forms_of_an_id_are_one_photo(self):
        one, other = (lz.Descriptors([name], np.eye(1)) for name in ("M\u00fcnster", "Mu\u0308nster"))
        assert lz.ensemble.concat_families([[one], [other]]).ids == ["M\u00fcnster"]

    def test_rankings_are_refused(self):
        ranking = lz.search(np.eye(2), np.eye(2))
        for wrong in (ranking, [ranking, ranking], [[ranking], [ranking]]):
            with pytest.raises(TypeError, match=r"families are lists of models|got a Ranking"):
                lz.ensemble.concat_families(wrong)

    def test_golden(self):
        dolg = [np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])]
        together = lz.ensemble.concat_families([dolg, [np.array([[0.0, 2.0]])], [np.array([[5.0, 0.0]])]])
        expected = [[0.405499, 0.405499, 0, 0.579284, 0.579284, 0]]
        np.testing.assert_allclose(together, expected, atol=1e-6)
        assert together.dtype == np.float32

    def test_descriptors_must_be_of_the_same_photos(self):
        a = lz.Descriptors(["x", "y"], np.eye(2), provenance={"model": "m", "weights": "1"})
        b = lz.Descriptors(["x", "y"], np.eye(2), provenance={"model": "n", "weights": "2"})
        together = lz.ensemble.concat_families([[a], [b]])
        assert together.ids == ["x", "y"]
        assert together.provenance["model"] == "ensemble of m + n"
        other = lz.ensemble.concat_families([[b], [a]])
        with pytest.raises(ValueError, match="embed both with one model"):
            lz.search(together, other)
        with pytest.raises(ValueError, match="row 1 is 'y' and 'z'"):
            lz.ensemble.concat_families([[a, lz.Descriptors(["x", "z"], np.eye(2))]])
        for wrong, message in (
            ([[np.eye(2)], []], "each of them at least one model"),
            ([[np.eye(2), np.eye(3)[:2]]], "vectors of one size"),
            ([[np.eye(2)], [np.eye(3)]], "embedded the same photos"),
            ([[a, np.eye(2)]], "Descriptors or arrays, not both"),
        ):
            with pytest.raises(ValueError, match=message):
                lz.ensemble.concat_families(wrong)


class TestPaper:
    def test_members_are_registered_and_scored_for_the_task(self):
        for families, task in (
            (lz.ensemble.PAPER_RETRIEVAL, "retrieval"),
            (lz.ensemble.PAPER_RECOGNITION, "recognition"),
        ):
            names = [name for family in families.values() for name in family]
            assert len(set(names)) == 8
            for name in names:
                scores = lz.get_model_cfg(name).scores
                assert any(task in score.protocol.lower() for score in scores), name

    @pytest.fixture
    def task(self):
        """Labels of the parts of a task, and their descriptors by each of three models."""
        random = np.random.default_rng(0)
        places = random.standard_normal((6, 16))
        labels = {"query": np.arange(8) % 5, "train": np.arange(30) % 5, "index": np.arange(40) % 5}
        labels["non_landmark"] = np.full(12, 5)

        def embedded():
            return {
                part: lz.Descriptors(
                    [f"{part}{n}" for n in range(len(of))],
                    places[of]
                    + (1.0 if part == "non_landmark" else 0.6) * random.standard_normal((len(of), 16)),
                )
                for part, of in labels.items()
            }

        return labels, {"dolg": [embedded(), embedded()], "hybrid": [embedded()]}

    def test_retrieval_finds_more_than_one_model(self, task):
        labels, families = task
        rankings = [
            lz.rerank.soft_discriminative(m["query"], m["index"], m["train"], labels["train"], k=20)
            for models in families.values()
            for m in models
        ]
        final = lz.ensemble.sum_scores(rankings, per_model=20, k=10)
        assert final.ids.shape == (8, 10)

        def share_right(ranking):
            return (labels["index"][ranking.indices[:, :5]] == labels["query"][:, None]).mean()

        assert share_right(final) > 0.9
        assert share_right(final) >= max(share_right(ranking) for ranking in rankings)

    def test_recognition_by_the_concatenated_families(self, task):
        labels, families = task
        query, train, non_landmark = (
            lz.ensemble.concat_families([[m[part] for m in models] for models in families.values()])
            for part in ("query", "train", "non_landmark")
        )
        answers = lz.recognize(query, train, labels["train"], non_landmark=non_landmark)
        assert (answers.labels == labels["query"]).mean() > 0.8
        assert answers.query_ids == query.ids
