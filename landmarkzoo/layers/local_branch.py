"""The local branch of DOLG: multi-atrous convolutions, then spatial attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarkzoo._utils.checks import check_count
from landmarkzoo.layers.input_checks import check_batch_norm, check_floating_point


class MultiAtrous(nn.Module):
    """Parallel dilated 3x3 convolutions, concatenated and projected: local context at several scales.

    The first part of the local branch of DOLG ([Yang et al. 2021](https://arxiv.org/abs/2108.02927)).

    Args:
        in_channels: Channels of the input map.
        out_channels: Channels of the output map.
        dilations: Dilation of each branch.
        branch_channels: Channels of each branch; 512 in [Henkel 2021](https://arxiv.org/abs/2110.03786).

    Raises:
        TypeError: If the map is not a floating-point tensor.
        ValueError: If a dilation is not a positive integer, or the map is of another shape.

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
        if not dilations:
            raise ValueError("MultiAtrous needs one dilation or more, such as (6, 12, 18)")
        dilations = [check_count(d, "each dilation") for d in dilations]
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, branch_channels, kernel_size=3, dilation=d, padding=d) for d in dilations
        )
        self.project = nn.Conv2d(branch_channels * len(self.branches), out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply all branches to a map and project their concatenation."""
        _check_map(x, self.branches[0].in_channels, "MultiAtrous")  # type: ignore[arg-type]
        branches = torch.cat([branch(x) for branch in self.branches], dim=1)
        return F.relu(self.project(branches))


class SpatialAttention(nn.Module):
    """Local features of length 1, each multiplied by a positive attention weight.

    With ``z = BN(conv(x))`` the features are ``z / |z|`` and the weights ``softplus(conv(ReLU(z)))``. The
    second part of the local branch of DOLG ([Yang et al. 2021](https://arxiv.org/abs/2108.02927)).

    Args:
        channels: Channels of the map, in and out.

    Raises:
        TypeError: If the map is not a floating-point tensor.
        ValueError: If the map is of another shape, or has one value a channel in training mode.

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
        z = self._features(x)
        wide = z.to(torch.promote_types(z.dtype, torch.float32))
        value = F.normalize(wide, dim=1).to(z.dtype)  # float16 would lose the epsilon of the norm
        return value * self._weights(z)

    def weights(self, x: Tensor) -> Tensor:
        """Attention weights (B, 1, H, W) of a map."""
        return self._weights(self._features(x))

    def _features(self, x: Tensor) -> Tensor:
        _check_map(x, self.project.in_channels, "SpatialAttention")
        z: Tensor = self.project(x)
        check_batch_norm(self.norm, z)
        normed: Tensor = self.norm(z)
        return normed

    def _weights(self, z: Tensor) -> Tensor:
        return F.softplus(self.score(F.relu(z)))  # (B, C, H, W) -> (B, 1, H, W)


def _check_map(x: object, channels: int, what: str) -> None:
    check_floating_point(x, what)
    assert isinstance(x, Tensor)  # checked above
    if x.ndim != 4 or x.shape[1] != channels or 0 in x.shape[2:]:
        raise ValueError(f"{what} takes maps (B, {channels}, H, W), got {tuple(x.shape)}")
