"""A backbone, a pooling and a neck: the pure EfficientNets of the ensemble and all frozen models."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from landmarkzoo.backbones.whole import (
    backbone_channels,
    backbone_size_rule,
    class_token,
    create_backbone,
    feature_map,
    has_class_token,
)
from landmarkzoo.layers import GeM, Neck
from landmarkzoo.layers.neck import NeckKind
from landmarkzoo.models.descriptor_model import DescriptorModel, default_cfg

Pool = Literal["gem", "avg", "cls"]


class GlobalDescriptor(DescriptorModel):
    """Pooled features of any timm backbone, mapped by a neck (Henkel 2021, table 1, lower part).

    The whole of timm's ``forward_features`` is pooled: for EfficientNets the activated map behind
    ``conv_head``, which retrieves better than the map before it.

    Args:
        backbone: Name of a timm model: convolutional, hierarchical or plain transformer.
        pool: ``"gem"``, ``"avg"``, or ``"cls"`` for the class token of a transformer.
        pool_trainable: Whether the power of GeM is learned.
        neck: ``"fc-bn-prelu"``, ``"fc-bn"``, ``"fc-silu"``, or ``"none"`` for the pooled features.
        embedding_dim: Size of the descriptor; without a neck it is the backbone's width.
        normalize_pooled: L2-normalise the pooled features before the neck (see ``whiten_neck``).
        pretrained_backbone: Load ImageNet weights into the backbone.

    Raises:
        ValueError: If an argument is unknown, or the class token of a backbone without one is asked.
        WeightsNotFoundError: If ImageNet weights are asked for and not to be had.

    Shape:
        (B, 3, H, W) -> (B, embedding_dim)

    Examples:
        >>> model = lz.GlobalDescriptor("resnet18", pool="avg", neck="none").eval()
        >>> model(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 512])
    """

    def __init__(
        self,
        backbone: str,
        *,
        pool: Pool = "gem",
        pool_trainable: bool = True,
        neck: NeckKind = "fc-bn-prelu",
        embedding_dim: int = 512,
        normalize_pooled: bool = False,
        pretrained_backbone: bool = False,
    ) -> None:
        super().__init__()
        if pool not in get_args(Pool):
            raise ValueError(f"pool must be one of {get_args(Pool)}, got {pool!r}")
        self.backbone = create_backbone(backbone, pretrained=pretrained_backbone)
        if pool == "cls" and not has_class_token(self.backbone):
            raise ValueError(
                f"{backbone!r} has no class token: use pool='gem' or pool='avg', or a transformer with "
                "one, such as vit_small_patch14_dinov2"
            )
        self.pool: Pool = pool
        if pool == "gem":
            self.global_pool = GeM(p=3.0, trainable=pool_trainable)
        self.neck = Neck(
            backbone_channels(self.backbone), embedding_dim, neck, normalize_input=normalize_pooled
        )
        self.size_rule = backbone_size_rule(self.backbone)
        args = {
            "backbone": backbone,
            "pool": pool,
            "pool_trainable": pool_trainable,
            "neck": neck,
            "embedding_dim": embedding_dim,
            "normalize_pooled": normalize_pooled,
        }
        self.cfg = default_cfg("GlobalDescriptor", args, self.embedding_dim, backbone=backbone)

    def forward_features(self, images: Tensor) -> Tensor:
        """Last map of the backbone, (B, C, H, W), whatever its layout in timm."""
        self.check_images(images)
        return feature_map(self.backbone, images)

    def forward_pooled(self, images: Tensor) -> Tensor:
        """Pooled features before the neck: (B, 3, H, W) -> (B, C)."""
        if self.pool == "cls":
            self.check_images(images)
            return class_token(self.backbone, images)
        features = self.forward_features(images)
        if self.pool == "avg":
            return features.mean(dim=(-2, -1))  # (B, C, H, W) -> (B, C)
        pooled: Tensor = self.global_pool(features)
        return pooled
