"""From a photo to what a model takes: resizing, normalising, and augmentations for training."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2

from landmarkzoo.models import ModelCfg
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos.decoding import jpeg_round_trip

LARGEST_SIDE = 16_384  # pixels; one float32 image of this size takes 3 GB


def create_transform(
    model_or_cfg: nn.Module | ModelCfg,
    *,
    training: bool = False,
    image_size: int | tuple[int, int] | None = None,
) -> v2.Compose:
    """Transform of a model: an RGB photo to a normalised float32 tensor (3, H, W).

    Evaluation squashes the photo to the model's input size (the cfg's interpolation, with antialias, no
    crop) and normalises. Training adds the augmentations of [Henkel 2021](https://arxiv.org/abs/2110.03786):
    horizontal flip (p .5), JPEG quality 99 to 100, shift, scale and rotation (.2, .2, 10 degrees, black
    border, p .7), and one black square of .4 of the side (p .5).

    Args:
        model_or_cfg: A model of landmarkzoo, or a ``ModelCfg``.
        training: Whether to augment.
        image_size: Side, or (height, width), in pixels; the model's own if ``None``.

    Returns:
        A torchvision v2 transform of PIL images, or of uint8 tensors (3, H, W).

    Raises:
        TypeError: If the first argument has no cfg.
        ValueError: If the size is not positive or a side is longer than 16,384 pixels, or the cfg has an
            unknown ``resize``.

    Examples:
        >>> from PIL import Image
        >>> transform = lz.create_transform(lz.get_model_cfg("dolg_efficientnet_lite0"), image_size=256)
        >>> transform(Image.new("RGB", (640, 480))).shape
        torch.Size([3, 256, 256])
    """
    cfg = _cfg_of(model_or_cfg)
    size = _size(cfg, image_size)
    if cfg.resize != "squash":
        raise ValueError(f"resize must be 'squash', got {cfg.resize!r}")
    interpolation = v2.InterpolationMode(cfg.interpolation)
    resize = v2.Resize(size, interpolation=interpolation, antialias=True)
    to_float = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    normalise = v2.Normalize(list(cfg.mean), list(cfg.std))
    if not training:
        return v2.Compose([resize, *to_float, normalise])
    shift_scale_rotate = v2.RandomAffine(
        degrees=10,
        translate=(0.2, 0.2),
        scale=(0.8, 1.2),
        interpolation=v2.InterpolationMode.BILINEAR,
        fill=0,
    )
    return v2.Compose(
        [
            resize,
            v2.RandomHorizontalFlip(p=0.5),
            RandomJpeg(quality=(99, 100)),
            v2.RandomApply([shift_scale_rotate], p=0.7),
            *to_float,
            # One square hole with .4 of the side has .16 of the area; black, so before normalising.
            v2.RandomErasing(p=0.5, scale=(0.16, 0.16), ratio=(1.0, 1.0), value=0.0),
            normalise,
        ]
    )


class RandomJpeg(nn.Module):
    """JPEG compression of a random quality.

    It uses Pillow, because torchvision announces the end of the encoders that its ``v2.JPEG`` uses.

    Args:
        quality: Lowest and highest quality, both included.
    """

    def __init__(self, quality: tuple[int, int]) -> None:
        super().__init__()
        self.quality = quality

    def forward(self, image: Image.Image | Tensor) -> Image.Image:
        """Compress a PIL image, or a uint8 tensor (3, H, W)."""
        low, high = self.quality
        quality = int(torch.randint(low, high + 1, ()))
        photo = v2.functional.to_pil_image(image) if isinstance(image, Tensor) else image
        return jpeg_round_trip(photo, quality)

    def extra_repr(self) -> str:
        """Show the range."""
        return f"quality={self.quality}"


def _cfg_of(model_or_cfg: nn.Module | ModelCfg) -> ModelCfg:
    inner = unwrapped(model_or_cfg) if isinstance(model_or_cfg, nn.Module) else model_or_cfg
    cfg = getattr(inner, "cfg", inner)
    if not isinstance(cfg, ModelCfg):
        raise TypeError(
            "create_transform takes a landmarkzoo model or a ModelCfg, got "
            f"{type(model_or_cfg).__name__}; for a model of your own pass a transform of your own"
        )
    return cfg


def _size(cfg: ModelCfg, image_size: int | tuple[int, int] | None) -> list[int]:
    if image_size is None:
        image_size = cfg.input_size[1:]
    sides = np.atleast_1d(image_size).tolist()  # NumPy's integers are integers too
    if len(sides) not in (1, 2) or not all(type(side) is int and side > 0 for side in sides):
        raise ValueError(f"image_size must be a side or (height, width) in pixels, got {image_size!r}")
    if max(sides) > LARGEST_SIDE:
        raise ValueError(f"image_size must be at most {LARGEST_SIDE:,} pixels a side, got {image_size}")
    return [sides[0], sides[-1]]
