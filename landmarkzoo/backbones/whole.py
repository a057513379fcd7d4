"""Whole timm backbones: one map, and a class token where there is one.

timm returns NCHW maps here, NHWC maps there, token sequences elsewhere. Everything outside this room sees
maps (B, C, H, W) and class tokens (B, C).
"""

from __future__ import annotations

import timm
from torch import Tensor, nn

from landmarkzoo.backbones.image_sizes import ImageSizeRule
from landmarkzoo.backbones.imagenet_weights import create_timm_model
from landmarkzoo.backbones.pyramid import checked_stem_stride, indices_of, set_stem_stride_1, to_nchw


def create_backbone(name: str, *, pretrained: bool = False) -> nn.Module:
    """Create a timm model without classifier, for :func:`feature_map` and :func:`class_token`.

    Args:
        name: Name of a timm model.
        pretrained: Whether to load its ImageNet weights.

    Raises:
        ValueError: If timm has no such model.
        WeightsNotFoundError: If weights are asked for and not to be had.
    """
    if _takes_one_size(name):
        try:  # transformers that resample their position embedding then take any image size
            return _cut_head(
                create_timm_model(name, pretrained=pretrained, num_classes=0, dynamic_img_size=True)
            )
        except TypeError as error:
            if "dynamic_img_size" not in str(error):
                raise
    return _cut_head(create_timm_model(name, pretrained=pretrained, num_classes=0))


def feature_map(backbone: nn.Module, images: Tensor) -> Tensor:
    """Last feature map (B, C, H, W) of a backbone: timm's ``forward_features``, after any final norm.

    Raises:
        ValueError: If the backbone returns neither a map nor the tokens of a grid.
    """
    return _as_map(backbone, backbone.forward_features(images), images)  # type: ignore[operator]


def _as_map(backbone: nn.Module, features: object, images: Tensor) -> Tensor:
    """A map (B, C, H, W) from what a backbone returns for some images."""
    if isinstance(features, Tensor) and features.ndim == 4:
        return to_nchw(backbone, features)
    if isinstance(features, Tensor) and features.ndim == 3:
        patches = features[:, getattr(backbone, "num_prefix_tokens", 0) :]
        height, width = _token_grid(patches.shape[1], images.shape[-2], images.shape[-1])
        return patches.transpose(1, 2).reshape(patches.shape[0], -1, height, width)  # (B, N, C) -> NCHW
    raise ValueError(
        f"{type(backbone).__name__} returns neither a feature map nor tokens, got "
        f"{type(features).__name__}. Choose another backbone."
    )


def class_token(backbone: nn.Module, images: Tensor) -> Tensor:
    """Class token (B, C) of a transformer for which :func:`has_class_token`, after its final norm."""
    tokens: Tensor = backbone.forward_features(images)  # type: ignore[operator]
    return tokens[:, 0]  # (B, N, C) -> (B, C)


def has_class_token(backbone: nn.Module) -> bool:
    """Whether the first token of a backbone is a class token."""
    return getattr(backbone, "cls_token", None) is not None


def backbone_channels(backbone: nn.Module) -> int:
    """Channels of :func:`feature_map`."""
    return int(backbone.num_features)  # type: ignore[arg-type]


def backbone_size_rule(backbone: nn.Module, stem_stride: int = 2) -> ImageSizeRule:
    """Image sizes that a backbone of :func:`create_backbone` takes."""
    cfg = backbone.pretrained_cfg
    height, width = cfg["input_size"][1:]  # type: ignore[index]
    if not cfg.get("fixed_input_size", False):  # type: ignore[operator, union-attr]
        info = getattr(backbone, "feature_info", None)
        return ImageSizeRule(minimum=info[-1]["reduction"] * stem_stride // 2 if info else 1)
    embed = getattr(backbone, "patch_embed", None)
    if embed is None or getattr(embed, "strict_img_size", True):
        return ImageSizeRule(fixed=(int(height), int(width)))
    patch = int(embed.patch_size[0])
    padded = bool(getattr(embed, "dynamic_img_pad", False))
    return ImageSizeRule(minimum=patch, multiple=1 if padded else patch)


def create_backbone_with_level(
    name: str, reduction: int, *, stem_stride: int = 2, pretrained: bool = False
) -> tuple[nn.Module, int]:
    """Create a whole backbone and find the index of its map at a stride, for :func:`level_and_feature_map`.

    Args:
        name: Name of a timm model.
        reduction: Nominal stride of the map.
        stem_stride: Stride of the first convolution, 2 or 1, as in :func:`create_pyramid`.
        pretrained: Whether to load ImageNet weights.

    Raises:
        ValueError: If timm has no such model, or it has no such map.
        WeightsNotFoundError: If weights are asked for and not to be had.
    """
    index = indices_of(name, (reduction,))[0]
    backbone = create_backbone(name, pretrained=pretrained)
    if not hasattr(backbone, "forward_intermediates"):
        raise ValueError(f"timm does not give the inner maps of {name!r} beside its last: use another one")
    if checked_stem_stride(stem_stride) == 1:
        set_stem_stride_1(backbone, name)
    return backbone, index


def level_and_feature_map(backbone: nn.Module, images: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """The map (B, C, H, W) of a level, and what :func:`feature_map` gives, from one forward pass."""
    last, levels = backbone.forward_intermediates(  # type: ignore[operator]
        images, indices=[index], output_fmt="NCHW", stop_early=False
    )
    return levels[0], _as_map(backbone, last, images)


def _cut_head(backbone: nn.Module) -> nn.Module:
    """Without what timm keeps of a head even for no classes, and :func:`feature_map` does not need."""
    children = [name for name, _ in backbone.named_children()]
    cut = {"head", "fc_norm", "attn_pool", "pre_logits"}
    if "global_pool" in children:
        # What stands before the pooling belongs to the map: conv_head in an EfficientNet (behind it in a
        # MobileNetV3), head in a SelecSLS.
        children = children[children.index("global_pool") :]
        cut |= {"conv_head", "norm_head"}
    for name in cut.intersection(children):
        setattr(backbone, name, nn.Identity())
    return backbone


def _takes_one_size(name: str) -> bool:
    try:
        cfg = timm.get_pretrained_cfg(name)
    except RuntimeError:  # of an unknown tag, which is an error when the model is made
        return False
    return cfg is not None and bool(cfg.fixed_input_size)


def _token_grid(tokens: int, height: int, width: int) -> tuple[int, int]:
    patch = max(1, round((height * width / tokens) ** 0.5))
    grid = (height // patch, width // patch)
    if grid[0] * grid[1] != tokens:
        raise ValueError(
            f"{tokens} tokens do not form a grid over images of {height}x{width} px: resize them to a "
            "multiple of the patch size, or choose another backbone"
        )
    return grid
