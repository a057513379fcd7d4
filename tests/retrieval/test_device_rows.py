"""Searches on another device. Here "cpu:0" is taken for one: vectors go there, are kept, and scored there."""

import gc
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from search_by_hand import integers, with_copies
from torch.utils._python_dispatch import TorchDispatchMode

import landmarkzoo as lz
from landmarkzoo.retrieval import blockwise_top_k, device_rows, exact_scores
from landmarkzoo.retrieval.approximate_products import DeviceProducts, float32_margin
from landmarkzoo.retrieval.blockwise_top_k import top_k
from landmarkzoo.retrieval.device_rows import DeviceCopies, DeviceRows
from landmarkzoo.retrieval.stored_vectors import StoredVectors
from landmarkzoo.retrieval.vector_rows import VectorRows

CPU, OTHER = torch.device("cpu"), torch.device("cpu:0")
PLENTY = 2**40


@pytest.fixture
def elsewhere(monkeypatch):
    """Take it for another device, with so much memory; small blocks, and candidates however few images."""

    def of(free=PLENTY, block=40):
        monkeypatch.setattr(blockwise_top_k, "_is_elsewhere", lambda device: device == OTHER)
        monkeypatch.setattr(blockwise_top_k, "_INDEX_BLOCK", block)
        monkeypatch.setattr(blockwise_top_k, "_DEVICE_BLOCK", block)
        monkeypatch.setattr(exact_scores, "_INDEX_BLOCK", block)
        monkeypatch.setattr(blockwise_top_k, "_LARGE_PART", 0)
        monkeypatch.setattr(device_rows, "_SENT_VALUES", 1000)
        monkeypatch.setattr(device_rows, "_free_memory", lambda device: free)

    return of


@pytest.fixture
def sent_rows(monkeypatch):
    """How many rows went to a device."""
    counts = []
    send = device_rows._Sender.send
    monkeypatch.setattr(
        device_rows._Sender,
        "send",
        lambda self, block, *rest: counts.append(len(block)) or send(self, block, *rest),
    )
    return counts


