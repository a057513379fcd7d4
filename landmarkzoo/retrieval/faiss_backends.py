"""Search by the indexes of faiss: flat, HNSW and IVF, over vectors of length 1.

What was built for Descriptors is kept as long as they live, so only the first search waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from landmarkzoo._utils.checks import FloatArray, IntArray, check_count, unit
from landmarkzoo.retrieval.descriptors import Descriptors, Vectors
from landmarkzoo.retrieval.vector_rows import VectorRows

_BLOCK = 8192  # rows that are normalised and added at once
_TRAINING = 64  # rows that a list of IVF is trained on; faiss wants 39 to 256
_LEAST_TRAINING = 39
_SEED = 0


@dataclass(frozen=True)
class FaissFlat:
    """Every product is computed, in float32. Needs ``pip install 'landmarkzoo[faiss]'``.

    Where many images have nearly one score, such as copies of a photo, others of them may come back than in
    exact search.
    """

    def candidates(self, queries: FloatArray, vectors: VectorRows, index: Vectors, k: int) -> IntArray:
        """Rows (Q, k) of the index with the largest cosines."""
        return _searched(_kept(index, ("flat",), lambda: _flat(vectors)), queries, k, None)


@dataclass(frozen=True)
class FaissHNSW:
    """A graph of neighbours that a search walks along (Malkov and Yashunin 2018, arXiv 1603.09320).

    Slow to build and large, fast to search. Needs ``pip install 'landmarkzoo[faiss]'``.

    Args:
        m: Neighbours of an image in the graph.
        ef_construction: How many images are looked at to find them, while the graph is built.
        ef_search: How many images a search keeps in view; at least k are. More find more, and take longer.

    Raises:
        ValueError: If one is not a positive integer, or ``m`` is 1.

    Examples:
        >>> lz.retrieval.FaissHNSW(ef_search=256)  # backend= of lz.search
        FaissHNSW(m=32, ef_construction=100, ef_search=256)
    """

    m: int = 32
    ef_construction: int = 100
    ef_search: int = 128

    def __post_init__(self) -> None:
        for name in ("m", "ef_construction", "ef_search"):
            check_count(getattr(self, name), name)
        if self.m < 2:
            raise ValueError("m must be at least 2, got 1: a graph of single links falls apart")

    def candidates(self, queries: FloatArray, vectors: VectorRows, index: Vectors, k: int) -> IntArray:
        """Rows (Q, k) of the index with probably the largest cosines."""
        built = _kept(index, ("hnsw", self.m, self.ef_construction), lambda: self._built(vectors))
        parameters = import_faiss().SearchParametersHNSW(efSearch=max(self.ef_search, k))
        return _searched(built, queries, k, parameters)

    def _built(self, vectors: VectorRows) -> Any:
        faiss = import_faiss()
        built = faiss.IndexHNSWFlat(vectors.shape[1], self.m, faiss.METRIC_INNER_PRODUCT)
        built.hnsw.efConstruction = self.ef_construction
        return _filled(built, vectors)


@dataclass(frozen=True)
class FaissIVF:
    """Lists of images around centers, of which a search reads the nearest (Jegou et al. 2011, TPAMI).

    Quick to build, no larger than the vectors. Needs ``pip install 'landmarkzoo[faiss]'``.

    Args:
        nlist: How many lists; if ``None``, 4 times the root of N. Never so many that a list has less than 39
            images.
        nprobe: How many lists a search reads. More find more, and take longer. Where these hold fewer than k
            images, a row ends in -1.

    Raises:
        ValueError: If one is not a positive integer.

    Examples:
        >>> lz.retrieval.FaissIVF(nprobe=64)  # backend= of lz.search
        FaissIVF(nlist=None, nprobe=64)
    """

    nlist: int | None = None
    nprobe: int = 32

    def __post_init__(self) -> None:
        check_count(self.nprobe, "nprobe")
        if self.nlist is not None:
            check_count(self.nlist, "nlist")

    def candidates(self, queries: FloatArray, vectors: VectorRows, index: Vectors, k: int) -> IntArray:
        """Rows (Q, k) of the index with probably the largest cosines."""
        built = _kept(index, ("ivf", self.nlist), lambda: self._built(vectors))
        parameters = import_faiss().SearchParametersIVF(nprobe=min(self.nprobe, built.nlist))
        return _searched(built, queries, k, parameters)

    def _built(self, vectors: VectorRows) -> Any:
        faiss, (count, dimensions) = import_faiss(), vectors.shape
        wanted = self.nlist or round(4 * count**0.5)
        lists = max(1, min(wanted, count // _LEAST_TRAINING))
        nearest_list = faiss.IndexFlatIP(dimensions)
        built = faiss.IndexIVFFlat(nearest_list, dimensions, lists, faiss.METRIC_INNER_PRODUCT)
        built.cp.seed, built.cp.min_points_per_centroid = _SEED, 1
        sample = np.random.default_rng(_SEED).permutation(count)[: _TRAINING * lists]
        built.train(_unit(vectors.take(np.sort(sample))))
        return _filled(built, vectors)


def import_faiss() -> Any:
    """The module faiss, which is needed for these backends only.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("this backend needs faiss: pip install 'landmarkzoo[faiss]'") from error
    return faiss


class _Kept:
    """What was built for one Descriptors, by its options."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.built: dict[tuple[object, ...], Any] = {}


_KEPT: WeakKeyDictionary[Descriptors, _Kept] = WeakKeyDictionary()
_LOCK = Lock()


def _kept(index: Vectors, options: tuple[object, ...], build: Any) -> Any:
    """What is kept with Descriptors, built by the first thread that asks; for arrays it is built anew."""
    if not isinstance(index, Descriptors):
        return build()
    with _LOCK:
        kept = _KEPT.setdefault(index, _Kept())
    with kept.lock:
        if options not in kept.built:
            kept.built[options] = build()
        return kept.built[options]


def _flat(vectors: VectorRows) -> Any:
    return _filled(import_faiss().IndexFlatIP(vectors.shape[1]), vectors)


def _filled(built: Any, vectors: VectorRows) -> Any:
    for block in _blocks(vectors):
        built.add(block)
    return built


def _blocks(vectors: VectorRows) -> Iterator[FloatArray]:
    for start in range(0, len(vectors), _BLOCK):
        yield _unit(vectors[start : start + _BLOCK].numpy())


def _unit(x: FloatArray) -> FloatArray:
    return unit(x).astype(np.float32)


def _searched(built: Any, queries: FloatArray, k: int, parameters: Any) -> IntArray:
    """Rows (Q, k) that faiss finds; it may be asked by several threads at once."""
    rows: IntArray = built.search(_unit(queries), k, params=parameters)[1]
    return rows
