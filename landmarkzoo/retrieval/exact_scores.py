"""What results are ranked by: cosines in float64 plus a bonus, rounded to float32; ties by the smaller row.

For some pairs they are computed one by one. For whole rows of pairs a float64 matrix product is faster, but
libraries add it up in any order. So its last bits are not used: where they decide how a score is rounded,
which is rare, that pair is computed by itself. The result is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from landmarkzoo._utils.checks import IntArray
from landmarkzoo.retrieval.device_rows import DeviceRows, sent
from landmarkzoo.retrieval.vector_rows import VectorRows
from landmarkzoo.retrieval.vector_rows import unit as _unit

_INDEX_BLOCK = 4096  # index images of one product
_VALUES = 2**22  # keys and float64 products of a block of queries: 32 MiB each
_DEVICE_VALUES = 2**24  # float64 values in flight while candidates are scored on a device: 128 MiB
_PAIR_VALUES = 2**18  # float64 values in flight while pairs are computed one by one: 2 MiB
_FEW_VALUES = 2**15 - 1  # of few pairs: so few that torch takes one thread, without waiting for others
_CACHED_VALUES = 2**17  # pairs that are turned into keys or back at once, so that they stay in the cache
_LAST_ROW = 2**32 - 1  # of an index
_NO_KEY = 2**63 - 1  # above every key
GROUPS_OF = 8  # values that are first compared by their maximum


class Bonus(Protocol):
    """What a re-ranking adds to the cosine of a query and an index image.

    Attributes:
        largest: Bound on the absolute value of every bonus.
    """

    @property
    def largest(self) -> float:
        """See above."""

    def block(self, queries: IntArray, index: slice, device: torch.device) -> Tensor:
        """Bonus (q, n) of queries (q,) and a block of the index, float32, on ``device``."""

    def pairs(self, queries: IntArray, index: Tensor) -> Tensor:
        """Bonus (q, m) of index images (q, m), or (1, m) for all queries alike; float64, on the CPU."""


@dataclass(frozen=True, eq=False)
class ExactScores:
    """The scores of all pairs of queries and index images.

    Attributes:
        queries: Vectors (Q, D), float32, on the CPU.
        index: Vectors (N, D), float32, on the CPU.
        bonus: What is added to the cosines.
        lowest: Cosines below count as this.
        elsewhere: The index on another device, where that is to compute.
    """

    queries: Tensor | VectorRows
    index: Tensor | VectorRows
    bonus: Bonus | None
    lowest: float
    elsewhere: DeviceRows | None = None

    def of(self, queries: Tensor, index: Tensor) -> Tensor:
        """Scores (q, m) of queries (q,) with their index images (q, m), float32."""
        scores = torch.empty(index.shape, dtype=torch.float64, device="cpu")
        values = _FEW_VALUES if index.numel() * self.index.shape[1] <= _PAIR_VALUES else _PAIR_VALUES
        columns = max(1, min(index.shape[1], values // self.index.shape[1]))
        rows = max(1, values // (columns * self.index.shape[1]))
        for start in range(0, len(index), rows):
            some = slice(start, start + rows)
            q = self.queries[queries[some]][:, None]  # (r, 1, D)
            for first in range(0, index.shape[1], columns):
                part = slice(first, first + columns)
                scores[some, part] = _cosines(q, self.index[index[some, part]])
        scores.clamp_(min=self.lowest)
        if self.bonus is not None:
            scores += self.bonus.pairs(queries.numpy(), index)
        return scores.float()

    def rescored(self, queries: Tensor, index: Tensor) -> Tensor:
        """The same as ``of``; computed on the other device, if there is one with float64."""
        there = self._there
        if there is None:
            return self.of(queries, index)
        unit_queries = _unit(sent(self.queries[queries], there.device))
        products = torch.empty(index.shape, dtype=torch.float64, device=there.device)
        step = max(1, _DEVICE_VALUES // (index.shape[1] * self.index.shape[1]))
        for start in range(0, len(index), step):
            some = slice(start, start + step)
            images = _unit(there.take(index[some]))  # (r, m, D)
            products[some] = (images @ unit_queries[some, :, None]).squeeze(2)
        return self._rounded(products, queries, index, None).cpu()

    def best(self, queries: Tensor, k: int, floor: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The ``k`` best index images of each query, by products with the whole index.

        Args:
            queries: Which queries (q,), at most ``queries_at_once(k)``.
            k: How many.
            floor: Scores (q,) that k index images reach at least, where that is known: it saves work.

        Returns:
            Rows (q, k), int64, best first, and their scores (q, k), float32.
        """
        there = self._there
        device = torch.device("cpu") if there is None else there.device
        unit = _unit(sent(self.queries[queries], device))
        floor = None if floor is None else sent(floor, device)
        width = self._width(k)
        best = torch.empty(len(unit), width, dtype=torch.int64, device=device)
        filled = 0
        for columns, vectors in self._blocks():
            block = _unit(vectors)
            products = unit @ block.T  # (q, D), (n, D) -> (q, n)
            keep = min(k, len(block))
            if filled + keep > width:
                best[:, :k] = _smallest(best[:, :filled], k)
                filled = k
            self._keys(products, queries, columns, floor, out=best[:, filled : filled + keep])
            filled += keep
        best = best[:, :filled]
        if 2 * k < filled:  # otherwise sorting all is as fast
            best = _smallest(best, k)
        best = best.cpu()
        best.numpy().sort(axis=1)  # NumPy sorts several times faster than torch
        return _from_keys(best[:, :k])

    def queries_at_once(self, k: int) -> int:
        """How many queries ``best`` can take, so that memory depends neither on k nor on the index."""
        return max(1, _VALUES // (self._width(k) + _INDEX_BLOCK))

    def _width(self, k: int) -> int:
        return min(len(self.index), 2 * k + _INDEX_BLOCK)

    def _keys(
        self, products: Tensor, queries: Tensor, columns: slice, floor: Tensor | None, out: Tensor
    ) -> None:
        """Keys of the best m of a block into ``out`` (q, m); larger ones where none reaches the floor."""
        rows, count = products.shape
        here = self._there is None
        step = max(1, _CACHED_VALUES // count) if here else rows
        images = torch.arange(columns.start, columns.stop, device="cpu")[None]  # (1, n)
        for start in range(0, rows, step):
            some = slice(start, start + step)
            least = None if floor is None else floor[some, None]
            score = self._rounded(products[some], queries[some], images, least)
            reached: slice | Tensor = slice(None)
            if least is not None and here:  # to ask another device takes longer than to do it for all
                reached = (score >= least).any(dim=1).nonzero().flatten()
                out[some] = _NO_KEY
            out[some][reached] = _smallest(_to_keys(score[reached], columns.start), out.shape[1])

    def _rounded(self, products: Tensor, queries: Tensor, images: Tensor, least: Tensor | None) -> Tensor:
        """Scores (q, n), float32, from cosines in float64; those below ``least`` (q, 1) may be less exact.

        ``images`` are (q, n), or (1, n) for all queries alike.
        """
        products.clamp_(min=self.lowest)
        if self.bonus is not None:
            products += sent(self.bonus.pairs(queries.numpy(), images), products.device)
        scores, high = (products - self._error).float(), (products + self._error).float()
        unsure = scores != high
        if least is not None:
            unsure &= high >= least
        zero_queries, zero_images = self._zero_queries[queries], self._zero_images[images]
        if zero_queries.any() or zero_images.any():  # their cosine is 0 for sure
            zero = sent(zero_queries[:, None] | zero_images, products.device)  # (q, n)
            scores = torch.where(zero, products.float(), scores)
            unsure &= ~zero
        row, column = unsure.nonzero(as_tuple=True)
        if len(row):
            some = images.expand(len(queries), -1)[row.cpu(), column.cpu()]
            pairs = self.of(queries[row.cpu()], some[:, None]).flatten()
            scores[row, column] = pairs.to(products.device)
        return scores

    @property
    def _there(self) -> DeviceRows | None:
        """The index on the other device, if that computes in float64."""
        return self.elsewhere if self.elsewhere is not None and self.elsewhere.has_float64 else None

    def _blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Columns and their vectors (n, D), where float64 products are computed."""
        if self._there is not None:
            yield from ((columns, vectors) for columns, vectors, _ in self._there.blocks(_INDEX_BLOCK))
            return
        for start in range(0, len(self.index), _INDEX_BLOCK):
            columns = slice(start, min(start + _INDEX_BLOCK, len(self.index)))
            yield columns, self.index[columns]

    @cached_property
    def _error(self) -> float:
        """Bound on how far a float64 score of a matrix product is from that of the pair by itself."""
        largest_bonus = self.bonus.largest if self.bonus is not None else 0.0
        return float((2 * self.index.shape[1] + 16) * 2.0**-52 * (1 + largest_bonus))

    @cached_property
    def _zero_queries(self) -> Tensor:
        return _zero_rows(self.queries)

    @cached_property
    def _zero_images(self) -> Tensor:
        return _zero_rows(self.index)


def empty(shape: Sequence[int], dtype: type[np.generic]) -> Tensor:
    """Memory on the CPU; that of NumPy comes in large pages on Linux, which is several times faster."""
    return torch.from_numpy(np.empty(shape, dtype))


def _zero_rows(x: Tensor | VectorRows) -> Tensor:
    """Which vectors (N, D) are zero, (N,)."""
    if isinstance(x, VectorRows):
        return x.zero_rows()
    return torch.cat([~block.any(dim=1) for block in torch.split(x, _INDEX_BLOCK)])


def largest(values: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """Largest values (q, keep) of each row of (q, n) and where they stand, in no order.

    They lie in the groups with the largest maxima, so most of the row is never sorted.
    """
    rows, columns = values.shape
    groups = columns // GROUPS_OF
    if columns % GROUPS_OF or groups <= keep:
        top = values.topk(min(keep, columns), dim=1, sorted=False)
        return top.values, top.indices
    grouped = values.view(rows, GROUPS_OF, groups)  # a group is every groups-th column
    chosen = grouped.amax(dim=1).topk(keep, dim=1, sorted=False).indices  # (q, keep)
    members = grouped.gather(2, chosen[:, None].expand(-1, GROUPS_OF, -1))  # (q, 8, keep)
    top = members.flatten(1).topk(keep, dim=1, sorted=False)
    member, group = top.indices // keep, top.indices % keep
    return top.values, member * groups + chosen.gather(1, group)


def _smallest(keys: Tensor, keep: int) -> Tensor:
    """Smallest keys (q, keep) of each row of (q, n), in no order; on the CPU they move within their rows."""
    if keep >= keys.shape[1]:
        return keys
    if keys.device.type != "cpu":
        return ~largest(~keys, keep)[0]
    keys.numpy().partition(keep - 1, axis=1)  # several times faster than torch
    return keys[:, :keep]


def _to_keys(scores: Tensor, first: int) -> Tensor:
    """Integers (q, n) in the order of results: the best score is the smallest, on ties the smaller row.

    The upper half has the bits of the negated score, changed so that integers have the order of the numbers.
    """
    bits = (0.0 - scores).view(torch.int32)  # never -0.0
    bits ^= (bits >> 31) & 0x7FFFFFFF
    return (bits.long() << 32).bitwise_or_(torch.arange(first, first + scores.shape[1], device=scores.device))


def _from_keys(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and scores of keys; the rows take their memory."""
    scores = empty(keys.shape, np.float32)
    step = max(1, _CACHED_VALUES // keys.shape[1])
    for some, out in zip(torch.split(keys, step), torch.split(scores, step)):
        bits = (some >> 32).int()
        bits ^= (bits >> 31) & 0x7FFFFFFF
        out[:] = 0.0 - bits.view(torch.float32)
        some &= _LAST_ROW
    return keys, scores


def _cosines(q: Tensor, x: Tensor) -> Tensor:
    """Cosines (...) in float64 of vectors (..., D) that broadcast; 0 with a zero vector.

    Products and sums, not matmul: every pair is added up alike, so equal vectors get equal scores.
    """
    q, x = q.double(), x.double()
    inner = (x * q).sum(dim=-1)
    norms = x.square().sum(dim=-1).sqrt() * q.square().sum(dim=-1).sqrt()
    return inner / torch.where(norms > 0, norms, 1.0)
