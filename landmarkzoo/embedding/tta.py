"""Several views of a photo, averaged into one descriptor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarkzoo.embedding.inference import Precision, forward, weights_dtype


@dataclass(frozen=True)
class TestTimeAugmentation:
    """Which views of a photo are embedded.

    Attributes:
        scales: Factors on the sides of the transformed image, kept as a tuple of floats.
        flip: Whether each scale is also seen in a mirror.

    Raises:
        ValueError: If there is no scale, or one is not positive.
    """

    __test__: ClassVar[bool] = False  # pytest: not a test, whatever the name begins with

    scales: Sequence[float] = (1.0,)
    flip: bool = False

    def __post_init__(self) -> None:
        scales = tuple(float(scale) for scale in self.scales)
        if not scales or not all(0 < scale < math.inf for scale in scales):
            raise ValueError(
                f"scales must be positive numbers, such as (0.7071, 1.0, 1.4142), got {self.scales!r}"
            )
        object.__setattr__(self, "scales", scales)
        object.__setattr__(self, "flip", bool(self.flip))

    @property
    def provenance(self) -> dict[str, str]:
        """What travels with descriptors: nothing for the photo as it is."""
        return {} if self == TestTimeAugmentation() else {"views": f"scales {self.scales}, flip {self.flip}"}

    def embed(
        self, model: nn.Module, images: Tensor | None, device: torch.device, precision: Precision
    ) -> Tensor | None:
        """Descriptors of length 1, the mean of those of all views: (B, 3, H, W) -> (B, D), on the CPU.

        ``None`` for ``None``, a batch in which no photo could be read.
        """
        if images is None:
            return None
        vectors, dtype = [], weights_dtype(model)
        for scale in self.scales:
            view = images if scale == 1 else _resized(images, scale)
            for seen in (view, view.flip(3)) if self.flip else (view,):
                vectors.append(F.normalize(forward(model, seen, device, precision, dtype), dim=1))
        return vectors[0] if len(vectors) == 1 else F.normalize(torch.stack(vectors).mean(dim=0), dim=1)


def _resized(images: Tensor, scale: float) -> Tensor:
    height, width = (max(1, round(side * scale)) for side in images.shape[2:])
    return F.interpolate(images, (height, width), mode="bicubic", antialias=True)
