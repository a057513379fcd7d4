"""Whole backbones: one map, and a class token if there is one.

timm returns NCHW maps from some models, NHWC maps or token sequences from others. Everything outside this
room sees maps (B, C, H, W) and class tokens (B, C). A module that timm did not make is taken as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.func import functional_call

from landmarkzoo.backbones.image_sizes import ImageSizeRule, timm_input
from landmarkzoo.backbones.imagenet_weights import check_timm_args, create_timm_model
from landmarkzoo.backbones.pyramid import checked_stem_stride, indices_of, set_stem_stride_1, to_nchw


def create_backbone(
    name: str, *, pretrained: bool = False, args: Mapping[str, Any] | None = None
) -> nn.Module:
    """Create a timm model without classifier, for ``feature_map`` and ``class_token``.

    Args:
        name: Name of a timm model.
        pretrained: Whether to load its ImageNet weights.
        args: More arguments of the timm model, such as ``{"drop_path_rate": 0.1}``.

    Raises:
        TypeError: If the name is not a string.
        ValueError: If timm has no such model, the model does not take an argument, or it gives neither one
            map nor the tokens of a grid.
        WeightsNotFoundError: If weights are asked for and cannot be found.
    """
    args = {"num_classes": 0, **check_timm_args(args)}
    if _takes_one_size(name):
        try:  # transformers that resample their position embedding then take any image size
            dynamic = {"dynamic_img_size": True, **args}
            return _checked(name, args, create_timm_model(name, pretrained=pretrained, **dynamic))
        except ValueError as error:
            if "dynamic_img_size" not in str(error):
                raise
    return _checked(name, args, create_timm_model(name, pretrained=pretrained, **args))


def check_backbone(backbone: nn.Module) -> nn.Module:
    """A backbone that is not given by a timm name, for ``feature_map``; checked, and taken as it is.

    The classification head of a timm model, which nothing would train, is cut off the module itself, as it is
    for a name.

    Args:
        backbone: A module with ``num_features``, the channels of its map. It is called with images
            (B, 3, H, W) and gives a map (B, C, H, W). If it has ``forward_features``, as timm's models do,
            that is called instead, and timm's other layouts are taken too.

    Raises:
        TypeError: If it is not a module, or has no ``num_features``.

    Examples:
        >>> check_backbone(torch.nn.Conv2d(3, 8, kernel_size=32, stride=32))
        Traceback (most recent call last):
        ...
        TypeError: the backbone Conv2d has no num_features: set it to the channels of its map, ...
    """
    if not isinstance(backbone, nn.Module):
        raise TypeError(f"a backbone is the name of a timm model or an nn.Module, got {backbone!r}")
    channels = getattr(backbone, "num_features", None)
    if not isinstance(channels, int) or channels < 1:
        found = "has no num_features" if channels is None else f"has num_features={channels!r}"
        raise TypeError(
            f"the backbone {type(backbone).__name__} {found}: set it to the channels of its map, a positive "
            "integer. Of a torchvision model take what stands before its pooling, such as "
            "nn.Sequential(*list(model.children())[:-2])"
        )
    if getattr(backbone, "pretrained_cfg", None) and hasattr(backbone, "reset_classifier"):
        backbone.reset_classifier(0)  # type: ignore[operator]
        return _cut_head(backbone)
    return backbone


def feature_map(backbone: nn.Module, images: Tensor) -> Tensor:
    """Last feature map (B, C, H, W) of a backbone: timm's ``forward_features``, after any final norm.

    Raises:
        TypeError: If a module that timm did not make gives a map that is not floating-point.
        ValueError: If the backbone returns neither a map of its ``num_features`` nor the tokens of a grid; or
            a module that timm did not make gives maps of another batch.
    """
    extract = getattr(backbone, "forward_features", backbone)
    return _as_map(backbone, extract(images), images)


def _as_map(backbone: nn.Module, features: object, images: Tensor) -> Tensor:
    """A map (B, C, H, W) from what a backbone returns for some images."""
    channels = backbone_channels(backbone)
    if isinstance(features, Tensor) and features.ndim == 4:
        features = to_nchw(backbone, features)
    elif isinstance(features, Tensor) and features.ndim == 3:
        prefix = getattr(backbone, "num_prefix_tokens", int(has_class_token(backbone)))  # VOLO has none
        patches = features[:, prefix:]
        height, width = _token_grid(patches.shape[1], images.shape[-2], images.shape[-1])
        features = patches.transpose(1, 2).reshape(patches.shape[0], -1, height, width)  # (B, N, C) -> NCHW
    else:
        got = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(
            f"{type(backbone).__name__} returns neither a feature map nor tokens, got {got} for images "
            f"{tuple(images.shape)}: it must give (B, {channels}, H, W). Choose another backbone."
        )
    if features.shape[1] != channels:
        raise ValueError(
            f"{type(backbone).__name__} gives a map {tuple(features.shape)} for images "
            f"{tuple(images.shape)}, but its num_features is {channels}: it must give (B, {channels}, H, W)"
        )
    return features if getattr(backbone, "pretrained_cfg", None) else _own_map(backbone, features, images)


def _own_map(backbone: nn.Module, features: Tensor, images: Tensor) -> Tensor:
    """The map of a module that timm did not make, in the dtype of the images; checked."""
    kind, shape = type(backbone).__name__, tuple(features.shape)
    if not features.is_floating_point():
        raise TypeError(f"{kind} gives a map of {features.dtype}: a floating-point one is needed")
    if features.shape[0] != images.shape[0] or 0 in features.shape[2:]:
        raise ValueError(
            f"{kind} gives a map {shape} for images {tuple(images.shape)}: it must give one map an image, "
            "(B, C, H, W), H and W at least 1"
        )
    return features.to(images.dtype)


def class_token(backbone: nn.Module, images: Tensor) -> Tensor:
    """Class token (B, C) of a transformer for which ``has_class_token``, after its final norm.

    Raises:
        ValueError: If the backbone does not return tokens (B, N, C).
    """
    extract = getattr(backbone, "forward_features", backbone)
    return _first_token(backbone, extract(images), images)


def map_and_class_token(backbone: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """What ``feature_map`` and ``class_token`` give, (B, C, H, W) and (B, C), from one forward pass.

    Raises:
        ValueError: If the backbone does not return tokens (B, N, C) of a grid.
    """
    extract = getattr(backbone, "forward_features", backbone)
    tokens = extract(images)
    token = _first_token(backbone, tokens, images)
    return _as_map(backbone, tokens, images), token


def _first_token(backbone: nn.Module, tokens: object, images: Tensor) -> Tensor:
    channels = backbone_channels(backbone)
    if not isinstance(tokens, Tensor) or tokens.ndim != 3 or tokens.shape[2] != channels:
        got = tuple(tokens.shape) if isinstance(tokens, Tensor) else type(tokens).__name__
        raise ValueError(
            f"{type(backbone).__name__} gives {got} for images {tuple(images.shape)}; a class token is the "
            f"first of the tokens (B, N, {channels}): give tokens, or pool a map by pool='gem' or pool='avg'"
        )
    return tokens[:, 0]  # (B, N, C) -> (B, C)


def has_class_token(backbone: nn.Module) -> bool:
    """Whether the first token of a backbone is a class token."""
    return getattr(backbone, "cls_token", None) is not None


def backbone_channels(backbone: nn.Module) -> int:
    """Channels of ``feature_map``."""
    return int(backbone.num_features)  # type: ignore[arg-type]


def map_stride(backbone: nn.Module) -> int:
    """Pixels from one position of ``feature_map`` to the next; of a plain transformer its patch size."""
    info: Any = backbone.feature_info
    return int(info[-1]["reduction"])


def backbone_size_rule(backbone: nn.Module, stem_stride: int = 2) -> ImageSizeRule:
    """Image sizes that a backbone takes: any, if timm did not make it."""
    cfg: Any = getattr(backbone, "pretrained_cfg", None)
    if not cfg:
        return ImageSizeRule()
    if not cfg.get("fixed_input_size", False):
        info: Any = getattr(backbone, "feature_info", None)
        return ImageSizeRule(minimum=info[-1]["reduction"] * stem_stride // 2 if info else 1)
    embed: Any = getattr(backbone, "patch_embed", None)
    if embed is None or getattr(embed, "strict_img_size", True):
        height, width = getattr(embed, "img_size", None) or timm_input(backbone)["input_size"][1:]
        return ImageSizeRule(fixed=(int(height), int(width)))
    patch = int(embed.patch_size[0])
    padded = bool(getattr(embed, "dynamic_img_pad", False))
    return ImageSizeRule(minimum=patch, multiple=1 if padded else patch)


def create_backbone_with_level(
    name: str,
    reduction: int,
    *,
    stem_stride: int = 2,
    pretrained: bool = False,
    args: Mapping[str, Any] | None = None,
) -> tuple[nn.Module, int]:
    """Create a whole backbone and find the index of its map at a stride, for ``level_and_feature_map``.

    Args:
        name: Name of a timm model.
        reduction: Nominal stride of the map.
        stem_stride: Stride of the first convolution, 2 or 1, as in ``create_pyramid``.
        pretrained: Whether to load ImageNet weights.
        args: More arguments of the timm model, as in ``create_backbone``.

    Raises:
        ValueError: If timm has no such model, or it has no such map.
        WeightsNotFoundError: If weights are asked for and cannot be found.
    """
    index = indices_of(name, (reduction,), check_timm_args(args))[0]
    backbone = create_backbone(name, pretrained=pretrained, args=args)
    if not hasattr(backbone, "forward_intermediates"):
        raise ValueError(f"timm does not give the inner maps of {name!r} beside its last: use another one")
    if checked_stem_stride(stem_stride) == 1:
        set_stem_stride_1(backbone, name)
    return backbone, index


def level_and_feature_map(backbone: nn.Module, images: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """The map (B, C, H, W) of a level, and what ``feature_map`` gives, from one forward pass."""
    last, levels = backbone.forward_intermediates(  # type: ignore[operator]
        images, indices=[index], output_fmt="NCHW", stop_early=False
    )
    return levels[0], _as_map(backbone, last, images)


_PROBED: set[str] = set()  # names and arguments of backbones that give maps


def _checked(name: str, args: Mapping[str, Any], backbone: nn.Module) -> nn.Module:
    """A new backbone without its head; refused now, not at the first photo, if it gives no map."""
    backbone = _cut_head(backbone)
    key = f"{name} {sorted(args.items())}"
    if key in _PROBED:
        return backbone
    named = (
        *backbone.named_parameters(remove_duplicate=False),
        *backbone.named_buffers(remove_duplicate=False),
    )
    tensors = {name: torch.empty_like(tensor, device="meta") for name, tensor in named}
    size = timm_input(name, args)["input_size"]
    try:  # shapes only, on the meta device
        with torch.no_grad(), torch.device("meta"):
            parts = {f"backbone.{name}": tensor for name, tensor in tensors.items()}
            images = torch.empty(1, *size)
            features = functional_call(_Features(backbone).eval(), parts, images, tie_weights=False)
    except Exception:  # a model that computes with real numbers: its first photo tells
        return backbone
    finally:
        backbone.train()
    try:
        _as_map(backbone, features, images)
    except ValueError as error:
        raise ValueError(f"timm's {name!r} cannot be a backbone: {error}") from error
    _PROBED.add(key)
    return backbone


class _Features(nn.Module):
    """``forward_features`` as the forward of a module."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Any:
        return getattr(self.backbone, "forward_features", self.backbone)(images)


def _cut_head(backbone: nn.Module) -> nn.Module:
    """The backbone without what timm keeps of a head; ``feature_map`` does not need it."""
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


def _takes_one_size(name: object) -> bool:
    if not isinstance(name, str):  # an error when the model is made, as below
        return False
    try:
        cfg = timm.get_pretrained_cfg(name)
    except RuntimeError:  # an unknown tag
        return False
    return cfg is not None and bool(cfg.fixed_input_size)


def _token_grid(tokens: int, height: int, width: int) -> tuple[int, int]:
    patch = max(1, round((height * width / max(1, tokens)) ** 0.5))
    grid = (height // patch, width // patch)
    if grid[0] * grid[1] != tokens:
        raise ValueError(
            f"{tokens} tokens do not form a grid over images of {height}x{width} px: resize them to a "
            "multiple of the patch size, or choose another backbone"
        )
    return grid
