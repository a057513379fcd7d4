"""Several views of a photo, which become one descriptor."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarkzoo.backbones.image_sizes import ImageSizeRule
from landmarkzoo.embedding.inference import Inference
from landmarkzoo.models import ModelCfg
from landmarkzoo.models.model_cfg import Combine, ScaleResize
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos.batches import PhotoBatch
from landmarkzoo.photos.resizing import LARGEST_SIDE, fitting_sides
from landmarkzoo.photos.transforms import size_rule_of


@dataclass(frozen=True)
class TestTimeAugmentation:
    """Which views of a photo are embedded, and how they become one descriptor.

    Attributes:
        scales: Factors on the sides of the transformed image, kept as a tuple of floats.
        flip: Whether each scale is also seen in a mirror.
        combine: ``"mean"`` of the descriptors of length 1 of all views, or their element-wise ``"max"``.
            Kept as ``"mean"`` where there is one view.
        scale_resize: How the image gets to a scale, as in ``ModelCfg``. Kept as ``"bicubic"`` where no scale
            needs it.

    Raises:
        TypeError: If the scales are no list of numbers, or flip is neither true nor false.
        ValueError: If there is no scale, one is not positive, or another option is unknown.
    """

    __test__: ClassVar[bool] = False  # pytest: not a test, whatever the name begins with

    scales: Sequence[float] = (1.0,)
    flip: bool = False
    combine: Combine = "mean"
    scale_resize: ScaleResize = "bicubic"

    def __post_init__(self) -> None:
        given: object = self.scales
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise TypeError(f"scales must be a list of numbers, such as (0.7071, 1.0), got {given!r}")
        if not isinstance(self.flip, (bool, np.bool_)):
            raise TypeError(f"flip must be True or False, got {self.flip!r}")
        try:
            scales = tuple(float(scale) for scale in given)
        except (TypeError, ValueError) as error:
            raise TypeError(f"scales must be numbers, such as (0.7071, 1.0), got {given!r}") from error
        if not scales or not all(0 < scale < math.inf for scale in scales):
            raise ValueError(
                f"scales must be positive numbers, such as (0.7071, 1.0, 1.4142), got {self.scales!r}"
            )
        for name, kinds in (("combine", get_args(Combine)), ("scale_resize", get_args(ScaleResize))):
            if getattr(self, name) not in kinds:
                raise ValueError(f"{name} must be one of {kinds}, got {getattr(self, name)!r}")
        object.__setattr__(self, "scales", scales)
        object.__setattr__(self, "flip", bool(self.flip))
        # What changes nothing is the same for all, so that descriptors that are alike can be compared.
        if len(scales) == 1 and not self.flip:
            object.__setattr__(self, "combine", "mean")
        if set(scales) == {1.0}:
            object.__setattr__(self, "scale_resize", "bicubic")

    @staticmethod
    def of_model(
        model: nn.Module, scales: Sequence[float] | None = None, flip: bool | None = None
    ) -> TestTimeAugmentation:
        """The views of a model's cfg, with other scales or another flip where these are given.

        A module without a cfg has one view.
        """
        cfg = getattr(unwrapped(model), "cfg", None)
        if not isinstance(cfg, ModelCfg):
            return TestTimeAugmentation((1.0,) if scales is None else scales, bool(flip))
        scales = cfg.scales if scales is None else scales
        flip = cfg.flip if flip is None else flip
        return TestTimeAugmentation(scales, flip, cfg.combine, cfg.scale_resize)

    @property
    def provenance(self) -> dict[str, str]:
        """What travels with descriptors: nothing for the photo as it is."""
        if self == TestTimeAugmentation():
            return {}
        combine = "" if self.combine == "mean" else f", combine {self.combine}"
        resize = "" if self.scale_resize == "bicubic" else f", resize {self.scale_resize}"
        return {"views": f"scales {self.scales}, flip {self.flip}{combine}{resize}"}

    @staticmethod
    def from_provenance(provenance: Mapping[str, str]) -> TestTimeAugmentation:
        """The views that some descriptors were made with.

        Raises:
            ValueError: If ``views`` is not what ``provenance`` writes.

        Examples:
            >>> from landmarkzoo.embedding.tta import TestTimeAugmentation
            >>> TestTimeAugmentation.from_provenance({"views": "scales (1.0, 2.0), flip True, combine max"})
            TestTimeAugmentation(scales=(1.0, 2.0), flip=True, combine='max', scale_resize='bicubic')
        """
        if "views" not in provenance:
            return TestTimeAugmentation()
        found = re.fullmatch(
            r"scales \((.*?),?\), flip (True|False)(?:, combine (max))?(?:, resize (area|bilinear[a-z-]*))?",
            provenance["views"],
        )
        if found is None:
            raise ValueError(f"views {provenance['views']!r} are not known here")
        scales, flip, combine, resize = found.groups()
        how: Any = resize or "bicubic"  # what it can be is checked by the class
        return TestTimeAugmentation(
            [float(scale) for scale in scales.split(",")],
            flip == "True",
            "max" if combine else "mean",
            how,
        )

    def embed(self, run: Inference, images: Tensor) -> Tensor:
        """Descriptors of length 1 of all views together: (B, 3, H, W) -> (B, D), on the device."""
        vectors, rule = [], size_rule_of(unwrapped(run.model))
        images = run.on_device(images)  # once: scales and mirrors are made there
        for scale in self.scales:
            view = images if scale == 1 else _resized(images, scale, rule, self.scale_resize)
            for seen in (view, view.flip(3)) if self.flip else (view,):
                vectors.append(F.normalize(run(seen), dim=1))
        if len(vectors) == 1:
            return vectors[0]
        views = torch.stack(vectors)  # (views, B, D)
        return F.normalize(views.amax(dim=0) if self.combine == "max" else views.mean(dim=0), dim=1)


def embedded(
    batches: Iterable[PhotoBatch], run: Inference, views: TestTimeAugmentation
) -> Iterator[tuple[PhotoBatch, Tensor | None]]:
    """Batches with the descriptors (B, D) of what could be read of them, on the CPU.

    A GPU gets a batch before the results of the one before it are waited for.
    """
    waiting: list[tuple[PhotoBatch, Tensor | None]] = []
    for batch in batches:
        waiting.append((batch, batch.map(partial(views.embed, run))))
        if len(waiting) == (2 if run.device.type == "cuda" else 1):
            yield _on_cpu(*waiting.pop(0))
    for batch, vectors in waiting:
        yield _on_cpu(batch, vectors)


def _on_cpu(batch: PhotoBatch, vectors: Tensor | None) -> tuple[PhotoBatch, Tensor | None]:
    return batch, None if vectors is None else vectors.cpu()


def _resized(images: Tensor, scale: float, rule: ImageSizeRule, resize: ScaleResize) -> Tensor:
    """Images at a scale, of sides that the model takes: for a transformer multiples of its patches."""
    whole = int if resize in ("bilinear", "bilinear-cut") else round
    exact = [whole(side * scale) for side in images.shape[2:]]
    if max(exact) < 1:
        raise ValueError(f"scale {scale:g} is too small: images of less than a pixel")
    # A model whose sides have a maximum takes hardly another size: a scale is an error then, see below.
    rule_of_sides = rule if rule.maximum is None else replace(rule, minimum=1)
    wanted = exact if rule.multiple == 1 else [side * scale for side in images.shape[2:]]
    height, width = fitting_sides(wanted[0], wanted[1], rule_of_sides)
    if max(height, width) > LARGEST_SIDE:
        raise ValueError(f"scale {scale:g} is too large: images of more than {LARGEST_SIDE:,} pixels a side")
    try:
        rule.check_size(height, width)
    except ValueError as error:
        raise ValueError(
            f"scale {scale:g} does not fit: {error}. Leave scales out (flip=True works), or choose a model "
            "with a convolutional backbone"
        ) from error
    by_factor = [height, width] == exact  # which gives another grid than the sides
    if resize == "bicubic":
        return F.interpolate(images, (height, width), mode="bicubic", antialias=True)
    if resize == "area" and scale < 1:
        old_and_new = zip(images.shape[2:], (height, width))
        rows, columns = (_area_means(o, n, scale if by_factor else n / o, images) for o, n in old_and_new)
        return rows @ images @ columns.T  # (h, H), (B, 3, H, W), (W, w) -> (B, 3, h, w)
    if resize in ("bilinear", "area") and by_factor:
        more = F.pad(images, (0, 1, 0, 1), mode="replicate")  # sides that are rounded up need it
        more = F.interpolate(more, scale_factor=scale, mode="bilinear", align_corners=False)
        return more[..., :height, :width]
    return F.interpolate(images, (height, width), mode="bilinear", align_corners=False)


def _area_means(old: int, new: int, scale: float, like: Tensor) -> Tensor:
    """A matrix (new, old) that makes each new pixel the mean of what it covers of the old ones."""
    edges = (torch.arange(new + 1, dtype=torch.float64) / scale).clamp(max=old)[:, None]
    pixels = torch.arange(old)
    covered = (torch.minimum(edges[1:], pixels + 1) - torch.maximum(edges[:-1], pixels)).clamp(min=0)
    return (covered / covered.sum(dim=1, keepdim=True)).to(like)
