"""Swin transformers that are fed a map, and their blocks on a sequence that ends with one more token.

The one place that knows the inside of timm's Swin. A sequence is (B, H * W, C), or with the token
(B, H * W + 1, C), the token last. In every block the token is one more key and value of every window; as a
query it attends to all positions and to itself. Norms, projections and MLPs are the block's own. As a key it
has a bias a head; shift masks never touch it. Between stages it goes through the patch merging as if it stood
four times in one patch.

The plain version, window by window, is in ``tests/models/test_hybrid_swin.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from landmarkzoo.backbones.image_sizes import ImageSizeRule
from landmarkzoo.backbones.imagenet_weights import check_timm_args, create_timm_model
from landmarkzoo.backbones.layer_depth import build_on_meta

# timm's modules, whose attributes a type checker cannot know
Block = Any
Stage = Any


def create_swin(name: str, *, pretrained: bool = False, args: Mapping[str, Any] | None = None) -> nn.Module:
    """Create a timm Swin without patch embedding and classifier; its blocks are ``layers``, then ``norm``.

    Args:
        name: Name of a timm Swin (the first version).
        pretrained: Whether to load its ImageNet weights.
        args: More arguments of the timm model, such as ``{"drop_path_rate": 0.2}``.

    Raises:
        ValueError: If timm has no such model, it is not a Swin, or it does not take an argument.
        WeightsNotFoundError: If weights are asked for and cannot be found.
    """
    args = check_timm_args(args)
    swin = create_timm_model(name, pretrained=pretrained, num_classes=0, **args)
    if not isinstance(swin, SwinTransformer):
        raise ValueError(
            f"{name!r} is a {type(swin).__name__}; a Swin is needed, such as swin_tiny_patch4_window7_224 or "
            "swin_base_patch4_window12_384"
        )
    del swin.patch_embed
    return swin


def swin_grid(swin: nn.Module) -> tuple[int, int]:
    """Height and width of the map that a Swin of ``create_swin`` was pretrained on, in positions."""
    height, width = swin.layers[0].input_resolution  # type: ignore[index, union-attr]
    return int(height), int(width)


def named_swin_grid(name: str) -> tuple[int, int]:
    """The grid of ``swin_grid`` for the name of a timm Swin, without its weights.

    Raises:
        ValueError: If timm has no such model, or it is not a Swin.

    Examples:
        >>> named_swin_grid("swin_base_patch4_window12_384")
        (96, 96)
    """
    probe = build_on_meta(lambda: create_swin(name))
    assert probe is not None  # the CPU makes any Swin
    return swin_grid(probe)


def grid_size_rule(grid: tuple[int, int], stride: int) -> ImageSizeRule:
    """Images whose map at a stride has a grid: strided layers round up.

    Examples:
        >>> rule = grid_size_rule((56, 56), 16)
        >>> rule.minimum, rule.maximum
        (881, 896)
    """
    return ImageSizeRule(minimum=stride * (grid[0] - 1) + 1, maximum=stride * grid[0])


def swin_block(block: Block, x: Tensor, grid: tuple[int, int], key_bias: Tensor | None) -> Tensor:
    """Attention and MLP of a block on a sequence (B, H * W [+ 1], C)."""
    # The sums keep the dtype of x, which is float32 under autocast: they grow from block to block.
    x = x + block.drop_path1(_attention(block, block.norm1(x), grid, key_bias))
    out: Tensor = x + block.drop_path2(block.mlp(block.norm2(x)))
    return out


def swin_block_token(block: Block, x: Tensor, positions: int) -> Tensor:
    """The token alone after a block: (B, H * W + 1, C) -> (B, 1, C); what the last block is needed for."""
    qkv = _heads(block, block.attn.qkv(block.norm1(x)))  # 3 x (B, h, H * W + 1, d)
    attended = _token_attention(block, qkv, positions)
    token = x[:, positions:] + block.drop_path1(_project(block, attended))
    out: Tensor = token + block.drop_path2(block.mlp(block.norm2(token)))
    return out


def merge_patches(stage: Stage, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """How a stage begins, except the first: (B, H * W [+ 1], C) -> (B, H / 2 * W / 2 [+ 1], 2 C)."""
    merging = stage.downsample
    if isinstance(merging, nn.Identity):
        return x, grid
    positions = grid[0] * grid[1]
    merged = merging(x[:, :positions].reshape(x.shape[0], *grid, -1))  # (B, H / 2, W / 2, 2 C)
    sequence: Tensor = merged.flatten(1, 2)
    if x.shape[1] > positions:
        token = merging.reduction(
            merging.norm(x[:, positions:].repeat(1, 1, 4))
        )  # (B, 1, 4 C) -> (B, 1, 2 C)
        sequence = torch.cat([sequence, token], dim=1)
    return sequence, (merged.shape[1], merged.shape[2])


def _attention(block: Block, x: Tensor, grid: tuple[int, int], key_bias: Tensor | None) -> Tensor:
    """Window attention of the map, with the token as one more key, and attention of the token to all."""
    (height, width), positions = grid, grid[0] * grid[1]
    (rows, columns), (shift_y, shift_x) = block.window_size, block.shift_size
    x_map = torch.roll(x[:, :positions].reshape(x.shape[0], height, width, -1), (-shift_y, -shift_x), (1, 2))
    x_map = F.pad(x_map, (0, 0, 0, -width % columns, 0, -height % rows))
    qkv = block.attn.qkv(x_map)  # (B, H, W, 3 C), padded to whole windows
    token = None if key_bias is None else _heads(block, block.attn.qkv(x[:, positions:]))  # (3, B, h, 1, d)
    windows = _window_attention(block, _partition(qkv, rows, columns), token, key_bias)  # (B, n, N, C)
    out = _unpartition(windows, qkv.shape[1], qkv.shape[2], rows, columns)[:, :height, :width]
    out = torch.roll(out, (shift_y, shift_x), (1, 2)).flatten(1, 2)  # (B, H * W, C)
    if token is not None:
        of_map = _heads(block, qkv[:, :height, :width].flatten(1, 2))  # (3, B, h, H * W, d), in some order
        out = torch.cat([out, _token_attention(block, torch.cat([of_map, token], dim=3), positions)], dim=1)
    return _project(block, out)


def _window_attention(block: Block, qkv: Tensor, token: Tensor | None, key_bias: Tensor | None) -> Tensor:
    """Attention inside windows (B, n, N, 3 C) -> (B, n, N, C); the token (3, B, h, 1, d) is a key of each."""
    batch, count, area = qkv.shape[:3]
    heads = block.attn.num_heads
    q, k, v = qkv.reshape(batch, count, area, 3, heads, -1).permute(3, 0, 1, 4, 2, 5)  # (B, n, h, N, d) each
    bias = _window_bias(block).expand(count, -1, -1, -1)  # (n, h, N, N)
    if token is not None and key_bias is not None:
        k, v = (
            torch.cat([of_map, of_token[:, None].expand(-1, count, -1, -1, -1)], dim=3)
            for of_map, of_token in ((k, token[1]), (v, token[2]))
        )
        column = key_bias.to(bias.dtype).view(1, -1, 1, 1).expand(count, -1, area, 1)
        bias = torch.cat([bias, column], dim=3)  # (n, h, N, N + 1)
    # Windows and heads are one dimension, over which the bias differs; it is the same for the whole batch.
    out = _softmax_attention(
        block, q.flatten(1, 2), k.flatten(1, 2), v.flatten(1, 2), bias.flatten(0, 1)[None]
    )
    return out.reshape(batch, count, heads, area, -1).transpose(2, 3).flatten(3)


def _token_attention(block: Block, qkv: Tensor, positions: int) -> Tensor:
    """The token, last of (3, B, h, H * W + 1, d), as the only query: (B, 1, C)."""
    q, k, v = qkv
    return _softmax_attention(block, q[:, :, positions:], k, v, None).transpose(1, 2).flatten(2)


def _softmax_attention(block: Block, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Attention that adds its scores up in float32, whatever the dtype: large ones do not overflow."""
    dropout = block.attn.attn_drop.p if block.training else 0.0
    if bias is not None:
        bias = bias.to(q.dtype)
    out = F.scaled_dot_product_attention(q, k, v, bias, dropout, scale=block.attn.scale)
    # Kernels differ in the strides of what they return; exported programs must not depend on them.
    return out.clone(memory_format=torch.contiguous_format)


