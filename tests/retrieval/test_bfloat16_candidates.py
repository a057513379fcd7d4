"""Candidates from bfloat16 products: their bound holds, and results are those of the plain search."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_by_hand import integers, slow_search, with_copies

import landmarkzoo as lz
from landmarkzoo.retrieval import blockwise_top_k
from landmarkzoo.retrieval.approximate_products import BFloat16Products, FewProducts, Float32Products
from landmarkzoo.retrieval.blockwise_top_k import top_k
from landmarkzoo.retrieval.exact_scores import ExactScores
from landmarkzoo.retrieval.stored_vectors import StoredVectors
from landmarkzoo.retrieval.vector_rows import VectorRows


@pytest.fixture
def small(monkeypatch):
    """Small blocks, and candidates however few images there are."""
    monkeypatch.setattr(blockwise_top_k, "_LARGE_PART", 0)
    monkeypatch.setattr(blockwise_top_k, "_SPARE", 2)
    monkeypatch.setattr(blockwise_top_k, "_INDEX_BLOCK", 39)
    monkeypatch.setattr(blockwise_top_k, "_QUERY_BLOCK", 3)
    monkeypatch.setattr(blockwise_top_k, "_FEW_QUERIES", 0)


def in_both(queries, index, k, monkeypatch, **options):
    """The result with candidates from bfloat16, which must be that of float32."""
    results = []
    for bfloat16 in (True, False):
        monkeypatch.setattr(blockwise_top_k, "_BFLOAT16", bfloat16)
        results.append(top_k(queries, index, k, **options))
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])
    return results[0]


def signs(rows, dim, seed):
    """Vectors that differ in a few signs. With 254 entries all are rounded up, by 0.98 of what can be, with
    1017 all down, by 0.88."""
    random = np.random.default_rng(seed)
    x = np.ones((rows, dim), np.float32)
    x[random.random((rows, dim)) < 0.01] = -1
    return x


VECTORS = {
    "random": lambda n, dim, seed: with_copies(n, dim, seed, 0),
    "signs": signs,
    "positive": lambda n, dim, seed: np.abs(with_copies(n, dim, seed, 0)),
    "tiny and huge": lambda n, dim, seed: (
        with_copies(n, dim, seed, 0) * 10.0 ** np.random.default_rng(seed).integers(-36, 36, (n, 1))
    ).astype(np.float32),
    "sparse": lambda n, dim, seed: (
        with_copies(n, dim, seed, 0) * (np.random.default_rng(seed).random((n, dim)) < 0.05)
    ),
}


@pytest.mark.parametrize("kind", VECTORS)
@pytest.mark.parametrize("dim", [1, 33, 254, 512, 1017])
def test_no_cosine_is_above_what_its_product_may_stand_for(kind, dim):
    queries, index = VECTORS[kind](40, dim, 0), VECTORS[kind](300, dim, 1)
    queries = np.concatenate([queries, index[:10]])  # cosine 1
    exact = lz.search(queries.astype(np.float64), index.astype(np.float64), 300)
    cosines = torch.empty(50, 300, dtype=torch.float64)
    cosines.scatter_(1, torch.from_numpy(exact.indices), torch.from_numpy(exact.scores).double())
    rows = VectorRows(index)
    for products in (BFloat16Products(rows), FewProducts(rows), Float32Products(rows)):
        scores = torch.cat(
            [block[:, : columns.stop - columns.start].clone() for columns, block in
             products.blocks(torch.from_numpy(queries), 64)], dim=1
        )  # fmt: skip
        highest = torch.stack([products.highest(column.float()) for column in scores.T], dim=1)
        lowest = torch.stack([-products.highest(-column.float()) for column in scores.T], dim=1)
        assert (cosines <= highest + 2.0**-24).all()
        assert (cosines >= lowest - 2.0**-24).all()


@pytest.mark.parametrize(("dim", "up"), [(254, True), (1017, False)])
def test_the_bound_is_reached(dim, up):
    """Where everything is rounded one way. Half of the bound would be too little."""
    x = np.ones((9, dim), np.float32)
    products = BFloat16Products(VectorRows(x))
    (_, scores), *_ = products.blocks(torch.from_numpy(x), 64)
    assert ((scores - 1) * (1 if up else -1) > 0.5 * (products.highest(torch.zeros(9))[:, None])).all()


@pytest.mark.usefixtures("small")
class TestResults:
    @given(
        st.sampled_from(["integers", "copies", "near copies", "positive", "tiny and huge", "signs"]),
        st.integers(1, 130),
        st.integers(1, 40),
        st.integers(1, 60),
        st.integers(0, 10**6),
    )
    @settings(max_examples=60, deadline=None)
    def test_equal_a_slow_loop(self, kind, n, dim, k, seed):
        make = {
            "integers": integers,
            "copies": lambda n, dim, seed: with_copies(n, dim, seed, n // 2),
            "near copies": lambda n, dim, seed: with_copies(n, dim, seed, n // 2, 1e-3),
            **VECTORS,
        }[kind]
        queries, index = make(5, dim, seed), make(n, dim, seed + 1)
        k = min(k, n)
        with pytest.MonkeyPatch.context() as patch:
            rows, scores = in_both(queries, index, k, patch)
        by_hand = slow_search(queries, index, k)
        np.testing.assert_allclose(scores, by_hand[1], atol=1e-7)
        if kind == "integers":
            assert rows.tolist() == by_hand[0].tolist()

    @pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-4, 1e-3, 3e-3, 1e-2])
    def test_near_duplicates_within_the_bound(self, noise, monkeypatch):
        index = with_copies(500, 64, 0, 200, noise)
        index[::50] = 0
        queries = np.concatenate([index[:20], np.zeros((1, 64), np.float32)])
        rows, scores = in_both(queries, index, 30, monkeypatch)
        by_hand = slow_search(queries, index, 30)
        np.testing.assert_allclose(scores, by_hand[1], atol=1e-7)
        if noise >= 1e-3:
            assert rows[:-1].tolist() == by_hand[0][:-1].tolist()

    @pytest.mark.parametrize("lowest", [-1.0, -0.3, 0.0, 0.01])
    def test_with_a_bonus_and_a_lowest_cosine(self, lowest, monkeypatch):
        class Bonus:
            values = np.random.default_rng(3).random(400) * 0.3
            largest = 0.3

            def block(self, queries, index, device):
                return torch.from_numpy(self.values[index]).float().expand(len(queries), -1)

            def pairs(self, queries, index):
                return torch.from_numpy(self.values)[index]

        queries, index = with_copies(20, 32, 0, 0), with_copies(400, 32, 1, 100, 1e-3)
        in_both(queries, index, 25, monkeypatch, lowest=lowest)
        _, scores = in_both(queries, index, 25, monkeypatch, bonus=Bonus(), lowest=lowest)
        q, x = (torch.nn.functional.normalize(torch.from_numpy(a).double()).numpy() for a in (queries, index))
        expected = ((q @ x.T).clip(min=lowest) + Bonus.values).astype(np.float32)
        order = np.argsort(-expected, axis=1, kind="stable")[:, :25]
        np.testing.assert_allclose(scores, np.take_along_axis(expected, order, axis=1), atol=1e-7)

    def test_where_bfloat16_leaves_much_open_float32_goes_on(self, monkeypatch):
        index = (1 + 1e-3 * with_copies(900, 64, 0, 0)).astype(np.float32)  # cosines close to 1
        calls = []
        blocks = BFloat16Products.blocks
        monkeypatch.setattr(BFloat16Products, "blocks", lambda *a: calls.append(1) or blocks(*a))
        in_both(index[:30], index, 10, monkeypatch)
        assert len(calls) == 1  # of ten blocks of queries


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("part", [0.0, 0.4, 1.0])
def test_results_that_rounding_hides(part, monkeypatch):
    """The nearest are rounded down, others not: part of the bound would lose them."""
    dim = 1017
    query = np.ones((1, dim), np.float32)
    nearest = np.ones((3, dim), np.float32)
    nearest[:, :7] = -1
    random = np.random.default_rng(0)
    others = np.exp(random.uniform(-0.05, 0.05, (400, dim))).astype(np.float32)
    others[:, :7] = -random.uniform(1.01, 1.1, (400, 1))  # their cosines are a little smaller
    index = np.concatenate([others, nearest])
    highest = BFloat16Products.highest

    def shortened(self, a):
        return a.double() + part * (highest(self, a) - a.double())

    monkeypatch.setattr(BFloat16Products, "highest", shortened)
    if part == 1:
        assert in_both(query, index, 3, monkeypatch)[0].tolist() == [[400, 401, 402]]
    else:
        with pytest.raises(AssertionError):
            in_both(query, index, 3, monkeypatch)


@pytest.mark.parametrize("storage", [np.float32, np.float16])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("queries", [1, 2, 70])
def test_vectors_in_several_arrays_are_searched_as_one(storage, known, queries, monkeypatch, tmp_path):
    parts = [with_copies(n, 24, n, n // 3).astype(storage) for n in (300, 1, 700)]
    parts[1][:] = 0
    np.save(tmp_path / "part.npy", parts[2])
    parts[2] = np.load(tmp_path / "part.npy", mmap_mode="r")
    live = [None, None, np.arange(0, 700, 2)]
    matrix = np.concatenate([parts[0], parts[1], parts[2][::2]]).astype(np.float32)
    stored = StoredVectors(parts, live, np.linalg.norm(matrix, axis=1) if known else None)
    q = np.concatenate([matrix[:1], with_copies(queries, 24, 9, 0)[1:]])
    for k in (1, 10, 651):
        monkeypatch.setattr(blockwise_top_k, "_INDEX_BLOCK", 100)
        monkeypatch.setattr(blockwise_top_k, "_LARGE_PART", 10)
        rows, scores = in_both(q, matrix, k, monkeypatch)
        for x in (q, StoredVectors([q], [None])):
            ours = in_both(x, stored, k, monkeypatch)
            assert np.array_equal(ours[0], rows)
            assert np.array_equal(ours[1], scores)


@pytest.mark.parametrize("queries", [1, 5, 70])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named_wherever_they_stand(queries, bad):
    index = with_copies(9000, 8, 0, 0)
    index[8123, 5] = bad
    for k in (5, 9000):
        with pytest.raises(ValueError, match="index must be finite, but row 8123 has NaN or infinite"):
            lz.search(index[:queries], index, k)
        with pytest.raises(ValueError, match="queries must be finite, but row 23 has NaN or infinite"):
            lz.search(index[8100:8130], index[:8000], k)
    with pytest.raises(ValueError, match="train must be finite, but row 8123"):
        lz.rerank.vote(index[:queries], index, np.zeros(9000, int))


def test_large_values_are_finite():
    index = with_copies(3000, 300, 0, 0) * np.float32(3e37)  # lengths that float32 cannot hold
    small = index * np.float32(1e-37)
    ours, expected = lz.search(index[:3], index, 5), lz.search(small[:3], small, 5)
    assert np.array_equal(ours.indices, expected.indices)


@pytest.mark.parametrize(
    ("queries", "size", "dim", "pays"),
    [
        (256, 2**14, 512, True),
        (255, 2**14, 512, False),
        (256, 2**14 - 1, 512, False),
        (256, 2**14, 2048, False),
    ],
)
def test_bfloat16_is_taken_where_it_pays(queries, size, dim, pays, monkeypatch):
    """For few queries the index is turned into bfloat16 in vain; in many dimensions much is left open."""
    monkeypatch.setattr(blockwise_top_k, "has_native_bfloat16", lambda: True)
    q, x = VectorRows(np.ones((queries, dim), np.float32)), VectorRows(np.ones((size, dim), np.float32))
    ways = blockwise_top_k._ways(ExactScores(q, x, None, -1.0), x, 100)
    assert isinstance(ways[0].products, BFloat16Products) == pays
    assert isinstance(ways[-1].products, Float32Products)
