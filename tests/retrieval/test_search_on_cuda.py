"""Search on a GPU: the result of the CPU to the last bit, vectors that stay there, and no waiting."""

import gc
import warnings

import numpy as np
import pytest
import torch
from search_by_hand import integers, with_copies

import landmarkzoo as lz
from landmarkzoo.retrieval import blockwise_top_k, device_rows
from landmarkzoo.retrieval.blockwise_top_k import top_k
from landmarkzoo.retrieval.stored_vectors import StoredVectors

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

CUDA = torch.device("cuda")


@pytest.fixture(params=["kept", "streamed"])
def where(request, monkeypatch):
    """Whether the vectors fit there."""
    if request.param == "streamed":
        monkeypatch.setattr(device_rows, "_free_memory", lambda device: 0)
    return request.param


def test_free_memory_counts_what_torch_holds_for_later():
    before = device_rows._free_memory(CUDA)
    x = torch.empty(2**28, dtype=torch.uint8, device=CUDA)
    assert before - device_rows._free_memory(CUDA) >= 2**28
    del x
    assert before - device_rows._free_memory(CUDA) < 2**27


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("queries", [1, 3, 300])
@pytest.mark.parametrize("kind", ["random", "ties", "near copies", "tiny and huge"])
def test_the_result_is_that_of_the_cpu(kind, queries, monkeypatch):
    monkeypatch.setattr(blockwise_top_k, "_DEVICE_BLOCK", 8192)  # several
    size, dim = 30_000, 64
    make = integers if kind == "ties" else lambda n, dim, seed: with_copies(n, dim, seed, 0)
    q, x = make(queries, dim, 0), make(size, dim, 1)
    if kind == "near copies":
        x = with_copies(size, dim, 1, 2000, 1e-7)
        q[0] = x[0]
    if kind == "tiny and huge":
        x *= 10.0 ** np.random.default_rng(0).integers(-30, 30, (size, 1)).astype(np.float32)
        x[::100] = 0
    half = StoredVectors([x.astype(np.float16)[:20_000], x.astype(np.float16)[20_000:]], [None, None])
    for index in (x, StoredVectors([x[:7000], x[7000:]], [None, np.arange(0, 23_000, 2)]), half):
        if index is half and kind == "tiny and huge":
            continue  # float16 cannot hold them
        for k in (1, 100, 5000):
            ours, expected = top_k(q, index, k, device=CUDA), top_k(q, index, k)
            assert np.array_equal(ours[0], expected[0])
            assert np.array_equal(ours[1], expected[1])


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_settings_of_torch_do_not_change_the_result(precision):
    x = (1 + 1e-3 * with_copies(30_000, 64, 0, 0)).astype(np.float32)  # cosines close to 1
    expected, before = lz.search(x[:300], x, 10), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        ours = lz.search(x[:300], x, 10, device="cuda")
        with torch.autocast("cuda", torch.float16):
            again = lz.search(x[:300], x, 10, device="cuda")
    finally:
        torch.set_float32_matmul_precision(before)
    for found in (ours, again):
        assert np.array_equal(found.indices, expected.indices)
        assert np.array_equal(found.scores, expected.scores)


def test_rerankers_and_recognition():
    q, x, others = (with_copies(n, 64, seed, n // 5, 1e-3) for n, seed in ((300, 0), (20_000, 1), (5000, 2)))
    labels = np.random.default_rng(0).integers(-1, 50, 20_000)
    results = []
    for device in ("cpu", "cuda"):
        soft = lz.rerank.soft_discriminative(q, x, x, labels, k=10, device=device)
        found = lz.recognize(q, x, labels, non_landmark=others, device=device)
        results.append((soft.indices, soft.scores, found.labels, found.scores, found.support))
    assert all(map(np.array_equal, *results))


def waits(function):
    """How often the host waited for the device."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            function()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in seen)


@pytest.mark.parametrize("queries", [1, 300])
def test_nothing_waits_between_two_blocks(queries, monkeypatch):
    q, x = with_copies(queries, 64, 0, 0), with_copies(60_000, 64, 1, 0)
    stored = StoredVectors([x], [None], np.linalg.norm(x, axis=1))
    counts = []
    for block in (4096, 65_536):
        monkeypatch.setattr(blockwise_top_k, "_DEVICE_BLOCK", block)
        top_k(q, stored, 10, device=CUDA)
        counts.append(waits(lambda: top_k(q, stored, 10, device=CUDA)))
    assert 0 < counts[0] == counts[1]


def test_an_open_index_stays_on_the_gpu(tmp_path, monkeypatch):
    x = with_copies(20_000, 64, 0, 0)
    index = lz.Index.create(tmp_path / "index", device="cuda")
    ids = [str(row) for row in range(len(x))]
    index.add(lz.Descriptors(ids[:15_000], x[:15_000]))
    counts = []
    send = device_rows._Sender.send
    monkeypatch.setattr(
        device_rows._Sender,
        "send",
        lambda self, block, *rest: counts.append(len(block)) or send(self, block, *rest),
    )
    for expected in (15_000, 0):
        counts.clear()
        ours = index.search(x[:40] + x[40:80], 10)
        assert sum(counts) == expected
    assert np.array_equal(ours.indices, lz.search(x[:40] + x[40:80], x[:15_000], 10).indices)
    held = torch.cuda.memory_allocated()
    assert held >= x[:15_000].nbytes
    index.add(lz.Descriptors(ids[15_000:], x[15_000:]))
    counts.clear()
    ours = index.search(x[:40] + x[40:80], 10)
    assert sum(counts) == 5_000
    assert np.array_equal(ours.indices, lz.search(x[:40] + x[40:80], x, 10).indices)
    before = torch.cuda.memory_allocated()
    del index, ours
    gc.collect()
    assert torch.cuda.memory_allocated() <= before - x.nbytes
