"""What answers a search instead of the exact one: an index of faiss, or a collection of Milvus.

A backend only names candidates. Their scores are computed here as exact search computes them, so a pair has
the same score everywhere, and results are sorted alike: best first, ties by the smaller row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from landmarkzoo._utils.checks import FloatArray, IntArray
from landmarkzoo._utils.suggestions import did_you_mean
from landmarkzoo.retrieval.descriptors import Descriptors, Vectors
from landmarkzoo.retrieval.exact_scores import ExactScores
from landmarkzoo.retrieval.faiss_backends import FaissFlat, FaissHNSW, FaissIVF
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.vector_rows import VectorRows

_SPARE, _SPARE_SHARE = 16, 8  # candidates beyond k: so many, or this part of k
_QUERIES = 1024  # that are asked at once


@runtime_checkable
class Backend(Protocol):
    """Something that finds candidates in an index."""

    def candidates(self, queries: FloatArray, vectors: VectorRows, index: Vectors, k: int) -> IntArray:
        """Rows (Q, m) of the index that are probably the best k; -1 where fewer were found.

        Args:
            queries: Array (Q, D), not normalised.
            vectors: Those of the index (N, D), not normalised, N > 0.
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
    backend: Backend, queries: VectorRows, vectors: VectorRows, index: Vectors, k: int
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

    Raises:
        ValueError: If a value is not finite.
    """
    queries.check_finite()
    if not isinstance(index, Descriptors):  # which are checked when they are made
        vectors.check_finite()
    rows = np.full((len(queries), k), -1, np.int64)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    more = min(k + max(_SPARE, k // _SPARE_SHARE), len(vectors))  # its scores are rounded
    exact = ExactScores(queries, vectors, None, lowest=-1.0)
    for start in range(0, len(queries), _QUERIES):
        some = slice(start, min(start + _QUERIES, len(queries)))
        candidates = backend.candidates(queries[some].numpy(), vectors, index, more)  # (q, m)
        best, values = _best(exact, torch.arange(some.start, some.stop, device="cpu"), candidates, k)
        rows[some, : best.shape[1]], scores[some, : best.shape[1]] = best, values
    return rows, scores


def _best(exact: ExactScores, queries: Tensor, candidates: IntArray, k: int) -> tuple[IntArray, FloatArray]:
    """Best k of the candidates (q, m) by exact score; -1 and -inf at the end where there are fewer."""
    candidates = np.sort(candidates, axis=1)  # a stable sort then breaks ties by the smaller row
    scores = exact.of(queries, torch.from_numpy(candidates.clip(min=0))).numpy()
    scores[candidates < 0] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(scores, order, axis=1)
