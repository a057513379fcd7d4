"""What the centers of a trained head say about the images: which centers matter, and which labels look wrong.

With several centers a class, most images of a class gather at one of them, and the others collect what is
unlike the rest: other views, and wrong labels (Deng et al. 2020, "Sub-center ArcFace", ECCV 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from landmarkzoo.losses.base_head import top_classes

OUTLIER_ANGLE = math.radians(75)  # Deng et al. 2020 drop images farther than this from the dominant center

Reference = Literal["nearest", "dominant"]


class Outliers(NamedTuple):
    """Images far from the centers of their class, farthest first.

    Attributes:
        indices: Rows of the embeddings (n,), int64.
        cosines: Cosine with the nearest center of the image's own class (n,), or with the dominant one.
    """

    indices: Tensor
    cosines: Tensor


@dataclass(frozen=True)
class CenterUsage:
    """How many images of its class are nearest to each center; those of several batches can be added.

    Attributes:
        counts: Images (C, K), int64.

    Examples:
        >>> counts_of_batches = torch.tensor([[6, 2], [0, 0]]), torch.tensor([[0, 0], [0, 5]])
        >>> usage = sum(CenterUsage(counts) for counts in counts_of_batches)
        >>> usage.shares
        tensor([[0.7500, 0.2500], [0.0000, 1.0000]])
        >>> usage.dominant
        tensor([0, 1])
    """

    counts: Tensor

    def __add__(self, other: CenterUsage) -> CenterUsage:
        return CenterUsage(self.counts + other.counts)

    def __radd__(self, other: int) -> CenterUsage:
        """``sum`` starts at 0."""
        return self if other == 0 else NotImplemented

    @staticmethod
    def count(own: Tensor, labels: Tensor, num_classes: int) -> CenterUsage:
        """Count nearest centers; among equally near ones the first counts.

        Args:
            own: Cosines of each image with the centers of its class (N, K).
            labels: Its class (N,).
            num_classes: C.
        """
        k = own.shape[1]
        nearest = labels * k + top_classes(own, 1).classes[:, 0]
        return CenterUsage(torch.bincount(nearest, minlength=num_classes * k).view(num_classes, k))

    @property
    def shares(self) -> Tensor:
        """Share of the images of its class that are nearest to each center (C, K); 0 without images."""
        return self.counts / self.counts.sum(dim=1, keepdim=True).clamp(min=1)

    @property
    def dominant(self) -> Tensor:
        """The center of each class that most images are nearest to (C,); -1 for a class without images."""
        most = self.counts.max(dim=1)
        first = (self.counts == most.values[:, None]).int().argmax(dim=1)  # the first, if there are several
        return torch.where(most.values > 0, first, -1)


def find_outliers(own_cosine: Tensor, angle: float) -> Outliers:
    """Images whose own center is farther than an angle.

    Args:
        own_cosine: Cosine of each image with a center of its class (N,).
        angle: In radians.

    Returns:
        Farthest first, ties by the smaller row.
    """
    order = own_cosine.sort(stable=True)
    # Not acos of the cosines: an angle of 0 must list all, whatever the rounding.
    far = order.values < math.cos(angle) if angle > 0 else slice(None)
    return Outliers(order.indices[far], order.values[far])
