"""A package of somebody else: an architecture of its own, and a model of it by name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import landmarkzoo as lz


@lz.register_architecture
class ClockTower(lz.models.DescriptorModel):
    """Mean and maximum of a small map."""

    timm_parts = ("stages",)

    def __init__(self, width: int = 16, *, embedding_dim: int = 32) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(3, width, 7, stride=4), nn.ReLU(), nn.Conv2d(width, width, 3, stride=2)
        )
        self.neck = lz.layers.Neck(2 * width, embedding_dim)
        self.cfg = lz.ModelCfg(
            "ClockTower",
            {"width": width, "embedding_dim": embedding_dim},
            input_size=(3, 64, 64),
            embedding_dim=embedding_dim,
        )

    def forward_features(self, images: Tensor) -> Tensor:
        self.check_images(images)
        maps: Tensor = self.stages(images)
        return maps

    def forward_pooled(self, images: Tensor) -> Tensor:
        maps = self.forward_features(images)
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)


lz.register_model("clock_tower", ClockTower(8).cfg)
