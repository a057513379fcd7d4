"""The fast part behind search and re-ranking: exact best-k cosines over blocks.

The plain version is ``argsort(-cosines)`` of a Q x N matrix; ``tests/retrieval`` holds it against this.
Two steps make it exact, deterministic and lean:

1. Candidates: float32 products in blocks, of which each query keeps its best k and a few more.
2. Exact scores: the candidates again in float64, rounded to float32, ties by the smaller index. So the
   result does not depend on blocks, devices or the order in which a library adds up products.

Float32 rounding can hide a result from step 1 only if more index images than the few spare candidates lie
within rounding error of the k-th. Where that could be (many duplicates), the row is computed in full.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from landmarkzoo._utils.checks import FloatArray, IntArray

_QUERY_BLOCK = 1024
_INDEX_BLOCK = 8192  # 1024 x 8192 float32 scores: 32 MiB
_GROUPS_OF = 8  # scores that are first compared by their maximum
_SPARE = 16  # candidates beyond k
_RESCORE_VALUES = 2**18  # float64 values in flight while candidates are scored: 2 MiB


class Bonus(Protocol):
    """What a re-ranking adds to the cosine of a query and an index image.

    Attributes:
        largest: Bound on the absolute value of every bonus.
    """

    @property
    def largest(self) -> float:
        """See above."""

    def block(self, queries: slice, index: slice, device: torch.device) -> Tensor:
        """Bonus (q, n) of a block, float32, on ``device``."""

    def pairs(self, queries: slice, index: Tensor) -> Tensor:
        """Bonus (q, m) of chosen index images (q, m) of each query, float64, on the CPU."""


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
    q, x = _as_tensor(queries), _as_tensor(index)
    x_norms = _norms(x)
    rows = torch.empty(len(q), k, dtype=torch.int64, device="cpu")
    scores = torch.empty(len(q), k, dtype=torch.float32, device="cpu")
    bar = tqdm(total=len(q), desc="search", unit=" queries", disable=not progress, delay=2)
    for start in range(0, len(q), _QUERY_BLOCK):
        block = slice(start, min(start + _QUERY_BLOCK, len(q)))
        with _full_float32():
            candidates, certain_above = _candidates(q, x, x_norms, block, k, bonus, lowest, device)
        rows[block], scores[block] = _rescore(q, x, block, candidates, k, bonus, lowest)
        for row in (scores[block, -1].double() <= certain_above).nonzero().flatten().tolist():
            i = start + row
            rows[i], scores[i] = _full_row(q, x, i, k, bonus, lowest)
        bar.update(block.stop - block.start)
    bar.close()
    return rows.numpy(), scores.numpy()


def _as_tensor(array: FloatArray) -> Tensor:
    with warnings.catch_warnings():  # of memory that is read-only, such as a mapped file: we do not write
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


@contextmanager
def _full_float32() -> Iterator[None]:
    """Float32 products as they are, not as TF32 or bfloat16, whatever the user chose for training."""
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # the user set it by the newer attributes, and torch refuses to mix the two
        backends = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
        chosen = [backend.fp32_precision for backend in backends]
        try:
            for backend in backends:
                backend.fp32_precision = "ieee"
            yield
        finally:
            for backend, precision in zip(backends, chosen):
                backend.fp32_precision = precision
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _norms(x: Tensor) -> Tensor:
    """Lengths (N, 1) of rows to divide by; 1 for zero rows, so that they stay zero."""
    norms = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    # Squares of very small or large entries leave the float32 range.
    odd = ((norms < 1e-15) | (norms > 1e15)).flatten().nonzero().flatten()
    norms[odd] = torch.linalg.vector_norm(x[odd].double(), dim=1, keepdim=True).float()
    return torch.where(norms > 0, norms, 1.0)


def _candidates(
    q: Tensor,
    x: Tensor,
    x_norms: Tensor,
    rows: slice,
    k: int,
    bonus: Bonus | None,
    lowest: float,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Candidate index rows (q, m) and the score above which no other image can be, (q,) float64."""
    keep = min(k + _SPARE, len(x))
    unit = (q[rows] / _norms(q[rows])).to(device)
    room = min(_INDEX_BLOCK, len(x))
    buffer = torch.empty(len(unit), room, dtype=torch.float32, device=device)  # for all blocks
    best = torch.empty(len(unit), 0, dtype=torch.float32, device=device)
    best_index = torch.empty(len(unit), 0, dtype=torch.int64, device=device)
    for start in range(0, len(x), _INDEX_BLOCK):
        columns = slice(start, min(start + _INDEX_BLOCK, len(x)))
        block = x[columns].to(device) / x_norms[columns].to(device)
        if len(block) < _INDEX_BLOCK:  # the last one
            buffer = torch.empty(len(unit), len(block), dtype=torch.float32, device=device)
        scores = torch.mm(unit, block.T, out=buffer)  # (q, D), (n, D) -> (q, n)
        if lowest > -1:
            scores.clamp_(min=lowest)
        if bonus is not None:
            scores += bonus.block(rows, columns, device)
        values, at = _largest(scores, keep)
        best = torch.cat([best, values], dim=1)
        best_index = torch.cat([best_index, at + start], dim=1)
        if best.shape[1] > keep:
            merged = best.topk(keep, dim=1, sorted=False)
            best, best_index = merged.values, best_index.gather(1, merged.indices)
    if keep == len(x):  # all are candidates
        return best_index.cpu(), torch.full((len(unit),), -torch.inf, dtype=torch.float64, device="cpu")
    # Bound on the error of a float32 product of two unit vectors, and of adding the bonus.
    margin = (q.shape[1] + 16) * 2.0**-23 * (1 + (bonus.largest if bonus else 0))
    return best_index.cpu(), best.amin(dim=1).cpu().double() + margin


