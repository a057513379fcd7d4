"""A backbone, a pooling and a neck: the pure EfficientNets of the ensemble, frozen models, and your own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarkzoo.backbones.image_sizes import ImageSizeRule
from landmarkzoo.backbones.imagenet_weights import check_timm_args
from landmarkzoo.backbones.last_map import (
    backbone_channels,
    backbone_size_rule,
    check_backbone,
    class_token,
    create_backbone,
    feature_map,
    has_class_token,
)
from landmarkzoo.backbones.position_resize import PositionResize, set_position_resize
from landmarkzoo.backbones.relu_floor import set_relu_floor
from landmarkzoo.layers import GeM, Neck, RegionalGeM
from landmarkzoo.layers.neck import NeckKind
from landmarkzoo.layers.regional_pooling import MIN_MAP
from landmarkzoo.models.descriptor_model import DescriptorModel, default_cfg, register_architecture

Pool = Literal["gem", "regional-gem", "avg", "cls"]

_GEM: dict[str, type[GeM]] = {"gem": GeM, "regional-gem": RegionalGeM}


@register_architecture
class GlobalDescriptor(DescriptorModel):
    """Pooled features of any backbone, mapped by a neck.

    With an EfficientNet as backbone these are the models in the lower part of table 1 of
    [Henkel 2021](https://arxiv.org/abs/2110.03786). The whole of timm's ``forward_features`` is pooled: for
    EfficientNets the activated map behind ``conv_head``, which retrieves better than the map before it.

    A model that was given a module as backbone or pooling works like any other, but a module has no name that
    a file could hold: to save it, make an architecture of it, see ``landmarkzoo.register_architecture``.

    Args:
        backbone: Name of a timm model: convolutional, hierarchical or plain transformer. Or a module with
            ``num_features`` that maps images (B, 3, H, W) to (B, num_features, h, w); the model's mean and
            standard deviation are then ImageNet's, and any image size is let through. Or a timm model, whose
            classification head is cut off the module itself.
        pool: ``"gem"`` ([Radenović et al. 2018](https://arxiv.org/abs/1711.02512)); ``"regional-gem"``, GeM
            of a map whose positions take in their neighbourhoods
            ([Shao et al. 2023](https://arxiv.org/abs/2308.06954)); ``"avg"``; or ``"cls"`` for the class
            token of a transformer. Or a module that maps (B, C, H, W) to (B, C).
        pool_trainable: Whether the power of GeM is learned.
        pool_args: ``p`` and ``eps`` of GeM or regional GeM, such as ``{"p": 4.6, "eps": 1e-8}``.
        normalize_map: L2-normalise the channels at each position before the pooling
            ([Berton et al. 2022](https://arxiv.org/abs/2204.02287)).
        relu_floor: A number that stands for 0 in ReLUs of the first three stages of a ResNet, .014 in
            SuperGlobal ([Shao et al. 2023](https://arxiv.org/abs/2308.06954)); ``None``: ReLUs
            as they are.
        neck: ``"fc-bn-prelu"``, ``"fc-bn"``, ``"fc-silu"``, ``"fc"``, or ``"none"`` for the pooled
            features; see ``landmarkzoo.layers.Neck``.
        embedding_dim: Size of the descriptor; without a neck it is the backbone's width.
        normalize_pooled: L2-normalise the pooled features before the neck (see ``whiten_neck``).
        position_resize: How a plain transformer resizes its positions for images that are not of the size
            that it was made for: ``"timm"``, or ``"dinov2"`` as the authors of DINOv2 do.
        backbone_args: More arguments of the timm model, such as ``{"drop_path_rate": 0.1}``.
        pretrained_backbone: Load ImageNet weights into the backbone.

    Raises:
        TypeError: If ``backbone`` or ``pool`` is neither a name nor a fitting module.
        ValueError: If an argument is unknown or does not fit the backbone.
        WeightsNotFoundError: If ImageNet weights are asked for and cannot be found.

    Shape:
        (B, 3, H, W) -> (B, embedding_dim)

    Examples:
        >>> model = lz.GlobalDescriptor("resnet18", pool="avg", neck="none").eval()
        >>> model(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 512])

        A pooling of one's own:

        >>> pool = torch.nn.Sequential(torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten())
        >>> model = lz.GlobalDescriptor("resnet18", pool=pool, embedding_dim=64).eval()
        >>> model(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 64])
    """

    timm_parts: ClassVar[tuple[str, ...]] = ("backbone",)

    def __init__(
        self,
        backbone: str | nn.Module,
        *,
        pool: Pool | nn.Module = "gem",
        pool_trainable: bool = True,
        pool_args: Mapping[str, float] | None = None,
        normalize_map: bool = False,
        relu_floor: float | None = None,
        neck: NeckKind = "fc-bn-prelu",
        embedding_dim: int = 512,
        normalize_pooled: bool = False,
        position_resize: PositionResize = "timm",
        backbone_args: Mapping[str, Any] | None = None,
        pretrained_backbone: bool = False,
    ) -> None:
        super().__init__()
        backbone_args = check_timm_args(backbone_args)
        if isinstance(backbone, str):
            whole = create_backbone(backbone, pretrained=pretrained_backbone, args=backbone_args)
            self.backbone = set_position_resize(whole, position_resize)
        else:
            self.backbone = check_backbone(backbone)
            if pretrained_backbone or backbone_args or position_resize != "timm":
                raise ValueError(
                    "pretrained_backbone, backbone_args, position_resize are for the name of a timm model: "
                    f"the module {type(backbone).__name__} comes with its weights and arguments"
                )
        if relu_floor is not None:
            set_relu_floor(self.backbone, relu_floor)
        self.pool = _check_pool(pool, self.backbone)
        pool_args = _check_pool_args(pool_args, self.pool)
        if isinstance(pool, nn.Module):
            self.global_pool = pool
        elif pool in _GEM:
            self.global_pool = _GEM[pool](**pool_args, trainable=pool_trainable)
        if normalize_map and pool == "cls":
            raise ValueError("normalize_map is for poolings of the map, and pool='cls' takes the class token")
        self.normalize_map = normalize_map
        self.neck = Neck(
            backbone_channels(self.backbone), embedding_dim, neck, normalize_input=normalize_pooled
        )
        self.size_rule = _size_rule(self.backbone, self.pool)
        args = {
            "backbone": backbone,
            "pool": pool,
            "pool_trainable": pool_trainable,
            "pool_args": pool_args,
            "normalize_map": normalize_map,
            "relu_floor": relu_floor,
            "neck": neck,
            "embedding_dim": embedding_dim,
            "normalize_pooled": normalize_pooled,
            "position_resize": position_resize,
            "backbone_args": backbone_args,
        }
        image_size = backbone_args.get("img_size")
        self.cfg = default_cfg(self, args, backbone=backbone, image_size=image_size)

    def forward_features(self, images: Tensor) -> Tensor:
        """Last map of the backbone, (B, C, H, W), whatever its layout in timm."""
        self.check_images(images)
        return feature_map(self.backbone, images)

    def forward_intermediates(
        self, images: Tensor, indices: int | Sequence[int] | None = None
    ) -> list[Tensor]:
        """Maps (B, C, H, W) of several levels of the backbone, fine to coarse, as timm's of this name.

        ``model.backbone.feature_info`` has the stride and the channels of each level.

        Args:
            images: As for ``forward``.
            indices: Levels by their numbers; a number: the last so many; ``None``: all.

        Raises:
            TypeError: If the backbone is a module that has no ``forward_intermediates``.

        Examples:
            >>> model = lz.GlobalDescriptor("resnet18").eval()
            >>> [tuple(level.shape) for level in model.forward_intermediates(torch.zeros(1, 3, 64, 64), 2)]
            [(1, 256, 4, 4), (1, 512, 2, 2)]
        """
        self.check_images(images)
        if not hasattr(self.backbone, "forward_intermediates"):
            raise TypeError(
                f"the backbone {type(self.backbone).__name__} does not give its inner maps: it needs a "
                "method forward_intermediates like that of timm's models"
            )
        levels: list[Tensor] = self.backbone.forward_intermediates(  # type: ignore[operator]
            images, indices=indices, output_fmt="NCHW", intermediates_only=True
        )
        return levels

    def forward_pooled(self, images: Tensor) -> Tensor:
        """Pooled features before the neck: (B, 3, H, W) -> (B, C)."""
        if self.pool == "cls":
            self.check_images(images)
            return class_token(self.backbone, images)
        features = self.forward_features(images)
        if self.normalize_map:
            wide = features.to(torch.promote_types(features.dtype, torch.float32))  # squares fit into it
            features = F.normalize(wide, dim=1).to(features.dtype)  # (B, C, H, W), each position on its own
        if self.pool == "avg":
            return features.mean(dim=(-2, -1))  # (B, C, H, W) -> (B, C)
        pooled: Tensor = self.global_pool(features)
        if not isinstance(pooled, Tensor) or pooled.shape != features.shape[:2]:
            got = tuple(pooled.shape) if isinstance(pooled, Tensor) else type(pooled).__name__
            raise ValueError(
                f"the pooling {type(self.global_pool).__name__} gives {got} for a map "
                f"{tuple(features.shape)}: it must give (B, C), here {tuple(features.shape[:2])}"
            )
        return pooled


def _check_pool(pool: Pool | nn.Module, backbone: nn.Module) -> Pool | None:
    """The name of a pooling; ``None`` for a module."""
    if isinstance(pool, nn.Module):
        return None
    if not isinstance(pool, str):
        raise TypeError(
            f"pool must be one of {get_args(Pool)} or an nn.Module, (B, C, H, W) -> (B, C), got {pool!r}; "
            "the mean of the map is pool='avg'"
        )
    if pool not in get_args(Pool):
        raise ValueError(f"pool must be one of {get_args(Pool)} or an nn.Module, got {pool!r}")
    if pool == "cls" and not has_class_token(backbone):
        raise ValueError(
            f"{type(backbone).__name__} has no class token: use pool='gem' or pool='avg', or a transformer "
            "with one, such as vit_small_patch14_dinov2"
        )
    return pool


def _check_pool_args(pool_args: Mapping[str, float] | None, pool: Pool | None) -> dict[str, Any]:
    """Arguments of GeM or regional GeM, as a dictionary of their own."""
    if pool_args is not None and not isinstance(pool_args, Mapping):
        raise TypeError(
            f"pool_args must be a dictionary, such as {{'p': 4.6, 'eps': 1e-8}}, got {pool_args!r}"
        )
    found = dict(pool_args or {})
    if found and pool not in _GEM:
        raise ValueError(f"pool_args are for pool='gem' and 'regional-gem', got {found} for pool={pool!r}")
    unknown = [name for name in found if name not in ("p", "eps")]
    if unknown:
        raise ValueError(
            f"pool_args takes p and eps, got {unknown[0]!r}; whether p is learned is pool_trainable"
        )
    return found


def _size_rule(backbone: nn.Module, pool: Pool | None) -> ImageSizeRule:
    """Image sizes that the backbone takes, and whose map is large enough for the pooling."""
    rule = backbone_size_rule(backbone)
    if pool != "regional-gem":
        return rule
    info: Any = getattr(backbone, "feature_info", None)
    if rule.multiple > 1:  # patches
        least = MIN_MAP * rule.multiple
    else:  # strides that round up: one pixel more than two positions is a third one
        least = (MIN_MAP - 1) * info[-1]["reduction"] + 1 if info else 1
    return replace(rule, minimum=max(rule.minimum, least))
