"""Feature pyramids of timm models: the maps (B, C, H, W) at chosen strides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import timm
from torch import Tensor, nn

from landmarkzoo.backbones.image_sizes import ImageSizeRule, timm_input
from landmarkzoo.backbones.imagenet_weights import check_timm_args, create_timm_model
from landmarkzoo.backbones.layer_depth import create_structure


def create_pyramid(
    name: str,
    reductions: Sequence[int],
    *,
    stem_stride: int = 2,
    pretrained: bool = False,
    args: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Create the part of a timm model that gives the maps at some strides, for ``pyramid_maps``.

    Stages behind the last of these maps are cut off, so files and counts carry no dead weight.

    Args:
        name: Name of a timm model.
        reductions: Nominal strides of the maps, ascending, such as (16, 32).
        stem_stride: Stride of the first convolution, 2 or 1. With 1 every map is twice as large and
            its true stride half the nominal one; the weights stay.
        pretrained: Whether to load ImageNet weights.
        args: More arguments of the timm model, such as ``{"drop_path_rate": 0.1}``.

    Raises:
        ValueError: If timm has no such model, the model does not take an argument or has no map at a stride,
            or ``stem_stride`` is 1 and its first convolution does not have stride 2.
        WeightsNotFoundError: If weights are asked for and cannot be found.
    """
    args = check_timm_args(args)
    checked_stem_stride(stem_stride)
    indices = indices_of(name, reductions, args)
    pyramid = create_timm_model(name, pretrained=pretrained, features_only=True, out_indices=indices, **args)
    _cut_unused_blocks(pyramid)
    if stem_stride == 1:
        set_stem_stride_1(pyramid, name)
    return pyramid


def pyramid_maps(pyramid: nn.Module, images: Tensor) -> list[Tensor]:
    """Maps (B, C, H, W) of a pyramid, in the order of its reductions."""
    return [to_nchw(pyramid, features) for features in pyramid(images)]


def pyramid_channels(pyramid: nn.Module) -> list[int]:
    """Channels of each map of a pyramid."""
    return list(pyramid.feature_info.channels())  # type: ignore[operator, union-attr]


def pyramid_size_rule(
    pyramid: nn.Module, name: str, stem_stride: int = 2, args: Mapping[str, Any] | None = None
) -> ImageSizeRule:
    """Image sizes that a pyramid takes: at least one position in its coarsest map.

    Args:
        pyramid: What ``create_pyramid`` made.
        name: The timm model that it was made of; some take one size only.
        stem_stride: Stride of the first convolution.
        args: The arguments of timm that it was made with.
    """
    cfg = timm.get_pretrained_cfg(name)
    if cfg is not None and cfg.fixed_input_size:
        _, height, width = timm_input(name, args)["input_size"]
        return ImageSizeRule(fixed=(height, width))
    nominal = max(pyramid.feature_info.reduction())  # type: ignore[operator, union-attr]
    return ImageSizeRule(minimum=int(nominal) * stem_stride // 2)


def pyramid_levels(name: str, args: Mapping[str, Any] | None = None) -> dict[int, int]:
    """Nominal strides of the maps of a timm model, and the channels of each; empty if it has no such maps.

    Examples:
        >>> pyramid_levels("tf_efficientnet_b6")
        {2: 32, 4: 40, 8: 72, 16: 200, 32: 576}
    """
    return {reduction: channels for _, reduction, channels in _pyramid_maps_of(name, args)}


def uncut_pyramid_names(name: str) -> set[str]:
    """Names in the state dict of a timm model's pyramid, before ``create_pyramid`` cuts it."""
    probe = create_structure(name, features_only=True)
    return set() if probe is None else set(probe.state_dict())


def _pyramid_maps_of(name: str, args: Mapping[str, Any] | None) -> list[tuple[int, int, int]]:
    """Index, nominal stride and channels of the maps of a timm model, fine to coarse; empty without any."""
    probe = create_structure(name, features_only=True, **(args or {}))
    if probe is None:
        return []
    info: Any = probe.feature_info
    # In some models the first map does not have index 0.
    maps = zip(info.out_indices, info.reduction(), info.channels())
    return [(int(index), int(reduction), int(channels)) for index, reduction, channels in maps]


def indices_of(
    name: str, reductions: Sequence[int], args: Mapping[str, Any] | None = None
) -> tuple[int, ...]:
    """Indices in timm of the maps at some nominal strides.

    Raises:
        ValueError: If the model has no map at one of them.
    """
    last = {
        r: index for index, r, _ in _pyramid_maps_of(name, args)
    }  # the last map of a stride is the richest
    if any(r not in last for r in reductions):
        raise ValueError(
            f"{name!r} has feature maps at strides {list(last) or 'none'}, but strides "
            f"{list(reductions)} are needed. Use a backbone of several stages such as "
            "tf_efficientnet_b5 or resnet50, or lz.GlobalDescriptor, which needs one map only."
        )
    return tuple(last[r] for r in reductions)


def checked_stem_stride(stem_stride: int) -> int:
    """The stride of the first convolution, if it is 1 or 2; else a ValueError."""
    if stem_stride not in (1, 2):
        raise ValueError(f"stem_stride must be 1 or 2, got {stem_stride!r}")
    return stem_stride


def _cut_unused_blocks(pyramid: nn.Module) -> None:
    # timm's EfficientNet pyramids keep all blocks; its other pyramids end at the last map by themselves.
    modules = pyramid.feature_info.module_name()  # type: ignore[operator, union-attr]
    if hasattr(pyramid, "blocks") and all(module.startswith("blocks.") for module in modules):
        last = max(int(module.split(".")[1]) for module in modules)
        pyramid.blocks = pyramid.blocks[: last + 1]  # type: ignore[index]


def set_stem_stride_1(pyramid: nn.Module, name: str) -> None:
    """Let the first convolution of a timm model step by 1; its weights stay."""
    stem = next(module for module in pyramid.modules() if isinstance(module, nn.Conv2d))
    if stem.stride != (2, 2):
        raise ValueError(
            f"stem_stride=1 needs a backbone whose first convolution has stride 2; that of {name!r} "
            f"has {stem.stride}"
        )
    stem.stride = (1, 1)


def to_nchw(backbone: nn.Module, features: Tensor) -> Tensor:
    """The map (B, C, H, W) of a timm model, whatever layout it has there."""
    layout = getattr(backbone, "output_fmt", "NCHW")
    if getattr(layout, "value", layout) == "NHWC":
        return features.permute(0, 3, 1, 2)
    return features
