"""Exact nearest neighbours by cosine."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from landmarkzoo._utils.checks import FloatArray, IntArray, as_device, check_count
from landmarkzoo._utils.unicode_names import ByName
from landmarkzoo.retrieval.backends import Backend, as_backend, backend_top_k, search_alone
from landmarkzoo.retrieval.blockwise_top_k import top_k
from landmarkzoo.retrieval.comparability import RUNNING_NUMBERS
from landmarkzoo.retrieval.descriptors import Descriptors, Vectors, check_comparable, descriptors_of
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.row_selection import first_repeated
from landmarkzoo.retrieval.vector_rows import VectorRows, as_rows


def search(
    queries: Vectors,
    index: Vectors | None,
    k: int = 100,
    *,
    exclude_same_id: bool = False,
    device: str | torch.device | None = None,
    progress: bool = False,
    backend: str | Backend = "exact",
) -> Ranking:
    """Best ``k`` index images of each query by cosine, exactly unless told otherwise.

    Vectors need not be normalised. Products are computed in blocks, so memory beside the result does not grow
    with Q x N, k or copies of images, and scores in float64, so the result does not depend on blocks, devices
    or the precision that torch is told to use.

    Args:
        queries: Descriptors or an array (Q, D), numpy or torch.
        index: Descriptors or an array (N, D). Those of an index on disk are read block by block. ``None`` for
            all that a collection of Milvus holds.
        k: How many; ``min(k, N)`` come back.
        exclude_same_id: Leave out the index image with the query's id, for a set searched in itself. Both
            sides must be Descriptors with ids that name photos, each once. A row with fewer than k results
            left ends in -1, score -inf.
        device: Where the products are computed; the CPU unless told otherwise.
        progress: Show a progress bar on stderr, if it takes more than two seconds.
        backend: What finds the results: ``"exact"``, or, on the CPU, ``"faiss-flat"``, ``"faiss-hnsw"``,
            ``"faiss-ivf"``, the same with options, such as ``lz.retrieval.FaissHNSW(ef_search=256)``, or a
            collection, ``lz.Milvus(uri, collection)``. HNSW, IVF and Milvus may miss some. Scores are the
            same for all; a row in which fewer than k were found ends in -1, score -inf.

    Returns:
        A ranking with scores not ascending, ties by the smaller index.

    Raises:
        TypeError: If the input is not an array of numbers.
        ValueError: If shapes do not fit, the index is empty, values are not finite, ``k`` is not
            positive, the two sides were not embedded alike (other weights, transform, views or whitening),
            ``exclude_same_id`` cannot go by the ids, or there is no such backend.
        ModuleNotFoundError: If the package of the backend is not installed.

    Examples:
        >>> r = lz.search(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [3.0, 0.0], [1.0, 1.0]]), k=2)
        >>> r.indices, r.scores
        (array([[1, 2]]), array([[1.        , 0.70710677]], dtype=float32))
    """
    queries = descriptors_of(queries)
    if index is None and backend != "exact":
        return search_alone(backend, queries, k, exclude_same_id)
    index = descriptors_of(index)
    q, x = as_rows(queries, "queries"), as_rows(index, "index")
    k = check_count(k, "k")
    if len(x) == 0:
        raise ValueError("the index is empty: there is nothing to search in")
    query_ids, index_ids = ids_of(queries), ids_of(index)
    check_comparable(queries, index, "queries", "index")
    best = partial(top_k, q, x, device=as_device(device), progress=progress)
    if backend != "exact":
        best = partial(backend_top_k, as_backend(backend), q, x, index)
    if not exclude_same_id:
        indices, scores = best(min(k, len(x)))
        return _ranking(indices, scores, query_ids, index_ids)
    own = _rows_with_the_same_id(queries, index)
    indices, scores = best(min(k + 1, len(x)))
    indices, scores = _drop(indices, scores, indices == own[:, None], min(k, len(x)))
    return _ranking(indices, scores, query_ids, index_ids)


def search_others(
    x: Vectors,
    k: int,
    *,
    rows: IntArray | None = None,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> Ranking:
    """Best ``k`` of the other rows for each row of a set: a row is never its own result.

    It goes by row numbers, so copies of an image stay in, whatever their ids are.

    Args:
        x: Descriptors or an array (N, D).
        k: How many; ``min(k, N)`` come back, the last of N being padding: -1, score -inf.
        rows: The rows that search (Q,); all if ``None``.
        device: Where the products are computed; the CPU unless told otherwise.
        progress: Show a progress bar on stderr, if it takes more than two seconds.

    Examples:
        >>> search_others(np.array([[1, 0], [1, 0], [0, 1]]), k=2, rows=np.array([0, 2])).indices
        array([[1, 2],
               [0, 1]])
    """
    x = descriptors_of(x)
    vectors, ids = as_rows(x, "x"), ids_of(x)
    k, where = check_count(k, "k"), as_device(device)
    own = np.arange(len(vectors)) if rows is None else rows
    queries = vectors if rows is None else VectorRows(vectors.take(rows), "x")
    most = min(k + 1, len(vectors))
    indices, scores = top_k(queries, vectors, most, device=where, progress=progress)
    indices, scores = _drop(indices, scores, indices == own[:, None], k)
    return Ranking(indices, scores, None if ids is None else [ids[row] for row in own], ids)


def _rows_with_the_same_id(queries: Vectors, index: Vectors) -> IntArray:
    """The row of the index that has the id of each query (Q,), -1 where there is none."""
    if not (isinstance(queries, Descriptors) and isinstance(index, Descriptors)):
        raise ValueError("exclude_same_id needs ids: pass Descriptors on both sides")
    for x, name in ((queries, "queries"), (index, "index")):
        if (twice := first_repeated(x.ids)) is not None:
            raise ValueError(
                f"exclude_same_id needs ids that stand for one photo, but {name} has {twice!r} more than once"
            )
        numbered = RUNNING_NUMBERS in x.provenance.get("ids", "") and any(id_.isdecimal() for id_ in x.ids)
        if numbered and queries is not index:
            raise ValueError(
                f"exclude_same_id needs ids that name photos, but those of {name} are running numbers of "
                "images in memory: give them ids, lz.Descriptors(ids, x.vectors)"
            )
    row_of = ByName({id_: row for row, id_ in enumerate(index.ids)})
    return np.array([row_of.get(id_, -1) for id_ in queries.ids], dtype=np.int64)


def ids_of(x: Vectors) -> list[str] | None:
    """Ids of Descriptors; ``None`` for an array."""
    x = descriptors_of(x)
    return x.ids if isinstance(x, Descriptors) else None


def _ranking(
    indices: IntArray, scores: FloatArray, query_ids: list[str] | None, index_ids: list[str] | None
) -> Ranking:
    ranking = Ranking(indices, scores, query_ids)
    object.__setattr__(ranking, "index_ids", index_ids)  # of Descriptors: checked before; a million are many
    return ranking


def _drop(indices: IntArray, scores: FloatArray, drop: np.ndarray, k: int) -> tuple[IntArray, FloatArray]:
    """Take marked results (Q, m) out, close up the rows, and cut them to k."""
    order = np.argsort(drop, axis=1, kind="stable")[:, :k]  # the kept ones first, in their order
    indices = np.take_along_axis(np.where(drop, -1, indices), order, axis=1)
    scores = np.take_along_axis(np.where(drop, np.float32(-np.inf), scores), order, axis=1)
    return indices, scores
