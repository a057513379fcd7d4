"""Candidates from float32 products, in whatever precision torch computes these."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from search_by_hand import integers, slow_search, with_copies

import landmarkzoo as lz
from landmarkzoo.retrieval import blockwise_top_k
from landmarkzoo.retrieval.approximate_products import PROBE, products

MM = torch.mm


def to_bfloat16(x):
    return x.bfloat16().float()


def to_tf32(x):
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


def mm_in(rounded):
    """torch.mm as hardware does it that rounds its input."""

    def mm(a, b, *, out):
        return MM(rounded(a), rounded(b), out=out)

    return mm


def test_the_rounding_is_as_it_should_be():
    assert to_tf32(torch.tensor([1 + 2.0**-10, 1 + 2.0**-12])).tolist() == [1 + 2.0**-10, 1.0]
    assert to_bfloat16(torch.tensor([1 + 2.0**-7, 1 + 2.0**-9])).tolist() == [1 + 2.0**-7, 1.0]


@given(
    st.sampled_from([to_bfloat16, to_tf32, None]),
    st.integers(1, 120),
    st.integers(1, 6),
    st.integers(1, 130),
    st.integers(0, 10**6),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_candidates_lead_to_what_a_slow_loop_finds(rounded, n, dim, k, seed, ties):
    make = integers if ties else (lambda rows, dim, seed: with_copies(rows, dim, seed, rows // 3, 1e-3))
    queries, index = make(4, dim, seed), make(n, dim, seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockwise_top_k, "_LARGE_PART", 0)  # however small the index
        patch.setattr(blockwise_top_k, "_SPARE", 2)
        patch.setattr(blockwise_top_k, "_QUERY_BLOCK", 3)
        patch.setattr(blockwise_top_k, "_INDEX_BLOCK", 39)
        if rounded:
            patch.setattr(torch, "mm", mm_in(rounded))
        ours = lz.search(queries, index, k)
    rows, scores = slow_search(queries, index, k)
    np.testing.assert_allclose(ours.scores, scores, atol=1e-7)
    if ties:
        assert ours.indices.tolist() == rows.tolist()


@pytest.mark.parametrize("rounded", [to_bfloat16, to_tf32])
def test_results_are_exact_in_any_precision_of_products(rounded, monkeypatch):
    random = np.random.default_rng(0)
    index = random.standard_normal((3000, 64)) * 1e-3 + random.standard_normal(64)  # cosines close together
    queries = index[:20] + 1e-4 * random.standard_normal((20, 64))
    expected = lz.search(queries, index, 10)
    assert np.array_equal(
        expected.indices, slow_search(*(x.astype(np.float32) for x in (queries, index)), 10)[0]
    )
    calls = 0

    def mm(a, b, *, out):  # as if another thread turned the setting all the time
        nonlocal calls
        calls += 1
        return MM(a, b, out=out) if calls % 3 == 0 else MM(rounded(a), rounded(b), out=out)

    for product in (mm_in(rounded), mm):
        monkeypatch.setattr(torch, "mm", product)
        ours = lz.search(queries, index, 10)
        assert np.array_equal(ours.indices, expected.indices)
        assert np.array_equal(ours.scores, expected.scores)
    assert calls > 1


@pytest.mark.parametrize("rounded", [to_bfloat16, to_tf32])
@pytest.mark.parametrize("dim", [1, 16, 600])
def test_products_in_two_parts_are_within_their_bound(rounded, dim, monkeypatch):
    random = np.random.default_rng(dim)
    for shift in (0.0, 1.0):
        q, x = (
            torch.nn.functional.normalize(torch.from_numpy(random.standard_normal((n, dim))) + shift).float()
            for n in (30, 500)
        )
        q[-1], x[-1] = 0, 0
        q[-1, 0], x[-1, 0] = PROBE, 1
        out, exact = torch.empty(30, 500), q.double() @ x.double().T
        assert products(q, x, out)
        assert (out - exact).abs().max() < dim * 2.0**-23
        with monkeypatch.context() as patch:
            patch.setattr(torch, "mm", mm_in(rounded))
            assert not products(q, x, out)
        assert (out - exact)[:-1, :-1].abs().max() < 2.0**-15 + 2 * dim * 2.0**-23


@pytest.fixture
def precision_as_before():
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("precision", ["highest", "medium"])
@pytest.mark.usefixtures("precision_as_before")
def test_large_products_are_within_their_bound(precision):
    """They go to another library, which has settings of its own."""
    random = np.random.default_rng(0)
    q, x = (
        torch.nn.functional.normalize(torch.from_numpy(random.standard_normal((n, 512)))).float()
        for n in (64, 4096)
    )
    q[-1], x[-1] = 0, 0
    q[-1, 0], x[-1, 0] = PROBE, 1
    out, exact = torch.empty(64, 4096), q.double() @ x.double().T
    torch.set_float32_matmul_precision(precision)
    bound = 512 * 2.0**-23 if products(q, x, out) else 2.0**-15 + 2 * 512 * 2.0**-23
    assert (out - exact)[:-1, :-1].abs().max() < bound


SETTINGS = """
import numpy as np, torch, landmarkzoo as lz
random = np.random.default_rng(0)
queries, index = random.standard_normal((5, 32)), random.standard_normal((4000, 32))
ks = (10, 1000, 4000)
expected = [lz.search(queries, index, k) for k in ks]

