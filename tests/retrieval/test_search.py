import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import landmarkzoo as lz
from landmarkzoo.retrieval import blockwise_top_k


def slow(queries, index, k):
    """Every pair by hand, in float64; sorted by score, then by row."""
    rows, scores = [], []
    for q in queries.astype(np.float64):
        cosines = []
        for x in index.astype(np.float64):
            norm = np.sqrt((q * q).sum()) * np.sqrt((x * x).sum())
            cosines.append(np.float32((q * x).sum() / norm if norm > 0 else 0))
        order = sorted(range(len(index)), key=lambda i: (-cosines[i], i))[:k]
        rows.append(order)
        scores.append([cosines[i] for i in order])
    return np.array(rows), np.array(scores)


def integers(rows, dim, seed, high=3):
    """Small integers: many exact ties and duplicates, some zero rows."""
    return np.random.default_rng(seed).integers(-1, high, (rows, dim)).astype(np.float32)


@given(st.integers(1, 9), st.integers(1, 60), st.integers(1, 6), st.integers(1, 70), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_equals_a_slow_loop_with_ties_duplicates_and_zero_vectors(q, n, d, k, seed):
    queries, index = integers(q, d, seed), integers(n, d, seed + 1)
    ours = lz.search(queries, index, k)
    rows, scores = slow(queries, index, k)
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
    assert np.array_equal(ours.indices, slow(query, index, 50)[0])


def test_largest_finds_the_same_values_as_topk():
    scores = torch.randn(13, 4096).round(decimals=1)  # ties
    values, columns = blockwise_top_k._largest(scores, 50)
    expected = scores.topk(50, dim=1).values
    assert torch.equal(values.sort(descending=True).values, expected)
    assert torch.equal(scores.gather(1, columns), values)
    assert all(len(set(row)) == 50 for row in columns.tolist())


def test_never_holds_the_whole_matrix(monkeypatch):
    seen = []
    original = blockwise_top_k._largest
    monkeypatch.setattr(
        blockwise_top_k, "_largest", lambda s, keep: (seen.append(s.numel()), original(s, keep))[1]
    )
    lz.search(np.random.default_rng(0).random((3000, 4)), np.random.default_rng(1).random((20000, 4)), 5)
    assert max(seen) <= 1024 * 8192 < 3000 * 20000


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e30, 1e37])
def test_the_length_of_vectors_does_not_matter(scale):
    random = np.random.default_rng(0)
    queries, index = random.standard_normal((3, 16)), random.standard_normal((200, 16))
    scaled = index * np.where(np.arange(200) % 2, scale, 1.0)[:, None]
    expected, ours = lz.search(queries, index, 10), lz.search(queries * scale, scaled, 10)
    assert np.array_equal(ours.indices, expected.indices)
    np.testing.assert_allclose(ours.scores, expected.scores, atol=1e-6)


def test_permuting_index_and_queries_permutes_the_result():
    random = np.random.default_rng(0)
    queries, index = random.standard_normal((6, 16)), random.standard_normal((300, 16))
    plain = lz.search(queries, index, 20)
    order, turn = random.permutation(300), random.permutation(6)
    ours = lz.search(queries[turn], index[order], 20)
    assert np.array_equal(order[ours.indices], plain.indices[turn])
    assert np.array_equal(ours.scores, plain.scores[turn])


NEWER_PRECISION = """
import numpy as np, torch, landmarkzoo as lz
random = np.random.default_rng(0)
queries, index = random.standard_normal((5, 32)), random.standard_normal((4000, 32))
expected = lz.search(queries, index, 10)
{setting}
ours = lz.search(queries, index, 10)
assert np.array_equal(ours.indices, expected.indices) and np.array_equal(ours.scores, expected.scores)
{check}
"""


@pytest.mark.parametrize(
    ("setting", "check"),
    [
        (
            "torch.set_float32_matmul_precision('medium')",
            "assert torch.get_float32_matmul_precision() == 'medium'",
        ),
        (
            "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
            "assert torch.backends.cuda.matmul.fp32_precision == 'tf32'",
        ),
        (
            "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
            "assert torch.backends.mkldnn.matmul.fp32_precision == 'bf16'",
        ),
        ("torch.set_default_dtype(torch.float64)", "assert torch.get_default_dtype() == torch.float64"),
        ("torch.set_default_device('meta')", ""),
    ],
)
def test_settings_of_torch_do_not_change_the_result_and_stay(setting, check):
    if "fp32_precision" in setting and not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip("this torch has the older setting only")
    script = NEWER_PRECISION.format(setting=setting, check=check)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_read_only_memory_gives_no_warning(tmp_path, recwarn):
    np.save(tmp_path / "x.npy", np.eye(3, dtype=np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert lz.search(mapped, mapped, 1).indices.tolist() == [[0], [1], [2]]
    assert len(recwarn) == 0


def test_arrays_tensors_and_descriptors(monkeypatch):
    x = np.eye(3)
    for index in (x, torch.from_numpy(x), x.astype(np.float16), lz.Descriptors(list("abc"), x)):
        r = lz.search(x[:1], index, k=10)
        assert r.indices.tolist() == [[0, 1, 2]]
        assert r.ids is None or r.ids.tolist() == [["a", "b", "c"]]
    both = lz.search(lz.Descriptors(["q"], x[:1]), lz.Descriptors(list("abc"), x), k=2)
    assert both.ids.tolist() == [["a", "b"]]
    assert both.query_ids == ["q"]
    assert len(lz.search(np.empty((0, 3)), x)) == 0


def test_exclude_same_id():
    d = lz.Descriptors(["a", "b", "a", "c"], [[1, 0], [0.9, 0.1], [1, 0], [0, 1]])
    r = lz.search(d, d, k=3, exclude_same_id=True)
    assert r.ids.tolist() == [["b", "c", ""], ["a", "a", "c"], ["b", "c", ""], ["b", "a", "a"]]
    assert r.indices[0].tolist() == [1, 3, -1]
    assert r.scores[0, 2] == -np.inf
    with pytest.raises(ValueError, match="pass Descriptors on both sides"):
        lz.search(d.vectors, d.vectors, exclude_same_id=True)


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
    for k in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="k must be a positive integer"):
            lz.search(x, x, k)