def _project(block: Block, x: Tensor) -> Tensor:
    projected: Tensor = block.attn.proj_drop(block.attn.proj(x))
    return projected


def _heads(block: Block, qkv: Tensor) -> Tensor:
    """(B, N, 3 C) -> (3, B, h, N, d)."""
    return qkv.reshape(*qkv.shape[:2], 3, block.attn.num_heads, -1).permute(2, 0, 3, 1, 4)


def _window_bias(block: Block) -> Tensor:
    """Relative position bias, plus the mask of shifted windows if there are any: (n or 1, h, N, N)."""
    attention = block.attn
    area = block.window_size[0] * block.window_size[1]
    table = attention.relative_position_bias_table[attention.relative_position_index.flatten()]
    bias: Tensor = table.view(area, area, -1).permute(2, 0, 1)[None]  # (1, h, N, N)
    if block.attn_mask is not None:
        bias = bias + block.attn_mask[:, None]  # (n, h, N, N)
    return bias


def _partition(x: Tensor, rows: int, columns: int) -> Tensor:
    """Map (B, H, W, C) to windows (B, n, rows * columns, C)."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // rows, rows, width // columns, columns, channels)
    return x.transpose(2, 3).reshape(batch, -1, rows * columns, channels)


def _unpartition(windows: Tensor, height: int, width: int, rows: int, columns: int) -> Tensor:
    """Windows (B, n, rows * columns, C) to the map (B, H, W, C)."""
    batch, _, _, channels = windows.shape
    x = windows.reshape(batch, height // rows, width // columns, rows, columns, channels)
    return x.transpose(2, 3).reshape(batch, height, width, channels)
