"""The neck: from pooled features to the descriptor."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landmarkzoo._utils.checks import check_count
from landmarkzoo.layers.input_checks import check_batch_norm, check_floating_point

NeckKind = Literal["fc-bn-prelu", "fc-bn", "fc-silu", "fc", "none"]


class Neck(nn.Sequential):
    """A linear layer, with or without batch norm and activation, from pooled features to the descriptor.

    ``"fc-bn-prelu"``: "option D" of [Henkel 2021](https://arxiv.org/abs/2110.03786). ``"fc-bn"``: second
    place of Google Landmark Retrieval 2020. ``"fc-silu"``: third place of Google Landmark Recognition 2020
    ([Ha et al. 2020](https://arxiv.org/abs/2010.05350)). ``"fc"``: the linear layer alone, a whitening that
    is learned ([Radenović et al. 2018](https://arxiv.org/abs/1711.02512)). ``"none"``: the
    pooled features themselves. The layers are the children 0, 1, 2, so the keys are those of a plain
    ``nn.Sequential``.

    Args:
        in_features: Size of the pooled features.
        embedding_dim: Size of the descriptor; not used by ``"none"``.
        kind: Which layers.
        normalize_input: L2-normalise the pooled features first; ``whiten_neck`` sets it.

    Raises:
        TypeError: If the features are not a floating-point tensor.
        ValueError: For an unknown kind, an ``embedding_dim`` that is not a positive integer, features of
            another shape, or one image in training mode, of which a batch norm has no statistics.

    Shape:
        (B, in_features) -> (B, out_features)

    Examples:
        >>> neck = lz.layers.Neck(1280, 512, "fc-bn")
        >>> neck.out_features, neck(torch.randn(4, 1280)).shape
        (512, torch.Size([4, 512]))
    """

    def __init__(
        self,
        in_features: int,
        embedding_dim: int = 512,
        kind: NeckKind = "fc-bn-prelu",
        *,
        normalize_input: bool = False,
    ) -> None:
        if kind not in get_args(NeckKind):
            raise ValueError(f"neck must be one of {get_args(NeckKind)}, got {kind!r}")
        embedding_dim = check_count(embedding_dim, "embedding_dim")
        layers: list[nn.Module] = []
        if kind != "none":
            layers.append(nn.Linear(in_features, embedding_dim))
        if "bn" in kind:
            layers.append(nn.BatchNorm1d(embedding_dim))
        if "prelu" in kind:
            layers.append(nn.PReLU())
        elif "silu" in kind:
            layers.append(nn.SiLU())
        super().__init__(*layers)
        self.kind = kind
        self.in_features = in_features
        self.out_features = embedding_dim if layers else in_features
        self.normalize_input = normalize_input

    def forward(self, x: Tensor) -> Tensor:
        """Map pooled features (B, in_features) to descriptors (B, out_features)."""
        check_floating_point(x, "a neck")
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise ValueError(f"this neck takes features (B, {self.in_features}), got {tuple(x.shape)}")
        if self.normalize_input:
            x = F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=1).to(x.dtype)
        for layer in self:
            check_batch_norm(layer, x)
            x = layer(x)
        return x

    def extra_repr(self) -> str:
        """Show the option that no layer shows."""
        return "normalize_input=True" if self.normalize_input else ""
