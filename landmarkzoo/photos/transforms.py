"""From a photo to what a model takes: resizing, normalising, and augmentations for training."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2

from landmarkzoo.backbones import ImageSizeRule
from landmarkzoo.models import ModelCfg
from landmarkzoo.models.wrappers import unwrapped
from landmarkzoo.photos.decoding import jpeg_round_trip
from landmarkzoo.photos.resizing import LARGEST_SIDE, KeepAspect


def create_transform(
    model_or_cfg: nn.Module | ModelCfg,
    *,
    training: bool = False,
    image_size: int | tuple[int, int] | None = None,
) -> v2.Compose:
    """Transform of a model: an RGB photo to a normalised float32 tensor (3, H, W).

    Evaluation resizes the photo as the model's cfg says (its interpolation, with antialias, no crop) and
    normalises:

    - ``"squash"``: to the input size, whatever the aspect ratio.
    - ``"longest"``: the longer side to the input size, but never enlarged; the aspect ratio is kept.
    - ``"shortest"``: the shorter side to the input size; the aspect ratio is kept.
    - ``"none"``: the photo keeps its size. With ``image_size`` it is ``"longest"``, so that large photos can
      be shrunk.

    Where the aspect ratio is kept, sides become the nearest multiples that the model takes (of its patches,
    if it is a transformer), and never smaller than it takes. Only a model knows these; a ``ModelCfg`` does
    not.

    Training squashes, whatever the cfg says, as a batch needs one shape, and adds the augmentations of
    [Henkel 2021](https://arxiv.org/abs/2110.03786): horizontal flip (p .5), JPEG quality 99 to 100, shift,
    scale and rotation (.2, .2, 10 degrees, black border, p .7), and one black square of .4 of the side
    (p .5).

    Args:
        model_or_cfg: A model of landmarkzoo, or a ``ModelCfg``.
        training: Whether to augment.
        image_size: In pixels; the model's own if ``None``. A side or (height, width) where photos are
            squashed; one number where their aspect ratio is kept.

    Returns:
        A torchvision v2 transform of PIL images, or of uint8 tensors (3, H, W).

    Raises:
        TypeError: If the first argument has no cfg.
        ValueError: If the size is not positive, a side is longer than 16,384 pixels, a pair is given for a
            model that keeps the aspect ratio, or the model keeps it and takes one size only.

    Examples:
        >>> from PIL import Image
        >>> transform = lz.create_transform(lz.get_model_cfg("dolg_efficientnet_lite0"), image_size=256)
        >>> transform(Image.new("RGB", (640, 480))).shape
        torch.Size([3, 256, 256])
    """
    inner = unwrapped(model_or_cfg) if isinstance(model_or_cfg, nn.Module) else model_or_cfg
    cfg = _cfg_of(inner)
    if training or cfg.resize == "squash":
        resize = _squash(cfg, _sides(image_size, cfg.input_size[1:]))
    else:
        resize = _keep_aspect(cfg, size_rule_of(inner), image_size)
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


def size_rule_of(model: object) -> ImageSizeRule:
    """Image sizes that a model takes; any, if it does not say."""
    rule = getattr(model, "size_rule", None)
    return rule if isinstance(rule, ImageSizeRule) else ImageSizeRule()


def _cfg_of(model_or_cfg: nn.Module | ModelCfg) -> ModelCfg:
    cfg = getattr(model_or_cfg, "cfg", model_or_cfg)
    if not isinstance(cfg, ModelCfg):
        raise TypeError(
            "create_transform takes a landmarkzoo model or a ModelCfg, got "
            f"{type(model_or_cfg).__name__}; for a model of your own pass a transform of your own"
        )
    return cfg


def _squash(cfg: ModelCfg, size: list[int]) -> nn.Module:
    filter_ = v2.InterpolationMode(cfg.interpolation)
    resize: nn.Module = v2.Resize([size[0], size[-1]], interpolation=filter_, antialias=True)
    return resize


def _keep_aspect(cfg: ModelCfg, rule: ImageSizeRule, image_size: int | tuple[int, int] | None) -> nn.Module:
    if rule.fixed is not None:
        raise ValueError(
            f"the cfg keeps the aspect ratio of photos (resize={cfg.resize!r}), and the model takes "
            f"{rule.fixed[0]}x{rule.fixed[1]} px only: it needs resize='squash'"
        )
    if cfg.resize == "none" and image_size is None:
        return KeepAspect("none", rule=rule, interpolation=cfg.interpolation)
    sides = _sides(image_size, cfg.input_size[1:2])
    if len(sides) > 1:
        raise ValueError(
            f"image_size must be one number, as the model keeps the aspect ratio of photos (resize="
            f"{cfg.resize!r}), got {image_size!r}"
        )
    kept: Literal["longest", "shortest"] = "shortest" if cfg.resize == "shortest" else "longest"
    return KeepAspect(kept, sides[0], rule=rule, interpolation=cfg.interpolation)


def _sides(image_size: int | tuple[int, int] | None, default: tuple[int, ...]) -> list[int]:
    """One side or two, in pixels."""
    # NumPy's integers are integers too.
    sides: list[int] = np.atleast_1d(default if image_size is None else image_size).tolist()
    if len(sides) not in (1, 2) or not all(type(side) is int and side > 0 for side in sides):
        raise ValueError(f"image_size must be a side or (height, width) in pixels, got {image_size!r}")
    if max(sides) > LARGEST_SIDE:
        raise ValueError(f"image_size must be at most {LARGEST_SIDE:,} pixels a side, got {image_size}")
    return sides
