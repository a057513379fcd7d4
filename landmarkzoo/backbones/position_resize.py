"""Position embeddings of plain transformers, resized to the grid of an image as their authors do.

The weights of a transformer know the positions of one grid, those of DINOv2 of 37 x 37 patches of 14 px. For
other images timm resizes them with antialias, onto the coordinates of the new grid. The authors of DINOv2
resize them without antialias, by a factor that is a little too large. Models that were trained on top of
their code, such as SALAD and MegaLoc, need it to give the descriptors that they were trained for.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

PositionResize = Literal["timm", "dinov2"]

_OFFSET = 0.1  # positions, by which the authors lengthen the grid so that rounding never loses one


def dinov2_positions(positions: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Positions of a class token and of a grid, with the grid resized as in the code of DINOv2.

    Bicubic, without antialias, by the factor (new + .1) / old of each side, which coordinates are computed
    with ([Oquab et al. 2023](https://arxiv.org/abs/2304.07193), ``interpolate_pos_encoding`` of their code).

    Args:
        positions: Of the class token, then of the grid row by row: (1, 1 + rows * columns, C).
        old: Rows and columns of this grid.
        new: Rows and columns that are wanted.

    Returns:
        Positions (1, 1 + new rows * new columns, C), of the dtype of ``positions``.

    Examples:
        >>> grid = torch.arange(16.0).reshape(1, 16, 1)
        >>> positions = torch.cat([torch.full((1, 1, 1), -1.0), grid], dim=1)
        >>> dinov2_positions(positions, (4, 4), (2, 2)).flatten()
        tensor([-1.0000,  1.8122,  3.9012, 10.1682, 12.2572])
    """
    if new == old:
        return positions
    token, grid = positions[:, :1], positions[:, 1:]
    wide = grid.to(torch.promote_types(grid.dtype, torch.float32))
    factors = tuple((to + _OFFSET) / of for to, of in zip(new, old))
    maps = wide.reshape(1, *old, -1).permute(0, 3, 1, 2)  # (1, rows * columns, C) -> (1, C, rows, columns)
    resized = F.interpolate(maps, scale_factor=factors, mode="bicubic", align_corners=False)
    return torch.cat([token, resized.flatten(2).transpose(1, 2).to(grid.dtype)], dim=1)


class Dinov2Positions(VisionTransformer):
    """timm's transformer, but for how its positions are resized. ``set_position_resize`` makes one."""

    cls_token: nn.Parameter
    pos_embed: nn.Parameter

    def _pos_embed(self, x: Tensor) -> Tensor:
        grid = (x.shape[1], x.shape[2])
        tokens = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x.flatten(1, 2)], dim=1)
        # (B, rows, columns, C) -> (B, 1 + rows * columns, C)
        positions = dinov2_positions(self.pos_embed, tuple(self.patch_embed.grid_size), grid)
        dropped: Tensor = self.pos_drop(tokens + positions)
        return dropped


def set_position_resize(backbone: nn.Module, how: PositionResize) -> nn.Module:
    """Let a backbone of ``create_backbone`` resize its positions in a way; weights and names stay.

    Args:
        backbone: A timm model, changed in place.
        how: ``"timm"``, or ``"dinov2"`` as the authors of DINOv2 do. Of its models with registers timm's way
            is the authors' own already.

    Raises:
        ValueError: If there is no such way, or the backbone is not a plain transformer with positions of one
            class token and a grid.
    """
    if how not in get_args(PositionResize):
        raise ValueError(f"position_resize must be one of {get_args(PositionResize)}, got {how!r}")
    if how == "timm":
        return backbone
    name = getattr(backbone, "timm_name", type(backbone).__name__)
    if (
        type(backbone) is not VisionTransformer
        or backbone.pos_embed is None
        or backbone.pos_embed.shape[1] != 1 + backbone.patch_embed.num_patches
        or backbone.num_prefix_tokens != 1
        or not backbone.dynamic_img_size
    ):
        raise ValueError(
            f"position_resize='dinov2' is for plain transformers with a class token and no registers, such "
            f"as vit_base_patch14_dinov2, whose positions are resized to the image; {name} is not one: use "
            "position_resize='timm'"
        )
    # timm makes its models of a fixed class. With another one, copies, pickles and compiled models of this
    # backbone do the same, and those of others stay as they are.
    backbone.__class__ = Dinov2Positions
    return backbone
