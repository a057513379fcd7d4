"""Angular margins: how large they are for each class, and how they enter the cosine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landmarkzoo.losses.head_checks import PerClass, per_class


def dynamic_margins(
    class_counts: NDArray[Any] | Tensor | Sequence[float], low: float = 0.05, high: float = 0.5
) -> NDArray[np.float64]:
    """Margins that shrink with the number of images of a class: rare classes get the largest.

    With ``t = n ** -0.25``, a margin is ``low + (high - low) * (t - min t) / (max t - min t)``
    ([Ha et al. 2020](https://arxiv.org/abs/2010.05350), "Google landmark recognition 2020 competition third
    place solution"; [Henkel 2021](https://arxiv.org/abs/2110.03786), section 2.3). Where all counts are
    equal the formula is 0 / 0, and every class gets the middle of the range.

    Args:
        class_counts: Images of each class (C,), all positive.
        low: Margin of the most frequent class, in radians.
        high: Margin of the rarest class, in radians.

    Returns:
        Margins (C,), float64, in radians.

    Raises:
        TypeError: If the counts are not numbers.
        ValueError: If a class has no image, or the range is not within 0 <= low <= high < pi.

    Examples:
        >>> lz.dynamic_margins([1, 4, 16, 256, 10000]).round(6)
        array([0.5     , 0.353553, 0.25    , 0.125   , 0.05    ])
    """
    if isinstance(class_counts, Tensor):
        class_counts = class_counts.detach().cpu().numpy()
    counts = np.asarray(class_counts)
    if counts.dtype.kind not in "iuf":
        raise TypeError(f"class_counts must be numbers, one a class, got dtype {counts.dtype}")
    if counts.ndim != 1 or len(counts) == 0:
        raise ValueError(f"class_counts must have shape (C,), one number a class, got {counts.shape}")
    if not 0 <= low <= high < math.pi:
        hint = "; of degrees take np.deg2rad" if high >= math.pi else ""
        raise ValueError(f"margins are radians, 0 <= low <= high < pi, got low={low}, high={high}{hint}")
    wrong = np.flatnonzero(~(np.isfinite(counts) & (counts > 0)))
    if len(wrong):
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise ValueError(
            f"class {wrong[0]}{more} has no image (its count is {counts[wrong[0]]}): every class needs a "
            "positive count. Leave such classes out and renumber the others: classes, labels = "
            "np.unique(labels, return_inverse=True)."
        )
    t = counts.astype(np.float64) ** -0.25
    span = t.max() - t.min()
    if span == 0:
        return np.full(len(t), (low + high) / 2)
    margins: NDArray[np.float64] = low + (high - low) * (t - t.min()) / span
    return margins


def margins_of_classes(
    class_counts: PerClass | None, margins: PerClass | float | None, num_classes: int
) -> NDArray[np.float64] | None:
    """Margins (C,) in radians, from one of the two arguments of a head; ``None`` if both are ``None``.

    Raises:
        TypeError: If they are not numbers.
        ValueError: If both are given, or one is out of range.
    """
    if class_counts is not None:
        if margins is not None:
            raise ValueError("give class_counts or margins, not both: the counts become margins")
        return dynamic_margins(per_class(class_counts, num_classes, "class_counts", scalar=False))
    if margins is None:
        return None
    radians = per_class(margins, num_classes, "margins")
    wrong = np.flatnonzero((radians < 0) | (radians >= math.pi))
    if len(wrong):
        hint = " Are these degrees? np.deg2rad." if radians.max() >= math.pi else ""
        raise ValueError(
            f"margins are radians in [0, pi), got {radians[wrong[0]]} for class {wrong[0]}.{hint}"
        )
    return radians


def add_angular_margin(cosine: Tensor, margin: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine of the angle plus a margin, and its slope ([Deng et al. 2019](https://arxiv.org/abs/1801.07698)).

    This is the margin of ArcFace: ``cos(angle + m)`` as long as ``angle + m <= pi``; beyond that it would
    rise again, and ``cos - m sin(pi - m)`` takes its place. Cosines are clamped to [-1, 1] first. The slope
    is infinite at cos = +-1; there it is that of a sine of one rounding error, so that gradients stay
    finite.

    Args:
        cosine: Cosines of any shape.
        margin: Margins in radians, of a shape that broadcasts.

    Returns:
        The values and their derivative by the cosine, both of the broadcast shape.

    Examples:
        >>> value, slope = add_angular_margin(torch.tensor([0.8, -0.9]), torch.tensor(0.5))
        >>> value
        tensor([ 0.4144, -1.1397])
    """
    cosine = cosine.clamp(-1, 1)
    sine = ((1 - cosine) * (1 + cosine)).sqrt()  # 1 - cos^2 would lose digits near 1
    cos_m, sin_m = torch.cos(margin), torch.sin(margin)
    within = cosine > -cos_m  # cos(pi - m) = -cos(m): angle + m < pi
    value = torch.where(within, cosine * cos_m - sine * sin_m, cosine - sin_m * margin)
    smallest = torch.finfo(cosine.dtype).eps ** 0.5
    slope = torch.where(within, cos_m + sin_m * cosine / sine.clamp(min=smallest), torch.ones_like(cosine))
    return value, slope
