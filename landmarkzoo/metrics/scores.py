"""A score as it is published: a number, its metric, and the protocol that gives it a meaning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """One published or measured result.

    Attributes:
        metric: Name of the metric, such as ``"GAP"`` or ``"mAP@100"``.
        value: The score, in [0, 1].
        protocol: Data, split and source: a score without them means nothing.
        of_paper: Whether it is that of a paper's own weights, which these are not.
    """

    metric: str
    value: float
    protocol: str
    of_paper: bool = False
