"""What a score is: a number with its metric and protocol, or with its confidence interval."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """One published or measured result.

    Attributes:
        metric: Name of the metric, such as ``"GAP"`` or ``"mAP@100"``.
        value: The score, in [0, 1].
        protocol: Data, split and source: a score without them means nothing.
        of_paper: Whether it was measured by a paper with weights of its own, which these are not.
    """

    metric: str
    value: float
    protocol: str
    of_paper: bool = False


@dataclass(frozen=True)
class Interval:
    """A score with its confidence interval.

    Attributes:
        value: The score on all queries.
        low: Lower end.
        high: Upper end.
        level: Share of the resamples between the ends, such as 0.95.

    Examples:
        >>> print(lz.metrics.Interval(0.563, 0.512, 0.611))
        0.563 [0.512, 0.611]
    """

    value: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"
