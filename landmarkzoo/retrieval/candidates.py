"""The index images that may be among the best of a query, found by approximate cosines."""

from __future__ import annotations

import torch
from torch import Tensor

from landmarkzoo.retrieval.approximate_products import Products
from landmarkzoo.retrieval.exact_scores import GROUPS_OF, ExactScores, largest

_CROWDED = 4  # hits of one query in a block, in parts of what is kept: above, the block is sorted instead


def find_candidates(
    exact: ExactScores, products: Products, queries: Tensor, keep: int, size: int
) -> tuple[Tensor, Tensor]:
    """The ``keep`` best index images of some queries by approximate scores.

    Args:
        exact: Queries, index and what is added to cosines.
        products: How cosines are computed.
        queries: Which queries (q,).
        keep: How many; at most N.
        size: Index images of one product.

    Returns:
        Rows (q, keep), int64, in no order, and the score above which no other image can be, (q,) float64.
    """
    best = _Best(len(queries), keep, counts_hits=exact.elsewhere is None)
    bonus = exact.bonus
    for columns, cosines in products.blocks(exact.queries[queries], size):
        count = columns.stop - columns.start
        scores = cosines
        if exact.lowest > -1:
            scores = scores.float().clamp_(min=exact.lowest)
        if bonus is not None:
            scores = scores.float()
            scores[:, :count] += bonus.block(queries.numpy(), columns, scores.device)
        scores[:, count:] = -torch.inf
        best.add(scores, columns.start)
    # Bound on the error of adding the bonus: that of float32, and of the least that may be left of a cosine.
    least = best.least.cpu()
    if bonus is None:
        return best.rows.cpu(), products.highest(least)
    beyond = products.highest(torch.ones_like(least)) - 1
    return best.rows.cpu(), least.double() + beyond + 2.0**-20 * (1 + bonus.largest)


class _Best:
    """The best images (q, keep) of what was seen so far, and the score that others must pass.

    To count those that pass it is quicker than to sort, but another device would have to be waited for.
    """

    def __init__(self, queries: int, keep: int, counts_hits: bool) -> None:
        self._keep, self._counts_hits = keep, counts_hits
        self.rows = torch.empty(queries, 0, dtype=torch.int64, device="cpu")
        self._scores = torch.empty(queries, 0, dtype=torch.float32, device="cpu")
        self.least = torch.full((queries,), -torch.inf, dtype=torch.float32, device="cpu")

    def add(self, scores: Tensor, first: int) -> None:
        """Take in a block of scores (q, n) whose first column is the image ``first``."""
        found = None
        if self._counts_hits and self._scores.shape[1] == self._keep:
            found = self._above_least(scores)
        values, at = largest(scores, self._keep) if found is None else found
        self._scores = torch.cat([self._scores.to(values.device), values.float()], dim=1)
        self.rows = torch.cat([self.rows.to(at.device), at + first], dim=1)  # .to moves only what is empty
        if self._scores.shape[1] > self._keep:
            top = self._scores.topk(self._keep, dim=1, sorted=False)
            self._scores, self.rows = top.values, self.rows.gather(1, top.indices)
        if self._scores.shape[1] == self._keep:
            self.least = self._scores.amin(dim=1)

    def _above_least(self, scores: Tensor) -> tuple[Tensor, Tensor] | None:
        """Scores (q, m) above the least, filled up with -inf, and their columns; ``None`` if m is large.

        Few are. So most groups of scores are passed over at once, eight answers to an integer.
        """
        least = self.least.to(scores.dtype)[:, None]
        if scores.dtype == torch.bfloat16 and (least >= 0).all():  # their bits have the order of the numbers
            above = scores.view(torch.int16) > least.view(torch.int16)
        else:
            above = scores > least
        if scores.shape[1] % GROUPS_OF == 0:
            row, group = above.view(torch.int64).nonzero(as_tuple=True)
            inside = above.view(len(scores), -1, GROUPS_OF)[row, group]  # (h, 8)
            hit, member = inside.nonzero(as_tuple=True)
            row, column = row[hit], group[hit] * GROUPS_OF + member
        else:
            row, column = above.nonzero(as_tuple=True)
        counts = torch.bincount(row, minlength=len(scores))
        width = int(counts.max())
        if width > _CROWDED * self._keep:
            return None
        place = torch.arange(len(row), device="cpu") - (counts.cumsum(0) - counts)[row]
        values = torch.full((len(scores), width), -torch.inf, dtype=torch.float32, device="cpu")
        columns = torch.zeros(len(scores), width, dtype=torch.int64, device="cpu")
        values[row, place] = scores[row, column].float()
        columns[row, place] = column
        return values, columns
