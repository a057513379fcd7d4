"""SALAD: local features of a transformer, aggregated by optimal transport, beside its class token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

from landmarkzoo.backbones.imagenet_weights import check_timm_args
from landmarkzoo.backbones.last_map import (
    backbone_channels,
    backbone_size_rule,
    create_backbone,
    has_class_token,
    map_and_class_token,
    map_stride,
)
from landmarkzoo.backbones.position_resize import PositionResize, set_position_resize
from landmarkzoo.layers import Neck, OptimalTransportAggregation
from landmarkzoo.layers.optimal_transport import smallest_grid
from landmarkzoo.models.descriptor_model import DescriptorModel, default_cfg, register_architecture


@register_architecture
class SALAD(DescriptorModel):
    """Optimal-transport aggregation of a transformer's patches; with a Linear behind it, MegaLoc.

    Of [Izquierdo & Civera 2024](https://arxiv.org/abs/2311.15937) on
    [DINOv2](https://arxiv.org/abs/2304.07193), and with ``cluster_dim=256`` and ``embedding_dim=8448`` of
    [Berton & Masone 2025](https://arxiv.org/abs/2502.17237).

    The map of patches and the class token come from one forward pass, after the final norm. The patches are
    shared out among clusters and a dust bin, which takes what tells nothing about a place, and summed up by
    cluster (``landmarkzoo.layers.OptimalTransportAggregation``). The descriptor is large: 8,448 numbers with
    the default sizes.

    Args:
        backbone: Name of a timm model with a class token, such as ``"vit_base_patch14_dinov2"``.
        clusters: Number of clusters. Images need more patches than that.
        cluster_dim: Size of the feature of a patch.
        token_dim: Size of the feature of the class token.
        hidden_dim: Size of the hidden layers of the aggregation.
        embedding_dim: Size of the descriptor behind a Linear layer; ``None``: no such layer, the aggregated
            features themselves, ``token_dim + clusters * cluster_dim``.
        dropout: Of hidden layers of the aggregation, in training mode only.
        position_resize: How positions are resized for images that are not of the size that the backbone was
            made for: ``"timm"``, or ``"dinov2"`` as the authors of DINOv2 do, which weights need that were
            trained on top of their code. Of their models with registers, timm's way is the authors' own.
        normalize_pooled: L2-normalise the aggregated features before the neck, which changes nothing: they
            have length 1 (see ``whiten_neck``).
        backbone_args: More arguments of the timm model, such as ``{"drop_path_rate": 0.1}``.
        pretrained_backbone: Load the weights that timm has for the backbone.

    Raises:
        TypeError: If the backbone is not a name.
        ValueError: If the backbone has no class token, ``position_resize="dinov2"`` does not fit it, or an
            argument is unknown or out of range.
        WeightsNotFoundError: If pretrained weights are asked for and cannot be found.

    Shape:
        (B, 3, H, W) -> (B, descriptor), with H and W multiples of the patch size, and long enough for a
        square of more patches than clusters: at least 126 px for patches of 14 px and 64 clusters.

    Examples:
        >>> small = {"embed_dim": 32, "depth": 1, "num_heads": 2}
        >>> model = lz.SALAD("vit_base_patch14_dinov2", clusters=8, cluster_dim=16, backbone_args=small)
        >>> model.eval()(torch.zeros(2, 3, 56, 42)).shape
        torch.Size([2, 384])
    """

    timm_parts: ClassVar[tuple[str, ...]] = ("backbone",)

    def __init__(
        self,
        backbone: str,
        *,
        clusters: int = 64,
        cluster_dim: int = 128,
        token_dim: int = 256,
        hidden_dim: int = 512,
        embedding_dim: int | None = None,
        dropout: float = 0.3,
        position_resize: PositionResize = "timm",
        normalize_pooled: bool = False,
        backbone_args: Mapping[str, Any] | None = None,
        pretrained_backbone: bool = False,
    ) -> None:
        super().__init__()
        backbone_args = check_timm_args(backbone_args)
        whole = create_backbone(backbone, pretrained=pretrained_backbone, args=backbone_args)
        if not has_class_token(whole):
            raise ValueError(
                f"SALAD needs a transformer with a class token, such as 'vit_base_patch14_dinov2'; "
                f"{backbone!r} has none"
            )
        self.backbone = set_position_resize(whole, position_resize)
        self.aggregation = OptimalTransportAggregation(
            backbone_channels(whole),
            clusters=clusters,
            cluster_dim=cluster_dim,
            token_dim=token_dim,
            hidden_dim=hidden_dim,
            dropout=dropout,
        )
        aggregated = self.aggregation.out_features
        self.neck = Neck(
            aggregated,
            aggregated if embedding_dim is None else embedding_dim,
            "none" if embedding_dim is None else "fc",
            normalize_input=normalize_pooled,
        )
        rule = backbone_size_rule(whole)
        enough = smallest_grid(self.aggregation.clusters) * map_stride(whole)
        self.size_rule = replace(rule, minimum=max(rule.minimum, enough))
        args = {
            "backbone": backbone,
            "clusters": clusters,
            "cluster_dim": cluster_dim,
            "token_dim": token_dim,
            "hidden_dim": hidden_dim,
            "embedding_dim": embedding_dim,
            "dropout": dropout,
            "position_resize": position_resize,
            "normalize_pooled": normalize_pooled,
            "backbone_args": backbone_args,
        }
        self.cfg = default_cfg(self, args, backbone=backbone, image_size=backbone_args.get("img_size"))

    def forward_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Patches as a map (B, C, h, w), and the class token (B, C), after the final norm of the backbone."""
        self.check_images(images)
        return map_and_class_token(self.backbone, images)

    def forward_pooled(self, images: Tensor) -> Tensor:
        """Aggregated features, of length 1: (B, 3, H, W) -> (B, token_dim + clusters * cluster_dim)."""
        features, token = self.forward_features(images)
        aggregated: Tensor = self.aggregation(features, token)
        return aggregated
