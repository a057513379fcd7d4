"""Orthogonal fusion of local and global features."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from landmarkzoo.layers.input_checks import check_floating_point

Projection = Literal["exact", "reference"]


def orthogonal_part(local: Tensor, global_: Tensor, projection: Projection = "exact") -> Tensor:
    """Subtract from local features their projection on the global feature.

    ``exact``: ``l - (l . g / |g|^2) g``, as in DOLG ([Yang et al. 2021](https://arxiv.org/abs/2108.02927)).
    ``reference`` divides by ``|g|`` instead of ``|g|^2``, as the code of [Henkel
    2021](https://arxiv.org/abs/2110.03786) does; weights trained with that code need it. If ``g`` is zero,
    nothing is subtracted. Computed in float32 at least, as ``|g|^2`` is often too large for float16.

    Args:
        local: Features (B, C, ...): vectors (B, C) or maps (B, C, H, W).
        global_: Global features (B, C).
        projection: ``"exact"`` or ``"reference"``.

    Returns:
        A tensor of the shape and dtype of ``local``.

    Examples:
        >>> l, g = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
        >>> orthogonal_part(l, g)
        tensor([[-0.3200,  0.2400]])
        >>> orthogonal_part(l, g, projection="reference")
        tensor([[-5.6000, -6.8000]])
    """
    wide = torch.promote_types(local.dtype, torch.float32)
    x = local.to(wide)
    g = global_.to(wide).reshape(global_.shape + (1,) * (local.ndim - 2))  # (B, C, 1, 1)
    inner = (x * g).sum(dim=1, keepdim=True)  # (B, 1, H, W)
    tiny = torch.finfo(torch.float32).tiny  # where g is zero the inner product is zero as well
    norm2 = g.square().sum(dim=1, keepdim=True).clamp(min=tiny)
    divisor = norm2 if projection == "exact" else norm2.sqrt()
    return (x - inner / divisor * g).to(local.dtype)


class OrthogonalFusion(nn.Module):
    """Concatenate the part of the local features that is orthogonal to the global feature with the latter.

    The fusion of DOLG ([Yang et al. 2021](https://arxiv.org/abs/2108.02927)).

    Args:
        projection: ``"exact"`` (paper) or ``"reference"`` (code of [Henkel
            2021](https://arxiv.org/abs/2110.03786)), see ``orthogonal_part``.
        pool: Whether to average over positions. The orthogonal part is linear in the local features, so the
            local map is averaged first, and no map (B, 2C, H, W) is made.

    Raises:
        TypeError: If an input is not a floating-point tensor.
        ValueError: For an unknown projection, or if the two inputs do not fit each other.

    Shape:
        (B, C, H, W), (B, C) -> (B, 2C, H, W), or (B, 2C) with ``pool=True``: local first, then global.

    Examples:
        >>> local, global_ = torch.randn(2, 8, 14, 14), torch.randn(2, 8)
        >>> lz.OrthogonalFusion()(local, global_).shape
        torch.Size([2, 16, 14, 14])
        >>> lz.OrthogonalFusion(pool=True)(local, global_).shape
        torch.Size([2, 16])
    """

    def __init__(self, projection: Projection = "exact", pool: bool = False) -> None:
        super().__init__()
        if projection not in get_args(Projection):
            raise ValueError(f"projection must be one of {get_args(Projection)}, got {projection!r}")
        self.projection: Projection = projection
        self.pool = pool

    def forward(self, local: Tensor, global_: Tensor) -> Tensor:
        """Fuse local maps (B, C, H, W) with global features (B, C)."""
        for features in (local, global_):
            check_floating_point(features, "OrthogonalFusion")
        if 0 in local.shape[2:] or local.ndim != 4 or global_.ndim != 2 or local.shape[:2] != global_.shape:
            raise ValueError(
                "OrthogonalFusion takes local (B, C, H, W) and global (B, C) features of the same B and C, H "
                f"and W at least 1, got {tuple(local.shape)} and {tuple(global_.shape)}"
            )
        if self.pool:
            mean = local.mean(dim=(-2, -1), dtype=torch.promote_types(local.dtype, torch.float32)).to(
                local.dtype
            )  # (B, C, H, W) -> (B, C)
            return torch.cat([orthogonal_part(mean, global_, self.projection), global_], dim=1)
        everywhere = global_[:, :, None, None].expand_as(local)  # (B, C) -> (B, C, H, W)
        return torch.cat([orthogonal_part(local, global_, self.projection), everywhere], dim=1)

    def extra_repr(self) -> str:
        """Show the options."""
        return f"projection={self.projection!r}, pool={self.pool}"