def _largest(scores: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """Largest values (q, keep) of each row of (q, n) and where they stand, in no order.

    They lie in the groups with the largest maxima, so most of the row is never sorted.
    """
    rows, columns = scores.shape
    groups = columns // _GROUPS_OF
    if columns % _GROUPS_OF or groups <= keep:
        top = scores.topk(min(keep, columns), dim=1, sorted=False)
        return top.values, top.indices
    grouped = scores.view(rows, _GROUPS_OF, groups)  # a group is every groups-th column
    chosen = grouped.amax(dim=1).topk(keep, dim=1, sorted=False).indices  # (q, keep)
    members = grouped.gather(2, chosen[:, None].expand(-1, _GROUPS_OF, -1))  # (q, 8, keep)
    top = members.flatten(1).topk(keep, dim=1, sorted=False)
    member, group = top.indices // keep, top.indices % keep
    return top.values, member * groups + chosen.gather(1, group)


def _rescore(
    q: Tensor, x: Tensor, rows: slice, candidates: Tensor, k: int, bonus: Bonus | None, lowest: float
) -> tuple[Tensor, Tensor]:
    """Best k of the candidates (q, m) by exact score."""
    candidates = candidates.sort(dim=1).values  # so that a stable sort breaks ties by the smaller row
    scores = torch.empty(candidates.shape, dtype=torch.float64, device="cpu")
    step = max(1, _RESCORE_VALUES // (candidates.shape[1] * x.shape[1]))
    for start in range(0, len(candidates), step):
        some = slice(start, start + step)
        scores[some] = _cosines(q[rows][some, None], x[candidates[some]]).clamp(min=lowest)
    if bonus is not None:
        scores += bonus.pairs(rows, candidates)
    order = scores.float().sort(dim=1, descending=True, stable=True)
    return candidates.gather(1, order.indices[:, :k]), order.values[:, :k]


def _full_row(
    q: Tensor, x: Tensor, row: int, k: int, bonus: Bonus | None, lowest: float
) -> tuple[Tensor, Tensor]:
    """Best k of the whole index for one query by exact score."""
    scores = torch.empty(len(x), dtype=torch.float64, device="cpu")
    step = max(1, _RESCORE_VALUES // x.shape[1])
    for start in range(0, len(x), step):
        scores[start : start + step] = _cosines(q[row], x[start : start + step]).clamp(min=lowest)
    if bonus is not None:
        scores += bonus.pairs(slice(row, row + 1), torch.arange(len(x), device="cpu")[None])[0]
    order = scores.float().sort(descending=True, stable=True)
    return order.indices[:k], order.values[:k]


def _cosines(q: Tensor, x: Tensor) -> Tensor:
    """Cosines (...) in float64 of vectors (..., D) that broadcast; 0 with a zero vector.

    Products and sums, not matmul: every pair is added up alike, so equal vectors get equal scores.
    """
    q, x = q.double(), x.double()
    inner = (x * q).sum(dim=-1)
    norms = x.square().sum(dim=-1).sqrt() * q.square().sum(dim=-1).sqrt()
    return inner / torch.where(norms > 0, norms, 1.0)
