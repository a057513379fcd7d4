"""Every backend is held to the same, on sets in which none may miss a result."""

import gc
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count

import numpy as np
import pytest
from search_by_hand import integers, slow_search

import landmarkzoo as lz
from landmarkzoo.retrieval import FaissHNSW, FaissIVF, faiss_backends
from landmarkzoo.retrieval.stored_vectors import StoredDescriptors, StoredVectors

NAMES = ["exact", "faiss-flat", "faiss-hnsw", "faiss-ivf", "milvus"]
_NUMBERS = count()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    pytest.importorskip("milvus_lite")
    path = tmp_path_factory.mktemp("milvus") / "all.db"
    opened = lz.Milvus(path, "keeps_it_open")
    assert len(opened) == 0
    yield path
    opened.close()


@pytest.fixture(params=NAMES)
def backend(request):
    if request.param == "milvus":
        return lz.Milvus(request.getfixturevalue("database"), f"c{next(_NUMBERS)}")
    if request.param != "exact":
        pytest.importorskip("faiss")
    return request.param


def some(rows=200, dim=16, seed=0, name="photo"):
    x = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    return lz.Descriptors([f"{name}{row}.jpg" for row in range(rows)], x)


def test_results_are_those_of_exact_search(backend):
    index, queries = some(), some(7, seed=1, name="query")
    ours, exact = lz.search(queries, index, 10, backend=backend), lz.search(queries, index, 10)
    assert ours.indices.tolist() == exact.indices.tolist()
    assert np.array_equal(ours.scores, exact.scores)  # to the last bit
    assert ours.ids.tolist() == exact.ids.tolist()
    assert ours.query_ids == queries.ids
    assert (ours.indices.dtype, ours.scores.dtype) == (np.int64, np.float32)


def test_k_beyond_the_index_and_vectors_of_any_length(backend):
    index, queries = some(30), some(3, seed=1)
    long = lz.Descriptors(index.ids, index.vectors * np.logspace(-12, 12, 30)[:, None])
    ours, exact = lz.search(queries, long, 100, backend=backend), lz.search(queries, index, 100)
    assert ours.indices.shape == (3, 30)
    assert ours.indices.tolist() == exact.indices.tolist()
    np.testing.assert_allclose(ours.scores, exact.scores, atol=1e-6)


def test_ties_duplicates_and_zero_vectors(backend):
    queries = np.concatenate([integers(6, 4, 0), np.zeros((1, 4))])
    x = integers(40, 4, 1)
    index = lz.Descriptors([f"{row}.jpg" for row in range(40)], x)
    ours = lz.search(queries, index, 40, backend=backend)  # all of them, so no tie is cut
    rows, scores = slow_search(queries, x, 40)
    assert ours.indices.tolist() == rows.tolist()
    np.testing.assert_allclose(ours.scores, scores, atol=1e-7)
    few = lz.search(queries, index, 5, backend=backend)
    np.testing.assert_allclose(few.scores, scores[:, :5], atol=1e-7)
    assert (few.scores[-1] == 0).all()
    same = few.scores[:, 1:] == few.scores[:, :-1]
    assert (np.diff(few.indices)[same] > 0).all()  # ties by the smaller row


def test_exclude_same_id(backend):
    index = some(60)
    ours = lz.search(index, index, 5, exclude_same_id=True, backend=backend)
    exact = lz.search(index, index, 5, exclude_same_id=True)
    assert ours.indices.tolist() == exact.indices.tolist()
    all_others = lz.search(index[:2], index, 60, exclude_same_id=True, backend=backend)
    assert all_others.indices.shape == (2, 60)
    assert all_others.indices[:, -1].tolist() == [-1, -1]
    assert (all_others.scores[:, -1] == -np.inf).all()
    with pytest.raises(ValueError, match="exclude_same_id needs ids"):
        lz.search(index.vectors, index, 5, exclude_same_id=True, backend=backend)


