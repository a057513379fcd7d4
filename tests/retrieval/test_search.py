import subprocess
import sys
import unicodedata

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_by_hand import integers, slow_search, with_copies

import landmarkzoo as lz
from landmarkzoo.retrieval import approximate_products, blockwise_top_k, exact_scores, vector_rows


@given(st.integers(1, 9), st.integers(1, 60), st.integers(1, 6), st.integers(1, 70), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_equals_a_slow_loop_with_ties_duplicates_and_zero_vectors(q, n, d, k, seed):
    queries, index = integers(q, d, seed), integers(n, d, seed + 1)
    ours = lz.search(queries, index, k)
    rows, scores = slow_search(queries, index, k)
    assert ours.indices.tolist() == rows.tolist()
    np.testing.assert_allclose(ours.scores, scores, atol=1e-7)
    assert ours.indices.dtype == np.int64
    assert ours.scores.dtype == np.float32


@pytest.mark.parametrize("blocks", [(1, 8), (3, 16), (7, 64), (1024, 8192)])
@pytest.mark.parametrize("kind", ["random", "ties", "all equal"])
def test_block_sizes_do_not_change_a_bit(blocks, kind, monkeypatch):
    queries, index = integers(20, 8, 0), integers(500, 8, 1)
    if kind == "random":
        queries, index = (np.random.default_rng(s).standard_normal((n, 8)) for s, n in ((0, 20), (1, 500)))
    if kind == "all equal":
        index[:] = index[0]
    expected = lz.search(queries, index, 30)
    monkeypatch.setattr(blockwise_top_k, "_QUERY_BLOCK", blocks[0])
    monkeypatch.setattr(blockwise_top_k, "_INDEX_BLOCK", blocks[1])
    monkeypatch.setattr(exact_scores, "_INDEX_BLOCK", blocks[1])
    monkeypatch.setattr(exact_scores, "_VALUES", blocks[0] * (60 + 2 * blocks[1]))
    monkeypatch.setattr(exact_scores, "_CACHED_VALUES", 3 * blocks[1])
    for part in (24, 0):  # the exact scores of all, and candidates first
        monkeypatch.setattr(blockwise_top_k, "_LARGE_PART", part)
        ours = lz.search(queries, index, 30)
        assert np.array_equal(ours.indices, expected.indices)
        assert np.array_equal(ours.scores, expected.scores)


def test_duplicates_beyond_the_spare_candidates_are_ranked_by_row():
    random = np.random.default_rng(0)
    index = random.standard_normal((3000, 64)).astype(np.float32)
    query = random.standard_normal((2, 64)).astype(np.float32)
    copies = random.permutation(3000)[:200]
    index[copies] = query[0]  # 200 results tie for the first place
    ours = lz.search(query, index, 50)
    assert ours.indices[0].tolist() == sorted(copies.tolist())[:50]
    assert np.array_equal(ours.indices, slow_search(query, index, 50)[0])


PEAKS = """
from pathlib import Path
import numpy as np, torch, landmarkzoo as lz

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

def measure(q, x, k):
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = peak()
    lz.search(q, x, k)
    print(peak() - before - 12 * len(q) * min(k, len(x)) / 2**20)  # without the result itself

random = np.random.default_rng(0)
torch.set_num_threads(1)
data = lambda n, dim: random.random((n, dim), dtype=np.float32)
measure(data(10, 4), data(3000, 4), 5)  # what libraries allocate once
measure(data(8000, 4), data(20_000, 4), 5)  # all scores: 610
measure(data(1024, 512), data(1000, 512), 250)  # the vectors of all candidates: 532 and, in float64, 1,064
x = data(30_000, 256)
measure(x[:100], x, 3_000)
measure(x[:100], x, 29_999)
measure(x[:100], x, 30_000)  # all vectors, in float32 and float64, of each query: 88
x[::2] = x[0]
measure(x[:2048], x, 100)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_memory_is_bounded_whatever_the_number_of_pairs_k_and_copies():
    run = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True)
    _, *peaks = map(float, run.stdout.split())  # MiB
    assert len(peaks) == 6
    assert max(peaks) < 150, peaks


def test_no_pair_is_computed_by_itself_because_of_copies(monkeypatch):
    """What made a search with many copies slow: every pair of a query in float64, one after the other."""
    pairs = 0
    of = exact_scores.ExactScores.of

    def counted(self, queries, index):
        nonlocal pairs
        pairs += index.numel()
        return of(self, queries, index)

    monkeypatch.setattr(exact_scores.ExactScores, "of", counted)
    counts = []
    for copies, noise, k in ((0, 0, 20), (400, 0, 20), (400, 1e-6, 20), (6000, 0, 20), (0, 0, 6000)):
        index, pairs = with_copies(6000, 32, 0, copies, noise), 0
        lz.search(np.concatenate([index[:1], with_copies(30, 32, 1, 0)]), index, k)
        counts.append(pairs)
    ordinary = counts[0]
    assert ordinary == 31 * 36  # the candidates
    assert max(counts) < 2 * ordinary


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e30, 1e37])
def test_the_length_of_vectors_does_not_matter(scale):
    random = np.random.default_rng(0)
    queries, index = random.standard_normal((3, 16)), random.standard_normal((200, 16))
    scaled = index * np.where(np.arange(200) % 2, scale, 1.0)[:, None]
    expected, ours = lz.search(queries, index, 10), lz.search(queries * scale, scaled, 10)
    assert np.array_equal(ours.indices, expected.indices)
    np.testing.assert_allclose(ours.scores, expected.scores, atol=1e-6)


@pytest.mark.parametrize("vecdot", [True, False])
@pytest.mark.parametrize("queries", [1, 3])
def test_threads_that_share_a_few_queries_change_nothing(queries, vecdot, monkeypatch):
    index = with_copies(3000, 16, 0, 300)
    index[5::500] *= np.float32(1e30)
    index[7::500] = 0
    q = with_copies(queries, 16, 1, 0)
    q[0] = index[0]
    expected = lz.search(np.repeat(q, 4, axis=0), index, 50)  # not few
    monkeypatch.setattr(approximate_products, "_MANY_VALUES", 0)
    monkeypatch.setattr(approximate_products, "_MEASURED_VALUES", 100)
    monkeypatch.setattr(blockwise_top_k, "_INDEX_BLOCK", 31)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    if not vecdot:  # NumPy 1
        monkeypatch.setattr(vector_rows, "_VECDOT", None)
    with torch.inference_mode(), torch.device("meta"):
        ours = lz.search(q, index, 50)
    assert np.array_equal(ours.indices, expected.indices[::4])
    assert np.array_equal(ours.scores, expected.scores[::4])
    index[2000, 3] = np.inf
    with pytest.raises(ValueError, match="index must be finite, but row 2000"):
        lz.search(q, index, 50)


def test_permuting_index_and_queries_permutes_the_result():
    random = np.random.default_rng(0)
    queries, index = random.standard_normal((6, 16)), random.standard_normal((300, 16))
    plain = lz.search(queries, index, 20)
    order, turn = random.permutation(300), random.permutation(6)
    ours = lz.search(queries[turn], index[order], 20)
    assert np.array_equal(order[ours.indices], plain.indices[turn])
    assert np.array_equal(ours.scores, plain.scores[turn])


def test_read_only_memory_gives_no_warning(tmp_path, recwarn):
    np.save(tmp_path / "x.npy", np.eye(3, dtype=np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert lz.search(mapped, mapped, 1).indices.tolist() == [[0], [1], [2]]
    assert len(recwarn) == 0


def test_arrays_tensors_and_descriptors():
    x = np.eye(3)
    for index in (x, torch.from_numpy(x), x.astype(np.float16), lz.Descriptors(list("abc"), x)):
        r = lz.search(x[:1], index, k=10)
        assert r.indices.tolist() == [[0, 1, 2]]
        names = index.ids if isinstance(index, lz.Descriptors) else ["0", "1", "2"]
        assert r.ids.tolist() == [names]
    both = lz.search(lz.Descriptors(["q"], x[:1]), lz.Descriptors(list("abc"), x), k=2)
    assert both.ids.tolist() == [["a", "b"]]
    assert both.query_ids == ["q"]
    assert len(lz.search(np.empty((0, 3)), x)) == 0


def test_exclude_same_id():
    d = lz.Descriptors(["a", "b", "c", "d"], [[1, 0], [0.9, 0.1], [1, 0], [0, 1]])
    r = lz.search(d, d, k=4, exclude_same_id=True)
    assert r.ids.tolist() == [
        ["c", "b", "d", ""],
        ["a", "c", "d", ""],
        ["a", "b", "d", ""],
        ["b", "a", "c", ""],
    ]
    assert r.indices[0].tolist() == [2, 1, 3, -1]
    assert r.scores[0, 3] == -np.inf
    others = lz.Descriptors(["b", "x"], [[1, 0], [1, 0]])
    assert lz.search(others, d, k=2, exclude_same_id=True).ids.tolist() == [["a", "c"], ["a", "c"]]
    with pytest.raises(ValueError, match="pass Descriptors on both sides"):
        lz.search(d.vectors, d.vectors, exclude_same_id=True)


def test_exclude_same_id_knows_both_forms_of_a_name():
    composed, decomposed = (unicodedata.normalize(form, "Münster_1.jpg") for form in ("NFC", "NFD"))
    assert composed != decomposed
    index = lz.Descriptors([decomposed, "b"], np.eye(2))
    query = lz.Descriptors([composed], [[1, 0]])
    assert lz.search(query, index, k=1, exclude_same_id=True).ids.tolist() == [["b"]]
    both = lz.Descriptors([composed, decomposed], np.eye(2))  # two files on Linux
    assert lz.search(query, both, k=1, exclude_same_id=True).ids.tolist() == [[decomposed]]


def test_exclude_same_id_goes_by_ids_that_name_photos():
    d = lz.Descriptors(["a", "b"], np.eye(2))
    twice = lz.Descriptors(["b", "a", "a"], np.eye(2)[[0, 1, 1]])
    for queries, index, side in ((twice, d, "queries"), (d, twice, "index"), (twice, twice, "queries")):
        with pytest.raises(ValueError, match=f"{side} has 'a' more than once"):
            lz.search(queries, index, exclude_same_id=True)
    in_memory = lz.Descriptors(["0", "1"], np.eye(2), provenance={"ids": "running numbers"})
    others = lz.Descriptors(["0", "1"], np.eye(2), provenance={"ids": "running numbers"})
    for queries, index in ((in_memory, others), (in_memory, d), (d, in_memory)):
        with pytest.raises(ValueError, match="running numbers of images in memory: give them ids"):
            lz.search(queries, index, exclude_same_id=True)
    within = lz.search(in_memory, in_memory, k=1, exclude_same_id=True)  # its numbers are its own
    assert within.indices.tolist() == [[1], [0]]


def test_wrong_input():
    x = np.eye(3)
    with pytest.raises(ValueError, match="index is empty"):
        lz.search(x, np.empty((0, 3)))
    with pytest.raises(ValueError, match="queries has 3 dimensions, index has 2"):
        lz.search(x, np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"shape \(N, D\), got \(3,\); one vector is x\[None\]"):
        lz.search(x[0], x)
    with pytest.raises(TypeError, match="float array"):
        lz.search(np.array([["a"]]), x)
    with pytest.raises(ValueError, match="queries must be finite, but row 1"):
        lz.search(np.array([[1.0, 0, 0], [np.nan, 0, 0]]), x)
    for k in (0, -1, 2.5, 2.0, True, np.True_, np.float64(2), "2", None):
        with pytest.raises(ValueError, match="k must be a positive integer"):
            lz.search(x, x, k)
