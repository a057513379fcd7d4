"""Hybrid-Swin-Transformer: the first blocks of an EfficientNet feed a Swin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from landmarkzoo._utils.checks import check_count
from landmarkzoo.backbones.imagenet_weights import check_timm_args
from landmarkzoo.backbones.pyramid import create_pyramid, pyramid_channels, pyramid_maps, pyramid_size_rule
from landmarkzoo.backbones.swin import (
    create_swin,
    grid_size_rule,
    merge_patches,
    swin_block,
    swin_block_token,
    swin_grid,
)
from landmarkzoo.layers import Neck
from landmarkzoo.layers.autocast import without_autocast
from landmarkzoo.models.descriptor_model import DescriptorModel, default_cfg, register_architecture

Aggregation = Literal["token", "avg"]


@register_architecture
class HybridSwin(DescriptorModel):
    """The first blocks of a convolutional network in place of a Swin's patch embedding.

    Of [Henkel 2021](https://arxiv.org/abs/2110.03786), section 2.2.2, on the
    [Swin of Liu et al. 2021](https://arxiv.org/abs/2103.14030).

    The map of the network is projected to the width of the Swin, gets a position embedding, and is extended
    by a virtual token that sees the whole map in every block and becomes the descriptor. The grid of the map
    must be the one that the Swin was pretrained on: 56 for the 224 px models, 96 for those of 384 px.

    Args:
        cnn: Name of a timm model, such as an EfficientNet.
        transformer: Name of a timm Swin.
        image_size: Side of the images in pixels, or (height, width).
        cnn_level: Nominal stride of the map that is read, at ``stem_stride=2``: 4, 8 or 16.
        stem_stride: Stride of the first convolution: 2, or 1 for small originals, which halves all strides.
        aggregation: ``"token"`` (paper), or ``"avg"``: the mean of the map and no position embedding, as in
            the authors' code and its weights.
        embedding_dim: Size of the descriptor.
        normalize_pooled: L2-normalise the pooled features before the neck (see ``whiten_neck``).
        cnn_args: More arguments of the timm model of the ``cnn``, such as ``{"drop_path_rate": 0.1}``.
        transformer_args: More arguments of the timm model of the ``transformer``.
        pretrained_backbone: Load ImageNet weights into both timm parts.

    Raises:
        TypeError: If ``cnn`` or ``transformer`` is not a name.
        ValueError: If the grid does not fit, with the image sizes that do; or an argument is unknown or out
            of range.
        WeightsNotFoundError: If ImageNet weights are asked for and cannot be found.

    Shape:
        (B, 3, H, W) -> (B, embedding_dim), with H and W that give the grid.

    Examples:
        >>> swin = "swin_tiny_patch4_window7_224"
        >>> model = lz.HybridSwin("tf_efficientnet_b0", swin, image_size=448, cnn_level=8)
        >>> model.size_rule.minimum, model.size_rule.maximum
        (441, 448)
    """

    timm_parts: ClassVar[tuple[str, ...]] = ("transformer", "cnn")
    transformer: Any  # timm's SwinTransformer without patch embedding

    def __init__(
        self,
        cnn: str,
        transformer: str,
        *,
        image_size: int | Sequence[int],
        cnn_level: int,
        stem_stride: int = 2,
        aggregation: Aggregation = "token",
        embedding_dim: int = 512,
        normalize_pooled: bool = False,
        cnn_args: Mapping[str, Any] | None = None,
        transformer_args: Mapping[str, Any] | None = None,
        pretrained_backbone: bool = False,
    ) -> None:
        super().__init__()
        if aggregation not in get_args(Aggregation):
            raise ValueError(f"aggregation must be one of {get_args(Aggregation)}, got {aggregation!r}")
        if cnn_level not in (4, 8, 16):
            raise ValueError(
                f"cnn_level must be 4, 8 or 16, the nominal stride of the map, got {cnn_level!r}"
            )
        both = image_size if isinstance(image_size, Sequence) else (image_size, image_size)
        if len(both) != 2:
            raise ValueError(f"image_size must be a number or (height, width), got {image_size!r}")
        height, width = (check_count(side, "image_size") for side in both)  # of numpy too
        self.aggregation: Aggregation = aggregation
        cnn_args = check_timm_args(cnn_args, "cnn_args")
        transformer_args = check_timm_args(transformer_args, "transformer_args")
        self.transformer = create_swin(transformer, pretrained=pretrained_backbone, args=transformer_args)
        self.grid = swin_grid(self.transformer)
        self.size_rule = grid_size_rule(self.grid, cnn_level * stem_stride // 2)
        self.size_rule.check_size(height, width)
        self.cnn = create_pyramid(
            cnn, (cnn_level,), stem_stride=stem_stride, pretrained=pretrained_backbone, args=cnn_args
        )
        pyramid_size_rule(self.cnn, cnn, stem_stride, cnn_args).check_size(height, width)
        channels = int(self.transformer.embed_dim)
        self.project = nn.Conv2d(pyramid_channels(self.cnn)[0], channels, kernel_size=1)
        if aggregation == "token":
            self.position = nn.Parameter(torch.zeros(1, self.grid[0] * self.grid[1], channels))
            self.token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, channels), std=0.02))
            heads = [block.attn.num_heads for block in self._blocks]
            # Of the last block only the token is used, for which its own key has no bias.
            self.token_key_bias = nn.ParameterList(nn.Parameter(torch.zeros(h)) for h in heads[:-1])
        self.neck = Neck(self.transformer.num_features, embedding_dim, normalize_input=normalize_pooled)
        args = {
            "cnn": cnn,
            "transformer": transformer,
            "image_size": (height, width) if height != width else height,
            "cnn_level": cnn_level,
            "stem_stride": stem_stride,
            "aggregation": aggregation,
            "embedding_dim": embedding_dim,
            "normalize_pooled": normalize_pooled,
            "cnn_args": cnn_args,
            "transformer_args": transformer_args,
        }
        self.grad_checkpointing = False
        self.cfg = default_cfg(self, args, backbone=cnn, image_size=(height, width))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute the blocks of both timm parts again in the backward pass, as in the other models."""
        super().set_grad_checkpointing(enable)
        self.grad_checkpointing = enable  # its Swin blocks are called here, not by timm

    def forward_features(self, images: Tensor) -> Tensor:
        """Last map of the Swin after its final norm: (B, 3, H, W) -> (B, C, h, w)."""
        x, grid = self._last_block_input(images)
        x = swin_block(self._blocks[-1], x, grid, self._key_bias(len(self._blocks) - 1))
        normed: Tensor = self.transformer.norm(x[:, : grid[0] * grid[1]])
        return normed.transpose(1, 2).reshape(normed.shape[0], -1, *grid)  # (B, h * w, C) -> (B, C, h, w)

    def forward_pooled(self, images: Tensor) -> Tensor:
        """The token, or the mean of the map, after the final norm: (B, 3, H, W) -> (B, C)."""
        if self.aggregation == "avg":
            return self.forward_features(images).mean(dim=(-2, -1))
        x, grid = self._last_block_input(images)
        token = swin_block_token(self._blocks[-1], x, grid[0] * grid[1])
        pooled: Tensor = self.transformer.norm(token[:, 0])
        return pooled

    def _last_block_input(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Sequence (B, h * w [+ 1], C) and grid before the last block."""
        self.check_images(images)
        (features,) = pyramid_maps(self.cnn, images)  # (B, C, H, W), of the grid
        if tuple(features.shape[2:]) != tuple(self.grid):  # most strided layers round up
            raise ValueError(
                f"the map of the cnn has {tuple(features.shape[2:])} positions, the Swin "
                f"takes {self.grid}: use an image_size that gives them, or another cnn"
            )
        # Nothing bounds this map, and Swin's patch norm is gone: float16 could overflow here and in the sums.
        with without_autocast(features.device):
            x = (
                self.project(features.to(self.project.weight.dtype)).flatten(2).transpose(1, 2)
            )  # (B, H * W, C)
        if self.aggregation == "token":
            x = torch.cat([x + self.position, self.token.expand(x.shape[0], -1, -1)], dim=1)
        grid, number = self.grid, 0
        for stage in self.transformer.layers:
            x, grid = merge_patches(stage, x, grid)
            for block in stage.blocks[: -1 if stage is self.transformer.layers[-1] else None]:
                x = self._block(block, x, grid, self._key_bias(number))
                number += 1
        return x, grid

    def _block(self, block: Any, x: Tensor, grid: tuple[int, int], key_bias: Tensor | None) -> Tensor:
        if self.grad_checkpointing and torch.is_grad_enabled():
            out: Tensor = checkpoint(swin_block, block, x, grid, key_bias, use_reentrant=False)
            return out
        return swin_block(block, x, grid, key_bias)

    @property
    def _blocks(self) -> list[Any]:
        return [block for stage in self.transformer.layers for block in stage.blocks]

    def _key_bias(self, block: int) -> Tensor | None:
        """Bias of the token as a key in a block (heads,); ``None`` without token."""
        if self.aggregation == "avg":
            return None
        if block < len(self.token_key_bias):
            bias: Tensor = self.token_key_bias[block]
            return bias
        return self.token.new_zeros(self._blocks[block].attn.num_heads)