def test_ids_are_intact(backend):
    ids = ["a'b", 'say "hi"', "back\\slash", "塔/1.jpg", "new\nline", "", " ", "%", "x" * 5000, "\udcff.jpg"]
    ids += [unicodedata.normalize(form, "Münster") for form in ("NFC", "NFD")]
    index = lz.Descriptors(ids, np.random.default_rng(0).standard_normal((len(ids), 16)))
    ours = lz.search(index, index, 1, backend=backend)
    assert ours.ids[:, 0].tolist() == ids
    if isinstance(backend, lz.Milvus):
        assert backend.ids == sorted(ids)
        assert lz.search(index, None, 1, backend=backend).ids[:, 0].tolist() == ids
        assert backend.remove(ids) == len(ids)
        assert len(backend) == 0


def test_many_threads(backend):
    index, queries = some(300), some(40, seed=1)
    exact = lz.search(queries, index, 5)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: lz.search(queries[row], index, 5, backend=backend), range(40)))
    assert np.concatenate([one.indices for one in found]).tolist() == exact.indices.tolist()


def test_vectors_in_files(backend):
    whole = some(100)
    x = whole.vectors
    parts = (x[:40], np.concatenate([np.ones((1, 16), np.float32), x[40:]]))
    stored = StoredDescriptors(whole.ids, StoredVectors(parts, (None, np.arange(1, 61))))
    queries = some(5, seed=1)
    ours, exact = lz.search(queries, stored, 7, backend=backend), lz.search(queries, whole, 7)
    assert ours.indices.tolist() == exact.indices.tolist()
    assert np.array_equal(ours.scores, exact.scores)


class Holder:
    """What holds descriptors, as ``lz.Index`` does."""

    def __init__(self, descriptors):
        self.descriptors = descriptors

    def __len__(self):
        return len(self.descriptors)


def test_what_holds_descriptors_is_searched_in_what_it_holds_now(backend):
    index, queries = some(100), some(5, seed=1)
    holder = Holder(index)
    for _ in range(2):
        ours, exact = lz.search(Holder(queries), holder, 7, backend=backend), lz.search(queries, holder, 7)
        assert ours.indices.tolist() == exact.indices.tolist()
        assert ours.ids.tolist() == exact.ids.tolist()
        holder.descriptors = index[10:]  # a commit later
    if isinstance(backend, lz.Milvus):
        assert backend.add(Holder(index)) == 10
        assert backend.search(Holder(queries), 7).ids.tolist() == lz.search(queries, index, 7).ids.tolist()


def test_an_index_on_disk(backend, tmp_path):
    on_disk = lz.Index.create(tmp_path / "index", None)
    on_disk.add(some(100))
    on_disk.remove(["photo3.jpg", "photo7.jpg"])
    queries = some(5, seed=1)
    ours, exact = lz.search(queries, on_disk, 7, backend=backend), lz.search(queries, on_disk, 7)
    assert ours.indices.tolist() == exact.indices.tolist()
    assert np.array_equal(ours.scores, exact.scores)
    assert ours.ids.tolist() == exact.ids.tolist()


def test_wrong_input(backend):
    index = some(30)
    with pytest.raises(ValueError, match="queries has 5 dimensions, index has 16"):
        lz.search(np.ones((2, 5)), index, 3, backend=backend)
    with pytest.raises(ValueError, match="index is empty"):
        lz.search(index, index[:0], 3, backend=backend)
    with pytest.raises(ValueError, match="k must be a positive integer"):
        lz.search(index, index, 0, backend=backend)
    with pytest.raises(ValueError, match="queries must be finite"):
        lz.search(np.full((1, 16), np.nan), index, 3, backend=backend)
    one, other = (
        lz.Descriptors(index.ids, index.vectors, provenance={"weights": w, "model": "m"}) for w in "ab"
    )
    with pytest.raises(ValueError, match=r"weights a.*weights b"):
        lz.search(one, other, 3, backend=backend)
    assert lz.search(index[:0], index, 3, backend=backend).indices.shape == (0, 3)


