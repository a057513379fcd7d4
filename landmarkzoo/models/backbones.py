"""The one place that knows how timm builds backbones and lays out what they return.

timm returns NCHW maps here, NHWC maps there, token sequences elsewhere. Everything outside this file
sees maps (B, C, H, W) and class tokens (B, C).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import timm
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn

from landmarkzoo.models.imagenet_weights import create_timm_model
from landmarkzoo.models.timm_parts import create_structure, structure_of


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


# --- whole backbones: one map, and a class token where there is one -------------------------------


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
        return _to_nchw(backbone, features)
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
    index = _indices_of(name, (reduction,))[0]
    backbone = create_backbone(name, pretrained=pretrained)
    if not hasattr(backbone, "forward_intermediates"):
        raise ValueError(f"timm does not give the inner maps of {name!r} beside its last: use another one")
    if _checked_stem_stride(stem_stride) == 1:
        _set_stem_stride_1(backbone, name)
    return backbone, index


def level_and_feature_map(backbone: nn.Module, images: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """The map (B, C, H, W) of a level, and what :func:`feature_map` gives, from one forward pass."""
    last, levels = backbone.forward_intermediates(  # type: ignore[operator]
        images, indices=[index], output_fmt="NCHW", stop_early=False
    )
    return levels[0], _as_map(backbone, last, images)


# --- feature pyramids: maps at chosen strides ------------------------------------------------------


def create_pyramid(
    name: str, reductions: Sequence[int], *, stem_stride: int = 2, pretrained: bool = False
) -> nn.Module:
    """Create the part of a timm model that gives the maps at some strides, for :func:`pyramid_maps`.

    Stages behind the last of these maps are cut off, so files and counts carry no dead weight.

    Args:
        name: Name of a timm model.
        reductions: Nominal strides of the maps, ascending, such as (16, 32).
        stem_stride: Stride of the first convolution, 2 or 1. With 1 every map is twice as large and
            its true stride half the nominal one; the weights stay.
        pretrained: Whether to load ImageNet weights.

    Raises:
        ValueError: If timm has no such model, it lacks a stride, or its first convolution has not
            stride 2.
        WeightsNotFoundError: If weights are asked for and not to be had.
    """
    _checked_stem_stride(stem_stride)
    indices = _indices_of(name, reductions)
    pyramid = create_timm_model(name, pretrained=pretrained, features_only=True, out_indices=indices)
    _cut_unused_blocks(pyramid)
    if stem_stride == 1:
        _set_stem_stride_1(pyramid, name)
    return pyramid


def pyramid_maps(pyramid: nn.Module, images: Tensor) -> list[Tensor]:
    """Maps (B, C, H, W) of a pyramid, in the order of its reductions."""
    return [_to_nchw(pyramid, features) for features in pyramid(images)]


def pyramid_channels(pyramid: nn.Module) -> list[int]:
    """Channels of each map of a pyramid."""
    return list(pyramid.feature_info.channels())  # type: ignore[operator, union-attr]


def pyramid_size_rule(pyramid: nn.Module, name: str, stem_stride: int = 2) -> ImageSizeRule:
    """Image sizes that a pyramid takes: at least one position in its coarsest map.

    Args:
        pyramid: What :func:`create_pyramid` made.
        name: The timm model that it was made of; some take one size only.
        stem_stride: Stride of the first convolution.
    """
    cfg = timm.get_pretrained_cfg(name)
    if cfg is not None and cfg.fixed_input_size:
        return ImageSizeRule(fixed=(cfg.input_size[1], cfg.input_size[2]))
    nominal = max(pyramid.feature_info.reduction())  # type: ignore[operator, union-attr]
    return ImageSizeRule(minimum=int(nominal) * stem_stride // 2)


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


def pyramid_levels(name: str) -> dict[int, int]:
    """Nominal strides of the maps of a timm model, and the channels of each; empty where it has none.

    Example:
        >>> pyramid_levels("tf_efficientnet_b6")
        {2: 32, 4: 40, 8: 72, 16: 200, 32: 576}
    """
    return {reduction: channels for _, reduction, channels in _pyramid_maps_of(name)}


def uncut_pyramid_names(name: str) -> set[str]:
    """Names in the state dict of a timm model's pyramid, before :func:`create_pyramid` cuts it."""
    probe = create_structure(name, features_only=True)
    return set() if probe is None else set(probe.state_dict())


def _pyramid_maps_of(name: str) -> list[tuple[int, int, int]]:
    """Index, nominal stride and channels of the maps of a timm model, fine to coarse; empty without any."""
    probe = create_structure(name, features_only=True)
    if probe is None:
        return []
    info: Any = probe.feature_info
    # Not of all models the first map has index 0.
    maps = zip(info.out_indices, info.reduction(), info.channels())
    return [(int(index), int(reduction), int(channels)) for index, reduction, channels in maps]


