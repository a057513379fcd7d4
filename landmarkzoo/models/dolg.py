"""DOLG: deep orthogonal fusion of local and global features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarkzoo._utils.checks import check_count
from landmarkzoo.backbones.imagenet_weights import check_timm_args
from landmarkzoo.backbones.last_map import (
    backbone_channels,
    backbone_size_rule,
    create_backbone_with_level,
    level_and_feature_map,
)
from landmarkzoo.backbones.pyramid import (
    create_pyramid,
    pyramid_channels,
    pyramid_levels,
    pyramid_maps,
    pyramid_size_rule,
)
from landmarkzoo.layers import GeM, MultiAtrous, Neck, OrthogonalFusion, SpatialAttention
from landmarkzoo.layers.input_checks import check_batch_norm
from landmarkzoo.layers.neck import NeckKind
from landmarkzoo.layers.orthogonal_fusion import Projection
from landmarkzoo.models.descriptor_model import DescriptorModel, default_cfg, register_architecture

_LARGEST_DILATION = 1024  # of positions of a map; that of a photo of 16,384 px has as many

GlobalMap = Literal["stage", "head", "pooled"]


@register_architecture
class DOLG(DescriptorModel):
    """DOLG on any timm backbone with maps at strides 16 and 32.

    Of [Yang et al. 2021](https://arxiv.org/abs/2108.02927), in the form of
    [Henkel 2021](https://arxiv.org/abs/2110.03786), section 2.2.1. Its authors' own models on ResNets are
    ``DOLG("resnet50", dilations=(), global_map="pooled", neck="fc")``.

    The stride-16 map goes through multi-atrous convolutions and spatial attention (local branch), the
    stride-32 map through a projection and [GeM](https://arxiv.org/abs/1711.02512) (global branch). The part
    of the local features orthogonal to the global one is averaged over positions, the global one is put
    beside it, and the neck maps both to the descriptor.

    Args:
        backbone: Name of a timm model.
        embedding_dim: Size of the descriptor.
        hidden_dim: Channels of the local and of the global branch.
        dilations: Dilations of the local branch: (6, 12, 18) for B5, (3, 6, 9) for B6 and B7. With ``()``
            there are no multi-atrous convolutions: the stride-16 map goes straight into spatial attention,
            and ``hidden_dim`` must be its channels.
        stem_stride: Stride of the first convolution: 2, or 1 for small originals.
        projection: ``"exact"``, or ``"reference"`` for weights trained with the authors' code.
        global_map: What the global branch reads. ``"stage"``, the paper: the stride-32 map, through a
            projection. ``"head"``: the backbone's whole ``forward_features`` (of an EfficientNet, behind
            ``conv_head``), pooled by GeM and L2-normalised, with no new weights: a start for small data, from
            which ``landmarkzoo.whiten_neck`` makes a good descriptor before any training.
            ``hidden_dim`` must be the channels of that map. ``"pooled"``, the code of Yang et al.: the
            stride-32 map, pooled by GeM before the projection, which is a Linear alone.
        neck: See ``landmarkzoo.layers.Neck``.
        normalize_pooled: L2-normalise the pooled features before the neck (see ``whiten_neck``).
        backbone_args: More arguments of the timm model, such as ``{"drop_path_rate": 0.1}``.
        pretrained_backbone: Load ImageNet weights into the backbone.

    Raises:
        TypeError: If the backbone is not a name.
        ValueError: If the backbone does not have these strides, or an argument is unknown or out of range.
        WeightsNotFoundError: If ImageNet weights are asked for and cannot be found.

    Shape:
        (B, 3, H, W) -> (B, embedding_dim), with H and W at least 32 (16 with ``stem_stride=1``), or, if
        ``global_map`` is ``"head"``, what the backbone takes.

    Examples:
        >>> model = lz.DOLG("tf_efficientnet_lite0", dilations=(3, 6, 9)).eval()
        >>> model(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 512])
    """

    timm_parts: ClassVar[tuple[str, ...]] = ("backbone",)

    def __init__(
        self,
        backbone: str,
        *,
        embedding_dim: int = 512,
        hidden_dim: int = 1024,
        dilations: Sequence[int] = (6, 12, 18),
        stem_stride: int = 2,
        projection: Projection = "exact",
        global_map: GlobalMap = "stage",
        neck: NeckKind = "fc-bn-prelu",
        normalize_pooled: bool = False,
        backbone_args: Mapping[str, Any] | None = None,
        pretrained_backbone: bool = False,
    ) -> None:
        super().__init__()
        dilations = _checked_dilations(dilations)
        hidden_dim = check_count(hidden_dim, "hidden_dim")
        if global_map not in get_args(GlobalMap):
            raise ValueError(f"global_map must be one of {get_args(GlobalMap)}, got {global_map!r}")
        self.global_map: GlobalMap = global_map
        backbone_args = check_timm_args(backbone_args)
        channels = self._add_backbone(backbone, stem_stride, backbone_args, pretrained=pretrained_backbone)
        self._add_branches(*channels, hidden_dim, dilations)
        self.fusion = OrthogonalFusion(projection, pool=True)
        self.neck = Neck(2 * hidden_dim, embedding_dim, neck, normalize_input=normalize_pooled)
        args = {
            "backbone": backbone,
            "embedding_dim": embedding_dim,
            "hidden_dim": hidden_dim,
            "dilations": dilations,
            "stem_stride": stem_stride,
            "projection": projection,
            "global_map": global_map,
            "neck": neck,
            "normalize_pooled": normalize_pooled,
            "backbone_args": backbone_args,
        }
        image_size = backbone_args.get("img_size")
        self.cfg = default_cfg(self, args, backbone=backbone, image_size=image_size)

    def _add_backbone(
        self, name: str, stem_stride: int, args: Mapping[str, Any], *, pretrained: bool
    ) -> tuple[int, int]:
        """Make the backbone; channels of the local and of the global map."""
        if self.global_map != "head":
            self.backbone = create_pyramid(
                name, (16, 32), stem_stride=stem_stride, pretrained=pretrained, args=args
            )
            self.size_rule = pyramid_size_rule(self.backbone, name, stem_stride, args)
            local_channels, global_channels = pyramid_channels(self.backbone)
            return local_channels, global_channels
        self.backbone, self.level = create_backbone_with_level(
            name, 16, stem_stride=stem_stride, pretrained=pretrained, args=args
        )
        self.size_rule = backbone_size_rule(self.backbone, stem_stride)
        return pyramid_levels(name, args)[16], backbone_channels(self.backbone)

    def _add_branches(
        self, local_channels: int, global_channels: int, hidden_dim: int, dilations: tuple[int, ...]
    ) -> None:
        """Make the local and the global branch."""
        if not dilations and hidden_dim != local_channels:
            raise ValueError(
                f"without dilations the local branch has the {local_channels} channels of the stride-16 map "
                f"of {self.backbone.timm_name!r}: use hidden_dim={local_channels}, got {hidden_dim}"
            )
        if self.global_map == "head" and hidden_dim != global_channels:
            raise ValueError(
                f"with global_map='head' local features are fused with the {global_channels} channels of "
                f"{self.backbone.timm_name!r}: use hidden_dim={global_channels}, got {hidden_dim}"
            )
        self.multi_atrous = MultiAtrous(local_channels, hidden_dim, dilations) if dilations else nn.Identity()
        self.spatial_attention = SpatialAttention(hidden_dim)
        if self.global_map == "stage":
            self.global_project = nn.Conv2d(global_channels, hidden_dim, kernel_size=1)
            self.global_norm = nn.BatchNorm2d(hidden_dim, eps=1e-3)
        self.global_pool = GeM(p=3.0)
        if self.global_map == "pooled":
            self.global_fc = nn.Linear(global_channels, hidden_dim)

    def forward_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of both branches: local (B, hidden, H/16, W/16) and global (B, hidden, H/32, W/32).

        With ``global_map="pooled"`` the global one is that of the backbone, as it is projected after pooling.
        """
        local, global_ = self._backbone_maps(images)
        local = self.spatial_attention(self.multi_atrous(local))
        if self.global_map == "stage":
            global_ = self.global_project(global_)
            check_batch_norm(self.global_norm, global_)
            global_ = F.silu(self.global_norm(global_))
        return local, global_

    def attention(self, images: Tensor) -> Tensor:
        """Where the local branch looks: positive weights (B, H / 16, W / 16).

        Examples:
            >>> model = lz.DOLG("resnet18", hidden_dim=8, dilations=(3, 6)).eval()
            >>> model.attention(torch.zeros(2, 3, 64, 96)).shape
            torch.Size([2, 4, 6])
        """
        local, _ = self._backbone_maps(images)
        return self.spatial_attention.weights(self.multi_atrous(local))[:, 0]  # (B, 1, h, w) -> (B, h, w)

    def forward_pooled(self, images: Tensor) -> Tensor:
        """Fused features before the neck: (B, 3, H, W) -> (B, 2 * hidden), local half first."""
        local, global_ = self.forward_features(images)
        pooled = self.global_pool(global_)
        if self.global_map == "head":  # unit length times a weight, as a local feature has
            wide = pooled.to(torch.promote_types(pooled.dtype, torch.float32))
            pooled = F.normalize(wide, dim=1).to(pooled.dtype)
        elif self.global_map == "pooled":
            pooled = self.global_fc(pooled)  # (B, C) -> (B, hidden)
        fused: Tensor = self.fusion(local, pooled)
        return fused

    def _backbone_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Maps at strides 16 and 32, before the branches."""
        self.check_images(images)
        if self.global_map == "head":
            return level_and_feature_map(self.backbone, images, self.level)
        local, global_ = pyramid_maps(self.backbone, images)
        return local, global_


def _checked_dilations(dilations: Sequence[int]) -> tuple[int, ...]:
    if np.ndim(dilations) != 1:
        raise ValueError(
            f"dilations must be positive integers, such as (6, 12, 18), or () for none, got {dilations!r}"
        )
    checked = tuple(check_count(d, "each of the dilations") for d in dilations)
    if any(d > _LARGEST_DILATION for d in checked):
        raise ValueError(f"dilations must be at most {_LARGEST_DILATION} positions, got {checked}")
    return checked