def tiny_and_huge(rows, dim, seed):
    x = with_copies(rows, dim, seed, rows // 4)
    x *= 10.0 ** np.random.default_rng(seed).integers(-30, 30, (rows, 1)).astype(np.float32)
    x[::7] = 0
    x[1::50] = np.float32(1e-45)
    return x


VECTORS = {
    "ties": integers,
    "copies": lambda n, dim, seed: with_copies(n, dim, seed, n // 2),
    "near copies": lambda n, dim, seed: with_copies(n, dim, seed, n // 2, 1e-7),
    "tiny and huge": tiny_and_huge,
    "zero": lambda n, dim, seed: np.zeros((n, dim), np.float32),
}


@pytest.mark.parametrize("free", [PLENTY, 0])
@pytest.mark.parametrize("kind", VECTORS)
@pytest.mark.parametrize("queries", [1, 30])
def test_the_result_is_that_of_the_cpu(free, kind, queries, elsewhere):
    q, x = VECTORS[kind](queries, 24, 0), VECTORS[kind](700, 24, 1)
    q[0] = x[0]
    live = np.flatnonzero(np.arange(300) % 3)
    stored = StoredVectors([x[:350], x[350:400], x[400:]], [None, None, live])
    matrix = np.concatenate([x[:400], x[400:][live]])
    expected = [top_k(q, matrix, k) for k in (1, 20, 600)]
    elsewhere(free)
    for index in (matrix, stored, stored):
        for k, (rows, scores) in zip((1, 20, 600), expected):
            ours = top_k(q, index, k, device=OTHER)
            assert np.array_equal(ours[0], rows)
            assert np.array_equal(ours[1], scores)


@pytest.mark.parametrize("free", [PLENTY, 0])
def test_without_float64_on_the_device(free, elsewhere, monkeypatch):
    q, x = VECTORS["near copies"](30, 24, 0), VECTORS["near copies"](700, 24, 1)
    expected = top_k(q, x, 20)
    elsewhere(free)
    monkeypatch.setattr(DeviceRows, "has_float64", False)
    assert all(map(np.array_equal, top_k(q, x, 20, device=OTHER), expected))


@pytest.mark.parametrize("free", [PLENTY, 0])
def test_rerankers_and_recognition(free, elsewhere):
    q, x, others = (with_copies(n, 24, seed, n // 5, 1e-3) for n, seed in ((20, 0), (400, 1), (60, 2)))
    labels = np.random.default_rng(0).integers(-1, 5, 400)

    def all_of_them(device):
        soft = lz.rerank.soft_discriminative(q, x, x, labels, k=10, device=device)
        found = lz.recognize(q, x, labels, non_landmark=others, device=device)
        votes = lz.rerank.vote(q, x, labels, device=device)
        return soft.indices, soft.scores, found.labels, found.scores, found.support, votes.confidence

    expected = all_of_them("cpu")
    elsewhere(free)
    assert all(map(np.array_equal, all_of_them("cpu:0"), expected))


def to_tf32(x):
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


@pytest.mark.parametrize("rounds", [lambda call: True, lambda call: call % 3, lambda call: call > 2])
def test_in_any_precision_of_products(rounds, elsewhere, monkeypatch):
    """The setting of the user, who may turn it while a search runs."""
    random = np.random.default_rng(0)
    index = random.standard_normal((3000, 64)) * 1e-3 + random.standard_normal(64)  # cosines close together
    queries = index[:20] + 1e-4 * random.standard_normal((20, 64))
    expected, mm, calls = lz.search(queries, index, 10), torch.mm, []

    def rounded(a, b, *, out):
        calls.append(1)
        return mm(to_tf32(a), to_tf32(b), out=out) if rounds(len(calls)) else mm(a, b, out=out)

    elsewhere(block=500)
    monkeypatch.setattr(blockwise_top_k, "_DEVICE_QUERIES", 7)
    monkeypatch.setattr(torch, "mm", rounded)
    ours = lz.search(queries, index, 10, device="cpu:0")
    assert len(calls) > 12
    assert np.array_equal(ours.indices, expected.indices)
    assert np.array_equal(ours.scores, expected.scores)


@pytest.mark.parametrize("rounded", [to_tf32, lambda x: x.bfloat16().float()])
def test_the_bound_holds_where_the_precision_changes_after_the_first_block(rounded, elsewhere, monkeypatch):
    elsewhere()
    q, x = with_copies(30, 64, 0, 0), np.abs(with_copies(500, 64, 1, 0))
    exact = torch.nn.functional.normalize(torch.from_numpy(q).double())
    exact = exact @ torch.nn.functional.normalize(torch.from_numpy(x).double()).T
    products, mm, calls, errors = DeviceProducts(DeviceRows(VectorRows(x), OTHER)), torch.mm, [], []

    def changing(a, b, *, out):
        calls.append(1)
        return mm(a, b, out=out) if len(calls) == 1 else mm(rounded(a), rounded(b), out=out)

    monkeypatch.setattr(torch, "mm", changing)
    for bound in (2.0**-6 + 1e-4, 2.0**-14 + 1e-4):  # at first, and from then on
        blocks = products.blocks(torch.from_numpy(q), 100)
        found = torch.cat(
            [scores[:, : columns.stop - columns.start].clone() for columns, scores in blocks], dim=1
        )
        highest = products.highest(found.flatten()).view_as(exact)
        errors.append(float((found - exact).abs().max()))
        assert errors[-1] < bound
        assert (exact <= highest).all()
    assert errors[0] > float32_margin(64)
    assert len(calls) == 5 + 3 * 5


class Waits(TorchDispatchMode):
    """Counts what a host would wait for if its values were on another device."""

    NAMES = ("_local_scalar_dense", "nonzero", "is_nonzero", "item", "unique", "masked_select")

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        masks = function.name().startswith("aten::index") and any(
            isinstance(x, torch.Tensor) and x.dtype == torch.bool
            for x in (args[1] if len(args) > 1 else ()) or ()
        )
        self.count += masks or any(f"::{name}" in function.name() for name in self.NAMES)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("free", [PLENTY, 0])
@pytest.mark.parametrize("queries", [1, 30])
def test_nothing_waits_between_two_blocks(free, queries, elsewhere):
    q, x = with_copies(queries, 24, 0, 0), with_copies(2000, 24, 1, 0)
    stored = StoredVectors([x], [None], np.linalg.norm(x, axis=1))
    counts = []
    for block in (40, 2000):
        elsewhere(free, block)
        top_k(q, stored, 10, device=OTHER)
        with Waits() as waits:
            top_k(q, stored, 10, device=OTHER)
        counts.append(waits.count)
    assert 0 < counts[0] == counts[1]


def descriptors(start, stop):
    x = with_copies(1000, 24, 1, 100, 1e-7)
    return lz.Descriptors([str(row) for row in range(start, stop)], x[start:stop])


class TestIndex:
    """An index that is open keeps its vectors on the device."""

    @pytest.fixture
    def index(self, tmp_path, elsewhere):
        elsewhere()
        index = lz.Index.create(tmp_path / "index", device="cpu:0")
        index.add(descriptors(0, 300))
        return index

    def check(self, index, k=20):
        """A search gives what it gives on the CPU."""
        q = with_copies(9, 24, 5, 0)
        ours, expected = index.search(q, k), lz.search(q, index.vectors, k)
        assert np.array_equal(ours.indices, expected.indices)
        assert np.array_equal(ours.scores, expected.scores)

    def test_vectors_go_there_once(self, index, sent_rows):
        for k in (20, 3, 280):
            self.check(index, k)
            assert sum(sent_rows) == 300
        for _ in range(2):
            lz.search(with_copies(2, 24, 6, 0), index, 7, device="cpu:0")
        assert sum(sent_rows) == 300
        lz.search(with_copies(2, 24, 6, 0), index.vectors, 7, device="cpu:0")  # an array may have changed
        assert sum(sent_rows) == 600

    def test_after_a_commit_only_new_ones_go_there(self, index, sent_rows):
        self.check(index)
        for first, last in ((300, 310), (310, 317), (317, 500), (500, 501)):  # with room, and without
            sent_rows.clear()
            index.add(descriptors(first, last))
            self.check(index)
            assert sum(sent_rows) == last - first
        sent_rows.clear()
        index.relabel({"3": "tower"})
        self.check(index)
        assert sum(sent_rows) == 0

    def test_after_removals_only_shards_that_have_changed(self, index, sent_rows):
        index.add(descriptors(300, 350))
        index.add(descriptors(350, 500))
        self.check(index)
        sent_rows.clear()
        index.remove([str(row) for row in range(300, 340)])
        self.check(index)
        assert sum(sent_rows) == 10
        index.compact()
        self.check(index)
        assert sum(sent_rows) == 10 + 460

    def test_rows_that_count_are_compared_once_a_commit(self, index, monkeypatch):
        """They may be millions, and a search waits for it."""
        index.remove("7")
        self.check(index)
        index.relabel({"3": "tower"})
        compared = []
        array_equal = np.array_equal
        monkeypatch.setattr(
            device_rows.np, "array_equal", lambda *both: compared.append(1) or array_equal(*both)
        )
        rows = VectorRows(index.descriptors.stored)
        for _ in range(3):
            assert rows.copies.of(rows, CPU) is not None
        assert len(compared) == 1

    def test_an_older_commit_is_searched_as_it_was(self, index):
        q = with_copies(9, 24, 5, 0)
        older = [index.descriptors]
        index.add(descriptors(300, 310))
        older.append(index.descriptors)
        index.remove("7")
        older.append(index.descriptors)
        index.compact()
        for commit in older * 2:
            self.check(index)
            ours, expected = lz.search(q, commit, 20, device="cpu:0"), lz.search(q, commit, 20)
            assert np.array_equal(ours.ids, expected.ids)
            assert np.array_equal(ours.scores, expected.scores)

    def test_another_open_index_sees_the_commit(self, index):
        reader = lz.Index.open(index._files.path, device="cpu:0")
        self.check(reader)
        index.add(descriptors(300, 400))
        self.check(reader)

    @pytest.mark.parametrize("storage", ["float16", "float32"])
    def test_the_type_that_it_is_kept_in(self, storage, tmp_path, elsewhere):
        elsewhere()
        index = lz.Index.create(tmp_path / "half", storage=storage, device="cpu:0")
        index.add(descriptors(0, 300))
        self.check(index)
        self.check(index, 290)
        copy = DeviceRows(VectorRows(index.descriptors.stored), OTHER).copy
        assert copy.vectors.dtype == getattr(torch, storage)

    def test_made_in_inference_mode_it_can_grow_outside(self, index):
        with torch.inference_mode():
            self.check(index)
        index.add(descriptors(300, 310))
        self.check(index)

    def test_it_is_freed_with_the_index(self, index):
        reader = lz.Index.open(index._files.path, device="cpu:0")
        self.check(reader)
        copy = weakref.ref(reader._files._copies._held[CPU].vectors)
        assert copy() is not None
        del reader
        gc.collect()
        assert copy() is None

    def test_there_may_be_room_for_one_but_not_for_two(self, index, sent_rows, monkeypatch):
        self.check(index)
        held = index._files._copies._held

        def free(device):
            return 70_000 - sum(100 * len(copy.vectors) for copy in held.values())

        monkeypatch.setattr(device_rows, "_free_memory", free)
        index.add(descriptors(300, 310))
        index.remove([str(row) for row in range(60)])
        self.check(index)
        assert CPU in held
        assert sum(sent_rows) == 300 + 250
        index.add(descriptors(310, 600))
        self.check(index)
        assert CPU not in held

    def test_threads_search_while_it_grows(self, index):
        done = threading.Event()

        def searches():
            while not done.is_set():
                commit = index.descriptors
                q = commit.stored.block(0, 5)
                ours, expected = lz.search(q, commit, 9, device="cpu:0"), lz.search(q, commit, 9)
                assert np.array_equal(ours.indices, expected.indices)
                assert np.array_equal(ours.scores, expected.scores)
            return True

        with ThreadPoolExecutor(4) as pool:
            found = [pool.submit(searches) for _ in range(4)]
            for first in range(300, 400, 10):
                index.add(descriptors(first, first + 10))
                if first % 30 == 0:
                    index.remove(str(first))
            done.set()
            assert all(search.result() for search in found)

    def test_another_process_makes_its_own(self, index):
        self.check(index)
        again = pickle.loads(pickle.dumps(index.descriptors))
        q = with_copies(2, 24, 6, 0)
        assert np.array_equal(
            lz.search(q, again, 7, device="cpu:0").indices, lz.search(q, index, 7, device="cpu").indices
        )


def test_lengths_that_nobody_knows_are_computed_of_all_rows(elsewhere):
    """Also of those that are on the device already."""
    elsewhere()
    x, copies = with_copies(500, 24, 0, 0), DeviceCopies()
    for parts in ([x[:300]], [x[300:], x[:300]]):
        stored = StoredVectors(parts, [None] * len(parts), copies=copies)
        ours, expected = top_k(x[:9], stored, 5, device=OTHER), top_k(x[:9], np.concatenate(parts), 5)
        assert all(map(np.array_equal, ours, expected))


def test_values_that_are_not_finite(elsewhere):
    x = with_copies(500, 24, 0, 0)
    x[321, 3] = np.nan
    for free in (PLENTY, 0):
        elsewhere(free)
        for k in (5, 490):
            with pytest.raises(ValueError, match="index must be finite, but row 321"):
                lz.search(x[:3], x, k, device="cpu:0")


@pytest.mark.parametrize(
    ("queries", "dimensions", "size"), [(1, 512, 2**16 - 1), (4095, 512, 2**14 - 1), (1, 2**12, 2**13 - 1)]
)
def test_blocks_are_large_but_bounded(queries, dimensions, size):
    assert blockwise_top_k._device_block(queries, dimensions) == size
