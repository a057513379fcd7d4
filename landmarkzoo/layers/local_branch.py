"""The local branch of DOLG: multi-atrous convolutions, then spatial attention (section 2.2.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MultiAtrous(nn.Module):
    """Parallel dilated 3x3 convolutions, concatenated and projected: local context at several scales.

    Args:
        in_channels: Channels of the input map.
        out_channels: Channels of the output map.
        dilations: One branch each.
        branch_channels: Channels of a branch; 512 in the paper.

    Shape:
        (B, in_channels, H, W) -> (B, out_channels, H, W)
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
    """Unit-length local features, each weighted by one positive attention value.

    ``z = BN(conv(x))``; the values are ``z / |z|``, the weights ``softplus(conv(ReLU(z)))``.

    Args:
        channels: Channels of the map, in and out.

    Shape:
        (B, C, H, W) -> (B, C, H, W); :meth:`weights` gives (B, 1, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, channels, kernel_size=1)
        self.norm = nn.BatchNorm2d(channels)
        self.score = nn.Conv2d(channels, 1, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the normalised features of a map."""
        z = self.norm(self.project(x))
        wide = z.to(torch.promote_types(z.dtype, torch.float32))
        value = F.normalize(wide, dim=1).to(z.dtype)  # float16 would lose the norm's epsilon
        return value * self._weights(z)

    def weights(self, x: Tensor) -> Tensor:
        """Attention weights (B, 1, H, W) of a map."""
        return self._weights(self.norm(self.project(x)))

    def _weights(self, z: Tensor) -> Tensor:
        return F.softplus(self.score(F.relu(z)))  # (B, C, H, W) -> (B, 1, H, W)
