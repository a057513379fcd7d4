"""Several views of a photo, averaged into one descriptor."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarkzoo.backbones.image_sizes import ImageSizeRule
from landmarkzoo.embedding.inference import Inference
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos.transforms import LARGEST_SIDE


@dataclass(frozen=True)
class TestTimeAugmentation:
    """Which views of a photo are embedded.

    Attributes:
        scales: Factors on the sides of the transformed image, kept as a tuple of floats.
        flip: Whether each scale is also seen in a mirror.

    Raises:
        TypeError: If the scales are no list of numbers.
        ValueError: If there is no scale, or one is not positive.
    """

    __test__: ClassVar[bool] = False  # pytest: not a test, whatever the name begins with

    scales: Sequence[float] = (1.0,)
    flip: bool = False

    def __post_init__(self) -> None:
        given: object = self.scales
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise TypeError(f"scales must be a list of numbers, such as (0.7071, 1.0), got {given!r}")
        scales = tuple(float(scale) for scale in given)
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

    @staticmethod
    def from_provenance(provenance: Mapping[str, str]) -> TestTimeAugmentation:
        """The views that some descriptors were made with.

        Raises:
            ValueError: If ``views`` is not what ``provenance`` writes.

        Examples:
            >>> from landmarkzoo.embedding.tta import TestTimeAugmentation
            >>> TestTimeAugmentation.from_provenance(TestTimeAugmentation((1, 2), flip=True).provenance)
            TestTimeAugmentation(scales=(1.0, 2.0), flip=True)
        """
        if "views" not in provenance:
            return TestTimeAugmentation()
        found = re.fullmatch(r"scales \((.*?),?\), flip (True|False)", provenance["views"])
        if found is None:
            raise ValueError(f"views {provenance['views']!r} are not known here")
        return TestTimeAugmentation([float(scale) for scale in found[1].split(",")], found[2] == "True")

    def embed(self, run: Inference, images: Tensor | None) -> Tensor | None:
        """Descriptors of length 1, the mean of those of all views: (B, 3, H, W) -> (B, D), on the CPU.

        ``None`` for ``None``, a batch in which no photo could be read.
        """
        if images is None:
            return None
        vectors, rule = [], _size_rule(run.model)
        for scale in self.scales:
            view = images if scale == 1 else _resized(images, scale, rule)
            for seen in (view, view.flip(3)) if self.flip else (view,):
                vectors.append(F.normalize(run(seen), dim=1))
        return vectors[0] if len(vectors) == 1 else F.normalize(torch.stack(vectors).mean(dim=0), dim=1)


def _size_rule(model: nn.Module) -> ImageSizeRule:
    rule = getattr(unwrapped(model), "size_rule", None)
    return rule if isinstance(rule, ImageSizeRule) else ImageSizeRule()


def _resized(images: Tensor, scale: float, rule: ImageSizeRule) -> Tensor:
    """Images at a scale; to multiples of the patch for a transformer that needs them."""
    step = rule.multiple
    height, width = (max(step, round(side * scale / step) * step) for side in images.shape[2:])
    if max(height, width) > LARGEST_SIDE:
        raise ValueError(f"scale {scale:g} is too large: images of more than {LARGEST_SIDE:,} pixels a side")
    try:
        rule.check_size(height, width)
    except ValueError as error:
        raise ValueError(
            f"scale {scale:g} does not fit: {error}. Leave scales out (flip=True works), or choose a model "
            "with a convolutional backbone"
        ) from error
    return F.interpolate(images, (height, width), mode="bicubic", antialias=True)