def search_again():
    for k, right in zip(ks, expected):
        ours = lz.search(queries, index, k)
        assert np.array_equal(ours.indices, right.indices) and np.array_equal(ours.scores, right.scores)

for precision in ("high", "medium"):
    torch.set_float32_matmul_precision(precision)
    search_again()
    assert torch.get_float32_matmul_precision() == precision
torch.set_float32_matmul_precision("highest")

with torch.autocast("cpu", torch.bfloat16):
    search_again()

torch.set_default_dtype(torch.float64)
search_again()
assert torch.get_default_dtype() == torch.float64
torch.set_default_dtype(torch.float32)

torch.set_default_device("meta")
search_again()
torch.set_default_device("cpu")

torch.use_deterministic_algorithms(True)
search_again()
torch.use_deterministic_algorithms(False)

with torch.inference_mode():
    search_again()

if hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # the newer setting; it cannot be taken back
    for backend, precision in ((torch.backends.mkldnn.matmul, "bf16"), (torch.backends.cuda.matmul, "tf32")):
        backend.fp32_precision = precision
        search_again()
        assert backend.fp32_precision == precision
"""


def test_settings_of_torch_do_not_change_the_result_and_stay():
    run = subprocess.run([sys.executable, "-c", SETTINGS], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.usefixtures("precision_as_before")
def test_no_thread_sees_another_setting_than_the_users():
    queries, index = with_copies(50, 64, 0, 0), with_copies(4000, 64, 1, 200)
    torch.set_float32_matmul_precision("high")
    seen, done = set(), threading.Event()

    def watch():
        while not done.is_set():
            seen.add(torch.get_float32_matmul_precision())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda k: lz.search(queries, index, k), [5, 50, 4000] * 4))
    done.set()
    watcher.join()
    assert seen == {"high"}
    assert torch.get_float32_matmul_precision() == "high"


@pytest.mark.usefixtures("precision_as_before")
def test_threads_with_other_k_while_the_setting_changes_all_the_time():
    index = with_copies(6000, 48, 1, 300, 1e-7)
    queries = np.concatenate([index[:5], with_copies(40, 48, 0, 0)])
    ks = [1, 7, 100, 150, 1000, 5999, 6000, 20]
    expected = [lz.search(queries, index, k) for k in ks]
    done = threading.Event()

    def turn():
        while not done.is_set():
            for precision in ("highest", "medium", "high"):
                torch.set_float32_matmul_precision(precision)

    turner = threading.Thread(target=turn)
    turner.start()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: lz.search(queries, index, k), ks * 3))
    done.set()
    turner.join()
    for ours, right in zip(found, expected * 3):
        assert np.array_equal(ours.indices, right.indices)
        assert np.array_equal(ours.scores, right.scores)
