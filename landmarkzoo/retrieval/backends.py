"""What answers a search instead of the exact one: an index of faiss, or a collection of Milvus.

A backend only names candidates. Their scores are computed here as exact search computes them, so a pair has
the same score everywhere, and results are sorted alike: best first, ties by the smaller row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from landmarkzoo._utils.checks import FloatArray, IntArray
from landmarkzoo._utils.suggestions import did_you_mean
from landmarkzoo.retrieval.descriptors import Vectors
from landmarkzoo.retrieval.exact_scores import ExactScores
from landmarkzoo.retrieval.faiss_backends import FaissFlat, FaissHNSW, FaissIVF
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.stored_vectors import Matrix, take_rows

_SPARE, _SPARE_SHARE = 16, 8  # candidates beyond k: so many, or this part of k
_VALUES = 2**22  # of the candidates that are scored at once: 16 MiB


@runtime_checkable
class Backend(Protocol):
    """Something that finds candidates in an index."""

    def candidates(self, queries: FloatArray, vectors: Matrix, index: Vectors, k: int) -> IntArray:
        """Rows (Q, m) of the index that are probably the best k; -1 where fewer were found.

        Args:
            queries: Array (Q, D), not normalised.
            vectors: The vectors of the index (N, D), not normalised, N > 0.
            index: What the user searches in: what is built from it can be kept with it.
            k: How many, at most N.
        """


@runtime_checkable
class KeepsVectors(Protocol):
    """A backend that holds vectors and ids itself, so that it can be searched without an index."""

    def search(self, queries: Vectors, k: int = 100, *, exclude_same_id: bool = False) -> Ranking:
        """Best ``k`` of all that it holds."""


NAMED: dict[str, Callable[[], Backend]] = {
    "faiss-flat": FaissFlat,
    "faiss-hnsw": FaissHNSW,
    "faiss-ivf": FaissIVF,
}


def as_backend(backend: str | Backend) -> Backend:
    """A backend of what the user gave: its name, or itself.

    Raises:
        TypeError: If it is something else.
        ValueError: If there is no such name.

    Examples:
        >>> as_backend("faiss-hnsw")
        FaissHNSW(m=32, ef_construction=100, ef_search=128)
    """
    if isinstance(backend, str):
        if backend not in NAMED:
            names = ["exact", *NAMED]
            raise ValueError(
                f"there is no backend {backend!r}.{did_you_mean(backend, names)} There are "
                f"{', '.join(names)}, and lz.Milvus(uri, collection)"
            )
        return NAMED[backend]()
    if isinstance(backend, type) or not isinstance(backend, Backend):
        raise TypeError(
            "backend must be a name such as 'faiss-hnsw', lz.retrieval.FaissHNSW(...) or lz.Milvus(...), "
            f"got {backend!r}"
        )
    return backend


def search_alone(backend: str | Backend, queries: Vectors, k: int, exclude_same_id: bool) -> Ranking:
    """Search in what a backend holds itself.

    Raises:
        ValueError: If it holds nothing without an index.
    """
    if isinstance(backend, (str, type)) or not isinstance(backend, KeepsVectors):
        raise ValueError(
            "index=None searches a collection by itself, with backend=lz.Milvus(...); backend "
            f"{backend!r} needs an index"
        )
    return backend.search(queries, k, exclude_same_id=exclude_same_id)


def backend_top_k(
    backend: Backend, queries: FloatArray, vectors: Matrix, index: Vectors, k: int
) -> tuple[IntArray, FloatArray]:
    """Best ``k`` of the candidates of a backend.

    Args:
        backend: What finds candidates.
        queries: Array (Q, D).
        vectors: The vectors of the index (N, D).
        index: What the user searches in.
        k: How many; at most N.

    Returns:
        Rows (Q, k), int64, and their scores (Q, k), float32; -1 and -inf where fewer were found.
    """
    rows = np.full((len(queries), k), -1, np.int64)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    if len(queries) == 0:
        return rows, scores
    more = min(k + max(_SPARE, k // _SPARE_SHARE), len(vectors))  # its scores are rounded
    candidates = backend.candidates(queries, vectors, index, more)  # (Q, m)
    step = max(1, _VALUES // max(1, candidates.shape[1] * queries.shape[1]))
    for start in range(0, len(queries), step):
        some = slice(start, start + step)
        best, values = _best(queries[some], vectors, candidates[some], k)
        rows[some, : best.shape[1]], scores[some, : best.shape[1]] = best, values
    return rows, scores


def _best(queries: FloatArray, vectors: Matrix, candidates: IntArray, k: int) -> tuple[IntArray, FloatArray]:
    """Best k of the candidates (q, m) by exact score; -1 and -inf at the end where there are fewer."""
    candidates = np.sort(candidates, axis=1)  # a stable sort then breaks ties by the smaller row
    needed, places = np.unique(candidates.clip(min=0), return_inverse=True)
    exact = ExactScores(
        torch.from_numpy(queries.copy()), torch.from_numpy(take_rows(vectors, needed)), None, lowest=-1.0
    )
    every = torch.arange(len(queries), device="cpu")
    scores = exact.of(every, torch.from_numpy(places.reshape(candidates.shape))).numpy()
    scores[candidates < 0] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(scores, order, axis=1)
