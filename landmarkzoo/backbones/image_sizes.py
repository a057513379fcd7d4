"""Image sizes that a backbone takes, and the error that names one that is right."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ImageSizeRule:
    """Image sizes, in pixels, that a backbone takes.

    Attributes:
        minimum: Smallest side.
        maximum: Largest side; ``None`` for no limit.
        multiple: Both sides must be multiples of it.
        fixed: The only legal (height, width), for backbones that take one size only.
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
