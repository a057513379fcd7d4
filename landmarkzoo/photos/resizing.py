"""Resize photos and keep their aspect ratio, to sides that a model takes."""

from __future__ import annotations

from typing import Literal

from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2

from landmarkzoo.backbones import ImageSizeRule
from landmarkzoo.photos.photo_error import PhotoError

LARGEST_SIDE = 16_384  # pixels; one float32 image of this size takes 3 GB

# Of tensors; torchvision has the others for PIL images only.
_TENSOR_FILTERS = {"nearest", "nearest-exact", "bilinear", "bicubic"}


class KeepAspect(nn.Module):
    """Resize a photo and keep its aspect ratio.

    The computed side is rounded down, as torchvision does, and is at least 1.

    Args:
        resize: ``"longest"``: the longer side becomes ``side``, but is never enlarged. ``"shortest"``: the
            shorter side becomes ``side``. ``"none"``: the photo keeps its size.
        side: In pixels; ``None`` for ``"none"``.
        rule: Image sizes that the model takes, see ``fitting_sides``.
        interpolation: Filter, always with antialias.

    Examples:
        >>> from PIL import Image
        >>> from landmarkzoo.photos.resizing import KeepAspect
        >>> KeepAspect("longest", 512)(Image.new("RGB", (1024, 768))).size
        (512, 384)
    """

    def __init__(
        self,
        resize: Literal["longest", "shortest", "none"],
        side: int | None = None,
        *,
        rule: ImageSizeRule = ImageSizeRule(),  # noqa: B008
        interpolation: str = "bicubic",
    ) -> None:
        super().__init__()
        self.resize, self.side, self.rule, self.interpolation = resize, side, rule, interpolation

    def forward(self, photo: Image.Image | Tensor) -> Image.Image | Tensor:
        """Resize a PIL image, or a uint8 tensor (3, H, W).

        Raises:
            PhotoError: If a side would be longer than 16,384 pixels.
        """
        height, width = v2.functional.get_size(photo)
        sides = fitting_sides(*self._sides(height, width), self.rule)
        if max(sides) > LARGEST_SIDE:
            raise PhotoError(
                "in memory",
                f"it is {width} x {height} and would become {sides[1]} x {sides[0]}, and a side may have "
                f"{LARGEST_SIDE:,} pixels: pass a transform with an image_size",
            )
        if sides == (height, width):
            return photo
        if isinstance(photo, Tensor) and self.interpolation not in _TENSOR_FILTERS:
            photo = v2.functional.to_pil_image(photo)
        resized: Image.Image | Tensor = v2.functional.resize(
            photo, list(sides), interpolation=v2.InterpolationMode(self.interpolation), antialias=True
        )
        return resized

    def _sides(self, height: int, width: int) -> tuple[int, int]:
        shorter, longer = min(height, width), max(height, width)
        if self.side is None or (self.resize == "longest" and longer <= self.side):
            return height, width
        if self.resize == "longest":
            shorter, longer = int(self.side * shorter / longer), self.side
        else:
            shorter, longer = self.side, int(self.side * longer / shorter)
        return (shorter, longer) if height <= width else (longer, shorter)

    def extra_repr(self) -> str:
        """Show what changes photos."""
        size = "" if self.side is None else f", {self.side}"
        rule = f"multiple={self.rule.multiple}, minimum={self.rule.minimum}"
        return f"{self.resize}{size}, {rule}, interpolation={self.interpolation}, antialias=True"


def fitting_sides(height: float, width: float, rule: ImageSizeRule) -> tuple[int, int]:
    """Sides that a model takes and that are close to some: the nearest multiples, none below its minimum.

    Examples:
        >>> from landmarkzoo.backbones import ImageSizeRule
        >>> from landmarkzoo.photos.resizing import fitting_sides
        >>> fitting_sides(1024, 20, ImageSizeRule(minimum=32, multiple=14))
        (1022, 42)
    """
    step = rule.multiple
    least = -(-rule.minimum // step) * step  # the minimum may be no multiple itself
    return max(least, round(height / step) * step), max(least, round(width / step) * step)


def size_text(transform: object) -> str | None:
    """The size that a transform gives photos in its first step, in words.

    Returns:
        ``"224 x 288"`` (height, width), ``"longest 1024"``, ``"shortest 512"``, or ``"original"`` for photos
        that keep theirs; ``None`` if the first step is another one.
    """
    first = next(iter(getattr(transform, "transforms", ())), None)
    if isinstance(first, KeepAspect):
        return "original" if first.side is None else f"{first.resize} {first.side}"
    size = first.size if isinstance(first, v2.Resize) else None
    return f"{size[0]} x {size[1]}" if isinstance(size, (list, tuple)) and len(size) == 2 else None
