"""The images that a backbone takes: their sizes, with errors that name a right one, mean, std and filter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import timm
from torch import Tensor, nn


@dataclass(frozen=True)
class ImageSizeRule:
    """Image sizes, in pixels, that a backbone takes; any size by default.

    Attributes:
        minimum: Smallest side.
        maximum: Largest side; ``None`` for no limit.
        multiple: Both sides must be multiples of it.
        fixed: The only valid (height, width), for backbones that take one size only.
    """

    minimum: int = 1
    maximum: int | None = None
    multiple: int = 1
    fixed: tuple[int, int] | None = None

    def check(self, images: Tensor) -> None:
        """Raise ValueError, naming a size that is right, if ``images`` (B, 3, H, W) do not fit."""
        self.check_size(images.shape[-2], images.shape[-1])

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError, naming a size that is right, if images of that many pixels do not fit."""
        came = f"images are {height}x{width} px; this backbone"
        if self.fixed is not None and (height, width) != self.fixed:
            raise ValueError(f"{came} takes {self.fixed[0]}x{self.fixed[1]} px only")
        if self.maximum is not None and not (
            self.minimum <= height <= self.maximum and self.minimum <= width <= self.maximum
        ):
            raise ValueError(
                f"{came} takes sides from {self.minimum} to {self.maximum} px, such as "
                f"{self.maximum}x{self.maximum}, as the map must have the grid that the transformer knows"
            )
        if min(height, width) < self.minimum:
            raise ValueError(f"{came} needs at least {self.minimum}x{self.minimum} px: resize them up")
        if height % self.multiple or width % self.multiple:
            right = [max(self.multiple, round(s / self.multiple) * self.multiple) for s in (height, width)]
            raise ValueError(
                f"{came} needs sides that are multiples of {self.multiple}, such as {right[0]}x{right[1]}"
            )


def timm_input(backbone: str | nn.Module, args: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The images that a backbone was pretrained on, as fields of a ``ModelCfg``.

    Args:
        backbone: Name of a timm model, or a module; one of timm knows its own images.
        args: Arguments of the timm model; ``img_size`` counts.

    Returns:
        ``input_size``, ``mean``, ``std`` and ``interpolation``; without those that timm does not know.

    Examples:
        >>> timm_input("resnet18.tv_in1k")["interpolation"]
        'bilinear'
        >>> timm_input(torch.nn.Conv2d(3, 8, 1))
        {}
    """
    if isinstance(backbone, str):
        cfg = timm.get_pretrained_cfg(backbone)
        known = {} if cfg is None else asdict(cfg)
    else:
        known = getattr(backbone, "pretrained_cfg", None) or {}
    found = {name: known[name] for name in ("input_size", "mean", "std", "interpolation") if known.get(name)}
    size = (args or {}).get("img_size")
    if size is not None:
        found["input_size"] = (3, size, size) if isinstance(size, int) else (3, *size)
    return found
