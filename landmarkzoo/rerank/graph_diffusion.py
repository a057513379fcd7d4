"""Diffusion on the graph of mutual neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from landmarkzoo._utils.checks import FloatArray, IntArray, as_device, check_count, check_number
from landmarkzoo.retrieval.blockwise_top_k import top_k
from landmarkzoo.retrieval.descriptors import Vectors, descriptors_of
from landmarkzoo.retrieval.exact_search import search
from landmarkzoo.retrieval.ranking import Ranking
from landmarkzoo.retrieval.vector_rows import VectorRows, as_rows

_BLOCK_VALUES = 2**24  # float64 values of a block of queries
_TOLERANCE, _STEPS = 1e-6, 100  # of conjugate gradients: relative residual, and when to stop in any case


def diffusion(
    query: Vectors,
    index: Vectors,
    *,
    k: int = 100,
    neighbors: int = 50,
    query_neighbors: int = 10,
    gamma: float = 3.0,
    alpha: float = 0.99,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> Ranking:
    """Rank by a walk over the index that starts at what a query finds and follows mutual neighbours.

    [Iscen et al. 2017](https://arxiv.org/abs/1611.05113), "Efficient diffusion on region manifolds".

    Two index images are linked by ``max(cos, 0)^gamma`` if each is among the nearest neighbours of the other.
    With that matrix W, ``S = D^-1/2 W D^-1/2`` and D its row sums, the scores f of all index images solve
    ``(I - alpha S) f = y``; y is ``max(cos, 0)^gamma`` at the images that the query finds, 0 elsewhere.
    Images that no walk reaches come behind, by cosine. It needs no labels. It helps where a landmark has many
    photos in the index, each like the next one; it costs a system of equations a query.

    Args:
        query: Descriptors or an array (Q, D).
        index: Descriptors or an array (N, D).
        k: How many come back; ``min(k, N)``.
        neighbors: Nearest images that links are made of. Fewer where landmarks have few photos.
        query_neighbors: Images where the walk starts.
        gamma: Power of the cosines.
        alpha: Share that walks on at each step, in [0, 1).
        device: Where the products are computed; the CPU unless told otherwise.
        progress: Show a progress bar on stderr, if it takes more than two seconds.

    Returns:
        A ranking; scores are f, and cosine - 2 for images that are not reached.

    Raises:
        ValueError: If shapes do not fit, the index is empty, or a value is out of range.

    Examples:
        >>> angles = np.array([0.0, 0.3, 0.5, 0.7, -0.6, -0.65])  # a chain; a pair nearer than its end
        >>> index = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        >>> lz.rerank.diffusion(np.array([[1.0, 0.0]]), index, neighbors=2, query_neighbors=1).indices
        array([[1, 2, 0, 3, 4, 5]])
    """
    if not 0 <= check_number(alpha, "alpha") < 1:
        raise ValueError(f"alpha must be in [0, 1), got {alpha}; 0.99 is usual")
    if check_number(gamma, "gamma") < 0:
        raise ValueError(f"gamma must not be negative, got {gamma}; 3 is usual")
    neighbors = check_count(neighbors, "neighbors")
    query, index = descriptors_of(query), descriptors_of(index)
    start = search(query, index, check_count(query_neighbors, "query_neighbors"), device=device)
    plain = search(query, index, k, device=device)
    graph = _Graph.of(as_rows(index, "index"), neighbors, gamma, as_device(device))
    return _walk(graph, start, gamma, alpha, plain, progress)


def _walk(
    graph: _Graph, start: Ranking, gamma: float, alpha: float, plain: Ranking, progress: bool
) -> Ranking:
    """Walks from where each query starts, in blocks of queries."""
    size = graph.matrix.shape[0]
    indices, scores = np.empty_like(plain.indices), np.empty_like(plain.scores)
    step = max(1, _BLOCK_VALUES // size)
    bar = tqdm(total=len(start), desc="diffusion", unit=" queries", disable=not progress, delay=2)
    for first in range(0, len(start), step):
        block = slice(first, min(first + step, len(start)))
        sources = torch.zeros(size, block.stop - first, dtype=torch.float64, device="cpu")
        weights = torch.from_numpy(start.scores[block]).double().clamp(min=0).pow(gamma)
        sources.T.scatter_(1, torch.from_numpy(start.indices[block]), weights)
        solved = graph.solve(sources, alpha).T.numpy().clip(min=0)  # (q, N)
        for row, f, weight in zip(range(block.start, block.stop), solved, weights.numpy()):
            begins = start.indices[row][weight > 0]
            reached = np.isin(graph.component, graph.component[begins]) if alpha else f > 0
            indices[row], scores[row] = _best(f, reached, plain.indices[row], plain.scores[row])
        bar.update(block.stop - first)
    bar.close()
    return Ranking(indices, scores, plain.query_ids, plain.index_ids)


def _best(
    f: NDArray[np.float64], reached: NDArray[np.bool_], rows: IntArray, cosines: FloatArray
) -> tuple[IntArray, FloatArray]:
    """The images that were reached, best first, then the others by cosine; as many as there are cosines."""
    walked = np.flatnonzero(reached)
    order = np.lexsort((walked, -f[walked].astype(np.float32)))
    walked = walked[order][: len(rows)]
    rest = ~reached[rows]
    indices = np.concatenate([walked, rows[rest]])
    scores = np.concatenate([f[walked].astype(np.float32), cosines[rest] - 2])
    return indices[: len(rows)], scores[: len(rows)]


@dataclass(frozen=True, eq=False)
class _Graph:
    """The symmetric matrix S (N, N), sparse, and a number (N,) that linked images have in common.

    Whether a walk reaches an image goes by the links: far from the start, f is smaller than its error.
    """

    matrix: Tensor
    component: IntArray

    @staticmethod
    def of(x: VectorRows, neighbors: int, gamma: float, device: torch.device) -> _Graph:
        nearest, cosines = top_k(x, x, min(neighbors + 1, len(x)), device=device)  # itself among them
        rows, columns = np.repeat(np.arange(len(x)), nearest.shape[1]), nearest.ravel()
        mutual = np.isin(rows * len(x) + columns, columns * len(x) + rows) & (rows != columns)
        links = torch.from_numpy(np.stack([rows[mutual], columns[mutual]]))
        weights = torch.from_numpy(cosines.ravel()[mutual]).double().clamp(min=0).pow(gamma)
        component = _components(links[:, weights > 0], len(x)).numpy()
        degree = torch.zeros(len(x), dtype=torch.float64, device="cpu").index_add_(0, links[0], weights)
        scale = torch.where(degree > 0, degree, 1.0).rsqrt()
        weights = weights * scale[links[0]] * scale[links[1]]
        size = (len(x), len(x))
        matrix = torch.sparse_coo_tensor(links, weights, size, check_invariants=True).coalesce()
        return _Graph(matrix, component)

    def solve(self, sources: Tensor, alpha: float) -> Tensor:
        """``(I - alpha S)^-1 y`` for each column of y (N, q), by conjugate gradients."""
        solution = sources.clone()
        residual = sources - self._apply(solution, alpha)
        direction, error = residual.clone(), residual.square().sum(dim=0)
        enough = (_TOLERANCE**2 * sources.square().sum(dim=0)).clamp(min=torch.finfo(torch.float64).tiny)
        for _ in range(_STEPS):
            going_on = error > enough  # a column that is done must not move any more: it would divide 0 by 0
            if not going_on.any():
                break
            along = self._apply(direction, alpha)
            length = torch.where(going_on, error / (direction * along).sum(dim=0), 0.0)
            solution += length * direction
            residual -= length * along
            before, error = error, residual.square().sum(dim=0)
            direction = residual + torch.where(going_on, error / before, 0.0) * direction
        return solution

    def _apply(self, x: Tensor, alpha: float) -> Tensor:
        walked: Tensor = torch.sparse.mm(self.matrix, x)
        return x - alpha * walked


def _components(links: Tensor, size: int) -> Tensor:
    """For each image the smallest row (N,) that its links (2, E), both ways, lead to."""
    smallest = torch.arange(size, device="cpu")
    while True:
        before = smallest
        smallest = smallest.scatter_reduce(0, links[0], smallest[links[1]], "amin")
        smallest = smallest[smallest]  # a jump: long chains take few rounds
        if torch.equal(smallest, before):
            return smallest