def _indices_of(name: str, reductions: Sequence[int]) -> tuple[int, ...]:
    """Indices in timm of the maps at some nominal strides."""
    last = {r: index for index, r, _ in _pyramid_maps_of(name)}  # the last map of a stride is the richest
    if any(r not in last for r in reductions):
        raise ValueError(
            f"{name!r} has feature maps at strides {list(last) or 'none'}, but strides "
            f"{list(reductions)} are needed. Use a backbone of several stages such as "
            "tf_efficientnet_b5 or resnet50, or lz.GlobalDescriptor, which needs one map only."
        )
    return tuple(last[r] for r in reductions)


def _checked_stem_stride(stem_stride: int) -> int:
    if stem_stride not in (1, 2):
        raise ValueError(f"stem_stride must be 1 or 2, got {stem_stride!r}")
    return stem_stride


def _cut_unused_blocks(pyramid: nn.Module) -> None:
    # timm's EfficientNet pyramids keep all blocks; its other pyramids end at the last map by themselves.
    modules = pyramid.feature_info.module_name()  # type: ignore[operator, union-attr]
    if hasattr(pyramid, "blocks") and all(module.startswith("blocks.") for module in modules):
        last = max(int(module.split(".")[1]) for module in modules)
        pyramid.blocks = pyramid.blocks[: last + 1]  # type: ignore[index]


def _set_stem_stride_1(pyramid: nn.Module, name: str) -> None:
    stem = next(module for module in pyramid.modules() if isinstance(module, nn.Conv2d))
    if stem.stride != (2, 2):
        raise ValueError(
            f"stem_stride=1 needs a backbone whose first convolution has stride 2; that of {name!r} "
            f"has {stem.stride}"
        )
    stem.stride = (1, 1)


# --- Swin transformers that are fed a map ----------------------------------------------------------


def create_swin(name: str, *, pretrained: bool = False) -> nn.Module:
    """Create a timm Swin without patch embedding and classifier; its blocks are ``layers``, then ``norm``.

    Args:
        name: Name of a timm Swin (the first version).
        pretrained: Whether to load its ImageNet weights.

    Raises:
        ValueError: If timm has no such model, or it is no Swin.
        WeightsNotFoundError: If weights are asked for and not to be had.
    """
    swin = create_timm_model(name, pretrained=pretrained, num_classes=0)
    if not isinstance(swin, SwinTransformer):
        raise ValueError(
            f"{name!r} is a {type(swin).__name__}; a Swin is needed, such as swin_tiny_patch4_window7_224 or "
            "swin_base_patch4_window12_384"
        )
    del swin.patch_embed
    return swin


def swin_grid(swin: nn.Module) -> tuple[int, int]:
    """Height and width of the map that a Swin of :func:`create_swin` was pretrained on, in positions."""
    height, width = swin.layers[0].input_resolution  # type: ignore[index, union-attr]
    return int(height), int(width)


def named_swin_grid(name: str) -> tuple[int, int]:
    """The grid of :func:`swin_grid` for the name of a timm Swin, without its weights.

    Raises:
        ValueError: If timm has no such model, or it is no Swin.

    Example:
        >>> named_swin_grid("swin_base_patch4_window12_384")
        (96, 96)
    """
    probe = structure_of(lambda: create_swin(name))
    assert probe is not None  # the CPU makes any Swin
    return swin_grid(probe)


def grid_size_rule(grid: tuple[int, int], stride: int) -> ImageSizeRule:
    """Images whose map at a stride has a grid: strided layers round up.

    Example:
        >>> rule = grid_size_rule((56, 56), 16)
        >>> rule.minimum, rule.maximum
        (881, 896)
    """
    return ImageSizeRule(minimum=stride * (grid[0] - 1) + 1, maximum=stride * grid[0])


# --- layouts --------------------------------------------------------------------------------------


def _to_nchw(backbone: nn.Module, features: Tensor) -> Tensor:
    layout = getattr(backbone, "output_fmt", "NCHW")
    if getattr(layout, "value", layout) == "NHWC":
        return features.permute(0, 3, 1, 2)
    return features


def _token_grid(tokens: int, height: int, width: int) -> tuple[int, int]:
    patch = max(1, round((height * width / tokens) ** 0.5))
    grid = (height // patch, width // patch)
    if grid[0] * grid[1] != tokens:
        raise ValueError(
            f"{tokens} tokens do not form a grid over images of {height}x{width} px: resize them to a "
            "multiple of the patch size, or choose another backbone"
        )
    return grid
