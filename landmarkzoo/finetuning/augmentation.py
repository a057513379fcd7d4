"""How a photo is changed before each time that it is learned."""

from __future__ import annotations

import math

import torch
from torchvision.transforms import v2

from landmarkzoo.finetuning.recipes import Recipe
from landmarkzoo.models import ModelCfg

_RATIO = (0.8, 1.25)


def training_augmentation(cfg: ModelCfg, recipe: Recipe, size: tuple[int, int]) -> v2.Compose:
    """Crops, colors and blots: stronger than the paper's, as a few hundred photos are learned by heart.

    Args:
        cfg: Of the model, with mean and standard deviation.
        recipe: The settings.
        size: Height and width of the crops.

    Returns:
        A transform from an RGB PIL image to a float32 tensor (3, H, W); it draws from torch's generator.

    Examples:
        >>> from PIL import Image
        >>> from landmarkzoo.finetuning.augmentation import training_augmentation
        >>> cfg = lz.get_model_cfg("efficientnet_lite0_gem")
        >>> training_augmentation(cfg, lz.finetuning.Recipe(), (64, 64))(Image.new("RGB", (96, 80))).shape
        torch.Size([3, 64, 64])
    """
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(recipe.smallest_crop, 1.0), ratio=_RATIO, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.3, 0.3, 0.3, 0.05)], p=0.7),
            v2.RandomApply([v2.RandomRotation(10, interpolation=v2.InterpolationMode.BILINEAR)], p=0.3),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(cfg.mean), list(cfg.std)),
            v2.RandomErasing(recipe.erase, scale=(0.02, 0.25)),
        ]
    )


def sufficient_side(recipe: Recipe, size: tuple[int, int]) -> int:
    """Shorter side of a photo from which its smallest crop has the pixels of a training image.

    Examples:
        >>> from landmarkzoo.finetuning.augmentation import sufficient_side
        >>> sufficient_side(lz.finetuning.Recipe(), (256, 256))
        523
    """
    return math.ceil(max(size) / math.sqrt(recipe.smallest_crop * _RATIO[0]))
