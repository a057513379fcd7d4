"""The fast part behind search and re-ranking: exact best-k cosines over blocks.

The plain version is ``argsort(-cosines)`` of a Q x N matrix; ``tests/retrieval`` holds it against this.
Two steps make it exact, deterministic and lean:

1. Candidates: each query keeps its best k, and a few more, by cosines whose error is bounded, as
   ``approximate_products.py`` says: in bfloat16 where the CPU has it, otherwise in float32.
2. Exact scores of the candidates, as ``exact_scores.py`` says. So the result does not depend on blocks,
   devices or the order in which a library adds up products.

Rounding can hide a result from step 1 only if more index images than the spare candidates lie within the
bound of the k-th. Where that could be, float32 follows bfloat16; and where many near duplicates are too close
for float32, the query gets the exact scores of the whole index. So it does where k is large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from landmarkzoo._utils.checks import FloatArray, IntArray
from landmarkzoo._utils.cpu_features import has_native_bfloat16
from landmarkzoo.retrieval.approximate_products import (
    BFloat16Products,
    DeviceProducts,
    FewProducts,
    Float32Products,
    Products,
)
from landmarkzoo.retrieval.candidates import find_candidates
from landmarkzoo.retrieval.device_rows import DeviceRows
from landmarkzoo.retrieval.exact_scores import Bonus, ExactScores, empty
from landmarkzoo.retrieval.stored_vectors import StoredVectors
from landmarkzoo.retrieval.vector_rows import VectorRows

_QUERY_BLOCK = 1023
_INDEX_BLOCK = 4095  # with the probes 1024 x 4096 float32 scores: 16 MiB
_SPARE, _SPARE_SHARE = 16, 8  # candidates beyond k: so many, or this part of k
_BFLOAT16_SHARE = 2  # and in bfloat16 this part of k more
_CANDIDATES = 2**20  # of a block of queries
_MANY = 640  # candidates of a query: above, exact scores of the whole index are faster
_LARGE_PART = 40  # and so they are for an index of less than 40 times the candidates
_FEW_QUERIES = 3
_DEVICE_QUERIES = 4095
_DEVICE_SCORES, _DEVICE_VALUES = 2**26, 2**25  # of one product, and of its vectors: 256 and 128 MiB
_DEVICE_BLOCK = 2**16
_BFLOAT16: bool | None = None  # tests and benchmarks say; otherwise the CPU, and what is searched:
_BFLOAT16_QUERIES, _BFLOAT16_INDEX = 256, 2**14  # at least so many of them
_BFLOAT16_DIMENSIONS = 1024  # above, cosines often lie closer together than the bound
_UNDECIDED_PART = 4  # of the queries: where bfloat16 leaves more open, it does not pay


def top_k(
    queries: FloatArray | StoredVectors | VectorRows,
    index: FloatArray | StoredVectors | VectorRows,
    k: int,
    *,
    bonus: Bonus | None = None,
    lowest: float = -1.0,
    device: torch.device | None = None,
    progress: bool = False,
) -> tuple[IntArray, FloatArray]:
    """Best ``k`` index rows of each query by cosine plus bonus; best first, ties by the smaller row.

    Args:
        queries: Array (Q, D), or vectors in several.
        index: Array (N, D), or vectors in several.
        k: How many; at most N.
        bonus: What is added to the cosines.
        lowest: Cosines below count as this.
        device: Where the products are computed; the CPU unless told otherwise.
        progress: Show a progress bar on stderr, if it takes more than two seconds.

    Returns:
        Rows (Q, k), int64, and their scores (Q, k), float32. The cosine with a zero vector is 0.

    Raises:
        ValueError: If a value of the index is not finite.
    """
    device = device or torch.device("cpu")
    q, x = _as_rows(queries, "queries"), _as_rows(index, "index")
    q.check_finite()
    elsewhere = DeviceRows(x, device) if _is_elsewhere(device) else None
    exact = ExactScores(q, x, bonus, lowest, elsewhere)
    rows = empty((len(q), k), np.int64)
    scores = empty((len(q), k), np.float32)
    ways = _ways(exact, x, k)
    most = _QUERY_BLOCK if elsewhere is None else _DEVICE_QUERIES
    step = min(most, _CANDIDATES // ways[0].keep) if ways else exact.queries_at_once(k)
    size = _INDEX_BLOCK if elsewhere is None else _device_block(min(step, len(q)), x.shape[1])
    if not ways:
        x.check_finite()
    with tqdm(total=len(q), desc="search", unit=" queries", disable=not progress, delay=2) as bar:
        for start in range(0, len(q), step):
            block = torch.arange(start, min(start + step, len(q)), device="cpu")
            undecided = block
            for way in list(ways):
                found, certain_above = find_candidates(exact, way.products, undecided, way.keep, size)
                rows[undecided], scores[undecided] = _rescore(exact, undecided, found, k)
                before = len(undecided)
                undecided = undecided[scores[undecided, -1].double() <= certain_above]
                if way is not ways[-1] and len(undecided) * _UNDECIDED_PART > before:
                    ways.remove(way)
                if not len(undecided):
                    break
            for first in range(0, len(undecided), exact.queries_at_once(k)):
                some = undecided[first : first + exact.queries_at_once(k)]
                floor = scores[some, -1] if ways else None
                rows[some], scores[some] = exact.best(some, k, floor)
            bar.update(len(block))
    return rows.numpy(), scores.numpy()


@dataclass(frozen=True, eq=False)
class _Way:
    """How candidates are found, and how many a query."""

    products: Products
    keep: int


def _ways(exact: ExactScores, index: VectorRows, k: int) -> list[_Way]:
    """Ways to find candidates: the next one is for queries that the one before leaves open."""
    keep = min(k + max(_SPARE, k // _SPARE_SHARE), len(index))
    if keep > _MANY or keep * _LARGE_PART >= len(index):
        return []
    if exact.elsewhere is not None:
        return [_Way(DeviceProducts(exact.elsewhere), keep)]
    if len(exact.queries) <= _FEW_QUERIES:
        return [_Way(FewProducts(index), keep)]
    ways = [_Way(Float32Products(index), keep)]
    wide = min(keep + k // _BFLOAT16_SHARE, len(index))
    large = len(exact.queries) >= _BFLOAT16_QUERIES and len(index) >= _BFLOAT16_INDEX
    fits = large and index.shape[1] <= _BFLOAT16_DIMENSIONS and wide <= _MANY
    pays = fits and has_native_bfloat16() if _BFLOAT16 is None else _BFLOAT16
    return [_Way(BFloat16Products(index), wide), *ways] if pays else ways


def _as_rows(vectors: FloatArray | StoredVectors | VectorRows, name: str) -> VectorRows:
    return vectors if isinstance(vectors, VectorRows) else VectorRows(vectors, name)


def _is_elsewhere(device: torch.device) -> bool:
    """Whether vectors have to be sent to a device before it computes with them."""
    return device.type != "cpu"


def _device_block(queries: int, dimensions: int) -> int:
    """Index images of one product on a device, where many are needed to keep it busy."""
    most = min(_DEVICE_SCORES // (queries + 1), _DEVICE_VALUES // dimensions, _DEVICE_BLOCK)
    return max(_INDEX_BLOCK, most - 1)  # and the probe


def _rescore(exact: ExactScores, queries: Tensor, found: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Best k of the candidates (q, m) of queries (q,) by exact score."""
    found = found.sort(dim=1).values  # so that a stable sort breaks ties by the smaller row
    scores = exact.rescored(queries, found)
    order = scores.sort(dim=1, descending=True, stable=True)
    return found.gather(1, order.indices[:, :k]), order.values[:, :k]