def test_no_such_backend():
    x = np.eye(3)
    with pytest.raises(ValueError, match=r"no backend 'faiss-hsnw'. Did you mean faiss-hnsw"):
        lz.search(x, x, backend="faiss-hsnw")
    for wrong in (None, 3, FaissHNSW):
        with pytest.raises(TypeError, match="backend must be a name such as 'faiss-hnsw'"):
            lz.search(x, x, backend=wrong)
    for name in NAMES[1:-1]:  # exact search takes it for an index that is no array
        with pytest.raises(ValueError, match="index=None searches a collection by itself"):
            lz.search(x, None, backend=name)
    for options in ({"m": 1}, {"m": 0}, {"ef_search": 0}, {"ef_construction": 1.5}):
        with pytest.raises(ValueError, match="must be"):
            FaissHNSW(**options)
    for options in ({"nlist": 0}, {"nprobe": 0}):
        with pytest.raises(ValueError, match="must be a positive integer"):
            FaissIVF(**options)


MISSING = """
import sys
sys.modules.update({"faiss": None, "pymilvus": None})
import numpy as np, landmarkzoo.retrieval as lz
x = lz.Descriptors(["a"], np.ones((1, 2)))
for backend in ("faiss-hnsw", lz.Milvus("a.db", "c")):
    try:
        lz.search(x, x, backend=backend)
    except ModuleNotFoundError as error:
        print(error)
"""


def test_missing_packages_are_named_with_the_way_to_get_them():
    run = subprocess.run([sys.executable, "-c", MISSING], capture_output=True, text=True, check=True)
    assert run.stdout.count("pip install 'landmarkzoo[faiss]'") == 1
    assert run.stdout.count("pip install 'landmarkzoo[milvus]'") == 1


def test_what_faiss_built_is_kept_with_the_descriptors_and_no_longer(monkeypatch):
    faiss = pytest.importorskip("faiss")
    built = []
    monkeypatch.setattr(faiss, "IndexHNSWFlat", lambda *a, of=faiss.IndexHNSWFlat: built.append(a) or of(*a))
    index = some(100)
    search = partial(lz.search, index=index, k=3, backend="faiss-hnsw")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(search, index[:8]))
    lz.search(index, index, 3, backend=FaissHNSW(ef_search=64))  # only for the search
    assert len(built) == 1
    lz.search(index, index, 3, backend=FaissHNSW(m=16))
    assert len(built) == 2
    for _ in range(2):
        lz.search(index, index.vectors, 3, backend="faiss-hnsw")  # an array may change: built anew
    assert len(built) == 4
    kept = len(faiss_backends._KEPT)
    del index, search
    gc.collect()
    assert len(faiss_backends._KEPT) == kept - 1


def test_rows_that_ivf_does_not_find_end_in_padding():
    pytest.importorskip("faiss")
    index = some(400)
    r = lz.search(index[:9], index, 100, backend=FaissIVF(nlist=10, nprobe=1))
    assert (r.indices == -1).any()
    assert ((r.indices == -1) == (r.scores == -np.inf)).all()
    assert (np.diff((r.indices == -1).astype(int)) >= 0).all()  # only at the end
    assert r.indices[:, 0].tolist() == list(range(9))
    again = lz.search(index[:9], index.vectors, 100, backend=FaissIVF(nlist=10, nprobe=1))
    assert again.indices.tolist() == r.indices.tolist()  # lists are found by a fixed seed


def test_default_recall_on_clusters():
    pytest.importorskip("faiss")
    random = np.random.default_rng(0)
    centers = random.standard_normal((300, 32))
    x = centers[random.integers(0, 300, 6000)] + random.standard_normal((6000, 32))
    exact = lz.search(x[:200], x, 10).indices
    for backend in ("faiss-hnsw", "faiss-ivf"):
        found = lz.search(x[:200], x, 10, backend=backend).indices
        hits = [len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), exact.tolist())]
        assert np.mean(hits) >= 0.95
