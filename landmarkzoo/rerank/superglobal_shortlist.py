"""Re-ranking of a shortlist by descriptors that its own images refine: SuperGlobal."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from landmarkzoo._utils.checks import FloatArray, IntArray, check_count, check_number, unit
from landmarkzoo.retrieval.descriptors import Vectors, descriptors_of
from landmarkzoo.retrieval.exact_search import search
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.vector_rows import as_rows

_BLOCK_VALUES = 2**20  # cosines in flight


def superglobal(
    queries: Vectors,
    index: Vectors,
    *,
    k: int = 100,
    shortlist: int = 400,
    neighbors: int = 9,
    beta: float = 0.15,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> Ranking:
    """Rank the nearest images of a query again, by what they have in common.

    [Shao et al. 2023](https://arxiv.org/abs/2308.06954), "Global features are all you need for image
    retrieval and reranking".

    The ``shortlist`` nearest images of a query, of length 1, refine each other: with the ``neighbors``
    nearest others of x in the shortlist and their cosines,
    ``x' = (x + beta * sum_j cos_j x_j) / (1 + beta * sum_j cos_j)``; where that divides by 0 or less, x stays
    as it is. The first score is ``q . x'``. Of the best ``neighbors + 1`` images by it, the element-wise
    maximum of the refined vectors is the expanded query e, and the score is ``(q . x' + e . x') / 2``. Behind
    the shortlist the plain ranking goes on.

    It needs no labels. It takes a shortlist that holds most photos of the landmark, and neighbors no more
    than a landmark has photos. Memory beside the result holds the plain ranking, of ``max(k, shortlist)``
    images a query, and a few copies of the vectors of one shortlist in float64.

    Args:
        queries: Descriptors or an array (Q, D).
        index: Descriptors or an array (N, D).
        k: How many come back; ``min(k, N)``, also if the shortlist is shorter.
        shortlist: Nearest images that are ranked again; all N where N is smaller. 400 in their code.
        neighbors: Nearest others that refine an image, 9 in their code.
        beta: Their weight beside the image itself, 0.15 in their code.
        device: Where the first search is computed; the CPU unless told otherwise.
        progress: Show a progress bar on stderr, if it takes more than two seconds.

    Returns:
        A ranking, ties by the smaller index. Behind the shortlist scores go on from its last one, and fall
        as the cosines do.

    Raises:
        TypeError: If the input is not an array of numbers.
        ValueError: If shapes do not fit, the index is empty, or a value is out of range.

    Examples:
        >>> query = np.array([[1.0, 0, 0]])  # a little nearer to the first than to three of one landmark
        >>> index = np.array([[0.72, 0.69, 0], [0.7, 0.1, 0.7], [0.7, 0, 0.71], [0.7, -0.1, 0.7]])
        >>> lz.search(query, index).indices
        array([[0, 1, 3, 2]])
        >>> lz.rerank.superglobal(query, index, neighbors=2, beta=1.0).indices
        array([[1, 2, 3, 0]])
    """
    k, shortlist = check_count(k, "k"), check_count(shortlist, "shortlist")
    neighbors = check_count(neighbors, "neighbors")
    if check_number(beta, "beta") < 0:
        raise ValueError(f"beta must not be negative, got {beta}; 0.15 is usual")
    queries, index = descriptors_of(queries), descriptors_of(index)
    plain = search(queries, index, max(k, shortlist), device=device, progress=progress)
    q, x = as_rows(queries, "queries"), as_rows(index, "index")
    shortlist = min(shortlist, len(x))
    indices, scores = plain.indices.copy(), plain.scores.copy()
    with tqdm(total=len(q), desc="superglobal", unit=" queries", disable=not progress, delay=2) as bar:
        for row in range(len(q)):
            rows = np.sort(plain.indices[row, :shortlist])  # so that ties go to the smaller index
            refined = _refined(unit(x.take(rows)), neighbors, beta)
            score = _scores(unit(q.take(np.array(row))), refined, neighbors + 1).astype(np.float32)
            order = np.argsort(-score, kind="stable")
            indices[row, :shortlist], scores[row, :shortlist] = rows[order], score[order]
            scores[row, shortlist:] = _behind(score[order[-1]], plain.scores[row, shortlist - 1 :])
            bar.update()
    return Ranking(indices[:, :k], scores[:, :k], plain.query_ids, plain.index_ids)


def _refined(x: NDArray[np.float64], neighbors: int, beta: float) -> NDArray[np.float64]:
    """The vectors (M, D) of a shortlist, of length 1, moved towards their nearest others."""
    nearest, cosines = _nearest_others(x, min(neighbors, len(x) - 1))
    weights = cosines.astype(np.float64) * beta
    sums = x.copy()
    for column, weight in zip(nearest.T, weights.T):  # one neighbor each: no (M, neighbors, D) array
        sums += weight[:, None] * x[column]
    divisors = 1 + weights.sum(axis=1, keepdims=True)  # (M, 1)
    return np.where(divisors > 0, sums / np.where(divisors > 0, divisors, 1.0), x)


def _nearest_others(x: NDArray[np.float64], count: int) -> tuple[IntArray, FloatArray]:
    """Nearest others (M, count) of each row and their cosines, ties by the smaller row.

    Rounded to float32, as the last bits of a matrix product depend on how a library adds up. Copies of an
    image tie, and refine others alike.
    """
    nearest, cosines = np.empty((len(x), count), np.int64), np.empty((len(x), count), np.float32)
    step = max(1, _BLOCK_VALUES // len(x))
    for start in range(0, len(x), step):
        products = (x[start : start + step] @ x.T).astype(np.float32)  # (n, M)
        np.fill_diagonal(products[:, start:], -np.inf)
        block = np.argsort(-products, axis=1, kind="stable")[:, :count]
        nearest[start : start + step] = block
        cosines[start : start + step] = np.take_along_axis(products, block, axis=1)
    return nearest, cosines


def _scores(query: NDArray[np.float64], refined: NDArray[np.float64], best: int) -> NDArray[np.float64]:
    """Scores (M,) of refined vectors (M, D) for a query (D,)."""
    first = _products(refined, query)
    order = np.argsort(-first.astype(np.float32), kind="stable")
    expanded = refined[order[:best]].max(axis=0)  # (D,)
    return (first + _products(refined, expanded)) / 2


def _behind(last: np.float32, cosines: FloatArray) -> FloatArray:
    """Scores of the images behind the last one of the shortlist, whose cosine comes first."""
    return np.asarray(np.minimum(last, cosines[1:] + (last - cosines[0])))


def _products(x: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Products (M,) that do not depend on how many threads a library takes."""
    return np.asarray((x * vector).sum(axis=1))
