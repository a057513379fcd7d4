"""The local branch of DOLG: multi-atrous convolutions, then spatial attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MultiAtrous(nn.Module):
    """Parallel dilated 3x3 convolutions, concatenated and projected: local context at several scales.

    The first part of the local branch of DOLG ([Yang et al. 2021](https://arxiv.org/abs/2108.02927)).

    Args:
        in_channels: Channels of the input map.
        out_channels: Channels of the output map.
        dilations: Dilation of each branch.
        branch_channels: Channels of each branch; 512 in [Henkel 2021](https://arxiv.org/abs/2110.03786).

    Shape:
        (B, in_channels, H, W) -> (B, out_channels, H, W)

    Examples:
        >>> lz.layers.MultiAtrous(16, 8, dilations=(1, 2), branch_channels=4)(torch.randn(2, 16, 7, 7)).shape
        torch.Size([2, 8, 7, 7])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dilations: Sequence[int] = (6, 12, 18),
        branch_channels: int = 512,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, branch_channels, kernel_size=3, dilation=d, padding=d) for d in dilations
        )
        self.project = nn.Conv2d(branch_channels * len(self.branches), out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply all branches to a map and project their concatenation."""
        branches = torch.cat([branch(x) for branch in self.branches], dim=1)
        return F.relu(self.project(branches))


class SpatialAttention(nn.Module):
    """Local features of length 1, each multiplied by a positive attention weight.

    With ``z = BN(conv(x))`` the features are ``z / |z|`` and the weights ``softplus(conv(ReLU(z)))``. The
    second part of the local branch of DOLG ([Yang et al. 2021](https://arxiv.org/abs/2108.02927)).

    Args:
        channels: Channels of the map, in and out.

    Shape:
        (B, C, H, W) -> (B, C, H, W); ``weights`` gives (B, 1, H, W).

    Examples:
        >>> attention = lz.layers.SpatialAttention(8)
        >>> maps = torch.randn(2, 8, 7, 7)
        >>> attention(maps).shape, attention.weights(maps).shape
        (torch.Size([2, 8, 7, 7]), torch.Size([2, 1, 7, 7]))
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, channels, kernel_size=1)
        self.norm = nn.BatchNorm2d(channels)
        self.score = nn.Conv2d(channels, 1, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Weight the normalised features of a map."""
        z = self.norm(self.project(x))
        wide = z.to(torch.promote_types(z.dtype, torch.float32))
        value = F.normalize(wide, dim=1).to(z.dtype)  # float16 would lose the epsilon of the norm
        return value * self._weights(z)

    def weights(self, x: Tensor) -> Tensor:
        """Attention weights (B, 1, H, W) of a map."""
        return self._weights(self.norm(self.project(x)))

    def _weights(self, z: Tensor) -> Tensor:
        return F.softplus(self.score(F.relu(z)))  # (B, C, H, W) -> (B, 1, H, W)
