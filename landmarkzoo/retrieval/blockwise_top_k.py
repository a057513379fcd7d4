"""The fast part behind search and re-ranking: exact best-k cosines over blocks.

The plain version is ``argsort(-cosines)`` of a Q x N matrix; ``tests/retrieval`` holds it against this.
Two steps make it exact, deterministic and lean:

1. Candidates: float32 products in blocks, of which each query keeps its best k and a few more.
2. Exact scores of the candidates, as ``exact_scores.py`` says. So the result does not depend on blocks,
   devices or the order in which a library adds up products.

Float32 rounding can hide a result from step 1 only if more index images than the spare candidates lie within
rounding error of the k-th: many near duplicates. Where that could be, the query gets the exact scores of the
whole index; so it does where k is large.

Libraries may compute float32 products in TF32 or bfloat16, if the user chose so for training, and another
thread may choose so at any time. It is not changed here, but seen in each product by a probe: one more query
and one more index image, whose product shows how many bits were used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from landmarkzoo._utils.checks import FloatArray, IntArray
from landmarkzoo.retrieval.exact_scores import GROUPS_OF, Bonus, ExactScores, empty, largest

_QUERY_BLOCK = 1023
_INDEX_BLOCK = 8191  # with the probes 1024 x 8192 float32 scores: 32 MiB
_SPARE, _SPARE_SHARE = 16, 8  # candidates beyond k: so many, or this part of k
_CANDIDATES = 2**20  # of a block of queries
_MANY = 640  # candidates of a query: above, exact scores of the whole index are faster
_LARGE_PART = 40  # and so they are for an index of less than 40 times the candidates
_PROBE = 1 + 2.0**-12 + 2.0**-23  # needs all 24 bits of float32


def top_k(
    queries: FloatArray,
    index: FloatArray,
    k: int,
    *,
    bonus: Bonus | None = None,
    lowest: float = -1.0,
    device: torch.device | None = None,
    progress: bool = False,
) -> tuple[IntArray, FloatArray]:
    """Best ``k`` index rows of each query by cosine plus bonus; best first, ties by the smaller row.

    Args:
        queries: Array (Q, D).
        index: Array (N, D).
        k: How many; at most N.
        bonus: What is added to the cosines.
        lowest: Cosines below count as this.
        device: Where the products are computed; the CPU unless told otherwise.
        progress: Show a progress bar on stderr, if it takes more than two seconds.

    Returns:
        Rows (Q, k), int64, and their scores (Q, k), float32. The cosine with a zero vector is 0.
    """
    device = device or torch.device("cpu")
    exact = ExactScores(_as_tensor(queries), _as_tensor(index), bonus, lowest)
    rows = empty((len(queries), k), np.int64)
    scores = empty((len(queries), k), np.float32)
    keep = min(k + max(_SPARE, k // _SPARE_SHARE), len(index))
    few = keep <= _MANY and keep * _LARGE_PART < len(index)
    norms = _norms(exact.index) if few else None
    step = min(_QUERY_BLOCK, _CANDIDATES // keep) if few else exact.queries_at_once(k)
    with tqdm(total=len(queries), desc="search", unit=" queries", disable=not progress, delay=2) as bar:
        for start in range(0, len(queries), step):
            block = slice(start, min(start + step, len(queries)))
            undecided = torch.arange(block.start, block.stop, device="cpu")
            if norms is not None:
                candidates, certain_above = _candidates(exact, norms, block, keep, device)
                rows[block], scores[block] = _rescore(exact, block, candidates, k)
                undecided = undecided[scores[block, -1].double() <= certain_above]
            for first in range(0, len(undecided), exact.queries_at_once(k)):
                some = undecided[first : first + exact.queries_at_once(k)]
                floor = scores[some, -1] if few else None
                rows[some], scores[some] = exact.best(some, k, device, floor)
            bar.update(block.stop - block.start)
    return rows.numpy(), scores.numpy()


class _SharedMemory:
    """An array as one that may be written to, without a copy: we do not, but torch warns of others."""

    def __init__(self, array: FloatArray) -> None:
        address, _ = array.__array_interface__["data"]
        self.array = array  # keeps the memory alive
        self.__array_interface__: dict[str, Any] = {**array.__array_interface__, "data": (address, False)}


def _as_tensor(array: FloatArray) -> Tensor:
    return torch.from_numpy(np.asarray(_SharedMemory(array)))


def _norms(x: Tensor) -> Tensor:
    """Lengths (N, 1) of rows to divide by; 1 for zero rows, so that they stay zero."""
    norms = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    # Squares of very small or large entries leave the float32 range.
    odd = ((norms < 1e-15) | (norms > 1e15)).flatten().nonzero().flatten()
    norms[odd] = torch.linalg.vector_norm(x[odd].double(), dim=1, keepdim=True).float()
    return torch.where(norms > 0, norms, 1.0)


def _candidates(
    exact: ExactScores, norms: Tensor, rows: slice, keep: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Candidate index rows (q, keep) and the score above which no other image can be, (q,) float64."""
    x, bonus, count = exact.index, exact.bonus, rows.stop - rows.start
    q = exact.queries[rows]
    unit = torch.cat([q / _norms(q), torch.zeros(1, q.shape[1], dtype=torch.float32, device="cpu")])
    unit[-1, 0] = _PROBE
    unit = unit.to(device)
    best = torch.empty(count, 0, dtype=torch.float32, device=device)
    best_index = torch.empty(count, 0, dtype=torch.int64, device=device)
    block = buffer = torch.empty(0, 0, device="cpu")
    full_precision = True
    for start in range(0, len(x), _INDEX_BLOCK):
        columns = slice(start, min(start + _INDEX_BLOCK, len(x)))
        size = columns.stop - start
        room = size + GROUPS_OF - size % GROUPS_OF  # for the probe, and for whole groups
        if len(block) != room:  # the first and the last
            block = torch.zeros(room, x.shape[1], dtype=torch.float32, device=device)
            block[-1, 0] = 1.0
            buffer = torch.empty(count + 1, room, dtype=torch.float32, device=device)
        torch.div(x[columns].to(device), norms[columns].to(device), out=block[:size])
        full_precision &= _products(unit, block, buffer)
        scores = buffer[:-1]  # (q, room)
        if exact.lowest > -1:
            scores.clamp_(min=exact.lowest)
        if bonus is not None:
            scores[:, :size] += bonus.block(rows, columns, device)
        scores[:, size:] = -torch.inf
        values, at = largest(scores, keep)
        best = torch.cat([best, values], dim=1)
        best_index = torch.cat([best_index, at + start], dim=1)
        if best.shape[1] > keep:
            merged = best.topk(keep, dim=1, sorted=False)
            best, best_index = merged.values, best_index.gather(1, merged.indices)
    # Bound on the error of a float32 product of two unit vectors, and of adding the bonus.
    margin = (x.shape[1] + 16) * 2.0**-23 * (1 + (bonus.largest if bonus else 0))
    if not full_precision:
        margin = 2 * margin + 2.0**-14
    return best_index.cpu(), best.amin(dim=1).cpu().double() + margin


def _products(q: Tensor, x: Tensor, out: Tensor) -> bool:
    """Products (q, n) of vectors with a probe each, whatever precision torch is told to use.

    Returns:
        Whether they have the precision of float32. Otherwise each vector was taken as the sum of two that
        bfloat16 and TF32 can hold: of its first 8 bits exactly, and of the rest but for a part in 2^16.
    """
    torch.mm(q, x.T, out=out)  # with out=, autocast leaves it as it is
    if out[-1, -1].item() == _PROBE:
        return True
    q_first, x_first = q.bfloat16().float(), x.bfloat16().float()
    torch.mm(q_first, x_first.T, out=out)
    part = torch.empty_like(out)
    out += torch.mm(q - q_first, x_first.T, out=part)
    out += torch.mm(q_first, (x - x_first).T, out=part)
    return False


def _rescore(exact: ExactScores, rows: slice, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Best k of the candidates (q, m) by exact score."""
    candidates = candidates.sort(dim=1).values  # so that a stable sort breaks ties by the smaller row
    scores = exact.of(torch.arange(rows.start, rows.stop, device="cpu"), candidates)
    order = scores.sort(dim=1, descending=True, stable=True)
    return candidates.gather(1, order.indices[:, :k]), order.values[:, :k]
